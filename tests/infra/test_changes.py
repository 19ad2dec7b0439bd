"""Changes and deletes each stack. Later tests depend on earlier ones, in the order of this file."""

import json
from copy import deepcopy

import pytest
from botocore.exceptions import ClientError

from emulator.aws import FORGOTTEN
from stacks import Account, ENVIRONMENT, STACKS, template
from test_readers import VIDEO, is_allowed, policy_of, read

CDN = {"BehindCdn": "true", "MediaBaseUrl": "https://d1.cloudfront.net/processed"}


def origin(account):
    (found,) = [each for each in account.distribution()["Origins"]["Items"] if each["Id"] == "api"]
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_repeated_deployment_changes_nothing(other, stack):
    with pytest.raises(ClientError, match="No updates"):
        other.update(stack)


def test_export_in_use_cannot_be_deleted(other):
    for stack in ("vpc", "s3", "sqs", "rds", "api"):
        with pytest.raises(ClientError, match="in use"):
            other.delete(stack)


def test_01_updates_a_rule_in_place(other):
    body = deepcopy(template("vpc"))
    body["Resources"]["DatabaseSecurityGroup"]["Properties"]["SecurityGroupIngress"][0]["FromPort"] = 5431
    other.cloudformation.update_stack(StackName=f"{ENVIRONMENT}-vpc", TemplateBody=json.dumps(body))
    (rule,) = other.security_group(other.outputs("vpc")["DatabaseSecurityGroup"])["IpPermissions"]
    assert rule["FromPort"] == 5431


def test_02_allows_the_site_origin_but_no_wildcard(other):
    other.update("s3", SiteOrigin="https://anb.example")
    (rule,) = other.s3.get_bucket_cors(Bucket=other.bucket())["CORSRules"]
    assert (rule["AllowedOrigins"], rule["AllowedMethods"]) == (["https://anb.example"], ["GET", "HEAD"])
    for wrong in ("*", "https://*", "https://a.example/path"):
        with pytest.raises(ClientError, match="without a path"):
            other.update("s3", SiteOrigin=wrong)


def test_02_requires_no_tag_while_a_version_runs_that_sets_none(other):
    untagged = read(other, f"{VIDEO}/1.mp4")
    assert not is_allowed(policy_of(other), untagged)
    other.update("s3", ClipsNeedTag="false")
    assert is_allowed(policy_of(other), untagged)
    assert not is_allowed(policy_of(other), read(other, f"uploads/{VIDEO}.mp4"))
    other.update("s3")
    assert not is_allowed(policy_of(other), untagged)


def test_035_accepts_a_limit_and_an_address(other):
    other.update("sqs", ReceiveLimit=50, AlarmEmail="ops@anb.example")
    url = other.outputs("sqs")["QueueUrl"]
    attributes = other.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["maxReceiveCount"] == 50
    (subscription,) = other.sns.list_subscriptions()["Subscriptions"]
    assert subscription["Endpoint"] == "ops@anb.example"
    with pytest.raises(ClientError, match="constraint"):
        other.update("sqs", ReceiveLimit=3)


def test_04_adds_what_ordinary_accounts_allow(other):
    other.update("rds", MultiAZ="true", StorageType="gp3", BackupRetentionDays=7, DeletionProtection="true")
    (db,) = other.rds.describe_db_instances()["DBInstances"]
    assert (db["MultiAZ"], db["DeletionProtection"]) == (True, True)
    assert (db["StorageType"], db["BackupRetentionPeriod"]) == ("gp3", 7)
    other.update("rds", MultiAZ="true")
    assert other.rds.describe_db_instances()["DBInstances"][0]["DeletionProtection"] is False


def test_04_cannot_encrypt_an_existing_database(other):
    with pytest.raises(ClientError, match="requires replacing"):
        other.update("rds", Encrypted="true")


def test_04_requires_a_tenth_more_for_growth(other):
    with pytest.raises(ClientError, match="less than 110 %"):
        other.update("rds", StorageGiB=95)
    other.update("rds", StorageGiB=95, MaxStorageGiB=0)
    assert other.rds.describe_db_instances()["DBInstances"][0]["AllocatedStorage"] == 95
    for wrong in ("t3.micro", "db.t3"):
        with pytest.raises(ClientError, match="constraint"):
            other.update("rds", InstanceClass=wrong)


