"""Tests `cloudformation/deploy` against the emulator, from an empty environment to its deletion, in the order of this
file."""

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import aws as quick_aws
from emulator.changes import FAILING
from stacks import DB_PASSWORD, JWT_SECRET, TEMPLATES, Account

REGION, NAME = "us-west-2", "anb-staging"
SECRETS = {"DB_PASSWORD": DB_PASSWORD, "JWT_SECRET": JWT_SECRET}


class Deployed(Account):
    """The tool, and the environment that it creates."""

    def __init__(self, folder, bin_folder):
        super().__init__(REGION)
        self.root, self.bin, self.calls = folder, bin_folder, []

    def run(self, *words, succeeds=True, answer=None, cdn=False, **environment):
        words = words if cdn else ("--no-cdn", *words)
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        done = subprocess.run(
            [self.root / "cloudformation/deploy", "--environment", NAME, "--region", REGION, *words], text=True,
            capture_output=True, check=False, input=answer, timeout=300,
            env=os.environ | {"PATH": path} | environment)
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        self.calls = [line.removeprefix("+ aws ") for line in done.stderr.splitlines() if line.startswith("+ aws ")]
        assert DB_PASSWORD not in done.stdout + done.stderr and JWT_SECRET not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def did(self):
        """Returns the calls that change something, abbreviated."""
        return [" ".join(brief(call)) for call in self.calls]

    def release(self, version, content="image"):
        """Creates the artifact of a version."""
        folder = self.root / "deployments" / version
        folder.mkdir(parents=True, exist_ok=True)
        archive = folder / "anb-image.tar.zst"
        archive.write_text(f"{content} of {version}")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        (folder / "anb-image.tar.zst.sha256").write_text(f"{digest}  anb-image.tar.zst\n")

    def group_of(self, role):
        name = f"{NAME}-{role}-asg"
        return self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def script(self, role):
        """Returns the user data of new instances of a group."""
        template = self.group_of(role)["LaunchTemplate"]
        (found,) = self.ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]])["LaunchTemplateVersions"]
        return base64.b64decode(found["LaunchTemplateData"]["UserData"]).decode()

    def version(self, role):
        return re.search("version='([^']*)'", self.script(role))[1]

    def setting(self, role, name):
        return re.search(f"^{name}=(.*)$", self.script(role), re.M)[1]

    def launch_versions(self):
        return {role: self.group_of(role)["LaunchTemplate"]["Version"] for role in ("api", "worker")}

    def last_refreshes(self):
        for role in ("api", "worker"):
            name = f"{NAME}-{role}-asg"
            yield self.autoscaling.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"][0]

    def protect(self, role):
        """Protects all instances of a group, as busy workers do."""
        group = self.group_of(role)
        ids = [each["InstanceId"] for each in group["Instances"]]
        self.autoscaling.set_instance_protection(
            AutoScalingGroupName=group["AutoScalingGroupName"], InstanceIds=ids, ProtectedFromScaleIn=True)

    def secret(self, stack, output):
        answer = self.secretsmanager.get_secret_value(SecretId=self.values_of(stack)[output])
        return json.loads(answer["SecretString"])

    def values_of(self, stack):
        (found,) = self.cloudformation.describe_stacks(StackName=f"{NAME}-{stack}")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}

    def header(self):
        """Returns the value that CloudFront sends and those that the load balancer accepts."""
        distribution = next(each for each in self.cloudfront.list_distributions()["DistributionList"]["Items"]
                            if each["Comment"] == NAME)
        origins = {each["Id"]: each for each in distribution["Origins"]["Items"]}
        (sent,) = origins["api"]["CustomHeaders"]["Items"]
        (balancer,) = [each for each in self.elbv2.describe_load_balancers()["LoadBalancers"]
                       if each["LoadBalancerName"].startswith(NAME)]
        (listener,) = self.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        rules = self.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        (rule,) = [each for each in rules if not each["IsDefault"]]
        return sent["HeaderValue"], rule["Conditions"][0]["HttpHeaderConfig"]["Values"]

    def sizes(self, role):
        group = self.group_of(role)
        return group["MinSize"], group["MaxSize"], group["DesiredCapacity"]

    def stacks(self):
        found = self.cloudformation.describe_stacks()["Stacks"]
        return {each["StackName"].removeprefix(f"{NAME}-") for each in found if each["StackName"].startswith(NAME)}

    def database(self):
        (found,) = self.rds.describe_db_instances(DBInstanceIdentifier=f"{NAME}-db")["DBInstances"]
        return found["DBInstanceStatus"]

    def loud(self):
        alarms = self.cloudwatch.describe_alarms(AlarmNamePrefix=NAME)["MetricAlarms"]
        assert len(alarms) >= 6
        return {alarm["ActionsEnabled"] for alarm in alarms}


