"""The templates and their deployment, by the commands for operators or by boto3."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import boto3

from emulator.template import parse

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TEMPLATES = ROOT / "cloudformation"
ENVIRONMENT = "anb-production"
DB_PASSWORD, JWT_SECRET = "q7!Canasta&Aro$2026", "jwt-7f3a9c51e2b84d6f0a1c3e5b7d9f2a4c"

# Stack -> template, in the order of their imports.
STACKS = {
    "vpc": "01-vpc-networking.yaml",
    "s3": "02-s3-iam.yaml",
    "sqs": "03.5-sqs-queue.yaml",
    "rds": "04-rds-database.yaml",
    "api": "05-alb-autoscaling.yaml",
    "workers": "06-workers-autoscaling.yaml",
    "cdn": "07-cdn.yaml",
}
# Needs --capabilities, so no command of the operators creates it.
ROLES = {"iam": "00-iam.yaml"}
SECRETS = {"rds": {"DBPassword": DB_PASSWORD}, "api": {"DBPassword": DB_PASSWORD, "JWTSecret": JWT_SECRET}}


@cache
def template(stack):
    return parse((TEMPLATES / (STACKS | ROLES)[stack]).read_text())


def commands():
    """Returns the blocks of commands.sh by the stack or dashboard that they create."""
    blocks = re.split(r"^# \d\. .*\n", (HERE / "commands.sh").read_text(), flags=re.M)[1:]
    return {re.search(r"-name anb-production-(\w+)", block)[1]: block for block in blocks}


def run(block):
    """Runs a block in a shell, in the folder of the templates, with real secrets instead of the placeholders."""
    block = block.replace("YOUR_PASSWORD", f"'{DB_PASSWORD}'").replace("YOUR_JWT_SECRET", f"'{JWT_SECRET}'")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=TEMPLATES, text=True, capture_output=True,
                          env=os.environ | {"PATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def parameters(values):
    return [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in values.items()]


class Account:
    """The resources in one region."""

    def __init__(self, region="us-east-1"):
        self.region, self.clients = region, {}

    def __getattr__(self, service):
        return self.clients.setdefault(service, boto3.client(service, region_name=self.region))

    def create(self, stack, **values):
        values = {"EnvironmentName": ENVIRONMENT} | SECRETS.get(stack, {}) | values
        self.cloudformation.create_stack(StackName=f"{ENVIRONMENT}-{stack}", Parameters=parameters(values),
                                         TemplateBody=(TEMPLATES / (STACKS | ROLES)[stack]).read_text())

    def update(self, stack, **values):
        values = {"EnvironmentName": ENVIRONMENT} | SECRETS.get(stack, {}) | values
        self.cloudformation.update_stack(StackName=f"{ENVIRONMENT}-{stack}", UsePreviousTemplate=True,
                                         Parameters=parameters(values))

    def delete(self, stack):
        self.cloudformation.delete_stack(StackName=f"{ENVIRONMENT}-{stack}")

    def stack(self, stack):
        return self.cloudformation.describe_stacks(StackName=f"{ENVIRONMENT}-{stack}")["Stacks"][0]

    def outputs(self, stack):
        return {each["OutputKey"]: each["OutputValue"] for each in self.stack(stack).get("Outputs", [])}

    def bucket(self):
        return self.outputs("s3")["BucketName"]

    def group(self, role):
        name = f"{ENVIRONMENT}-{role}-asg"
        return self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def launch_data(self, role, version="$Latest"):
        versions = self.ec2.describe_launch_template_versions(
            LaunchTemplateName=f"{ENVIRONMENT}-{role}", Versions=[version])
        return versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]

    def policy(self, role):
        policies = self.autoscaling.describe_policies(AutoScalingGroupName=f"{ENVIRONMENT}-{role}-asg")
        (policy,) = policies["ScalingPolicies"]
        return policy

    def alarms(self):
        alarms = self.cloudwatch.describe_alarms(AlarmNamePrefix=ENVIRONMENT)["MetricAlarms"]
        return {alarm["AlarmName"].removeprefix(f"{ENVIRONMENT}-"): alarm for alarm in alarms}

    def distribution(self):
        """CloudFront lists the distributions of all regions."""
        (summary,) = [each for each in self.cloudfront.list_distributions()["DistributionList"]["Items"]
                      if each["DomainName"] in self.outputs("cdn")["Url"]]
        return self.cloudfront.get_distribution_config(Id=summary["Id"])["DistributionConfig"]

    def limits(self, scope):
        """The rules that limit requests of one address, by the name of their list."""
        found = {}
        for each in self.wafv2.list_web_acls(Scope=scope)["WebACLs"]:
            acl = self.wafv2.get_web_acl(Name=each["Name"], Scope=scope, Id=each["Id"])["WebACL"]
            (rule,) = acl["Rules"]
            assert rule["Action"] == {"Block": {}} and acl["DefaultAction"] == {"Allow": {}}
            found[acl["Name"]] = rule["Statement"]["RateBasedStatement"]
        return found

    def security_group(self, group_id):
        return self.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]