def origin_values(account):
    secret = account.outputs("api")["OriginSecretArn"]
    return json.loads(account.secretsmanager.get_secret_value(SecretId=secret)["SecretString"])


def test_05_behind_the_cdn_admits_only_cloudfront_with_its_header(other):
    other.update("api", **CDN)
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    (listener,) = other.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    (default,) = listener["DefaultActions"]
    assert (default["Type"], default["FixedResponseConfig"]["StatusCode"]) == ("fixed-response", "403")
    rules = other.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    (rule,) = [each for each in rules if not each["IsDefault"]]
    (condition,) = rule["Conditions"]
    assert condition["HttpHeaderConfig"] == {"HttpHeaderName": "X-Anb-Origin", "Values": [origin_values(other)["key1"]]}
    assert rule["Actions"][0]["Type"] == "forward"
    (ingress,) = other.security_group(balancer["SecurityGroups"][0])["IpPermissions"]
    assert [each["PrefixListId"] for each in ingress["PrefixListIds"]] == ["pl-82a045eb"]
    assert ingress.get("IpRanges", []) == []


def test_05_behind_the_cdn_trusts_two_hops_in_a_new_launch_template_version(other):
    from test_user_data import settings

    values = settings(other, "api")
    assert (values["TRUSTED_PROXIES"], values["MEDIA_BASE_URL"]) == ("2", CDN["MediaBaseUrl"])
    assert other.group("api")["LaunchTemplate"]["Version"] == "2"


def test_changed_value_of_a_secret_reaches_no_resource_that_stays_as_it_is(other):
    secret, before = other.outputs("api")["OriginSecretArn"], origin_values(other)
    other.secretsmanager.put_secret_value(SecretId=secret, SecretString=json.dumps({"key1": "changed"}))
    with pytest.raises(ClientError, match="No updates"):
        other.update("cdn")
    sent, accepted = header(other)
    assert sent == before["key1"] and accepted == [before["key1"]]
    # An unrelated edit of one side reads the new value. That is why a key never gets another value.
    other.update("cdn", OriginHost="other.anb.example")
    assert header(other) == ("changed", [before["key1"]])
    other.secretsmanager.put_secret_value(SecretId=secret, SecretString=json.dumps(before))
    other.update("cdn")
    assert header(other) == (before["key1"], [before["key1"]])


def test_each_step_of_a_rotation_reads_the_value_that_it_names(other):
    secret, values = other.outputs("api")["OriginSecretArn"], origin_values(other) | {"key2": "second"}
    other.secretsmanager.put_secret_value(SecretId=secret, SecretString=json.dumps(values))
    first, second = values["key1"], values["key2"]
    other.update("api", NextOriginKey=2, **CDN)
    assert header(other) == (first, [first, second])
    other.update("cdn", OriginKey=2)
    assert header(other) == (second, [first, second])
    other.update("api", OriginKey=2, **CDN)
    assert header(other) == (second, [second])


def header(account):
    """Returns the value that CloudFront sends and those that the load balancer accepts."""
    (summary,) = account.cloudfront.list_distributions()["DistributionList"]["Items"][-1:]
    config = account.cloudfront.get_distribution_config(Id=summary["Id"])["DistributionConfig"]
    origin = {each["Id"]: each for each in config["Origins"]["Items"]}["api"]
    (sent,) = origin["CustomHeaders"]["Items"]
    (balancer,) = account.elbv2.describe_load_balancers()["LoadBalancers"]
    arns = [each["ListenerArn"] for each in
            account.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]]
    (rule,) = [rule for arn in arns for rule in account.elbv2.describe_rules(ListenerArn=arn)["Rules"]
               if not rule["IsDefault"]]
    return sent["HeaderValue"], rule["Conditions"][0]["HttpHeaderConfig"]["Values"]


