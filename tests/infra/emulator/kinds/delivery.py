"""CloudFront and WAF."""

import json
import uuid

from ..aws import FORGOTTEN
from . import TAKEN, claim, kind, split


def free(type_name, find):
    """A delete that gives the name back."""
    return lambda aws, physical_id, properties, keeps_copy: TAKEN.pop((type_name, find(properties)["Name"]))


ACCESS, CACHE = "OriginAccessControl", "CachePolicy"


@kind("AWS::CloudFront::OriginAccessControl", free(ACCESS, lambda each: each["OriginAccessControlConfig"]))
def access_control(aws, properties, name):
    claim(aws, ACCESS, properties["OriginAccessControlConfig"]["Name"], name)
    made = aws.call("cloudfront", "create_origin_access_control", **properties)
    return made["OriginAccessControl"]["Id"], {"Id": made["OriginAccessControl"]["Id"]}


@kind("AWS::CloudFront::CachePolicy", free(CACHE, lambda each: each["CachePolicyConfig"]))
def cache_policy(aws, properties, name):
    # moto has none.
    config = json.loads(json.dumps(properties["CachePolicyConfig"]))
    claim(aws, CACHE, config["Name"], name)
    key = config["ParametersInCacheKeyAndForwardedToOrigin"]
    aws.check("cloudfront", "create_cache_policy", CachePolicyConfig=config)
    return f"policy-{config['Name']}", {"Id": f"policy-{config['Name']}", "Key": key}


@kind("AWS::CloudFront::Function", free("Function", lambda each: each), puts=True)
def function(aws, properties, name):
    # moto has no stages, and a distribution takes only published functions.
    config, published = split(properties, "AutoPublish")
    if str(published).lower() != "true":
        raise ValueError(f"{config['Name']} is not published")
    aws.check("cloudfront", "create_function", **config)
    claim(aws, "Function", config["Name"], name)
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


def web_acl_parameters(aws, properties):
    if properties["Scope"] == "CLOUDFRONT" and aws.region != "us-east-1":
        raise ValueError("The scope is not valid: CLOUDFRONT exists in us-east-1 only")
    return properties


def delete_web_acl(aws, arn, properties, keeps_copy):
    *_, name, acl = arn.split("/")
    token = aws.call("wafv2", "get_web_acl", Name=name, Scope=properties["Scope"], Id=acl)["LockToken"]
    aws.call("wafv2", "delete_web_acl", Name=name, Scope=properties["Scope"], Id=acl, LockToken=token)


@kind("AWS::WAFv2::WebACL", delete_web_acl)
def web_acl(aws, properties, name):
    arn = aws.call("wafv2", "create_web_acl", **web_acl_parameters(aws, properties))["Summary"]["ARN"]
    return arn, {"Arn": arn}


def disassociate(aws, physical_id, properties, keeps_copy):
    aws.call("wafv2", "disassociate_web_acl", ResourceArn=properties["ResourceArn"])


@kind("AWS::WAFv2::WebACLAssociation", disassociate)
def web_acl_association(aws, properties, name):
    aws.call("wafv2", "associate_web_acl", **properties)
    return name, {}
