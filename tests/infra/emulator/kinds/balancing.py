"""Load balancers and groups of instances."""

from ..aws import FORGOTTEN
from . import deletes, kind, split


def full_name(arn):
    return arn.split(":")[5].removeprefix("loadbalancer/")


def described_load_balancer(aws, arn, attributes):
    aws.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=attributes)
    (made,) = aws.call("elbv2", "describe_load_balancers", LoadBalancerArns=[arn])["LoadBalancers"]
    return arn, {"DNSName": made["DNSName"], "LoadBalancerFullName": full_name(arn)}


def update_load_balancer(aws, arn, properties, name):
    return described_load_balancer(aws, arn, properties["LoadBalancerAttributes"])


@kind("AWS::ElasticLoadBalancingV2::LoadBalancer", deletes("elbv2", "delete_load_balancer", LoadBalancerArn="ID"),
      update_load_balancer)
def load_balancer(aws, properties, name):
    rest, attributes = split(properties, "LoadBalancerAttributes")
    made = aws.call("elbv2", "create_load_balancer", **rest)["LoadBalancers"][0]
    return described_load_balancer(aws, made["LoadBalancerArn"], attributes)


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


def update_rule(aws, arn, properties, name):
    rest, *_ = split(properties, "ListenerArn", "Priority")
    aws.call("elbv2", "modify_rule", RuleArn=arn, **rest)
    return arn, {}


@kind("AWS::ElasticLoadBalancingV2::ListenerRule", deletes("elbv2", "delete_rule", RuleArn="ID"), update_rule)
def rule(aws, properties, name):
    return aws.call("elbv2", "create_rule", **properties)["Rules"][0]["RuleArn"], {}


# What moto forgets of a group; the key is the region and the name of the group.
LOST = ("MaxInstanceLifetime", "InstanceMaintenancePolicy")


def remember(aws, properties):
    FORGOTTEN[f"{aws.region}/{properties['AutoScalingGroupName']}"] = {key: properties.get(key) for key in LOST}


def group_parameters(properties):
    rest, collections, subnets, signal = split(properties, "MetricsCollection", "VPCZoneIdentifier", "Signal")
    return rest | {"VPCZoneIdentifier": ",".join(subnets)}, collections


# What a collection without a list stands for.
GROUP_METRICS = ["GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances",
                 "GroupPendingInstances", "GroupStandbyInstances", "GroupTerminatingInstances", "GroupTotalInstances"]


def enable_metrics(aws, name, collections):
    for collection in collections or []:
        aws.call("autoscaling", "enable_metrics_collection", AutoScalingGroupName=name,
                 **{"Metrics": GROUP_METRICS} | collection)
    return name, {}


def update_group(aws, name, properties, _):
    parameters, collections = group_parameters(properties)
    arns = parameters.pop("TargetGroupARNs", [])
    attached = aws.call("autoscaling", "describe_load_balancer_target_groups", AutoScalingGroupName=name)
    if {each["LoadBalancerTargetGroupARN"] for each in attached["LoadBalancerTargetGroups"]} != set(arns):
        raise NotImplementedError("other target groups")
    aws.call("autoscaling", "update_auto_scaling_group", **parameters)
    remember(aws, properties)
    return enable_metrics(aws, name, collections)


def delete_group(aws, name, properties, keeps_copy):
    aws.call("autoscaling", "delete_auto_scaling_group", AutoScalingGroupName=name, ForceDelete=True)


@kind("AWS::AutoScaling::AutoScalingGroup", delete_group, update_group)
def group(aws, properties, name):
    parameters, collections = group_parameters(properties)
    aws.call("autoscaling", "create_auto_scaling_group", **parameters)
    remember(aws, properties)
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
