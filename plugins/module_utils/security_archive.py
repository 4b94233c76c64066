# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether apt takes packages from the security archive of the release that runs, and puts no other source before it.

Without it every renewal of the index and every installation succeeds, and no correction ever comes: after a release was
exchanged without its sources, where a site's mirror has the main archive alone, or where a pin or APT::Default-Release
prefers what was released once (apt_preferences(5); release notes of Debian 11, 5.1.2).
"""

from __future__ import annotations

import re

from ansible_collections.radiology.hardening.plugins.module_utils import packages
from ansible_collections.radiology.hardening.plugins.module_utils.host import WITH_OWN_MOUNTS, Host

LISTS = "/var/lib/apt/lists"
CACHES = "/var/cache/apt"
CACHE = f"{CACHES}/pkgcache.bin"
"""What apt has read of its indexes; making it anew takes half a second of CPU (apt.conf(5), Dir::Cache::pkgcache)."""
ASK_CACHE = (*WITH_OWN_MOUNTS, f"mount --bind -o ro {CACHES} {CACHES} && exec apt-cache policy")
"""apt's own view of its sources and their priorities; a cache that is older than them it cannot write."""
ASK = ("apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy")
"""The same without a cache."""
SOURCE = re.compile(r"(?m)^ *(-?\d+) (\S+) .*\n +release (\S.*)$")
INSTALLED = 100
"""The priority of what is installed: what is offered below it replaces nothing."""


def unsourced(host: Host, codename: str) -> list[str]:
    """Return why no correction of this release reaches the host; nothing of one that never renewed its index."""
    if not codename or not _renewed(host):
        return []
    sources = [(int(priority), site, _words(told)) for priority, site, told in SOURCE.findall(_policy(host))]
    main = [(priority, site, words) for priority, site, words in sources if words.get("c", "main") == "main"]
    fixes = [source for source in main if source[2].get("n") == f"{codename}-security"]
    if not fixes:
        known = ", ".join(dict.fromkeys(words["n"] for _priority, _site, words in main if words.get("n")))
        return [f"apt has no index of {codename}-security, only of {known or 'nothing'}"]
    priority, site, fix = max(fixes, key=lambda source: source[0])
    # Of the same publisher: a database's maker has corrections of its own.
    of_release = [own for own, _site, words in main if words.get("n") == codename and words.get("o") == fix.get("o")]
    least = max([INSTALLED, *of_release])
    return [f"{site} {codename}-security has priority {priority}, below {least}"] if priority < least else []


def advise(found: list[str]) -> str:
    """Return what a person does about it; which mirror a site takes its packages from is theirs to say."""
    return (
        f"no correction of a flaw reaches this host, whatever is installed every day ({', '.join(found)}): have the "
        "security archive of its release, as `deb http://security.debian.org/debian-security RELEASE-security main` or "
        "from a mirror, in /etc/apt/sources.list, take out pins (/etc/apt/preferences.d) and APT::Default-Release that "
        "put another source before it, and run `apt-get update`; `apt-cache policy` shows what is in force"
    )


def _policy(host: Host) -> str:
    """Return what apt tells of its sources, with nothing written beside."""
    if host.stat(CACHE) is not None and (asked := host.run(ASK_CACHE)).ok:
        return asked.output
    return host.run(ASK).output


def _renewed(host: Host) -> bool:
    """Tell whether there is an index at all: a host that never had one is told as one without updates."""
    indexes = (name for name in host.list(LISTS) if name.endswith(("_InRelease", "_Release")))
    return host.stat(packages.STAMP) is not None or any(indexes)


def _words(told: str) -> dict[str, str]:
    """Return the words of a source by their letters: n its codename, c its component."""
    return {letter: value for letter, _equals, value in (part.partition("=") for part in told.split(","))}