def brief(call):
    words = shlex.split(call)
    yield from words[:2]
    for name in ("--stack-name", "--auto-scaling-group-name", "--comment", "--min-size"):
        if name in words:
            yield words[words.index(name) + 1].removeprefix(f"{NAME}-")
    if words[0] == "s3":
        yield words[-1].split("/deployments/")[-1]


@pytest.fixture(scope="module")
def deployed(aws, tmp_path_factory):
    """A separate checkout in which tests can create versions."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(TEMPLATES, root / "cloudformation")
    shutil.copy(TEMPLATES.parent / "Cargo.toml", root)
    tool = root / "cloudformation/deploy"
    # The emulator completes everything at once, so waiting is unnecessary.
    tool.write_text(tool.read_text().replace("pause=10 patience=360", "pause=0 patience=5"))
    folder = tmp_path_factory.mktemp("bin")
    with quick_aws(folder):
        found = Deployed(root, folder)
        found.release("0.1.0")
        yield found


@pytest.fixture
def failing():
    """Commands that fail on instances while a test runs."""
    FAILING.clear()
    yield FAILING
    FAILING.clear()


def test_shellcheck_finds_nothing():
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, TEMPLATES / "deploy"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_dry_run_shows_every_call_and_changes_nothing(deployed):
    said = deployed.run("--dry-run", "up")
    assert deployed.stacks() == set()
    applied = [each for each in deployed.did() if each.startswith("cloudformation deploy")]
    assert applied == [f"cloudformation deploy {stack}" for stack in ("vpc", "s3", "sqs", "rds", "api", "workers")]
    assert "autoscaling start-instance-refresh api-asg" in deployed.did()
    assert "s3 cp 0.1.0/anb-image.tar.zst" in deployed.did()
    assert "sts get-caller-identity" in said and "service-quotas get-service-quota" in said


def spread_database(said):
    """Returns the parameters of the database's stack."""
    return set(re.search(f"^stack {NAME}-rds (.*)$", said, re.M)[1].split())


def test_one_command_gives_high_availability_and_the_cdn(deployed):
    said = deployed.run("--dry-run", "up", "--high-availability", cdn=True)
    assert [each.split()[-1] for each in deployed.did() if each.startswith("cloudformation deploy")] == \
        ["vpc", "s3", "sqs", "rds", "api", "workers", "cdn", "api"]
    assert re.search(f"^stack {NAME}-api .*MinSize=2", said, re.M)
    assert re.search(f"^stack {NAME}-workers .*MinSize=2", said, re.M)
    assert spread_database(said) == {
        "BackupRetentionDays=7", "DeletionProtection=true", "Encrypted=true", "MultiAZ=true", "StorageType=gp3"}
    # What was given otherwise stays.
    assert re.search(f"^stack {NAME}-rds .*MultiAZ=false", deployed.run(
        "--dry-run", "up", "--high-availability", "rds.MultiAZ=false"), re.M)


WARNING = "passwords and sessions travel over plain HTTP"


def test_only_plain_http_is_warned_of(deployed):
    certificate = "api.CertificateArn=arn:aws:acm:us-west-2:123456789012:certificate/1"
    assert WARNING in deployed.run("--dry-run", "up")
    assert WARNING not in deployed.run("--dry-run", "up", cdn=True)
    assert WARNING not in deployed.run("--dry-run", "up", certificate, cdn=True)
    assert "cloudformation deploy cdn" not in deployed.did()
    assert "cdn.OriginHost=" in deployed.run("--dry-run", "--cdn", "up", certificate, cdn=True, succeeds=False)
    deployed.run("--dry-run", "--cdn", "up", certificate, "cdn.OriginHost=api.anb.example", cdn=True)
    assert "cloudformation deploy cdn" in deployed.did()


