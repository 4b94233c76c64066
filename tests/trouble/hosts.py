# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Troubles of a host, its disk, its clock, its files and its network, from the run's first task or in its midst."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import machine
import network
from case import Case, said
from place import Place, Run
from topology import TOPOLOGY

FULL = """
mkdir -p /run/full /var/lib/radiology-hardening
mount -t tmpfs -o size=64M,mode=755 full /run/full
cp -a /etc /run/full/etc
cp -a /var/lib/radiology-hardening /run/full/kept
mount --bind /run/full/etc /etc
mount --bind /run/full/kept /var/lib/radiology-hardening
dd if=/dev/zero of=/run/full/ballast bs=4k status=none || true
"""
READ_ONLY = """
mkdir -p /var/lib/radiology-hardening
for folder in /etc /var/lib/radiology-hardening; do
  mount --bind $folder $folder
  mount -o remount,bind,ro $folder
done
"""
NO_INDEX = """
touch -d '3 days ago' /var/lib/apt/periodic/update-success-stamp
mv /var/cache/apt/archives /var/cache/apt/elsewhere
mkdir -p /var/cache/apt/archives/partial
"""
INDEX = """
rm -rf /var/cache/apt/archives
mv /var/cache/apt/elsewhere /var/cache/apt/archives
touch /var/lib/apt/periodic/update-success-stamp
"""
HANGING = """
mv /usr/sbin/Orthanc /usr/sbin/Orthanc.whole
cat >/usr/sbin/Orthanc <<'SCRIPT'
#!/bin/sh
case "$*" in */hardened*) exec sleep infinity ;; esac
exec /usr/sbin/Orthanc.whole "$@"
SCRIPT
chmod 755 /usr/sbin/Orthanc
"""
PYTHONS = "/usr/lib/python3/dist-packages"
OTHER_CLOCK = f"""
cat >{PYTHONS}/other_clock.py <<'PYTHON'
import time
real = time.time
time.time = lambda: real() + {{days}} * 86400
PYTHON
echo import other_clock >{PYTHONS}/other_clock.pth
python3 -c 'import sys; sys.exit("other_clock" not in sys.modules)'
"""
"""The clock as Python tells it; a container has none of its own. Debian's Pythons have a sitecustomize already."""
FOREIGN_KEY = """
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null >/root/foreign.key
cat /root/foreign.key >{path}
"""
BY_HAND = """
python3 - <<'PYTHON'
import json
path = "/etc/orthanc/hardened/orthanc.json"
told = json.load(open(path))
told.update(RemoteAccessAllowed=True, AuthenticationEnabled=False, DicomAlwaysAllowStore=True)
json.dump(told, open(path, "w"))
PYTHON
echo '{"Name": "by hand"}' >/etc/orthanc/hardened/mine.json
"""
BY_HAND_MIDWAY = """
sed -i -E 's/^( *"RemoteAccessAllowed" *:) *[a-z]+/\\1 true/' /etc/orthanc/orthanc.json
grep -q '"RemoteAccessAllowed" *: *true' /etc/orthanc/orthanc.json
echo '{"AuthenticationEnabled": false}' >/etc/orthanc/mine.json
"""
"""The practice's own file has comments, which JSON has not."""
OTHER_TYPE = """
cp -a /etc/orthanc/orthanc.json /root/whole.json
sed -i -E 's/^( *"HttpPort" *:) *([0-9]+)/\\1 "\\2"/' /etc/orthanc/orthanc.json
grep -q '"HttpPort" *: *"' /etc/orthanc/orthanc.json
"""
BROKEN = "cp -a {path} /root/whole.json; printf '{{ \"Name\" : ' >{path}"


