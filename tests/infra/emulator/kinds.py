"""Every type of resource that the templates use, made by the API that AWS would use for it."""

import json
from dataclasses import dataclass
from typing import Callable

KINDS = {}


@dataclass(frozen=True)
class Kind:
    type: str
    # (aws, properties, generated name) -> (what Ref gives, what GetAtt gives)
    create: Callable
    # (aws, physical id, properties, keeps a copy)
    delete: Callable
    # (aws, physical id, properties, generated name); without one a changed resource is replaced
    update: Callable | None = None

    def change(self, aws, physical_id, properties, name):
        if self.update is None:
            raise NotImplementedError(f"{self.type} would be replaced: say how the emulator does that")
        return self.update(aws, physical_id, properties, name)


def kind(type_name, delete=None, update=None, puts=False):
    """Registers a `create`. `puts`: the call that creates also changes."""

    def register(create):
        def again(aws, physical_id, properties, name):
            return create(aws, properties, name)

        KINDS[type_name] = Kind(type_name, create, delete or (lambda *_: None), again if puts else update)
        return create

    return register


def deletes(service, operation, **by):
    """A delete by the physical id (`ID`) or by properties."""

    def delete(aws, physical_id, properties, keeps_copy):
        values = {key: physical_id if value == "ID" else [physical_id] if value == ["ID"] else properties[value]
                  for key, value in by.items()}
        aws.call(service, operation, **values)

    return delete


def split(properties, *names):
    """The properties without some, which another call takes."""
    rest = {key: value for key, value in properties.items() if key not in names}
    return rest, *(properties.get(name) for name in names)


def tagged(properties, resource_type):
    rest, tags = split(properties, "Tags")
    return rest | ({"TagSpecifications": [{"ResourceType": resource_type, "Tags": tags}]} if tags else {})


# --- EC2 ---

def simple(type_name, create, answer, delete, delete_by, tag=None, service="ec2", attributes=lambda p: {}):
    @kind(type_name, deletes(service, delete, **delete_by))
    def make(aws, properties, name):
        made = aws.call(service, create, **(tagged(properties, tag) if tag else properties))
        for key in answer.split("."):
            made = made[key]
        return made, attributes(properties)


simple("AWS::EC2::InternetGateway", "create_internet_gateway", "InternetGateway.InternetGatewayId",
       "delete_internet_gateway", {"InternetGatewayId": "ID"}, "internet-gateway")
simple("AWS::EC2::RouteTable", "create_route_table", "RouteTable.RouteTableId", "delete_route_table",
       {"RouteTableId": "ID"}, "route-table")
simple("AWS::EC2::SubnetRouteTableAssociation", "associate_route_table", "AssociationId",
       "disassociate_route_table", {"AssociationId": "ID"})
simple("AWS::EC2::VPCEndpoint", "create_vpc_endpoint", "VpcEndpoint.VpcEndpointId", "delete_vpc_endpoints",
       {"VpcEndpointIds": ["ID"]})


@kind("AWS::EC2::VPC", deletes("ec2", "delete_vpc", VpcId="ID"))
def vpc(aws, properties, name):
    rest, support, names = split(tagged(properties, "vpc"), "EnableDnsSupport", "EnableDnsHostnames")
    made = aws.call("ec2", "create_vpc", **rest)["Vpc"]["VpcId"]
    aws.call("ec2", "modify_vpc_attribute", VpcId=made, EnableDnsSupport={"Value": support})
    aws.call("ec2", "modify_vpc_attribute", VpcId=made, EnableDnsHostnames={"Value": names})
    return made, {"CidrBlock": properties["CidrBlock"]}


@kind("AWS::EC2::Subnet", deletes("ec2", "delete_subnet", SubnetId="ID"))
def subnet(aws, properties, name):
    rest, is_public = split(tagged(properties, "subnet"), "MapPublicIpOnLaunch")
    made = aws.call("ec2", "create_subnet", **rest)["Subnet"]["SubnetId"]
    aws.call("ec2", "modify_subnet_attribute", SubnetId=made, MapPublicIpOnLaunch={"Value": is_public or False})
    return made, {}