def test_zones_offer_the_types_of_both_groups(deployed):
    assert "ZoneA=us-west-2a ZoneB=us-west-2b" in deployed.run("--dry-run", "up")
    # Two zones offer these, and the first is not among them.
    assert "ZoneA=us-west-2b ZoneB=us-west-2c" in deployed.run("--dry-run", "up", "workers.InstanceType=f2.6xlarge")
    said = deployed.run("--dry-run", "up", "vpc.ZoneA=us-west-2c", "vpc.ZoneB=us-west-2d")
    assert "ZoneA=us-west-2c ZoneB=us-west-2d" in said
    said = deployed.run("--dry-run", "up", "workers.InstanceType=t9.huge", succeeds=False)
    assert "fewer than two zones of us-west-2 offer both t3.small and t9.huge" in said


def test_addresses_of_cloudfront_are_looked_up_where_the_template_does_not_know_them(deployed):
    lists = Account("eu-west-1").ec2.describe_managed_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": ["com.amazonaws.global.cloudfront.origin-facing"]}])
    (found,) = [each["PrefixListId"] for each in lists["PrefixLists"]]
    said = deployed.run("--region", "eu-west-1", "--dry-run", "up", cdn=True)
    assert f"CloudFrontPrefixList={found}" in said
    assert "CloudFrontPrefixList=" not in deployed.run("--dry-run", "up", cdn=True)


def test_exceeded_quota_stops_before_any_change(deployed):
    said = deployed.run("up", "api.MaxSize=5", succeeds=False, **SECRETS)
    assert "up to 10 instances and a database, but the account may run 9" in said
    assert deployed.calls == [] and deployed.stacks() == set()


def test_missing_secrets_stop_before_any_change(deployed):
    said = deployed.run("up", succeeds=False, DB_PASSWORD=DB_PASSWORD)
    assert "anb-staging-api is new and needs JWT_SECRET" in said
    assert deployed.calls == [] and deployed.stacks() == set()


def test_up_creates_everything_in_order(deployed):
    said = deployed.run("up", "sqs.AlarmEmail=ops@anb.example", **SECRETS)
    assert deployed.did() == [
        "cloudformation deploy vpc", "cloudformation deploy s3", "s3 cp 0.1.0/anb-image.tar.zst",
        "s3 cp 0.1.0/anb-image.tar.zst.sha256", "cloudformation deploy sqs", "cloudformation deploy rds",
        "cloudformation deploy api", "cloudformation deploy workers",
        "autoscaling start-instance-refresh api-asg", "autoscaling start-instance-refresh worker-asg",
        "ssm send-command anb api lives", "ssm send-command anb worker lives"]
    assert deployed.stacks() == {"vpc", "s3", "sqs", "rds", "api", "workers"}
    assert "version 0.1.0 runs: http://" in said
    assert deployed.version("api") == deployed.version("worker") == "0.1.0"
    (subscription,) = [each["Endpoint"] for each in deployed.sns.list_subscriptions()["Subscriptions"]
                       if NAME in each["TopicArn"]]
    assert subscription == "ops@anb.example"


def test_repeated_up_changes_and_publishes_nothing(deployed):
    said = deployed.run("up")
    assert "No changes to deploy" in said and "published already" in said
    assert not [each for each in deployed.did() if each.startswith("s3 cp")]
    assert deployed.launch_versions() == {"api": "1", "worker": "1"}


def test_existing_database_stays_unencrypted(deployed):
    said = deployed.run("--dry-run", "up", "--high-availability")
    assert "MultiAZ=true" in spread_database(said) and "Encrypted=true" not in spread_database(said)


def test_published_version_cannot_change(deployed):
    archive = deployed.root / "deployments/0.1.0/anb-image.tar.zst"
    archive.write_bytes(b"another")
    assert "is damaged" in deployed.run("publish", succeeds=False)
    deployed.release("0.1.0", "another")
    assert "a version never changes" in deployed.run("publish", succeeds=False)
    deployed.release("0.1.0")
    deployed.run("publish")
    assert deployed.calls == []


