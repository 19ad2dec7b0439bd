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

    def run(self, *words, succeeds=True, answer=None, **environment):
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
    deployed.run("--version", "0.2.0", "up")
    did = deployed.did()
    order = ["s3 cp 0.2.0/anb-image.tar.zst.sha256", "ssm send-command anb migrate 0.2.0", "cloudformation deploy api",
             "cloudformation deploy workers", "autoscaling start-instance-refresh api-asg",
             "autoscaling start-instance-refresh worker-asg", "ssm send-command anb api lives"]
    assert [did.index(each) for each in order] == sorted(did.index(each) for each in order)
    assert deployed.version("api") == deployed.version("worker") == "0.2.0"
    (preferences,) = {json.dumps(each["Preferences"]) for each in deployed.last_refreshes()}
    assert json.loads(preferences) == {
        "MinHealthyPercentage": 100, "MaxHealthyPercentage": 110, "InstanceWarmup": 120, "SkipMatching": True,
        "ScaleInProtectedInstances": "Wait", "StandbyInstances": "Ignore"}


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


def test_park_stops_everything_and_can_be_repeated(deployed):
    said = deployed.run("park")
    assert deployed.did() == ["cloudwatch disable-alarm-actions",
                              "autoscaling update-auto-scaling-group api-asg 0",
                              "autoscaling update-auto-scaling-group worker-asg 0", "rds stop-db-instance"]
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


def test_cdn_sets_the_parameters_of_05(deployed):
    deployed.run("--cdn", "up")
    did = deployed.did()
    assert did.index("cloudformation deploy cdn") < len(did) - did[::-1].index("cloudformation deploy api") - 1
    (balancer,) = [each for each in deployed.elbv2.describe_load_balancers()["LoadBalancers"]
                   if each["LoadBalancerName"].startswith(NAME)]
    (listener,) = deployed.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    assert listener["DefaultActions"][0]["Type"] == "fixed-response"
    (cdn,) = [each for each in deployed.cloudformation.describe_stacks(StackName=f"{NAME}-cdn")["Stacks"]]
    url = {each["OutputKey"]: each["OutputValue"] for each in cdn["Outputs"]}["Url"]
    assert deployed.setting("api", "PUBLIC_URL") == url
    # The parameters stay without being passed again.
    deployed.run("up")
    assert "cloudformation deploy cdn" in deployed.did()
    assert deployed.setting("api", "PUBLIC_URL") == url


def test_own_domain_stays(deployed):
    deployed.run("up", "api.PublicUrl=https://anb.example")
    deployed.run("up")
    assert deployed.setting("api", "PUBLIC_URL") == "https://anb.example"


def test_down_requires_confirmation(deployed):
    assert "nothing was deleted" in deployed.run("down", answer="yes\n", succeeds=False)
    assert len(deployed.stacks()) == 7


def test_down_keeps_only_the_bucket(deployed):
    said = deployed.run("down", answer=f"{NAME}\n")
    deleted = [each.split()[-1] for each in deployed.did() if each.startswith("cloudformation delete-stack")]
    assert deleted == ["cdn", "workers", "api", "rds", "sqs", "s3", "vpc"]
    assert deployed.stacks() == set()
    bucket = f"{NAME}-videos-123456789012-{REGION}"
    assert bucket in said and bucket in {each["Name"] for each in deployed.s3.list_buckets()["Buckets"]}
    deployed.run("down", "--yes")
    assert deployed.calls == []