@kind("AWS::EC2::VPCGatewayAttachment", deletes("ec2", "detach_internet_gateway", VpcId="VpcId",
                                                InternetGatewayId="InternetGatewayId"))
def attachment(aws, properties, name):
    aws.call("ec2", "attach_internet_gateway", **properties)
    return name, {}


@kind("AWS::EC2::Route", deletes("ec2", "delete_route", RouteTableId="RouteTableId",
                                 DestinationCidrBlock="DestinationCidrBlock"))
def route(aws, properties, name):
    aws.call("ec2", "create_route", **properties)
    return name, {}


def permission(rule, peer):
    rest, address, group, prefixes, description = split(
        rule, "CidrIp", f"{peer}SecurityGroupId", f"{peer}PrefixListId", "Description")
    said = {"Description": description} if description else {}
    if address:
        return rest | {"IpRanges": [{"CidrIp": address} | said]}
    if group:
        return rest | {"UserIdGroupPairs": [{"GroupId": group} | said]}
    return rest | {"PrefixListIds": [{"PrefixListId": prefixes} | said]}


def set_rules(aws, group, properties):
    now = aws.call("ec2", "describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
    for rules, peer, name, way in (("SecurityGroupIngress", "Source", "IpPermissions", "ingress"),
                                   ("SecurityGroupEgress", "Destination", "IpPermissionsEgress", "egress")):
        wanted = [permission(rule, peer) for rule in properties.get(rules, [])]
        if now[name] and (wanted or way == "ingress"):
            aws.call("ec2", f"revoke_security_group_{way}", GroupId=group, IpPermissions=now[name])
        if wanted:
            aws.call("ec2", f"authorize_security_group_{way}", GroupId=group, IpPermissions=wanted)
    return group, {"GroupId": group}


def update_security_group(aws, group, properties, name):
    return set_rules(aws, group, properties)


@kind("AWS::EC2::SecurityGroup", deletes("ec2", "delete_security_group", GroupId="ID"), update_security_group)
def security_group(aws, properties, name):
    rest, description, _, _ = split(tagged(properties, "security-group"), "GroupDescription",
                                    "SecurityGroupIngress", "SecurityGroupEgress")
    made = aws.call("ec2", "create_security_group", GroupName=name, Description=description, **rest)
    return set_rules(aws, made["GroupId"], properties)


def new_version(aws, template, properties, name):
    made = aws.call("ec2", "create_launch_template_version", LaunchTemplateId=template,
                    LaunchTemplateData=properties["LaunchTemplateData"])["LaunchTemplateVersion"]
    return template, {"LatestVersionNumber": str(made["VersionNumber"])}


@kind("AWS::EC2::LaunchTemplate", deletes("ec2", "delete_launch_template", LaunchTemplateId="ID"), new_version)
def launch_template(aws, properties, name):
    made = aws.call("ec2", "create_launch_template", **properties)["LaunchTemplate"]
    return made["LaunchTemplateId"], {"LatestVersionNumber": str(made["LatestVersionNumber"])}


# --- S3 ---

def update_bucket(aws, bucket, properties, name):
    rest, _, encryption, owner, blocked, versions, rules, cors, tags = split(
        properties, "BucketName", "BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration",
        "VersioningConfiguration", "LifecycleConfiguration", "CorsConfiguration", "Tags")
    if rest:
        raise ValueError(f"unknown property {sorted(rest)}")

    def put(operation, **parameters):
        aws.call("s3", f"put_{operation}", Bucket=bucket, **parameters)

    put("bucket_ownership_controls", OwnershipControls=owner)
    put("public_access_block", PublicAccessBlockConfiguration=blocked)
    put("bucket_versioning", VersioningConfiguration=versions)
    put("bucket_tagging", Tagging={"TagSet": tags})
    put("bucket_encryption", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in encryption["ServerSideEncryptionConfiguration"]]})
    put("bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [lifecycle(rule)
                                                                            for rule in rules["Rules"]]})
    if cors:
        put("bucket_cors", CORSConfiguration={"CORSRules": [cors_rule(rule) for rule in cors["CorsRules"]]})
    else:
        aws.call("s3", "delete_bucket_cors", Bucket=bucket)
    return bucket, {"Arn": f"arn:aws:s3:::{bucket}",
                    "RegionalDomainName": f"{bucket}.s3.{aws.region}.amazonaws.com"}


