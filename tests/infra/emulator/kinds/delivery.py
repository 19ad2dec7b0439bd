"""CloudFront."""

import json
import uuid

from ..aws import FORGOTTEN
from . import kind, split


@kind("AWS::CloudFront::OriginAccessControl")
def access_control(aws, properties, name):
    made = aws.call("cloudfront", "create_origin_access_control", **properties)
    return made["OriginAccessControl"]["Id"], {"Id": made["OriginAccessControl"]["Id"]}


@kind("AWS::CloudFront::CachePolicy")
def cache_policy(aws, properties, name):
    # moto has none.
    config = json.loads(json.dumps(properties["CachePolicyConfig"]))
    key = config["ParametersInCacheKeyAndForwardedToOrigin"]
    aws.check("cloudfront", "create_cache_policy", CachePolicyConfig=config)
    return f"policy-{config['Name']}", {"Id": f"policy-{config['Name']}", "Key": key}


@kind("AWS::CloudFront::Function", puts=True)
def function(aws, properties, name):
    # moto has no stages, and a distribution takes only published functions.
    config, published = split(properties, "AutoPublish")
    if str(published).lower() != "true":
        raise ValueError(f"{config['Name']} is not published")
    aws.check("cloudfront", "create_function", **config)
    arn = f"arn:aws:cloudfront::123456789012:function/{config['Name']}"
    return arn, {"FunctionARN": arn}


def distribution_config(properties):
    config = json.loads(json.dumps(properties["DistributionConfig"])) | {"CallerReference": str(uuid.uuid4())}
    for origin in config["Origins"]:
        origin["CustomHeaders"] = origin.pop("OriginCustomHeaders", [])
        if custom := origin.get("CustomOriginConfig"):
            custom["OriginSslProtocols"] = custom.pop("OriginSSLProtocols")
    config["IsIPV6Enabled"] = config.pop("IPV6Enabled")
    return config


def update_distribution(aws, physical_id, properties, name):
    now = aws.call("cloudfront", "get_distribution", Id=physical_id)
    made = aws.call("cloudfront", "update_distribution", Id=physical_id, IfMatch=now["ETag"],
                    DistributionConfig=distribution_config(properties))
    return physical_id, {"DomainName": made["Distribution"]["DomainName"]}


def delete_distribution(aws, physical_id, properties, keeps_copy):
    tag = aws.call("cloudfront", "get_distribution", Id=physical_id)["ETag"]
    aws.call("cloudfront", "delete_distribution", Id=physical_id, IfMatch=tag)


@kind("AWS::CloudFront::Distribution", delete_distribution, update_distribution)
def distribution(aws, properties, name):
    rest, _, tags = split(properties, "DistributionConfig", "Tags")
    made = aws.call("cloudfront", "create_distribution_with_tags", **rest, DistributionConfigWithTags={
        "DistributionConfig": distribution_config(properties), "Tags": {"Items": tags}})["Distribution"]
    FORGOTTEN[made["Id"]] = {origin["Id"]: origin.get("OriginAccessControlId")
                             for origin in properties["DistributionConfig"]["Origins"]}
    FORGOTTEN[made["Id"]]["functions"] = {
        behaviour["PathPattern"]: [(each["EventType"], each["FunctionARN"])
                                   for each in behaviour.get("FunctionAssociations", [])]
        for behaviour in properties["DistributionConfig"]["CacheBehaviors"]}
    return made["Id"], {"DomainName": made["DomainName"], "Id": made["Id"]}
