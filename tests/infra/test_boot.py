"""Runs the boot script of an instance, read from the launch template, with stubs."""

import re
import shlex

import pytest

from boot import ARTIFACT, INSTANCE, machine
from stacks import ENVIRONMENT
from test_user_data import ROLES, script

PLACES = {"api": ("anb_api", "serve", "8080:8080", 180), "worker": ("anb_worker", "work", "127.0.0.1:9465:9465", 1200)}


@pytest.fixture
def boot(account, tmp_path):
    def run(role, broken="", checksum=None):
        return machine(tmp_path, checksum).run(script(account, role), broken=broken)

    return run


@pytest.mark.parametrize("role", ROLES)
def test_boot_fetches_verifies_loads_starts_and_signals_success(account, boot, role):
    done = boot(role)
    container, command, _, _ = PLACES[role]
    assert done.code == 0, done.output
    assert done.signals() == [(0, f"{INSTANCE} runs anb {command} 0.1.0")]
    assert done.loaded() == ARTIFACT
    steps = ["dnf install", "systemctl enable --now docker", "curl .*api/token", "curl .*instance-id",
             f"aws s3 cp .*{account.bucket()}/deployments/0.1.0/anb-image.tar.zst ", "aws s3 cp .*sha256", "docker load",
             "curl .*us-east-1-bundle.pem", "systemctl enable anb", "systemctl start --no-block anb", "curl .*/health"]
    found = [min(index for index, call in enumerate(done.calls) if re.match(step, call)) for step in steps]
    assert found == sorted(found)
    assert done.asked(f"docker run .*--name {container} .*anb:0.1.0 {command}$")
    assert not (done.root / "var/tmp/anb-image.tar.zst").exists()


def test_api_migrates_before_it_serves(boot):
    api = boot("api")
    runs = [call.split()[-1] for call in api.asked("^docker run ")]
    assert runs == ["migrate", "serve"]


def test_worker_never_migrates(boot):
    assert [call.split()[-1] for call in boot("worker").asked("^docker run ")] == ["work"]


@pytest.mark.parametrize("role", ROLES)
def test_unit_restarts_and_outlasts_the_drain(boot, role):
    container, _, publish, drain = PLACES[role]
    unit = boot(role).left("etc/systemd/system/anb.service")
    assert "Restart=always" in unit and "StartLimitIntervalSec=0" in unit
    assert f"ExecStop=/usr/bin/docker stop --time {drain} {container}" in unit
    assert f"TimeoutStopSec={drain + 15}" in unit and f"--publish {publish} " in unit
    for limit in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert limit in unit
    assert f"awslogs-group=/{ENVIRONMENT}/{role}" in unit and f"awslogs-stream={INSTANCE}" in unit