def lifecycle(rule):
    rest, id_, marker = split(rule, "Id", "ExpiredObjectDeleteMarker")
    expiration = {"Expiration": {"ExpiredObjectDeleteMarker": marker}} if marker else {}
    return rest | {"ID": id_, "Filter": {"Prefix": rest.pop("Prefix", "")}} | expiration


def cors_rule(rule):
    rest, exposed, age = split(rule, "ExposedHeaders", "MaxAge")
    return rest | {"ExposeHeaders": exposed, "MaxAgeSeconds": age}


@kind("AWS::S3::Bucket", deletes("s3", "delete_bucket", Bucket="ID"), update_bucket)
def bucket(aws, properties, name):
    name = properties["BucketName"]
    place = {} if aws.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    aws.call("s3", "create_bucket", Bucket=name, **place)
    return update_bucket(aws, name, properties, name)


@kind("AWS::S3::BucketPolicy", deletes("s3", "delete_bucket_policy", Bucket="Bucket"), puts=True)
def bucket_policy(aws, properties, name):
    rest, policy = split(properties, "PolicyDocument")
    aws.call("s3", "put_bucket_policy", Policy=json.dumps(policy), **rest)
    return properties["Bucket"], {}


# --- SQS, SNS, CloudWatch, logs, secrets ---

def queue_attributes(properties):
    rest, _ = split(properties, "QueueName")
    return {key: json.dumps(value) if isinstance(value, dict) else str(value).lower()
            for key, value in rest.items()}


def update_queue(aws, url, properties, name):
    aws.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=queue_attributes(properties))
    answer = aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return url, {"Arn": answer["Attributes"]["QueueArn"], "QueueName": properties["QueueName"]}


@kind("AWS::SQS::Queue", deletes("sqs", "delete_queue", QueueUrl="ID"), update_queue)
def queue(aws, properties, name):
    made = aws.call("sqs", "create_queue", QueueName=properties["QueueName"])
    return update_queue(aws, made["QueueUrl"], properties, name)


@kind("AWS::SQS::QueuePolicy", puts=True)
def queue_policy(aws, properties, name):
    for url in properties["Queues"]:
        policy = json.dumps(properties["PolicyDocument"])
        aws.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": policy})
    return name, {}


@kind("AWS::SNS::Topic", deletes("sns", "delete_topic", TopicArn="ID"))
def topic(aws, properties, name):
    rest, name = split(properties, "TopicName")
    made = aws.call("sns", "create_topic", Name=name, **rest)["TopicArn"]
    return made, {"TopicArn": made, "TopicName": name}


@kind("AWS::SNS::TopicPolicy", puts=True)
def topic_policy(aws, properties, name):
    for arn in properties["Topics"]:
        aws.call("sns", "set_topic_attributes", TopicArn=arn, AttributeName="Policy",
                 AttributeValue=json.dumps(properties["PolicyDocument"]))
    return name, {}


simple("AWS::SNS::Subscription", "subscribe", "SubscriptionArn", "unsubscribe", {"SubscriptionArn": "ID"},
       service="sns")


@kind("AWS::CloudWatch::Alarm", deletes("cloudwatch", "delete_alarms", AlarmNames=["ID"]), puts=True)
def alarm(aws, properties, name):
    aws.call("cloudwatch", "put_metric_alarm", **properties)
    return properties["AlarmName"], {}


@kind("AWS::CloudWatch::Dashboard", deletes("cloudwatch", "delete_dashboards", DashboardNames=["ID"]), puts=True)
def dashboard(aws, properties, name):
    json.loads(properties["DashboardBody"])
    aws.call("cloudwatch", "put_dashboard", **properties)
    return properties["DashboardName"], {}


