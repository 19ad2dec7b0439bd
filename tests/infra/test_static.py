"""Checks the templates without deploying them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import ROLES, ROOT, STACKS, TEMPLATES, template

FILES = [str(TEMPLATES / name) for name in (STACKS | ROLES).values()]

# Policies that are not followed, with reasons. The test fails if no template breaks one of them.
EXCEPTIONS = {
    "CKV_AWS_2": "no certificate can be issued without a domain; with CertificateArn HTTP only redirects",
    "CKV_AWS_103": "as above: the TLS listener exists once a certificate is given",
    "CKV_AWS_16": "a parameter, off by default because the Academy may refuse it",
    "CKV_AWS_18": "access logs of the bucket would need a second bucket; the program logs every request",
    "CKV_AWS_23": "every rule has a description; checkov does not resolve Fn::If",
    "CKV_AWS_26": "CloudWatch may not use the key that AWS manages for SNS, so alarms would not be sent",
    "CKV_AWS_27": "encrypted with SQS's own keys, which checkov does not recognise",
    "CKV_AWS_86": "the load balancer's requests are in the program's log, the clips' in CloudFront's metrics",
    "CKV_AWS_91": "as above",
    "CKV_AWS_118": "enhanced monitoring needs a role, which the Academy does not allow to create",
    "CKV_AWS_149": "a customer key costs 1 USD a month and does not restrict access further",
    "CKV_AWS_157": "a parameter, off by default for its price",
    "CKV_AWS_158": "as CKV_AWS_149; logs hold no e-mails, tokens or bodies",
    "CKV_AWS_161": "the program logs in by password, from a secret that only the instances' role reads",
    "CKV_AWS_174": "CloudFront's default certificate fixes the version; a custom domain changes it",
    "CKV_AWS_192": "the optional WAF limits requests per address; no program here runs Java",
}


def tool(environment, program, *arguments):
    folder = Path(sys.executable).parent if environment is None else ROOT / ".anb/tools" / environment / "bin"
    return subprocess.run([str(folder / program), *arguments], capture_output=True, text=True, check=False)


def test_cfn_lint_finds_nothing_in_any_region():
    done = tool(None, "cfn-lint", "--regions", "us-east-1", "us-west-2", "eu-west-1", "--", *FILES)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_only_the_listed_policies_are_broken():
    done = tool("policies", "checkov", "--framework", "cloudformation", "--compact", "--quiet", "--skip-download",
                "--output", "json", *(word for file in FILES for word in ("--file", file)))
    report = json.loads(done.stdout)
    broken = {check["check_id"]: check["check_name"] for check in report["results"]["failed_checks"]}
    assert broken.keys() == EXCEPTIONS.keys(), broken
    assert report["summary"]["parsing_errors"] == 0


@pytest.mark.parametrize("stack", STACKS)
def test_template_fits_into_one_call(stack):
    assert len((TEMPLATES / STACKS[stack]).read_bytes()) <= 51_200


def test_no_template_of_the_commands_creates_iam_resources():
    kinds = {each["Type"] for stack in STACKS for each in template(stack)["Resources"].values()}
    assert not [kind for kind in kinds if kind.startswith("AWS::IAM")]


def test_groups_with_surge_and_database_fit_into_the_academy():
    defaults = [{name: rule["Default"] for name, rule in template(stack)["Parameters"].items() if "Default" in rule}
                for stack in ("api", "workers")]
    surge = 1
    instances = sum(each["MaxSize"] + surge for each in defaults)
    # Every allowed type has at most two processors. The database counts as one more instance, to be safe.
    assert instances + 1 <= 9
    assert 2 * (instances + 1) <= 32
    allowed = {f"{family}.{size}" for family in ("t2", "t3")
               for size in ("nano", "micro", "small", "medium", "large")}
    elsewhere = {"c7i-flex.large", "m7i-flex.large"}
    for stack in ("api", "workers"):
        assert set(template(stack)["Parameters"]["InstanceType"]["AllowedValues"]) == allowed | elsewhere
        assert template(stack)["Parameters"]["InstanceType"]["Default"] in allowed
        assert template(stack)["Parameters"]["MinSize"]["Default"] == 1


def filters():
    return {name: resource["Properties"] for stack in ("api", "workers")
            for name, resource in template(stack)["Resources"].items()
            if resource["Type"] == "AWS::Logs::MetricFilter"}


@pytest.mark.parametrize("name", filters())
def test_program_logs_the_messages_and_fields_of_metrics(name):
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    pattern, (made,) = filters()[name]["FilterPattern"], filters()[name]["MetricTransformations"]
    message = re.search(r'\$\.message = "([^"]*)"', pattern)[1].rstrip("*")
    assert f'"{message}' in source
    for field in re.findall(r"\$\.(?:span\.)?(\w+) = ", pattern) + re.findall(r"\$\.(\w+)", made["MetricValue"]):
        assert field == "message" or re.search(rf"\b{field}\b", source), field
    for route in re.findall(r'route = "/api([^"]*)"', pattern):
        assert f'resource("{route}")' in source


def metrics_of(body):
    """Yields titles and metrics of a dashboard; those of the load balancer by name only."""
    for widget in body["widgets"]:
        if widget["type"] == "metric":
            for metric in widget["properties"]["metrics"]:
                found = re.search(r'MetricName="(\w+)"', json.dumps(metric[0]).replace("\\", ""))
                if found or metric[0] == "AWS/ApplicationELB":
                    yield widget["properties"]["title"], "ApplicationELB", found[1] if found else metric[1]
                else:
                    yield widget["properties"]["title"], json.dumps(metric)


def test_dashboards_of_file_and_stack_are_equal(account):
    static = json.loads((TEMPLATES / "cloudwatch-dashboard.json").read_text())
    deployed = json.loads(account.cloudwatch.get_dashboard(
        DashboardName="anb-production-operations-us-east-1")["DashboardBody"])
    assert list(metrics_of(deployed)) == list(metrics_of(static))
    assert [each["type"] for each in deployed["widgets"]] == [each["type"] for each in static["widgets"]]
    shown = json.dumps(static)
    for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible",
                   "ApproximateAgeOfOldestMessage", "NumberOfMessagesSent", "NumberOfMessagesDeleted", "CPUUtilization",
                   "GroupInServiceInstances", "GroupDesiredCapacity", "TargetResponseTime", "UnHealthyHostCount",
                   "RequestCount", "CPUCreditBalance", "JobTime", "DatabaseConnections", "FreeStorageSpace"):
        assert metric in shown
    for name in filters():
        assert f'"{name.removesuffix("Filter")}"' in shown
    for alarm in [*account.alarms().values(), {"MetricName": "DaysToExpiry"}]:
        assert re.search(rf'\W{alarm["MetricName"]}\W', shown), alarm["MetricName"]
    assert "anb-production-video-processing-dlq" in shown
    assert account.outputs("api")["LoadBalancerFullName"] in json.dumps(deployed)
