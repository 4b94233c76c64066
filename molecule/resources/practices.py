# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state in which the two fined practices left their hosts, as shell scripts for the hosts themselves."""

from __future__ import annotations

from topology import TOPOLOGY, Host

AE_TITLES = {"dmz-practice": "LUMIERE", "forwarded-practice": "HARMONIE"}
PREFIXES = {"dmz-practice": "LUM", "forwarded-practice": "HAR"}

ENGINEER = """
printf '%s\\n' '127.0.0.1 localhost' '127.0.1.1 {name}' '::1 localhost ip6-localhost ip6-loopback' >/etc/hosts
: >/etc/resolv.conf
umask 077
cat >/home/engineer/.ssh/authorized_keys <<'KEY'
{key}KEY
chown engineer:engineer /home/engineer/.ssh/authorized_keys
mkdir -p /var/lib/apt/periodic
touch /var/lib/apt/periodic/update-success-stamp
"""

BOX = """
echo 'ListenAddress 127.0.0.1' >/etc/ssh/sshd_config.d/box.conf
systemctl restart ssh
"""
"""A box is administered from its own console; it shows nothing of itself to the internet."""

EDIT = r"""
python3 - <<'EDIT'
import re
path = "/etc/orthanc/orthanc.json"
text = open(path).read()
for key, value in {settings}.items():
    text, count = re.subn(r'("%s"\s*:\s*)[^,\n]+' % key, lambda found: found[1] + value, text)
    assert count == 1, key
text = re.sub(r'("DicomModalities"\s*:\s*\{{)', lambda found: found[1] + "\n" + {modalities!r}, text, count=1)
open(path, "w").write(text)
EDIT
systemctl enable --quiet --now orthanc
"""


def settle(host: Host, key: str) -> str:
    """Return the script that lets the engineer in with this public key and leaves the host as the practice did."""
    script = ENGINEER.format(key=key, name=host.name)
    return script + (_orthanc(host) if host.kind == "pacs" else BOX if host.kind == "box" else "")


def _orthanc(host: Host) -> str:
    """Return what an untrained person changes until it works: everything may come from everywhere, in clear."""
    clinic = str(host.clinic)
    number = TOPOLOGY.clinics[clinic]
    settings = {
        "DicomAet": f'"{AE_TITLES[clinic]}"',
        "DicomAlwaysAllowFind": "true",
        "DicomAlwaysAllowGet": "true",
        "DicomAlwaysAllowMove": "true",
    }
    if clinic == "forwarded-practice":
        settings["RemoteAccessAllowed"] = "true"
    peers = {"ws1": ("WS1", f"ws-{number}"), "ct1": ("CT1", f"ct-{number}")}
    modalities = ",".join(
        f'"{name}" : ["{PREFIXES[clinic]}_{title}", "{TOPOLOGY.hosts[other].plain(f"lan{number}")[0]}", 11112]'
        for name, (title, other) in peers.items()
    )
    return EDIT.format(settings=settings, modalities=modalities)