def test_05_with_a_certificate_serves_https_and_warns_before_it_expires(other):
    certificate = other.acm.request_certificate(DomainName="anb.example")["CertificateArn"]
    other.update("api", CertificateArn=certificate)
    alarm = other.alarms()["CertificateAlarm"]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]) == ("DaysToExpiry", 30, "ignore")
    assert alarm["Dimensions"] == [{"Name": "CertificateArn", "Value": certificate}]
    assert alarm["AlarmActions"] == [other.outputs("sqs")["AlarmTopicArn"]]
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    listeners = other.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    actions = {each["Port"]: each["DefaultActions"][0]["Type"] for each in listeners}
    assert actions == {80: "redirect", 443: "forward"}
    ports = {each["FromPort"] for each in other.security_group(balancer["SecurityGroups"][0])["IpPermissions"]}
    assert ports == {80, 443}


@pytest.mark.parametrize("stack", ["api", "workers"])
def test_groups_have_at_least_one_instance(other, stack):
    """A new stack would wait 15 minutes for the signal of an instance, and fail."""
    with pytest.raises(ClientError, match="at least 1, since a new stack waits"):
        other.update(stack, MinSize=0)


def test_05_keeps_access_logs(other):
    other.update("api", AccessLogs="true")
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    answer = other.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])
    attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
    bucket = attributes["access_logs.s3.bucket"]
    assert attributes["access_logs.s3.enabled"] == "true" and bucket != other.bucket()
    (allow,) = json.loads(other.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert allow["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert allow["Resource"] == f"arn:aws:s3:::{bucket}/AWSLogs/123456789012/*"
    (rule,) = other.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Expiration"] == {"Days": 30}
    other.update("api")


def test_05_limits_requests_per_address_unless_behind_the_cdn(other):
    assert other.limits("REGIONAL") == {}
    other.update("api", RequestsPerAddress=2000)
    assert other.limits("REGIONAL") == {"anb-production-addresses": {"Limit": 2000, "AggregateKeyType": "IP"}}
    (balancer,) = other.elbv2.describe_load_balancers()["LoadBalancers"]
    assert other.wafv2.get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])["WebACL"]["Name"] == \
        "anb-production-addresses"
    with pytest.raises(ClientError, match="set RequestsPerAddress of 07, and 0 in 05"):
        other.update("api", RequestsPerAddress=2000, **CDN)
    other.update("api")
    assert other.limits("REGIONAL") == {}


def test_07_limits_requests_per_address_only_in_us_east_1(other):
    """test_stacks.py has the other case."""
    with pytest.raises(ClientError, match="us-east-1 only"):
        other.update("cdn", RequestsPerAddress=5000)


def test_06_accepts_warm_up_size_and_version(other):
    other.update("workers", InstanceWarmup=120, MaxSize=5, ArtifactVersion="0.0.9", KeyPairName="ours")
    assert other.policy("worker")["EstimatedInstanceWarmup"] == 120
    group, data = other.group("worker"), other.launch_data("worker")
    assert (group["MaxSize"], group["LaunchTemplate"]["Version"], data["KeyName"]) == (5, "2", "ours")


def test_06_uses_spot_beyond_the_first_worker(other):
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


@pytest.mark.parametrize("stack, role", [("api", "api"), ("workers", "worker")])
def test_groups_accept_image_type_and_lifetime(other, stack, role):
    other.update(stack, ImageId="ami-0123456789abcdef0", InstanceType="c7i-flex.large", MaxInstanceLifetime=604800)
    data = other.launch_data(role)
    assert (data["ImageId"], data["InstanceType"]) == ("ami-0123456789abcdef0", "c7i-flex.large")
    # These types have no credits, and EC2 refuses the option.
    assert "CreditSpecification" not in data
    assert FORGOTTEN[f"us-west-2/anb-production-{role}-asg"]["MaxInstanceLifetime"] == "604800"
    for wrong in ({"ImageId": "al2023"}, {"MaxInstanceLifetime": 3600}):
        with pytest.raises(ClientError, match="constraint"):
            other.update(stack, **wrong)
    other.update(stack)


def test_07_has_names_of_its_own_in_each_region(account, other):
    """The emulator refuses a name of CloudFront that exists in any region."""
    accesses = other.cloudfront.list_origin_access_controls()["OriginAccessControlList"]["Items"]
    assert {"anb-production-clips-us-east-1", "anb-production-clips-us-west-2"} <= {each["Name"] for each in accesses}


def test_07_waits_longer_for_slow_uploads(other):
    other.update("cdn", OriginReadTimeout=120)
    assert origin(other)["CustomOriginConfig"]["OriginReadTimeout"] == 120
    with pytest.raises(ClientError, match="constraint"):
        other.update("cdn", OriginReadTimeout=181)


def test_07_connects_to_a_named_origin_by_https(other):
    other.update("cdn", OriginHost="api.anb.example")
    api = origin(other)
    assert (api["DomainName"], api["CustomOriginConfig"]["OriginProtocolPolicy"]) == ("api.anb.example", "https-only")


def test_deletion_keeps_only_the_bucket_and_a_database_snapshot(other):
    bucket = other.bucket()
    for stack in reversed(STACKS):
        other.delete(stack)
    assert other.cloudformation.describe_stacks()["Stacks"] == []
    assert other.cloudformation.list_exports()["Exports"] == []
    other.s3.head_bucket(Bucket=bucket)
    (snapshot,) = other.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    assert snapshot["DBSnapshotIdentifier"].startswith("anb-production-db-final-")
    for left in (other.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"],
                 other.elbv2.describe_load_balancers()["LoadBalancers"], other.alarms(),
                 other.sqs.list_queues().get("QueueUrls", []), other.logs.describe_log_groups()["logGroups"]):
        assert not left
    assert ENVIRONMENT not in json.dumps(other.ec2.describe_vpcs()["Vpcs"])


def test_new_stack_reuses_the_bucket_and_gives_it_the_same_policy(other):
    bucket = "anb-production-videos-123456789012-us-west-2"
    # Another bucket shows the policy that a new one gets.
    other.create("s3", EnvironmentName="anb-new")
    expected = other.s3.get_bucket_policy(Bucket=other.bucket())["Policy"]
    other.delete("s3")
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        other.s3.get_bucket_policy(Bucket=bucket)
    other.create("s3", ExistingBucketName=bucket)
    assert other.bucket() == bucket
    found = other.s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert found == expected.replace("anb-new-videos", "anb-production-videos")
    assert {each["Sid"] for each in json.loads(found)["Statement"]} == {"TlsOnly", "ClipsForTheCdn"}
    other.delete("s3")


# --- a third region ---

@pytest.fixture(scope="module")
def third(aws):
    account = Account("eu-west-1")
    yield account
    for stack in ("api", "rds", "sqs", "s3", "vpc"):
        account.delete(stack)


def test_01_uses_the_named_zones(third):
    for wrong in ({"ZoneA": "eu-west-1b"}, {"ZoneB": "eu-west-1b"}, {"ZoneA": "eu-west-1b", "ZoneB": "eu-west-1b"}):
        with pytest.raises(ClientError, match="two different zones, or neither"):
            third.create("vpc", **wrong)
    with pytest.raises(ClientError, match="a zone such as"):
        third.create("vpc", ZoneA="eu-west-1", ZoneB="eu-west-1c")
    third.create("vpc", ZoneA="eu-west-1b", ZoneB="eu-west-1c")
    zones = {each["AvailabilityZone"] for each in third.ec2.describe_subnets(
        Filters=[{"Name": "tag:Name", "Values": ["anb-production-*"]}])["Subnets"]}
    assert zones == {"eu-west-1b", "eu-west-1c"}


def test_04_encrypts_a_new_database(third):
    third.create("s3")
    third.create("sqs")
    third.create("rds", Encrypted="true")
    assert third.rds.describe_db_instances()["DBInstances"][0]["StorageEncrypted"] is True


def test_05_behind_the_cdn_needs_the_prefix_list_of_its_region(third):
    third.create("api")
    with pytest.raises(ClientError, match="'set-CloudFrontPrefixList' does not exist"):
        third.update("api", **CDN)
    third.update("api", CloudFrontPrefixList="pl-4fa04526", **CDN)
    (balancer,) = third.elbv2.describe_load_balancers()["LoadBalancers"]
    (ingress,) = third.security_group(balancer["SecurityGroups"][0])["IpPermissions"]
    assert [each["PrefixListId"] for each in ingress["PrefixListIds"]] == ["pl-4fa04526"]
