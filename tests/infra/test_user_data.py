"""Checks the boot script of an instance, read from the launch template."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import DB_PASSWORD, JWT_SECRET, ROOT

ROLES = ["api", "worker"]


def script(account, role):
    return base64.b64decode(account.launch_data(role)["UserData"]).decode()


def settings(account, role):
    lines = re.search(r"<<'SETTINGS'\n(.*?)\nSETTINGS\n", script(account, role), re.S)[1].splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("role", ROLES)
def test_user_data_fits_passes_shellcheck_and_contains_no_secrets(account, role):
    text = script(account, role)
    assert len(text.encode()) <= 16_384
    assert "${" not in text and DB_PASSWORD not in text and JWT_SECRET not in text
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, "--severity=style", "-"], input=text, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("role", ROLES)
def test_written_scripts_pass_shellcheck(account, role):
    inner = re.findall(r"<<'SCRIPT'\n(.*?)\nSCRIPT\n", script(account, role), re.S)
    assert len(inner) == {"api": 2, "worker": 3}[role]
    for text in inner:
        done = subprocess.run([Path(sys.executable).parent / "shellcheck", "-"], input=text, capture_output=True,
                              text=True, check=False)
        assert (done.stdout, done.returncode) == ("", 0)


def test_both_roles_boot_in_the_same_way(account):
    api, worker = (script(account, role).split("# From here on, 05 and 06 are identical.\n")[1] for role in ROLES)
    assert worker.startswith(api.rstrip())


@pytest.mark.parametrize("role", ROLES)
def test_only_known_settings_are_set(account, role):
    known = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / "config/local.env").read_text(), re.M))
    assert set(settings(account, role)) <= known


@pytest.mark.parametrize("role", ROLES)
def test_settings_for_aws_are_set(account, role):
    values = settings(account, role)
    for name, value in {"ENVIRONMENT": "production", "LOG_FORMAT": "json", "DB_SSL_MODE": "verify-full",
                        "QUEUE_TYPE": "sqs", "STORAGE_TYPE": "s3", "S3_BUCKET_NAME": account.bucket(),
                        "SQS_QUEUE_URL": account.outputs("sqs")["QueueUrl"],
                        "SQS_DLQ_URL": account.outputs("sqs")["DeadLetterQueueUrl"],
                        "DB_HOST": account.outputs("rds")["DatabaseHost"]}.items():
        assert values[name] == value
    assert not values.keys() & {"JWT_SECRET", "DB_PASSWORD", "DB_OWNER_PASSWORD", "DB_USER"}
    assert values.get("DB_OWNER_USER") == {"api": "postgres", "worker": None}[role]
    if role == "worker":
        assert values["WORKER_CONCURRENCY"] == "4"
    else:
        assert (values["TRUSTED_PROXIES"], values["MEDIA_BASE_URL"], values["PUBLIC_URL"]) == ("1", "", "")


def test_both_roles_have_the_same_rules_for_videos(account):
    names = ["MIN_INPUT_DURATION", "MAX_INPUT_DURATION", "MIN_INPUT_HEIGHT"]
    for role in ROLES:
        assert {name: settings(account, role)[name] for name in names} == dict.fromkeys(names, "0")


@pytest.mark.parametrize("role", ROLES)
def test_named_container_of_the_version_is_run_and_signalled(account, role):
    text = script(account, role)
    assert f"container=anb_{role} " in text and "version='0.1.0'" in text
    assert "deployments/$version/$file" in text and "sha256sum --check" in text
    assert 'ExecStart=$run --name $container' in text and "Restart=always" in text
    assert text.count("report 1 ") == 1 and text.count("report 0 ") == 1
    assert ("migrates=yes" in text) == (role == "api")


def test_drain_is_shorter_than_the_hook_timeout(account):
    (hook,) = account.autoscaling.describe_lifecycle_hooks(
        AutoScalingGroupName="anb-production-worker-asg")["LifecycleHooks"]
    drain = int(re.search(r"drain=(\d+)", script(account, "worker"))[1])
    grace = int(settings(account, "worker")["SHUTDOWN_GRACE"].removesuffix("m")) * 60
    assert 15 * 60 < grace <= drain < hook["HeartbeatTimeout"]