def test_upgrade_migrates_before_it_replaces_instances(deployed):
    deployed.release("0.2.0")
    # A busy worker is replaced as well. With "Wait", the refresh would fail.
    deployed.protect("worker")
    deployed.run("--version", "0.2.0", "up")
    did = deployed.did()
    order = ["s3 cp 0.2.0/anb-image.tar.zst.sha256", "ssm send-command anb migrate 0.2.0", "cloudformation deploy api",
             "cloudformation deploy workers", "autoscaling start-instance-refresh api-asg",
             "autoscaling start-instance-refresh worker-asg", "ssm send-command anb api lives"]
    assert [did.index(each) for each in order] == sorted(did.index(each) for each in order)
    assert deployed.version("api") == deployed.version("worker") == "0.2.0"
    (preferences,) = {json.dumps(each["Preferences"]) for each in deployed.last_refreshes()}
    assert json.loads(preferences) == {
        "MinHealthyPercentage": 100, "MaxHealthyPercentage": 110, "InstanceWarmup": 240, "SkipMatching": True,
        "ScaleInProtectedInstances": "Refresh", "StandbyInstances": "Ignore"}


def test_rule_for_one_role_applies_to_both(deployed):
    said = deployed.run("up", "api.MinInputDuration=20", "workers.MinInputDuration=30", succeeds=False)
    assert "api.MinInputDuration=20 and workers.MinInputDuration=30 must be equal" in said
    assert deployed.calls == []
    deployed.run("--version", "0.2.0", "up", "workers.MinInputDuration=20", "api.MinInputHeight=1080")
    for role in ("api", "worker"):
        names = ("MIN_INPUT_DURATION", "MAX_INPUT_DURATION", "MIN_INPUT_HEIGHT")
        assert [deployed.setting(role, name) for name in names] == ["20", "0", "1080"]


def test_rollback_does_not_use_the_checkout(deployed):
    template = deployed.root / "cloudformation/05-alb-autoscaling.yaml"
    kept = template.read_text()
    template.write_text("no template at all")
    deployed.run("rollback", "0.1.0")
    template.write_text(kept)
    assert deployed.did() == [
        "cloudformation deploy api", "cloudformation deploy workers", "autoscaling start-instance-refresh api-asg",
        "autoscaling start-instance-refresh worker-asg", "ssm send-command anb api lives",
        "ssm send-command anb worker lives"]
    assert deployed.version("api") == deployed.version("worker") == "0.1.0"


def test_rollback_to_an_unpublished_version_changes_nothing(deployed):
    assert "version 9.9.9 is not published" in deployed.run("rollback", "9.9.9", succeeds=False)
    assert deployed.calls == []


def test_failed_migrations_stop_the_upgrade(deployed, failing):
    deployed.release("0.3.0")
    failing["anb:0.3.0 migrate"] = 1
    said = deployed.run("--version", "0.3.0", "up", succeeds=False)
    assert "the migrations of 0.3.0 failed; nothing was replaced" in said
    assert deployed.version("api") == "0.1.0"
    assert not [each for each in deployed.did() if "refresh" in each or each.endswith("deploy api")]


def test_unhealthy_version_is_rolled_back(deployed, failing):
    deployed.release("0.4.0")
    # Fails once; the check of the previous version succeeds.
    failing["http://127.0.0.1:9465/health"] = 1
    said = deployed.run("--version", "0.4.0", "up", succeeds=False)
    assert "version 0.4.0 does not become healthy: back to 0.1.0" in said
    assert "version 0.4.0 was not healthy; 0.1.0 runs again" in said
    assert deployed.version("api") == deployed.version("worker") == "0.1.0"
    assert deployed.did().count("autoscaling start-instance-refresh worker-asg") == 2


def test_migrate_only_migrates(deployed):
    deployed.run("--version", "0.2.0", "migrate")
    assert deployed.did() == ["ssm send-command anb migrate 0.2.0"]
    scripts = ["\n".join(each["Parameters"]["commands"]) for each in deployed.ssm.list_commands()["Commands"]
               if each["Comment"] == "anb migrate 0.2.0"]
    for script in scripts:
        assert "--env-file /run/anb/owner.env anb:0.2.0 migrate" in script.replace("  ", " ")


