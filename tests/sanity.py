# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run ansible-test sanity on a copy of the tracked files, at the path that ansible-test insists on.

Usage: tests/sanity.py PREFIX, the virtual environment whose ansible-test is used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".cache" / "ansible-test"
BROKEN_ON_PURPOSE = "tests/unit/inventory/invalid/"
"""Clinic files that no YAML checker can like."""

BOOTSTRAP = """import ensurepip
import os
import subprocess
import sys

ensurepip.bootstrap()
authorities = "/etc/ssl/certs/ca-certificates.crt"
if os.path.exists(authorities):
    os.environ["PIP_CERT"] = authorities  # newer pip trusts what the machine trusts by itself; the bundled one does not
arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *arguments]))
"""
"""What ansible-test would download to put pip into its environments; Python's own ensurepip does as well."""


def main(prefix: Path) -> int:
    """Copy, run, and return what ansible-test returned."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "ansible_collections" / "radiology" / "hardening"
        for name in filter(None, answer.stdout.split("\0")):
            if (ROOT / name).is_file() and not name.startswith(BROKEN_ON_PURPOSE):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        subprocess.run(["git", "add", "-A"], cwd=copy, check=True)
        environment = {**os.environ, "HOME": str(HOME), "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}
        provide_pip(prefix)
        environment.pop("ANSIBLE_CONFIG", None)
        environment.pop("ANSIBLE_COLLECTIONS_PATH", None)
        command = ["ansible-test", "sanity", "--python", python, "--requirements", "--color", "no"]
        return subprocess.run(command, cwd=copy, env=environment, check=False).returncode


def provide_pip(prefix: Path) -> None:
    """Lay the bootstrap script where the installed ansible-test looks for it."""
    (source,) = prefix.glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py")
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"pip='([0-9.]+)'", source.read_text(encoding="utf-8")):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