@kind("AWS::Logs::LogGroup", deletes("logs", "delete_log_group", logGroupName="ID"))
def log_group(aws, properties, name):
    rest, days = split(properties, "RetentionInDays")
    aws.call("logs", "create_log_group", **rest)
    aws.call("logs", "put_retention_policy", retentionInDays=days, **rest)
    return properties["LogGroupName"], {}


@kind("AWS::Logs::MetricFilter", deletes("logs", "delete_metric_filter", filterName="ID",
                                         logGroupName="LogGroupName"), puts=True)
def metric_filter(aws, properties, name):
    aws.call("logs", "put_metric_filter", filterName=name, **properties)
    return name, {}


def update_secret(aws, arn, properties, name):
    aws.call("secretsmanager", "update_secret", SecretId=arn, **properties)
    return arn, {}


def delete_secret(aws, arn, properties, keeps_copy):
    aws.call("secretsmanager", "delete_secret", SecretId=arn)


@kind("AWS::SecretsManager::Secret", delete_secret, update_secret)
def secret(aws, properties, name):
    rest, generate = split(properties, "GenerateSecretString")
    if generate:
        rest["SecretString"] = aws.call("secretsmanager", "get_random_password", **generate)["RandomPassword"]
    return aws.call("secretsmanager", "create_secret", Name=name, **rest)["ARN"], {}


# --- Load balancer and groups ---

def full_name(arn):
    return arn.split(":")[5].removeprefix("loadbalancer/")


@kind("AWS::ElasticLoadBalancingV2::LoadBalancer", deletes("elbv2", "delete_load_balancer", LoadBalancerArn="ID"))
def load_balancer(aws, properties, name):
    rest, attributes = split(properties, "LoadBalancerAttributes")
    made = aws.call("elbv2", "create_load_balancer", **rest)["LoadBalancers"][0]
    arn = made["LoadBalancerArn"]
    aws.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=attributes)
    return arn, {"DNSName": made["DNSName"], "LoadBalancerFullName": full_name(arn)}


@kind("AWS::ElasticLoadBalancingV2::TargetGroup", deletes("elbv2", "delete_target_group", TargetGroupArn="ID"))
def target_group(aws, properties, name):
    rest, attributes = split(properties, "TargetGroupAttributes")
    arn = aws.call("elbv2", "create_target_group", **rest)["TargetGroups"][0]["TargetGroupArn"]
    aws.call("elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=attributes)
    return arn, {"TargetGroupFullName": full_name(arn)}


def update_listener(aws, arn, properties, name):
    rest, _ = split(properties, "LoadBalancerArn")
    aws.call("elbv2", "modify_listener", ListenerArn=arn, **rest)
    return arn, {}


@kind("AWS::ElasticLoadBalancingV2::Listener", deletes("elbv2", "delete_listener", ListenerArn="ID"),
      update_listener)
def listener(aws, properties, name):
    return aws.call("elbv2", "create_listener", **properties)["Listeners"][0]["ListenerArn"], {}


@kind("AWS::ElasticLoadBalancingV2::ListenerRule", deletes("elbv2", "delete_rule", RuleArn="ID"))
def rule(aws, properties, name):
    return aws.call("elbv2", "create_rule", **properties)["Rules"][0]["RuleArn"], {}


def group_parameters(properties):
    rest, collections, subnets, signal = split(properties, "MetricsCollection", "VPCZoneIdentifier", "Signal")
    return rest | {"VPCZoneIdentifier": ",".join(subnets)}, collections


def enable_metrics(aws, name, collections):
    for collection in collections or []:
        aws.call("autoscaling", "enable_metrics_collection", AutoScalingGroupName=name, **collection)
    return name, {}


def update_group(aws, name, properties, _):
    parameters, collections = group_parameters(properties)
    arns = parameters.pop("TargetGroupARNs", [])
    attached = aws.call("autoscaling", "describe_load_balancer_target_groups", AutoScalingGroupName=name)
    if {each["LoadBalancerTargetGroupARN"] for each in attached["LoadBalancerTargetGroups"]} != set(arns):
        raise NotImplementedError("other target groups")
    aws.call("autoscaling", "update_auto_scaling_group", **parameters)
    return enable_metrics(aws, name, collections)


def delete_group(aws, name, properties, keeps_copy):
    aws.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True)


