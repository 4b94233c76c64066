# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cryptsetup of a Debian release, taken out of its packages and run with its own libraries."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RELEASES = ("bookworm", "trixie")


def cryptsetup(release: str) -> tuple[str, ...]:
    """Return how the release's cryptsetup is called; its packages are fetched once into build/powercut."""
    tree = REPOSITORY / "build" / "powercut" / release
    program = tree / "usr" / "sbin" / "cryptsetup"
    tree.parent.mkdir(parents=True, exist_ok=True)
    # Two stages of the tests may want it at once: the second waits for what the first fetches.
    with tree.with_suffix(".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (tree / "whole").exists():
            _fetch(release, tree)
    if not program.exists():
        program = tree / "sbin" / "cryptsetup"
    loader = next(path for path in tree.glob("**/ld-linux-x86-64.so.2") if path.is_file())
    folders = sorted({str(path.parent) for path in tree.glob("**/*.so*") if "x86_64-linux-gnu" in str(path.parent)})
    return (str(loader), "--library-path", ":".join(folders), str(program))


def _fetch(release: str, tree: Path) -> None:
    """Take the packages into the folder, and mark it once it is whole."""
    subprocess.run(("rm", "-rf", str(tree)), check=True)
    command = ("mmdebstrap", "--quiet", "--variant=extract", "--include=cryptsetup-bin,libc6", release, str(tree))
    subprocess.run(command, check=True)
    (tree / "whole").write_text("", encoding="utf-8")
