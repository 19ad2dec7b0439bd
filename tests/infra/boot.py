"""Runs the boot script of an instance in its own file system, with stubs that record their calls. Each stub is a few
lines of bash; `broken` makes some of them fail."""

import hashlib
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

INSTANCE = "i-0123456789abcdef0"
ARTIFACT = b"the image of the program"

# Folders that the script may write to; the rest of the machine stays unchanged.
FOLDERS = ("etc", "opt", "run", "var/tmp")

# `$*` are the arguments of a call. Calls that match `$broken` fail before this code runs.
STUBS = {
    "aws": """
        case "$*" in
            s3*) cp "$artifacts/$(basename "$4")" "$5" ;;
            secretsmanager*-Login*) echo '{"DB_USER":"anb_1","DB_PASSWORD":"p#$ s"}' ;;
            secretsmanager*-Secret*) echo '{"DB_OWNER_PASSWORD":"o","JWT_SECRET":"j"}' ;;
        esac""",
    "cfn-signal": "",
    "curl": """
        case "$*" in
            *api/token*) echo TOKEN ;;
            *instance-id*) echo INSTANCE ;;
            *-o\\ /etc/anb*) echo authorities >/etc/anb/rds-ca.pem ;;
            */health) [[ -e /run/up ]] ;;
        esac""",
    "dnf": "",
    "docker": 'if [[ $1 == load ]]; then cat >"$artifacts/loaded"; fi',
    "sleep": "",
    # Starts a unit like systemd: first its ExecStartPre commands, then the program.
    "systemctl": """
        if [[ $* != *"start --no-block anb" ]]; then exit; fi
        while IFS='=' read -r key line; do
            line=${line/\\/usr\\/bin\\//}
            case $key in
                ExecStartPre) bash -c "${line#-}" || [[ $line == -* ]] || exit 0 ;;
                ExecStart) bash -c "$line" && touch /run/up ;;
            esac
        done </etc/systemd/system/anb.service""",
    "zstd": 'cat "${@: -1}"',
}


@dataclass
class Boot:
    """A run of the script: its exit code, the calls of its stubs, and its files."""

    root: Path
    code: int = 0
    output: str = ""
    calls: list = field(default_factory=list)

    def asked(self, pattern):
        return [call for call in self.calls if re.search(pattern, call)]

    def signals(self):
        """Returns exit code and reason of each signal to the stack."""
        words = [shlex.split(call) for call in self.asked("^cfn-signal ")]
        return [(int(each[each.index("--exit-code") + 1]), each[each.index("--reason") + 1]) for each in words]

    def left(self, path):
        return (self.root / path).read_text()

    def loaded(self):
        loaded = self.root / "artifacts/loaded"
        return loaded.read_bytes() if loaded.exists() else None

    def run(self, script, *arguments, broken=""):
        """Runs a script and adds its calls. Calls that match `broken` fail."""
        stubs = self.root / "stubs"
        for name, body in STUBS.items():
            folder = self.root / "opt/aws/bin" if name == "cfn-signal" else stubs
            folder.mkdir(parents=True, exist_ok=True)
            stub = folder / name
            stub.write_text(f"""#!/bin/bash
                artifacts={self.root}/artifacts
                printf '%s\\n' "{name}$(printf ' %q' "$@")" >>"{self.root}/calls"
                broken={shlex.quote(broken)}
                if [[ -n $broken && "{name} $*" =~ $broken ]]; then exit 1; fi
                {body.replace('INSTANCE', INSTANCE)}
            """)
            stub.chmod(0o755)
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
        (self.root / "script").write_text(script)
        mounts = " && ".join(f"mount --bind {self.root}/{folder} /{folder}" for folder in FOLDERS)
        inside = f"{mounts} && exec bash {self.root}/script {shlex.join(arguments)}"
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", inside], text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
            env={"PATH": f"{stubs}{os.pathsep}/usr/sbin:/usr/bin:/sbin:/bin"})
        self.code, self.output = done.returncode, done.stdout
        calls = self.root / "calls"
        self.calls = calls.read_text().splitlines() if calls.exists() else []
        return self


def machine(root, checksum=None):
    """Returns a machine with an artifact in its bucket."""
    artifacts = root / "artifacts"
    artifacts.mkdir()
    (artifacts / "anb-image.tar.zst").write_bytes(ARTIFACT)
    checksum = checksum or hashlib.sha256(ARTIFACT).hexdigest()
    (artifacts / "anb-image.tar.zst.sha256").write_text(f"{checksum}  anb-image.tar.zst\n")
    return Boot(root)
