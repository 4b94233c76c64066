# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Packages that have to be there. A host that has them asks no package index, which may be out of reach.

What a killed run or a power cut left half installed is finished first; another program that installs is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils import kept
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

STAMP = "/var/lib/apt/periodic/update-success-stamp"
"""Touched by Debian's apt whenever the whole index was renewed."""
AGE = 86400
"""Seconds after which the index is renewed before something is installed from it."""
PATIENCE = 300
"""Seconds for which another program's installation is waited for."""
SECONDS = 1800
"""Seconds after which an installation counts as one that hangs."""

QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
KEEP = ("--force-confdef", "--force-confold")
"""dpkg(1): a configuration file that the site changed stays as it is."""
BUSY = ("is locked by another process", "Could not get lock", "Unable to acquire the dpkg frontend lock")
RENEW = (*QUIETLY, "apt-get", "-qq", "--error-on=any", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")


def missing(host: Host, names: Sequence[str]) -> list[str]:
    """Return which of these packages are not installed whole."""
    asked = host.run(["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *names])
    installed = {name for name, _space, status in map(_parted, asked.output.splitlines()) if status == "installed"}
    return [name for name in names if name not in installed]


def plan(host: Host, names: Sequence[str]) -> list[Step]:
    """Return the step that installs what is missing, or none."""
    lacking = missing(host, names)
    return [Step(f"Install {', '.join(lacking)}", lambda host: _install(host, lacking))] if lacking else []


def upgrade(names: Sequence[str]) -> Step:
    """Return the step that brings installed packages to the version that the archives offer."""
    return Step(f"Upgrade {', '.join(names)}", lambda host: _install(host, names, "--only-upgrade"))


def _install(host: Host, names: Sequence[str], *more: str) -> None:
    _must(host, [*QUIETLY, "dpkg", *KEEP, "--configure", "-a"], "What was half installed cannot be finished")
    stale = _renew(host)
    options = [word for option in KEEP for word in ("-o", f"Dpkg::Options::={option}")]
    kept.before_install(host)
    command = [*QUIETLY, "apt-get", "-qq", "--yes", "--no-install-recommends", *options, *more, "install", *names]
    _must(host, command, f"{', '.join(names)} cannot be installed", stale)
    kept.after_install(host)


def _renew(host: Host) -> str:
    """Renew an index that is older than a day; return why that failed, for an older one may do as well."""
    stamp = host.stat(STAMP)
    if stamp is not None and 0 <= time.time() - stamp.modified < AGE:
        return ""
    done = _patiently(host, [*RENEW, "update"])
    return "" if done.ok else f" The package index cannot be renewed either: {_first_words(done)}."


def _must(host: Host, command: Sequence[str], failed: str, more: str = "") -> None:
    done = _patiently(host, command)
    if not done.ok:
        raise HardeningError(f"{failed}: {_first_words(done)}.{more}")


def _patiently(host: Host, command: Sequence[str]) -> Result:
    """Run a command as soon as nobody else installs."""
    deadline = time.monotonic() + PATIENCE
    while True:
        done = host.run(command, timeout=SECONDS)
        if done.ok or time.monotonic() > deadline or not any(words in done.errors for words in BUSY):
            return done
        time.sleep(1)


def _first_words(done: Result) -> str:
    """Return the first error in apt's own words, in one line."""
    lines = [line.strip() for line in (done.errors or done.output).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "dpkg: error", "Err:"))] or lines
    return (errors or [f"exit status {done.status}"])[0].removeprefix("E:").strip().rstrip(".")[:300]


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(" ")