def test_park_stops_everything_and_can_be_repeated(deployed):
    deployed.protect("worker")
    said = deployed.run("park")
    assert deployed.did() == ["cloudwatch disable-alarm-actions",
                              "autoscaling update-auto-scaling-group api-asg 0",
                              "autoscaling update-auto-scaling-group worker-asg 0",
                              "autoscaling set-instance-protection worker-asg", "rds stop-db-instance"]
    assert deployed.group_of("worker")["Instances"] == []
    assert deployed.sizes("api") == deployed.sizes("worker") == (0, 0, 0)
    assert deployed.database() == "stopped" and deployed.loud() == {False}
    assert "RDS starts by itself after 7 days" in said
    deployed.run("park")
    assert "rds stop-db-instance" not in deployed.did()


def test_resume_restores_the_sizes_of_the_stacks(deployed):
    deployed.run("resume")
    assert deployed.did()[0] == "rds start-db-instance"
    assert deployed.sizes("api") == deployed.sizes("worker") == (1, 3, 1)
    assert deployed.database() == "available" and deployed.loud() == {True}
    deployed.run("resume")
    assert "rds start-db-instance" not in deployed.did()


def test_status_shows_what_is_running(deployed):
    said = deployed.run("status")
    assert re.search("workers +(CREATE|UPDATE)_COMPLETE", said)
    assert "version  0.1.0 (API), 0.1.0 (workers)" in said
    assert "running  1 of the API, 1 workers, database available" in said


def test_database_rotation_creates_a_user_replaces_all_instances_and_locks_earlier_users(deployed):
    before = deployed.secret("rds", "LoginSecretArn")
    said = deployed.run("rotate", "database")
    after = deployed.secret("rds", "LoginSecretArn")
    assert (before["DB_USER"], after["DB_USER"]) == ("anb_1", "anb_2")
    assert after["DB_PASSWORD"] != before["DB_PASSWORD"] and len(after["DB_PASSWORD"]) == 48
    assert after["DB_PASSWORD"] not in said
    assert deployed.did() == [
        "secretsmanager put-secret-value", "autoscaling start-instance-refresh api-asg",
        "autoscaling start-instance-refresh worker-asg", "ssm send-command anb api lives",
        "ssm send-command anb worker lives", "ssm send-command anb locks earlier users"]
    # Their launch templates did not change.
    assert {each["Preferences"]["SkipMatching"] for each in deployed.last_refreshes()} == {False}


def test_failed_database_rotation_locks_nobody_and_can_be_repeated(deployed, failing):
    failing["http://127.0.0.1:9465/health"] = 1
    said = deployed.run("rotate", "database", succeeds=False)
    assert "earlier users still work: repeat the command" in said
    assert "ssm send-command anb locks earlier users" not in deployed.did()
    deployed.run("rotate", "database")
    assert deployed.secret("rds", "LoginSecretArn")["DB_USER"] == "anb_4"


def test_rotation_of_the_header_needs_a_cdn(deployed):
    assert "there is no CDN" in deployed.run("rotate", "origin", succeeds=False)
    assert "rotate what" in deployed.run("rotate", succeeds=False)


def test_cdn_sets_the_parameters_of_05(deployed):
    said = deployed.run("up", cdn=True)
    did = deployed.did()
    assert did.index("cloudformation deploy cdn") < len(did) - did[::-1].index("cloudformation deploy api") - 1
    (balancer,) = [each for each in deployed.elbv2.describe_load_balancers()["LoadBalancers"]
                   if each["LoadBalancerName"].startswith(NAME)]
    (listener,) = deployed.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert listener["DefaultActions"][0]["Type"] == "fixed-response"
    (cdn,) = [each for each in deployed.cloudformation.describe_stacks(StackName=f"{NAME}-cdn")["Stacks"]]
    url = {each["OutputKey"]: each["OutputValue"] for each in cdn["Outputs"]}["Url"]
    assert deployed.setting("api", "PUBLIC_URL") == url
    assert f"runs: {url}" in said
    # The parameters stay without being passed again.
    deployed.run("up")
    assert "cloudformation deploy cdn" in deployed.did()
    assert deployed.setting("api", "PUBLIC_URL") == url


def test_own_domain_stays(deployed):
    deployed.run("up", "api.PublicUrl=https://anb.example")
    deployed.run("up")
    assert deployed.setting("api", "PUBLIC_URL") == "https://anb.example"


