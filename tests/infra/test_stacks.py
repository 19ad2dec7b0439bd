"""Checks the resources that the commands created in the account."""

import json
import re

import pytest

from emulator.aws import FORGOTTEN
from stacks import DB_PASSWORD, ENVIRONMENT, JWT_SECRET, ROOT, STACKS, template


def by_name(things):
    return {tag["Value"].removeprefix(f"{ENVIRONMENT}-"): thing for thing in things for tag in thing.get("Tags", [])
            if tag["Key"] == "Name"}


def subnets(account):
    return by_name(account.ec2.describe_subnets()["Subnets"])


# --- 01 ---

def test_subnets_are_in_two_zones_and_only_public_ones_assign_addresses(account):
    there = subnets(account)
    for kind, is_public in (("public", True), ("private", False)):
        pair = [there[f"{kind}-1"], there[f"{kind}-2"]]
        assert len({each["AvailabilityZone"] for each in pair}) == 2
        assert [each["MapPublicIpOnLaunch"] for each in pair] == [is_public] * 2


def test_only_public_subnets_have_a_default_route_and_there_is_no_nat(account):
    tables = by_name(account.ec2.describe_route_tables()["RouteTables"])
    out = {name: [route for route in tables[name]["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"]
           for name in ("public", "private")}
    assert out["public"][0]["GatewayId"].startswith("igw-") and out["private"] == []
    for name in ("public", "private"):
        attached = {each.get("SubnetId") for each in tables[name]["Associations"]}
        assert {subnets(account)[f"{name}-{n}"]["SubnetId"] for n in (1, 2)} <= attached
    assert account.ec2.describe_nat_gateways()["NatGateways"] == []


def test_s3_has_a_gateway_endpoint(account):
    (endpoint,) = account.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    public = by_name(account.ec2.describe_route_tables()["RouteTables"])["public"]
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")
    assert endpoint["RouteTableIds"] == [public["RouteTableId"]]


def test_only_the_load_balancer_reaches_instances_and_port_22_is_closed(account):
    groups = by_name(account.ec2.describe_security_groups()["SecurityGroups"])
    assert groups["instances"]["IpPermissions"] == []
    (rule,) = groups["api"]["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (8080, 8080, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [groups["alb"]["GroupId"]]
    for group in groups.values():
        assert not [rule for rule in group["IpPermissions"] if rule["FromPort"] <= 22 <= rule["ToPort"]]


def test_only_instances_reach_the_database_and_it_reaches_nothing(account):
    groups = by_name(account.ec2.describe_security_groups()["SecurityGroups"])
    (rule,) = groups["database"]["IpPermissions"]
    assert (rule["FromPort"], rule["IpRanges"]) == (5432, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [groups["instances"]["GroupId"]]
    (out,) = groups["database"]["IpPermissionsEgress"]
    assert [each["CidrIp"] for each in out["IpRanges"]] == ["127.0.0.1/32"]


# --- 02 ---

def test_bucket_is_private_encrypted_and_versioned(account):
    bucket = account.bucket()
    assert bucket == "anb-production-videos-123456789012-us-east-1"
    blocked = account.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(blocked) == 4 and all(blocked.values())
    (rule,) = account.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert account.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    owner = account.s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert owner == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_bucket_requires_tls_and_only_cloudfront_reads_clips(account):
    policy = json.loads(account.s3.get_bucket_policy(Bucket=account.bucket())["Policy"])
    deny, allow = policy["Statement"]
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(deny["Resource"]) == 2
    assert (allow["Principal"], allow["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "s3:GetObject")
    assert allow["Resource"].endswith("/processed/*")
    assert allow["Condition"]["ArnLike"]["aws:SourceArn"] == "arn:aws:cloudfront::123456789012:distribution/*"


def test_lifecycle_rules_do_not_affect_current_objects(account):
    rules = account.s3.get_bucket_lifecycle_configuration(Bucket=account.bucket())["Rules"]
    rules = {rule["ID"]: rule for rule in rules}
    assert rules["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert rules["noncurrent-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 7
    for rule in rules.values():
        assert "Transitions" not in rule and "NoncurrentVersionTransitions" not in rule
        assert rule.get("Expiration", {"ExpiredObjectDeleteMarker": True}) == {"ExpiredObjectDeleteMarker": True}


def test_bucket_has_no_cors_by_default(account):
    with pytest.raises(account.s3.exceptions.ClientError, match="NoSuchCORSConfiguration"):
        account.s3.get_bucket_cors(Bucket=account.bucket())


# --- 03.5 ---

def queue(account, name):
    url = account.sqs.get_queue_url(QueueName=f"{ENVIRONMENT}-{name}")["QueueUrl"]
    return account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_queue_has_the_expected_attributes(account):
    main, dead = queue(account, "video-processing"), queue(account, "video-processing-dlq")
    assert main["ReceiveMessageWaitTimeSeconds"] == "20"
    assert main["VisibilityTimeout"] == "900"
    assert (main["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]) == (str(4 * 86400), str(14 * 86400))
    assert json.loads(main["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 20}
    assert FORGOTTEN[dead["QueueArn"]]["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue", "sourceQueueArns": [main["QueueArn"]]}
    for each in (main, dead):
        assert each["SqsManagedSseEnabled"] == "true"
        (deny,) = json.loads(each["Policy"])["Statement"]
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_alarms_of_this_account_may_publish_to_the_topic(account):
    topic = account.outputs("sqs")["AlarmTopicArn"]
    policy = json.loads(account.sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    (allow,) = policy["Statement"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


ALARMS = {
    "QueueDepthAlarm": ("ApproximateNumberOfMessagesVisible", "GreaterThanThreshold", 100, "notBreaching"),
    "OldestMessageAlarm": ("ApproximateAgeOfOldestMessage", "GreaterThanThreshold", 1800, "notBreaching"),
    "DLQDepthAlarm": ("ApproximateNumberOfMessagesVisible", "GreaterThanThreshold", 0, "notBreaching"),
    "WorkerHighCPUAlarm": ("CPUUtilization", "GreaterThanThreshold", 85, "notBreaching"),
    "WorkerLowCapacityAlarm": ("GroupInServiceInstances", "LessThanThreshold", 1, "breaching"),
    "ApiUnhealthyAlarm": ("HealthyHostCount", "LessThanThreshold", 1, "breaching"),
    "ApiErrorsAlarm": ("HTTPCode_Target_5XX_Count", "GreaterThanThreshold", 10, "notBreaching"),
    "LoadBalancerErrorsAlarm": ("HTTPCode_ELB_5XX_Count", "GreaterThanThreshold", 10, "notBreaching"),
    "ApiMemoryAlarm": ("MemoryUsed", "GreaterThanThreshold", 90, "notBreaching"),
    "WorkerMemoryAlarm": ("MemoryUsed", "GreaterThanThreshold", 90, "notBreaching"),
    "ApiDiskAlarm": ("DiskUsed", "GreaterThanThreshold", 85, "notBreaching"),
    "WorkerDiskAlarm": ("DiskUsed", "GreaterThanThreshold", 85, "notBreaching"),
    "ApiCreditAlarm": ("CPUSurplusCreditsCharged", "GreaterThanThreshold", 60, "notBreaching"),
    "WorkerCreditAlarm": ("CPUSurplusCreditsCharged", "GreaterThanThreshold", 60, "notBreaching"),
    "DatabaseCreditAlarm": ("CPUSurplusCreditsCharged", "GreaterThanThreshold", 60, "notBreaching"),
    "DatabaseCpuAlarm": ("CPUUtilization", "GreaterThanThreshold", 80, "notBreaching"),
    "DatabaseStorageAlarm": ("FreeStorageSpace", "LessThanThreshold", 2**30, "notBreaching"),
    "DatabaseConnectionsAlarm": ("DatabaseConnections", "GreaterThanThreshold", 60, "notBreaching"),
}


def test_every_alarm_exists_and_has_actions(account):
    alarms = account.alarms()
    assert set(alarms) == set(ALARMS)
    for name, alarm in alarms.items():
        said = alarm["MetricName"], alarm["ComparisonOperator"], alarm["Threshold"], alarm["TreatMissingData"]
        assert said == ALARMS[name]
        assert alarm["ActionsEnabled"] and alarm["AlarmActions"] == [account.outputs("sqs")["AlarmTopicArn"]]
    assert alarms["DLQDepthAlarm"]["Statistic"] == "Maximum"


def test_every_alarm_watches_an_existing_metric(account):
    main, dead = queue(account, "video-processing"), queue(account, "video-processing-dlq")
    queues = {each["QueueArn"].split(":")[-1] for each in (main, dead)}
    groups = {role: f"{ENVIRONMENT}-{role.lower()}-asg" for role in ("Api", "Worker")}
    api = account.outputs("api")
    for name, alarm in account.alarms().items():
        watched = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        match alarm["Namespace"]:
            case "AWS/SQS":
                assert watched["QueueName"] in queues
                assert watched["QueueName"].endswith("-dlq") == (name == "DLQDepthAlarm")
            case "AWS/AutoScaling" | "AWS/EC2" | "ANB/anb-production":
                (group,) = [group for role, group in groups.items() if name.startswith(role)]
                assert watched == {"AutoScalingGroupName": group}
                # The script that reports it is tested in test_boot.py.
                assert (alarm["MetricName"] in ("MemoryUsed", "DiskUsed")) == alarm["Namespace"].startswith("ANB/")
            case "AWS/RDS":
                assert watched == {"DBInstanceIdentifier": account.outputs("rds")["DatabaseIdentifier"]}
            case "AWS/ApplicationELB" if name == "LoadBalancerErrorsAlarm":
                assert watched == {"LoadBalancer": api["LoadBalancerFullName"]}
            case "AWS/ApplicationELB":
                assert watched == {"LoadBalancer": api["LoadBalancerFullName"],
                                   "TargetGroup": api["TargetGroupFullName"]}
            case other:
                pytest.fail(f"unknown namespace {other}")
    for role in ("api", "worker"):
        enabled = account.group(role)["EnabledMetrics"]
        assert {each["Granularity"] for each in enabled} == {"1Minute"}


# --- 04 ---

def test_database_is_private_and_uses_only_what_the_academy_surely_allows(account):
    (db,) = account.rds.describe_db_instances()["DBInstances"]
    # RDS withdraws minor versions, so the template names none.
    assert (db["Engine"], db["EngineVersion"], db["DBInstanceClass"]) == ("postgres", "16", "db.t3.micro")
    assert not db["PubliclyAccessible"] and not db["MultiAZ"] and not db["DeletionProtection"]
    assert (db["StorageType"], db["StorageEncrypted"], db["BackupRetentionPeriod"]) == ("gp2", False, 0)
    assert 1.1 * db["AllocatedStorage"] <= db["MaxAllocatedStorage"] <= 100
    group = account.rds.describe_db_subnet_groups(DBSubnetGroupName=db["DBSubnetGroup"]["DBSubnetGroupName"])
    private = {subnets(account)[f"private-{n}"]["SubnetId"] for n in (1, 2)}
    assert {each["SubnetIdentifier"] for each in group["DBSubnetGroups"][0]["Subnets"]} == private
    groups = by_name(account.ec2.describe_security_groups()["SecurityGroups"])
    assert [each["VpcSecurityGroupId"] for each in db["VpcSecurityGroups"]] == [groups["database"]["GroupId"]]


def test_database_requires_tls(account):
    (db,) = account.rds.describe_db_instances()["DBInstances"]
    (group,) = db["DBParameterGroups"]
    answer = account.rds.describe_db_parameters(DBParameterGroupName=group["DBParameterGroupName"])
    values = {each["ParameterName"]: each.get("ParameterValue") for each in answer["Parameters"]}
    assert values["rds.force_ssl"] == "1"


def test_connections_of_all_processes_fit_into_the_smallest_database():
    pools = {role: int(pool) for role, pool in (("api", 8), ("workers", 6))}
    for role, pool in pools.items():
        assert f"DB_POOL_SIZE={pool}\n" in json.dumps(template(role)).replace("\\n", "\n")
    # A db.t3.micro allows about 80, five of them reserved. Each group has one more instance during a replacement.
    alarm_at = template("rds")["Parameters"]["ConnectionsAlarmAt"]["Default"]
    assert sum((3 + 1) * pool for pool in pools.values()) == 56 < alarm_at <= 75


# --- 05 and 06 ---

@pytest.mark.parametrize("role", ["api", "worker"])
def test_group_has_one_to_three_small_instances_in_two_zones(account, role):
    group, data = account.group(role), account.launch_data(role)
    assert (group["MinSize"], group["MaxSize"], data["InstanceType"]) == (1, 3, "t3.small")
    public = {subnets(account)[f"public-{n}"]["SubnetId"] for n in (1, 2)}
    assert set(group["VPCZoneIdentifier"].split(",")) == public


@pytest.mark.parametrize("role", ["api", "worker"])
def test_instance_requires_imdsv2_and_has_encrypted_disk_academy_role_and_no_key(account, role):
    data = account.launch_data(role)
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    (disk,) = data["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeType"], disk["Ebs"]["Encrypted"]) == ("gp3", True)
    assert disk["Ebs"]["VolumeSize"] <= 100
    assert data["IamInstanceProfile"] == {"Name": "LabInstanceProfile"}
    assert data["CreditSpecification"] == {"CpuCredits": "unlimited"}
    assert "KeyName" not in data
    groups = by_name(account.ec2.describe_security_groups()["SecurityGroups"])
    own = [groups["instances"]["GroupId"]] + ([groups["api"]["GroupId"]] if role == "api" else [])
    assert data["SecurityGroupIds"] == own


def secrets(account):
    """Returns values by the logical id that the name of a secret contains."""
    return {re.search("-(Login|Secret|OriginSecret)-", each["Name"])[1]:
            json.loads(account.secretsmanager.get_secret_value(SecretId=each["ARN"])["SecretString"])
            for each in account.secretsmanager.list_secrets()["SecretList"]}


def test_program_gets_a_user_of_the_database_and_only_the_api_gets_its_owner(account):
    found = secrets(account)
    assert found["Secret"] == {"DB_OWNER_PASSWORD": DB_PASSWORD, "JWT_SECRET": JWT_SECRET}
    login, origin = found["Login"], found["OriginSecret"]
    assert login["DB_USER"] == "anb_1" and list(origin) == ["key1"]
    for value in (login["DB_PASSWORD"], origin["key1"]):
        assert len(value) == 48 and value.isalnum()
    for stack in STACKS:
        for resource in template(stack)["Resources"].values():
            assert resource["Type"] != "AWS::SecretsManager::Secret" or "Name" not in resource["Properties"]


def test_logs_are_kept_for_two_weeks(account):
    groups = {each["logGroupName"]: each["retentionInDays"]
              for each in account.logs.describe_log_groups()["logGroups"]}
    assert groups == dict.fromkeys(("/anb-production/api", "/anb-production/worker",
                                    "/aws/rds/instance/anb-production-db/postgresql"), 14)


def test_load_balancer_checks_liveness_not_the_database(account):
    (target,) = account.elbv2.describe_target_groups()["TargetGroups"]
    assert (target["HealthCheckPath"], target["Port"]) == ("/health", 8080)
    answer = account.elbv2.describe_target_group_attributes(TargetGroupArn=target["TargetGroupArn"])
    attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "300"
    assert attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"
    group = account.group("api")
    assert (group["HealthCheckType"], group["TargetGroupARNs"]) == ("ELB", [target["TargetGroupArn"]])


def test_load_balancer_serves_http_without_a_certificate(account):
    (balancer,) = account.elbv2.describe_load_balancers()["LoadBalancers"]
    assert (balancer["Scheme"], len(balancer["AvailabilityZones"])) == ("internet-facing", 2)
    answer = account.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])
    (listener,) = answer["Listeners"]
    assert (listener["Port"], listener["DefaultActions"][0]["Type"]) == (80, "forward")
    (rule,) = account.security_group(balancer["SecurityGroups"][0])["IpPermissions"]
    assert (rule["FromPort"], rule["IpRanges"][0]["CidrIp"]) == (80, "0.0.0.0/0")


def test_api_scales_by_requests_per_target(account):
    policy, api = account.policy("api"), account.outputs("api")
    target = policy["TargetTrackingConfiguration"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    assert target["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "ALBRequestCountPerTarget",
        "ResourceLabel": f"{api['LoadBalancerFullName']}/{api['TargetGroupFullName']}"}


def test_workers_scale_by_backlog_including_running_videos(account):
    policy = account.policy("worker")
    target = policy["TargetTrackingConfiguration"]
    assert (target["TargetValue"], policy["EstimatedInstanceWarmup"]) == (10, 600)
    assert not target.get("DisableScaleIn")
    metrics = {each["Id"]: each for each in target["CustomizedMetricSpecification"]["Metrics"]}
    assert metrics["backlog"]["Expression"] == \
        "IF(visible >= 0, (visible + FILL(inflight, 0)) / IF(FILL(workers, REPEAT) > 0, FILL(workers, REPEAT), 1))"
    assert [name for name, each in metrics.items() if each["ReturnData"]] == ["backlog"]
    watched = {name: (each["MetricStat"]["Metric"]["MetricName"], each["MetricStat"]["Metric"]["Dimensions"][0]["Value"])
               for name, each in metrics.items() if name != "backlog"}
    assert watched == {
        "visible": ("ApproximateNumberOfMessagesVisible", "anb-production-video-processing"),
        "inflight": ("ApproximateNumberOfMessagesNotVisible", "anb-production-video-processing"),
        "workers": ("GroupInServiceInstances", "anb-production-worker-asg")}


def test_worker_may_protect_itself_and_has_time_to_finish(account):
    assert account.group("worker")["NewInstancesProtectedFromScaleIn"] is False
    (hook,) = account.autoscaling.describe_lifecycle_hooks(
        AutoScalingGroupName="anb-production-worker-asg")["LifecycleHooks"]
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (1800, "CONTINUE")


@pytest.mark.parametrize("role", ["api", "worker"])
def test_replacement_is_launched_first_and_no_lifetime_ends_instances(account, role):
    assert FORGOTTEN[f"us-east-1/anb-production-{role}-asg"] == {
        "MaxInstanceLifetime": "0",
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110}}


def test_health_is_judged_after_the_boot(account):
    # An instance boots in about 80 s (docs/deploy.md), and three failed checks take 30 s.
    assert account.group("api")["HealthCheckGracePeriod"] == 180


def test_image_is_the_latest_of_amazon_linux(account):
    latest = account.ssm.get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")
    for role in ("api", "worker"):
        assert account.launch_data(role)["ImageId"] == latest["Parameter"]["Value"]


@pytest.mark.parametrize("stack", ["api", "workers"])
def test_instance_refresh_not_cloudformation_replaces_instances(stack):
    group = template(stack)["Resources"]["Group"]
    assert "UpdatePolicy" not in group
    assert group["CreationPolicy"]["ResourceSignal"] == {"Count": 1, "Timeout": "PT15M"}


# --- 07 ---

def distribution(account):
    (summary,) = account.cloudfront.list_distributions()["DistributionList"]["Items"]
    return account.cloudfront.get_distribution(Id=summary["Id"])["Distribution"]["DistributionConfig"]


def test_cdn_reads_clips_by_access_control_and_serves_https(account):
    config = distribution(account)
    origins = {each["Id"]: each for each in config["Origins"]["Items"]}
    accesses = account.cloudfront.list_origin_access_controls()["OriginAccessControlList"]["Items"]
    (summary,) = account.cloudfront.list_distributions()["DistributionList"]["Items"][:1]
    assert FORGOTTEN[summary["Id"]]["clips"] in {access["Id"] for access in accesses}
    assert origins["clips"]["DomainName"].startswith(account.bucket())
    assert origins["api"]["DomainName"] == account.outputs("api")["LoadBalancerHost"]
    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]["Items"]]
    assert {each["ViewerProtocolPolicy"] for each in behaviours} == {"redirect-to-https"}
    assert {each["PathPattern"] for each in behaviours[1:] if each["TargetOriginId"] == "clips"} == {"processed/*"}
    assert {each["TargetOriginId"] for each in behaviours} == {"clips", "api"}
    assert {each["ErrorCachingMinTTL"] for each in config["CustomErrorResponses"]["Items"]} == {0}


def test_each_server_keeps_idle_connections_longer_than_its_client(account):
    custom = {each["Id"]: each for each in distribution(account)["Origins"]["Items"]}["api"]["CustomOriginConfig"]
    (balancer,) = account.elbv2.describe_load_balancers()["LoadBalancers"]
    answer = account.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])
    idle = {each["Key"]: each["Value"] for each in answer["Attributes"]}["idle_timeout.timeout_seconds"]
    api = re.search(r"KEEP_ALIVE: Duration = Duration::from_secs\((\d+)\)", (ROOT / "src/server.rs").read_text())[1]
    assert custom["OriginKeepaliveTimeout"] + 5 <= int(idle) < int(api)
    assert custom["OriginReadTimeout"] <= int(idle)


def test_cdn_sends_the_secret_header_and_no_output_contains_it(account):
    (header,) = {each["Id"]: each for each in distribution(account)["Origins"]["Items"]}["api"]["CustomHeaders"]["Items"]
    value = secrets(account)["OriginSecret"]["key1"]
    assert (header["HeaderName"], header["HeaderValue"]) == ("X-Anb-Origin", value)
    assert value not in json.dumps([account.outputs(stack) for stack in STACKS if stack != "vpc"])


def test_cdn_chooses_the_language_where_it_caches_by_language(account):
    (summary,) = account.cloudfront.list_distributions()["DistributionList"]["Items"]
    policies = {each["PathPattern"]: each["CachePolicyId"].removeprefix(f"policy-{ENVIRONMENT}-").split("-")[0]
                for each in distribution(account)["CacheBehaviors"]["Items"]}
    assert policies == {
        "processed/*": "clips", "api/public/*": "public", "/": "pages", "videos/*": "pages", "clasificacion": "pages",
        "resultados/*": "pages", "ayuda": "pages", "privacidad": "pages", "estatico/*": "assets"}
    chooses = [("viewer-request", f"arn:aws:cloudfront::123456789012:function/{ENVIRONMENT}-language-us-east-1")]
    assert FORGOTTEN[summary["Id"]]["functions"] == {
        pattern: chooses if policy in ("public", "pages") else [] for pattern, policy in policies.items()}


def test_cdn_limits_requests_per_address_if_it_is_told_to(account):
    account.update("cdn", RequestsPerAddress=5000)
    assert account.limits("CLOUDFRONT") == {"anb-production-cdn-addresses": {"Limit": 5000, "AggregateKeyType": "IP"}}
    assert "anb-production-cdn-addresses" in account.distribution()["WebACLId"]
    account.update("cdn")
    assert account.limits("CLOUDFRONT") == {} and account.distribution()["WebACLId"] == ""