# Failure -> failing call, reason in the signal, number of attempts. A failed download is attempted six times.
FAILURES = {
    "no packages": ("^dnf ", "could not install docker", 6),
    "docker does not start": ("^systemctl enable --now docker", "could not install docker", 1),
    "no metadata": ("^curl .*api/token", "could not ask for the instance id", 6),
    "no artifact": ("^aws s3 cp .*zst ", "could not fetch version 0.1.0 from the bucket", 6),
    "no checksum": ("^aws s3 cp .*sha256 ", "could not fetch version 0.1.0 from the bucket", 6),
    "docker is down": ("^docker load", "could not load version 0.1.0", 1),
    "no authorities": ("^curl .*bundle.pem", "could not fetch the database's authorities", 6),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("role", ROLES)
def test_failed_boot_names_its_step_and_starts_nothing(boot, role, failure):
    broken, reason, tries = FAILURES[failure]
    done = boot(role, broken=broken)
    assert done.code != 0
    assert done.signals() == [(1, reason)]
    assert len(done.asked(broken)) == tries
    assert not done.asked("start --no-block anb") and not done.asked("shutdown|poweroff|terminate|set-instance-health")


@pytest.mark.parametrize("role", ROLES)
def test_artifact_with_wrong_checksum_is_not_loaded(boot, role):
    done = boot(role, checksum="0" * 64)
    assert (done.code != 0, done.signals()) == (True, [(1, "could not verify version 0.1.0")])
    assert done.loaded() is None


def test_failed_migrations_are_signalled_and_retried_by_the_unit(boot):
    done = boot("api", broken="docker run .* migrate$")
    assert (done.code != 0, done.signals()) == (True, [(1, "could not bring anb serve up")])
    assert not done.asked("docker run .* serve$")
    assert done.asked("systemctl enable anb")


def test_worker_that_does_not_start_is_signalled(boot):
    done = boot("worker", broken="docker run .* work$")
    assert (done.code != 0, done.signals()) == (True, [(1, "could not bring anb work up")])
    assert not (done.root / "etc/systemd/system/anb-watchdog.timer").exists()


def test_failed_signal_does_not_fail_the_boot(boot):
    done = boot("api", broken="^cfn-signal ")
    assert done.code == 0, done.output


SECRETS = {"api": "DB_USER=anb_1\nDB_PASSWORD=p#$ s\nJWT_SECRET=j\n", "worker": "DB_USER=anb_1\nDB_PASSWORD=p#$ s\n"}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_reads_its_secrets_and_only_root_can_read_them(boot, role):
    done = boot(role)
    arns = [re.search("--secret-id (arn:[^ ]*)", call)[1] for call in done.asked("aws secretsmanager get-secret-value")]
    assert [re.search("-(rds|api)-(Login|Secret)-", arn)[2] for arn in arns] == \
        {"api": ["Login", "Secret"], "worker": ["Login"]}[role]
    secrets = done.root / "run/anb/secrets.env"
    # Docker reads a value literally, up to the end of the line.
    assert secrets.read_text() == SECRETS[role]
    assert {path.name: path.stat().st_mode & 0o777 for path in (done.root / "run/anb").iterdir()
            if path.suffix == ".env"} == {"secrets.env": 0o600, "owner.env": 0o600}
    assert "p#$ s" not in done.output and "p#$ s" not in "\n".join(done.calls)


@pytest.mark.parametrize("role", ROLES)
def test_memory_and_disk_are_reported_every_minute_for_the_alarms(account, boot, role):
    done = boot(role)
    assert "OnUnitActiveSec=1min" in done.left("etc/systemd/system/anb-gauge.timer")
    assert done.asked("^systemctl enable --now anb-gauge.timer")
    _, command = done.left("etc/systemd/system/anb-gauge.service").split("ExecStart=")
    script, *arguments = command.split()
    done.run(done.left(script.lstrip("/")), *arguments)
    (said,) = [shlex.split(call) for call in done.asked("^aws cloudwatch put-metric-data")]
    sent = {re.search("MetricName=(\\w+)", word)[1]: word for word in said if word.startswith("MetricName=")}
    for name in ("Memory", "Disk"):
        alarm = account.alarms()[f"{role.capitalize()}{name}Alarm"]
        (dimension,) = alarm["Dimensions"]
        assert said[said.index("--namespace") + 1] == alarm["Namespace"]
        value = re.fullmatch(rf"MetricName={alarm['MetricName']},Value=([\d.]+),Unit=Percent,"
                             rf"Dimensions=\[{{Name={dimension['Name']},Value={dimension['Value']}}}\]",
                             sent[alarm["MetricName"]])[1]
        assert 0 < float(value) <= 100
    assert said[said.index("--region") + 1] == "us-east-1"


def test_only_migrations_get_the_owner_of_the_database(boot):
    done = boot("api")
    assert done.left("run/anb/owner.env") == "DB_OWNER_PASSWORD=o\n"
    (migrate,), (serve,) = done.asked("docker run .* migrate$"), done.asked("docker run .* serve$")
    assert "--env-file /run/anb/owner.env" in migrate and "owner.env" not in serve


@pytest.mark.parametrize("role", ROLES)
def test_unreadable_secret_starts_nothing(boot, role):
    done = boot(role, broken="^aws secretsmanager .*-Login")
    assert done.code != 0 and not done.asked("^docker run ")


def test_unresponsive_worker_is_reported_in_its_fifth_minute(boot):
    done = boot("worker")
    watchdog = done.left("opt/anb/watchdog")
    for _ in range(4):
        done.run(watchdog, "us-east-1", INSTANCE, broken="^curl .*/health")
    assert not done.asked("set-instance-health")
    done.run(watchdog, "us-east-1", INSTANCE)
    for _ in range(5):
        assert not done.asked("set-instance-health")
        done.run(watchdog, "us-east-1", INSTANCE, broken="^curl .*/health")
    (said,) = done.asked("set-instance-health")
    assert f"--instance-id {INSTANCE} --health-status Unhealthy" in said
