"""Checks the roles of 00: they allow what the program and the boot script call, and nothing else."""

import json
import re
from fnmatch import fnmatchcase

import pytest

from stacks import ENVIRONMENT, ROOT, Account
from test_user_data import script

# Call of the SDK -> actions that it needs ("Actions, resources, and condition keys" of each service).
CALLS = {
    "storage/s3": {
        "abort_multipart_upload": ["s3:AbortMultipartUpload"],
        "complete_multipart_upload": ["s3:PutObject"],
        "create_multipart_upload": ["s3:PutObject"],
        "delete_object_tagging": ["s3:DeleteObjectTagging"],
        "delete_objects": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
        "get_object": ["s3:GetObject"],
        "head_bucket": ["s3:ListBucket"],
        "head_object": ["s3:GetObject"],
        "list_multipart_uploads": ["s3:ListBucketMultipartUploads"],
        "list_object_versions": ["s3:ListBucketVersions"],
        "list_objects_v2": ["s3:ListBucket"],
        "put_object": ["s3:PutObject"],
        "put_object_tagging": ["s3:PutObjectTagging"],
        "upload_part": ["s3:PutObject"],
    },
    "queue/sqs": {
        "change_message_visibility": ["sqs:ChangeMessageVisibility"],
        "delete_message": ["sqs:DeleteMessage"],
        "get_queue_attributes": ["sqs:GetQueueAttributes"],
        "get_queue_url": ["sqs:GetQueueUrl"],
        "receive_message": ["sqs:ReceiveMessage"],
        "send_message": ["sqs:SendMessage"],
    },
    "ec2/group": {
        "complete_lifecycle_action": ["autoscaling:CompleteLifecycleAction"],
        "describe_auto_scaling_instances": ["autoscaling:DescribeAutoScalingInstances"],
        "describe_lifecycle_hooks": ["autoscaling:DescribeLifecycleHooks"],
        "record_lifecycle_action_heartbeat": ["autoscaling:RecordLifecycleActionHeartbeat"],
        "set_instance_health": ["autoscaling:SetInstanceHealth"],
        "set_instance_protection": ["autoscaling:SetInstanceProtection"],
    },
}
# Command of the boot script -> actions. Docker's awslogs driver needs the last two.
COMMANDS = {
    "s3 cp": ["s3:GetObject"],
    "secretsmanager get-secret-value": ["secretsmanager:GetSecretValue"],
    "cloudwatch put-metric-data": ["cloudwatch:PutMetricData"],
    "autoscaling set-instance-health": ["autoscaling:SetInstanceHealth"],
    "docker --log-driver awslogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
}
MODULES = {"api": ["storage/s3", "queue/sqs"], "worker": ["storage/s3", "queue/sqs", "ec2/group"]}


@pytest.fixture(scope="module")
def roles(aws):
    """Returns the statements of each role."""
    account = Account("us-west-2")
    account.create("iam")
    outputs = account.outputs("iam")
    found = {}
    for role, output in (("api", "ApiProfileName"), ("worker", "WorkerProfileName")):
        profile = account.iam.get_instance_profile(InstanceProfileName=outputs[output])["InstanceProfile"]
        (made,) = profile["Roles"]
        name, documents = made["RoleName"], []
        for policy in account.iam.list_role_policies(RoleName=name)["PolicyNames"]:
            documents.append(account.iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
        for policy in account.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            arn = policy["PolicyArn"]
            if arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore":
                continue
            version = account.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            documents.append(account.iam.get_policy_version(PolicyArn=arn, VersionId=version)[
                "PolicyVersion"]["Document"])
        found[role] = [statement for document in documents for statement in document["Statement"]]
    yield found
    account.delete("iam")


def listed(value):
    return value if isinstance(value, list) else [value]


def allows(statements, action, resource, tags=None):
    """Evaluates statements that allow, with StringEquals conditions on tags."""
    for statement in statements:
        assert statement["Effect"] == "Allow"
        wanted = statement.get("Condition", {}).get("StringEquals", {})
        fits = all((tags or {}).get(key.removeprefix("aws:ResourceTag/")) == value for key, value in wanted.items())
        if (fits and action in listed(statement["Action"])
                and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))):
            return True
    return False


@pytest.mark.parametrize("module", CALLS)
def test_every_call_of_the_program_is_listed(module):
    files = [*(ROOT / "src").glob(f"{module}.rs"), *(ROOT / "src" / module).rglob("*.rs")]
    calls = set()
    for file in files:
        calls |= set(re.findall(r"\bclient\s*\.(\w+)\(\)", file.read_text()))
    assert calls - {"clone", "config"} == CALLS[module].keys()