def test_origin_rotation_keeps_the_cdn_connected_in_every_step(deployed):
    first, accepted = deployed.header()
    assert accepted == [first]
    deployed.run("rotate", "origin")
    assert deployed.did() == [
        "secretsmanager put-secret-value", "cloudformation deploy api", "cloudformation deploy cdn",
        "cloudformation deploy api", "secretsmanager put-secret-value"]
    second, accepted = deployed.header()
    assert second != first and accepted == [second]
    assert deployed.secret("api", "OriginSecretArn") == {"key2": second}
    # A later edit of one side keeps the value.
    deployed.run("up", "cdn.OriginHost=")
    assert deployed.header() == (second, [second])


def test_interrupted_origin_rotation_is_continued(deployed):
    secret, before = deployed.values_of("api")["OriginSecretArn"], deployed.header()[0]
    value = json.dumps({"key2": before, "key3": "third"})
    deployed.secretsmanager.put_secret_value(SecretId=secret, SecretString=value)
    deployed.run("up", "api.NextOriginKey=3")
    assert deployed.header() == (before, [before, "third"])
    deployed.run("rotate", "origin")
    assert deployed.header() == ("third", ["third"])
    assert deployed.secret("api", "OriginSecretArn") == {"key3": "third"}


def test_recreated_cdn_sends_the_value_that_is_accepted(deployed):
    deployed.cloudformation.delete_stack(StackName=f"{NAME}-cdn")
    deployed.run("up", cdn=True)
    assert deployed.header() == ("third", ["third"])


def test_protected_database_prevents_the_deletion(deployed):
    deployed.run("up", "rds.DeletionProtection=true")
    said = deployed.run("down", "--yes", succeeds=False)
    assert "cloudformation/deploy up rds.DeletionProtection=false" in said
    assert deployed.calls == [] and len(deployed.stacks()) == 7
    deployed.run("up", "rds.DeletionProtection=false")


def test_own_roles_replace_the_shared_profile(deployed):
    def profile(role):
        template = deployed.group_of(role)["LaunchTemplate"]
        (found,) = deployed.ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]])["LaunchTemplateVersions"]
        return found["LaunchTemplateData"]["IamInstanceProfile"]["Name"]

    assert profile("api") == profile("worker") == "LabInstanceProfile"
    deployed.run("--own-roles", "up")
    profiles = deployed.values_of("iam")
    assert (profile("api"), profile("worker")) == (profiles["ApiProfileName"], profiles["WorkerProfileName"])
    # Later calls keep them.
    deployed.run("up")
    assert profile("api") == profiles["ApiProfileName"]


def test_down_requires_confirmation(deployed):
    assert "nothing was deleted" in deployed.run("down", answer="yes\n", succeeds=False)
    assert len(deployed.stacks()) == 8


def test_down_keeps_only_the_bucket(deployed):
    deployed.protect("worker")
    said = deployed.run("down", answer=f"{NAME}\n")
    deleted = [each.split()[-1] for each in deployed.did() if each.startswith("cloudformation delete-stack")]
    assert deleted == ["cdn", "workers", "api", "rds", "sqs", "s3", "vpc", "iam"]
    assert deployed.stacks() == set()
    bucket = f"{NAME}-videos-123456789012-{REGION}"
    assert bucket in said and bucket in {each["Name"] for each in deployed.s3.list_buckets()["Buckets"]}
    deployed.run("down", "--yes")
    assert deployed.calls == []


def test_up_after_down_uses_the_kept_bucket_and_gives_it_its_policy(deployed):
    bucket = f"{NAME}-videos-123456789012-{REGION}"
    deployed.s3.put_object(Bucket=bucket, Key="uploads/kept", Body=b"a video")
    deployed.run("up", **SECRETS)
    assert deployed.values_of("s3")["BucketName"] == bucket
    statements = json.loads(deployed.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert {each["Sid"] for each in statements} == {"TlsOnly", "ClipsForTheCdn"}
    assert deployed.s3.get_object(Bucket=bucket, Key="uploads/kept")["Body"].read() == b"a video"
    deployed.run("up")
    assert deployed.values_of("s3")["BucketName"] == bucket
    deployed.run("down", "--yes")
