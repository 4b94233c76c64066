# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab asks of the machine: root's commands, podman on any kind of cgroups, network namespaces."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

UNIFIED = """
mount --make-rprivate /sys
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec "$@"
"""
"""Shows podman cgroup v2 alone, in a mount namespace of its own, on a machine whose cgroups are hybrid."""

CONTAINERS_CONF = """[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=10000:10000"]
pids_limit = 0
seccomp_profile = "unconfined"
"""
"""Limits below those of any machine, so that they need not be raised."""


def cache() -> Path:
    """Return the folder where images and running labs are kept."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "radiology-hardening"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one process at a time do what labs share: images, settings. Ends with the process, even a killed one."""
    with (cache() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def root(*command: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as root and return what it answered; its errors are shown when it has to succeed."""
    whole = [*(() if os.geteuid() == 0 else ("sudo", "--")), *command]
    done = subprocess.run(whole, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"lab: `{' '.join(command)[:300]}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done


@functools.cache
def podman_command() -> tuple[str, ...]:
    """Return the words that begin every call of podman."""
    conf = cache() / "containers.conf"
    if not conf.is_file() or conf.read_text(encoding="utf-8") != CONTAINERS_CONF:
        # Other labs may be reading it, and writing it, in other processes and threads: it is replaced whole.
        fresh = conf.with_name(f"{conf.name}.{os.getpid()}.{threading.get_ident()}")
        fresh.write_text(CONTAINERS_CONF, encoding="utf-8")
        fresh.replace(conf)
    storage = cache() / "containers"
    call = ("env", f"CONTAINERS_CONF={conf}", "podman", f"--root={storage}", "--runroot=/run/radiology-hardening")
    kind = subprocess.run(["stat", "-fc", "%T", "/sys/fs/cgroup"], capture_output=True, text=True, check=True)
    if kind.stdout.strip() == "cgroup2fs":
        return call
    return ("unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", UNIFIED, "sh", *call)


def podman(*arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Call podman with storage of the lab's own, so that no other container is touched."""
    return root(*podman_command(), *arguments, check=check, stdin=stdin)


def share_namespaces() -> None:
    """Make /run/netns a shared mount, so that namespaces outlive the calls that make them."""
    if root("findmnt", "-n", "/run/netns", check=False).returncode:
        root("mkdir", "-p", "/run/netns")
        root("mount", "--bind", "/run/netns", "/run/netns")
        root("mount", "--make-shared", "/run/netns")
