"""Tests the commands for operators in an empty account."""

import json
import tomllib

import pytest

from stacks import ENVIRONMENT, JWT_SECRET, DB_PASSWORD, ROOT, STACKS, TEMPLATES, commands, template

PASSED = {"vpc": set(), "s3": set(), "sqs": set(), "rds": {"DBPassword"}, "api": {"JWTSecret", "DBPassword"},
          "workers": set(), "cdn": set()}


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_is_created(account, stack):
    # Other tests update some.
    assert account.stack(stack)["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@pytest.mark.parametrize("stack", STACKS)
def test_template_requires_only_what_its_command_passes(stack):
    rules = template(stack)["Parameters"]
    assert {name for name, rule in rules.items() if "Default" not in rule} == PASSED[stack]
    assert rules["EnvironmentName"]["Default"] == ENVIRONMENT
    if stack in commands():
        assert "--capabilities" not in commands()[stack]


def test_default_version_is_that_of_the_repository():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    for stack in ("api", "workers"):
        assert template(stack)["Parameters"]["ArtifactVersion"]["Default"] == version


def test_secrets_are_not_readable(account):
    for stack in STACKS:
        said = json.dumps([account.stack(stack), account.cloudformation.get_template(
            StackName=f"{ENVIRONMENT}-{stack}")], default=str)
        assert JWT_SECRET not in said and DB_PASSWORD not in said
    for secrets in PASSED.values():
        for stack in STACKS:
            for name in secrets & set(template(stack)["Parameters"]):
                assert template(stack)["Parameters"][name]["NoEcho"] is True


def test_both_dashboards_exist(account):
    names = {each["DashboardName"] for each in account.cloudwatch.list_dashboards()["DashboardEntries"]}
    assert names == {"anb-production-monitoring", "anb-production-operations-us-east-1"}
    body = account.cloudwatch.get_dashboard(DashboardName="anb-production-monitoring")["DashboardBody"]
    assert json.loads(body) == json.loads((TEMPLATES / "cloudwatch-dashboard.json").read_text())
