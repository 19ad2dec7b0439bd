"""Each stack is changed and deleted, in the order of this file: later tests need what earlier ones left."""

import json
from copy import deepcopy

import pytest
from botocore.exceptions import ClientError

from stacks import ENVIRONMENT, STACKS, template

CDN = {"BehindCdn": "true", "MediaBaseUrl": "https://d1.cloudfront.net/processed"}


@pytest.mark.parametrize("stack", STACKS)
def test_the_same_again_changes_nothing(other, stack):
    with pytest.raises(ClientError, match="No updates"):
        other.update(stack)


def test_an_export_in_use_stays(other):
    for stack in ("vpc", "s3", "sqs", "rds", "api"):
        with pytest.raises(ClientError, match="in use"):
            other.delete(stack)


def test_01_changes_a_rule_in_place(other):
    body = deepcopy(template("vpc"))
    body["Resources"]["DatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"][0]["FromPort"] = 5431
    other.cloudformation.update_stack(StackName=f"{ENVIRONMENT}-vpc", TemplateBody=json.dumps(body))
    (rule,) = other.security_group(other.outputs("vpc")["DatabaseSecurityGroup"])["IpPermissions"]
    assert rule["FromPort"] == 5431


def test_02_lets_the_sites_origin_in_and_no_star(other):
    other.update("s3", SiteOrigin="https://anb.example")
    (rule,) = other.s3.get_bucket_cors(Bucket=other.bucket())["CORSRules"]
    assert (rule["AllowedOrigins"], rule["AllowedMethods"]) == (["https://anb.example"], ["GET", "HEAD"])
    for wrong in ("*", "https://*", "https://a.example/path"):
        with pytest.raises(ClientError, match="without a path"):
            other.update("s3", SiteOrigin=wrong)


def test_035_takes_another_limit_and_an_address(other):
    other.update("sqs", ReceiveLimit=50, AlarmEmail="ops@anb.example")
    url = other.outputs("sqs")["QueueUrl"]
    attributes = other.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 50
    (subscription,) = other.sns.list_subscriptions()["Subscriptions"]
    assert subscription["Endpoint"] == "ops@anb.example"
    with pytest.raises(ClientError, match="constraint"):
        other.update("sqs", ReceiveLimit=3)


def test_04_gets_a_standby(other):
    other.update("rds", MultiAZ="true")
    (db,) = other.rds.describe_db_instances()["DBInstances"]
    assert db["MultiAZ"] is True


def test_05_behind_the_cdn_admits_cloudfront_and_its_header_alone(other):
    other.update("api", **CDN)
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    (listener,) = other.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    (default,) = listener["DefaultActions"]
    assert (default["Type"], default["FixedResponseConfig"]["StatusCode"]) == ("fixed-response", "403")
    rules = other.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    (rule,) = [each for each in rules if not each["IsDefault"]]
    secret = other.secretsmanager.get_secret_value(SecretId=other.outputs("api")["OriginSecretArn"])["SecretString"]
    (condition,) = rule["Conditions"]
    assert condition["HttpHeaderConfig"] == {"HttpHeaderName": "X-Anb-Origin", "Values": [secret]}
    assert rule["Actions"][0]["Type"] == "forward"
    (ingress,) = other.security_group(balancer["SecurityGroups"][0])["IpPermissions"]
    assert [each["PrefixListId"] for each in ingress["PrefixListIds"]] == ["pl-82a045eb"]
    assert ingress.get("IpRanges", []) == []


def test_05_behind_the_cdn_believes_two_hops_in_a_new_version_of_its_launch_template(other):
    from test_user_data import settings

    values = settings(other, "api")
    assert (values["TRUSTED_PROXIES"], values["MEDIA_BASE_URL"]) == ("2", CDN["MediaBaseUrl"])
    assert other.group("api")["LaunchTemplate"]["Version"] == "2"


def test_05_with_a_certificate_speaks_https_and_redirects(other):
    certificate = other.acm.request_certificate(DomainName="anb.example")["CertificateArn"]
    other.update("api", CertificateArn=certificate)
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    listeners = other.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    actions = {each["Port"]: each["DefaultActions"][0]["Type"] for each in listeners}
    assert actions == {80: "redirect", 443: "forward"}
    ports = {each["FromPort"] for each in other.security_group(balancer["SecurityGroups"][0])["IpPermissions"]}
    assert ports == {80, 443}


def test_06_takes_a_shorter_warm_up_a_larger_group_and_another_version(other):
    other.update("workers", InstanceWarmup=120, MaxSize=5, ArtifactVersion="0.0.9", KeyPairName="ours")
    assert other.policy("worker")["EstimatedInstanceWarmup"] == 120
    group, data = other.group("worker"), other.launch_data("worker")
    assert (group["MaxSize"], group["LaunchTemplate"]["Version"], data["KeyName"]) == (5, "2", "ours")


def test_06_takes_spot_beyond_the_first_worker_and_goes_back(other):
    kept = {"InstanceWarmup": 120, "MaxSize": 5, "ArtifactVersion": "0.0.9", "KeyPairName": "ours"}
    assert "MixedInstancesPolicy" not in other.group("worker")
    other.update("workers", OnDemandPercentage=0, **kept)
    group = other.group("worker")
    policy = group["MixedInstancesPolicy"]
    assert policy["InstancesDistribution"] == {
        "OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0,
        "SpotAllocationStrategy": "price-capacity-optimized"} | policy["InstancesDistribution"]
    assert len(policy["LaunchTemplate"]["Overrides"]) == 4
    with pytest.raises(ClientError, match="constraint"):
        other.update("workers", OnDemandPercentage=101, **kept)


def test_07_speaks_https_to_a_named_origin(other):
    other.update("cdn", OriginHost="api.anb.example")
    (summary,) = other.cloudfront.list_distributions()["DistributionList"]["Items"][-1:]
    config = other.cloudfront.get_distribution_config(Id=summary["Id"])["DistributionConfig"]
    origin = {each["Id"]: each for each in config["Origins"]["Items"]}["api"]
    assert (origin["DomainName"], origin["CustomOriginConfig"]["OriginProtocolPolicy"]) == \
        ("api.anb.example", "https-only")


def test_everything_is_deleted_but_the_films_and_a_snapshot_of_the_database(other):
    bucket = other.bucket()
    for stack in reversed(STACKS):
        other.delete(stack)
    assert other.cloudformation.describe_stacks()["Stacks"] == []
    assert other.cloudformation.list_exports()["Exports"] == []
    other.s3.head_bucket(Bucket=bucket)
    (snapshot,) = other.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert snapshot["DBSnapshotIdentifier"] == "anb-production-db-final"
    for left in (other.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"],
                 other.elbv2.describe_load_balancers()["LoadBalancers"], other.alarms(),
                 other.sqs.list_queues().get("QueueUrls", []), other.logs.describe_log_groups()["logGroups"]):
        assert not left
    assert ENVIRONMENT not in json.dumps(other.ec2.describe_vpcs()["Vpcs"])


def test_the_films_come_back_with_a_new_stack(other):
    bucket = "anb-production-videos-123456789012-us-west-2"
    other.create("s3", ExistingBucketName=bucket)
    assert other.bucket() == bucket
    other.delete("s3")