def test_no_other_module_calls_aws():
    for file in (ROOT / "src").rglob("*.rs"):
        place = str(file.relative_to(ROOT / "src"))
        if re.search(r"aws_sdk_\w+::Client|aws_sdk_\w+::\{[^}]*\bClient\b", file.read_text()):
            assert place.removesuffix(".rs") in CALLS or any(place.startswith(f"{known}/") for known in CALLS), place


@pytest.mark.parametrize("role", MODULES)
def test_role_has_exactly_the_actions_of_its_calls(account, roles, role):
    text = script(account, role)
    commands = {command for command in COMMANDS if f"aws {command} " in text}
    assert set(re.findall(r"\baws ([a-z0-9]+ [a-z-]+) ", text)) == commands
    assert "--log-driver awslogs " in text
    needed = {action for command in [*commands, "docker --log-driver awslogs"] for action in COMMANDS[command]}
    for module in MODULES[role]:
        needed |= {action for actions in CALLS[module].values() for action in actions}
    assert {action for statement in roles[role] for action in listed(statement["Action"])} == needed


BUCKET = f"arn:aws:s3:::{ENVIRONMENT}-videos-123456789012-us-west-2"
SECRET = "arn:aws:secretsmanager:us-west-2:123456789012:secret:Some-1"
GROUP = "arn:aws:autoscaling:us-west-2:123456789012:autoScalingGroup:id:autoScalingGroupName"

MAY = [
    ("s3:GetObject", f"{BUCKET}/uploads/x", None, ["api", "worker"]),
    ("s3:PutObject", f"{BUCKET}/processed/x/1.mp4", None, ["api", "worker"]),
    ("s3:GetObject", f"{BUCKET}/deployments/0.1.0/anb-image.tar.zst", None, ["api", "worker"]),
    ("s3:PutObject", f"{BUCKET}/deployments/0.1.0/anb-image.tar.zst", None, []),
    ("s3:PutObjectTagging", f"{BUCKET}/processed/x/1.mp4", None, ["api", "worker"]),
    ("s3:PutObjectTagging", f"{BUCKET}/uploads/x", None, []),
    ("s3:ListBucket", BUCKET, None, ["api", "worker"]),
    ("s3:GetObject", "arn:aws:s3:::another/uploads/x", None, []),
    ("secretsmanager:GetSecretValue", SECRET, {"Name": f"{ENVIRONMENT}-database-login"}, ["api", "worker"]),
    ("secretsmanager:GetSecretValue", SECRET, {"Name": f"{ENVIRONMENT}-api"}, ["api"]),
    ("secretsmanager:GetSecretValue", SECRET, {"Name": "another-api"}, []),
    ("secretsmanager:GetSecretValue", SECRET, None, []),
    ("autoscaling:SetInstanceProtection", f"{GROUP}/{ENVIRONMENT}-worker-asg", None, ["worker"]),
    ("autoscaling:SetInstanceProtection", f"{GROUP}/{ENVIRONMENT}-api-asg", None, []),
    ("sqs:ReceiveMessage", f"arn:aws:sqs:us-west-2:123456789012:{ENVIRONMENT}-video-processing-dlq", None,
     ["api", "worker"]),
    ("sqs:ReceiveMessage", "arn:aws:sqs:us-west-2:123456789012:another-video-processing", None, []),
    ("logs:PutLogEvents", f"arn:aws:logs:us-west-2:123456789012:log-group:/{ENVIRONMENT}/api:log-stream:i-1", None,
     ["api"]),
]


@pytest.mark.parametrize("action, resource, tags, allowed", MAY)
def test_only_these_roles_may(roles, action, resource, tags, allowed):
    assert [role for role in roles if allows(roles[role], action, resource, tags)] == allowed


def test_tags_of_the_secrets_are_those_that_the_roles_read(account):
    tags = {each["Name"].split("-")[-2]: {tag["Key"]: tag["Value"] for tag in each.get("Tags", [])}.get("Name")
            for each in account.secretsmanager.list_secrets()["SecretList"]}
    assert tags == {"Login": f"{ENVIRONMENT}-database-login", "Secret": f"{ENVIRONMENT}-api", "OriginSecret": None}


def test_trust_is_limited_to_instances(roles):
    account = Account("us-west-2")
    for role in account.iam.list_roles()["Roles"]:
        assert [each["Principal"] for each in role["AssumeRolePolicyDocument"]["Statement"]] == \
            [{"Service": "ec2.amazonaws.com"}], json.dumps(role, default=str)