def cases() -> Iterator[Case]:
    """Yield every case."""
    yield Case("unreachable", _unreachable, _reachable)
    yield Case("index-unreachable", _before(NO_INDEX), _script(INDEX), "cannot be installed: .*index cannot be renewed")
    yield Case("disk-full", _before(FULL), _script("rm /run/full/ballast"), "No space left on device")
    yield Case("disk-read-only", _before(READ_ONLY), _writable, "(?i)read-only file system")
    for role in ("orthanc", "dicom_tls", "authentication"):
        yield Case(
            f"disk-full-at-{role}",
            _midway(FULL, role),
            _script("rm /run/full/ballast"),
            "No space left on device",
        )
        yield Case(
            f"disk-read-only-at-{role}",
            _midway(READ_ONLY, role),
            _writable,
            "(?i)read-only file system",
        )
    yield Case(
        "orthanc-hangs",
        _before(HANGING),
        _script("mv /usr/sbin/Orthanc.whole /usr/sbin/Orthanc"),
        "Orthanc does not start.*former configuration is back",
    )
    for days, words in ((365, "365 days ahead"), (-365, "365 days behind")):
        for hardened in (False, True):
            yield Case(
                f"clock{days:+}{'-hardened' * hardened}",
                _before(OTHER_CLOCK.format(days=days)),
                _script(f"rm {PYTHONS}/other_clock.py {PYTHONS}/other_clock.pth"),
                words,
                on_hardened=hardened,
            )
    yield Case(
        "edited-by-hand-broken",
        _before(BROKEN.format(path="/etc/orthanc/orthanc.json")),
        _script("cp -a /root/whole.json /etc/orthanc/orthanc.json"),
        "/etc/orthanc/orthanc.json",
    )
    yield Case(
        "edited-by-hand-broken-hardened",
        _before(BROKEN.format(path="/etc/orthanc/hardened/orthanc.json")),
        _script("cp -a /root/whole.json /etc/orthanc/hardened/orthanc.json"),
        "/etc/orthanc/hardened/orthanc.json",
        on_hardened=True,
    )
    yield Case(
        "edited-by-hand-type",
        _before(OTHER_TYPE),
        _script("cp -a /root/whole.json /etc/orthanc/orthanc.json"),
        "/etc/orthanc/orthanc.json: HttpPort has to be a port",
    )
    yield Case("edited-by-hand", _before(BY_HAND), tells="RemoteAccessAllowed", on_hardened=True)
    yield Case("edited-by-hand-midway", _midway(BY_HAND_MIDWAY, "orthanc"), tells="RemoteAccessAllowed")
    for front in ("dicom-front", "orthanc-web"):
        yield Case(
            f"key-without-certificate-{front}",
            _before(FOREIGN_KEY.format(path=f"/etc/{front}/server.key")),
            tells="front's key, which stays here, and the request for its certificate",
            on_hardened=True,
        )
    yield Case("certificate-of-another-key", _other_certificate, tells="Sign the certificate", on_hardened=True)
    yield Case("two-runs", _two_runs, tells="Close the firewall")
    yield Case("two-runs-hardened", _two_runs, tells="RECAP", on_hardened=True)


def _before(script: str) -> Callable[[Place, random.Random], Run]:
    """Bring a trouble about by a script on the host, then run."""

    def bring(place: Place, chance: random.Random) -> Run:
        place.shell(script)
        return place.harden().end()

    return bring


def _midway(script: str, role: str) -> Callable[[Place, random.Random], Run]:
    """Run, and bring the trouble about as soon as a role is at work."""

    def bring(place: Place, chance: random.Random) -> Run:
        run = place.harden()
        run.reach_role(role)
        place.shell(script)
        return run.end()

    return bring


def _script(script: str) -> Callable[[Place], None]:
    """End a trouble by a script on the host."""

    def end(place: Place) -> None:
        place.shell(script)

    return end


def _writable(place: Place) -> None:
    place.shell("umount --lazy /etc /var/lib/radiology-hardening")


def _route(place: Place, act: str) -> None:
    """Add or delete, at the engineer's station, a route that leads to the host no more."""
    station = network.namespace(place.lab.name, network.ADMIN)
    address = TOPOLOGY.hosts[place.host].plain(f"admin{place.number}")[0]
    machine.root("ip", "-netns", station, "route", act, "blackhole", f"{address}/32")


def _unreachable(place: Place, chance: random.Random) -> Run:
    """Cut the engineer off the host: the run says that it is unreachable, and its audit that it was not audited."""
    _route(place, "add")
    run = place.harden().end()
    audit = Run(place, "playbooks/audit.yml", "-e", f"report_directory={place.folder / 'report'}").end()
    told = "".join(path.read_text(encoding="utf-8") for path in (place.folder / "report").rglob("*.json"))
    if "UNREACHABLE!" not in run.output or audit.status == 0 or f'"pacs.{place.clinic}"' not in told:
        raise SystemExit(f"the audit's status is {audit.status}, and the unreachable host is missing: {told[:500]}")
    if "not_audited" not in told:
        raise SystemExit(f"the report does not say that the host was not audited: {told[:500]}")
    return run


def _reachable(place: Place) -> None:
    _route(place, "delete")


def _other_certificate(place: Place, chance: random.Random) -> Run:
    """Put a device's certificate where the host's own should lie on the controller."""
    folder = place.directory / "certificates"
    (folder / "pacs.crt").write_text((folder / "ct.crt").read_text(encoding="utf-8"), encoding="utf-8")
    return place.harden().end()


def _two_runs(place: Place, chance: random.Random) -> Run:
    """Let two engineers harden the same clinic, the second a moment after the first."""
    first = place.harden()
    first.rest(chance.random() * 3)
    second = place.harden().end()
    first.end()
    if first.status or second.status:
        raise SystemExit(f"of two runs the first said: {said(first)}; the second: {said(second)}")
    return second if "Close the firewall" in second.output else first