@kind("AWS::AutoScaling::AutoScalingGroup", delete_group, update_group)
def group(aws, properties, name):
    parameters, collections = group_parameters(properties)
    aws.call("autoscaling", "create_auto_scaling_group", **parameters)
    return enable_metrics(aws, properties["AutoScalingGroupName"], collections)


@kind("AWS::AutoScaling::ScalingPolicy", deletes("autoscaling", "delete_policy", PolicyName="ID",
                                                 AutoScalingGroupName="AutoScalingGroupName"), puts=True)
def scaling_policy(aws, properties, name):
    aws.call("autoscaling", "put_scaling_policy", PolicyName=name, **properties)
    return name, {}


@kind("AWS::AutoScaling::LifecycleHook", deletes("autoscaling", "delete_lifecycle_hook", LifecycleHookName="ID",
                                                 AutoScalingGroupName="AutoScalingGroupName"), puts=True)
def hook(aws, properties, name):
    aws.call("autoscaling", "put_lifecycle_hook", **properties)
    return properties["LifecycleHookName"], {}


# --- RDS ---

@kind("AWS::RDS::DBSubnetGroup", deletes("rds", "delete_db_subnet_group", DBSubnetGroupName="ID"))
def db_subnets(aws, properties, name):
    aws.call("rds", "create_db_subnet_group", DBSubnetGroupName=name.lower(), **properties)
    return name.lower(), {}


@kind("AWS::RDS::DBParameterGroup", deletes("rds", "delete_db_parameter_group", DBParameterGroupName="ID"))
def db_parameters(aws, properties, name):
    rest, family, values = split(properties, "Family", "Parameters")
    name = name.lower()
    aws.call("rds", "create_db_parameter_group", DBParameterGroupName=name, DBParameterGroupFamily=family, **rest)
    aws.call("rds", "modify_db_parameter_group", DBParameterGroupName=name, Parameters=[
        {"ParameterName": key, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
        for key, value in values.items()])
    return name, {}


def db_parameters_of(properties):
    rest, groups = split(properties, "VPCSecurityGroups")
    return rest | {"VpcSecurityGroupIds": groups}


def described_db(aws, name):
    made = aws.call("rds", "describe_db_instances", DBInstanceIdentifier=name)["DBInstances"][0]
    return name, {f"Endpoint.{key}": str(value) for key, value in made["Endpoint"].items()}


UNCHANGEABLE = ("Engine", "DBName", "MasterUsername", "DBSubnetGroupName", "StorageEncrypted", "Tags",
                "DeleteAutomatedBackups", "EnableCloudwatchLogsExports")


def update_db(aws, name, properties, _):
    rest, *_rest = split(db_parameters_of(properties), *UNCHANGEABLE)
    aws.call("rds", "modify_db_instance", ApplyImmediately=True, **rest)
    return described_db(aws, name)


def delete_db(aws, name, properties, keeps_copy):
    copy = {"FinalDBSnapshotIdentifier": f"{name}-final"} if keeps_copy else {"SkipFinalSnapshot": True}
    aws.call("rds", "delete_db_instance", DBInstanceIdentifier=name, **copy)


@kind("AWS::RDS::DBInstance", delete_db, update_db)
def db(aws, properties, name):
    rest, _ = split(db_parameters_of(properties), "DeleteAutomatedBackups")
    aws.call("rds", "create_db_instance", **rest)
    return described_db(aws, properties["DBInstanceIdentifier"])


# --- CloudFront ---

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


def distribution_config(properties):
    config = json.loads(json.dumps(properties["DistributionConfig"])) | {"CallerReference": "test"}
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
    return made["Id"], {"DomainName": made["DomainName"], "Id": made["Id"]}
