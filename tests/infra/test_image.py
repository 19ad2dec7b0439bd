"""Tests the image as the instances run it. Skipped without an engine or before `make image`."""

import json
import re
import subprocess
import uuid

import pytest

from stacks import ROOT

VERSION = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
IMAGE = f"docker.io/library/anb:{VERSION}"
# The limits of the unit in the user data, without its log options.
LIMITS = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host")
MEBIBYTE = 1 << 20


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


ENGINE = command(ROOT / ".config/image", "engine").stdout.strip()
INSPECTED = command(ENGINE, "image", "inspect", IMAGE) if ENGINE else None

pytestmark = pytest.mark.skipif(
    not ENGINE or INSPECTED.returncode != 0,
    reason="THE IMAGE IS NOT TESTED: docker or podman does not run, or `make image` has not been run")


@pytest.fixture
def run():
    """Runs the program in a container as the instances do, with a new scratch volume."""
    name = f"anb-test-{uuid.uuid4().hex[:8]}"

    def run(*words, **settings):
        values = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
        return command(ENGINE, "run", "--rm", "--name", name, *LIMITS, "--volume", f"{name}:/var/lib/anb/scratch",
                       *values, *words)

    yield run
    command(ENGINE, "rm", "--force", name)
    command(ENGINE, "volume", "rm", name)


def config():
    (image,) = json.loads(INSPECTED.stdout)
    return image["Config"], image


def test_image_has_its_metadata():
    settings, _ = config()
    assert settings["Labels"]["org.opencontainers.image.version"] == VERSION
    assert settings["Labels"]["org.opencontainers.image.revision"]
    assert (settings["User"], settings["StopSignal"]) == ("10001", "SIGTERM")
    assert settings["Entrypoint"] == ["anb"]
    assert config_check()


def test_image_is_small():
    assert config()[1]["Size"] < 300 * MEBIBYTE
    archive = ROOT / "deployments" / VERSION / "anb-image.tar.zst"
    if archive.exists():
        assert archive.stat().st_size <= 60 * MEBIBYTE


def test_program_runs_and_prints_its_version(run):
    assert run(IMAGE, "--version").stdout.startswith(f"anb {VERSION}")


def test_only_the_scratch_folder_is_writable(run):
    script = "id -u; touch /var/lib/anb/scratch/x && echo scratch; touch /x /tmp/x /var/lib/anb/x 2>/dev/null || echo rest"
    assert run("--entrypoint", "bash", IMAGE, "-c", script).stdout.split() == ["10001", "scratch", "rest"]


def test_ffmpeg_has_the_used_components_and_no_network(run):
    said = run("--entrypoint", "bash", IMAGE, "-c", "ffmpeg -hide_banner -protocols; ffmpeg -hide_banner -decoders").stdout
    assert "http" not in said and "tcp" not in said
    codecs = re.search(r"CODECS: .*? = \[(.*?)\];", (ROOT / "src/media/input/rules.rs").read_text(), re.S)[1]
    for codec in re.findall(r'"(\w+)"', codecs):
        assert re.search(rf"\(codec {codec}\)| {codec} ", said), codec


def test_worker_checks_its_tools_before_it_connects(run):
    # It encodes its bumpers with the image's ffmpeg in the scratch folder; then the storage is unavailable.
    done = run(IMAGE, "work", DATABASE_URL="postgres://127.0.0.1:1/anb", STORAGE_TYPE="s3", S3_BUCKET_NAME="none",
               AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x")
    assert done.returncode == 1
    assert "anb: S3_BUCKET_NAME=none" in done.stderr, done.stderr


def test_health_check_succeeds_and_sigterm_stops_the_program():
    name = f"anb-test-{uuid.uuid4().hex[:8]}"
    port = 20_000 + uuid.uuid4().int % 20_000
    settings = {"DATABASE_URL": "postgres://127.0.0.1:1/anb", "REDIS_URL": "127.0.0.1:1",
                "METRICS_ADDR": f"127.0.0.1:{port}", "UPLOAD_PATH": "/var/lib/anb/scratch/u",
                "PROCESSED_PATH": "/var/lib/anb/scratch/p"}
    values = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
    command(ENGINE, "run", "--detach", "--name", name, *LIMITS, *values, IMAGE, "work")
    try:
        check = None
        for _ in range(200):
            healthy = command(ENGINE, "exec", name, "bash", "-c", config_check())
            check = healthy.returncode
            if check == 0:
                break
        assert check == 0, command(ENGINE, "logs", name)
        assert command(ENGINE, "stop", "--time", "30", name).returncode == 0
        assert command(ENGINE, "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"
    finally:
        command(ENGINE, "rm", "--force", "--volumes", name)


def config_check():
    """Returns the command of the health check."""
    settings, image = config()
    # Podman reports it outside the settings.
    test = (image.get("Healthcheck") or settings["Healthcheck"])["Test"]
    return test[-1]
