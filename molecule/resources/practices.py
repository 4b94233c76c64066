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
cat >/etc/systemd/system/network-settings.service <<'UNIT'
[Unit]
Description=Network settings of the kernel that root may change, as on a machine of its own
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --bind /proc/sys/net /proc/sys/net
ExecStart=mount -o remount,bind,rw /proc/sys/net

[Install]
WantedBy=sysinit.target
UNIT
systemctl enable --quiet --now network-settings
mkdir -p /etc/systemd/system/systemd-timesyncd.service.d
cat >/etc/systemd/system/systemd-timesyncd.service.d/lab.conf <<'UNIT'
[Unit]
ConditionVirtualization=
[Service]
CapabilityBoundingSet=
AmbientCapabilities=
UNIT
"""
"""The kernel keeps what lies below /proc/sys/net for each network namespace, so a host changes its own alone. Of the
clock there is one for the machine and all its hosts: their time services ask and measure as on machines of their own,
and are not let change it."""

BOX = r"""
echo 'ListenAddress 127.0.0.1' >/etc/ssh/sshd_config.d/box.conf
systemctl restart ssh
cat >/usr/local/sbin/clock <<'CLOCK'
#!/usr/bin/python3
# Tells the time to whoever asks from the LAN, by NTP (RFC 5905): that of the machine, which all hosts share.
import socket, struct, time
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.bind(("{lan}", 123))
def now():
    return struct.pack("!Q", int((time.time() + 2208988800) * 2**32))
while True:
    asked, caller = port.recvfrom(512)
    begun = now()
    if len(asked) >= 48:
        head = struct.pack("!BBBbII4s", 0x24, 2, asked[2], -20, 0, 0, b"LOCL")
        port.sendto(head + begun + asked[40:48] + begun + now(), caller)
CLOCK
cat >/etc/systemd/system/clock.service <<'UNIT'
[Service]
ExecStart=python3 /usr/local/sbin/clock
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet --now clock
cat >/usr/local/sbin/upnp <<'UPNP'
#!/bin/bash
# The box's page about UPnP: upnp on | off | opened (lists the ports) | open PORT [ADDRESS] (what any program inside may
# ask for, to the server unless it names another machine).
set -euo pipefail
case $1 in
on)
  export DEBIAN_FRONTEND=noninteractive
  command -v miniupnpd >/dev/null || apt-get -qq install --no-download miniupnpd-nftables </dev/null &>/dev/null
  nft -f - <<'RULES'
table inet filter {{
  chain miniupnpd {{
  }}
  chain through {{ type filter hook forward priority 1; jump miniupnpd; }}
  chain prerouting_miniupnpd {{
  }}
  chain forwards {{ type nat hook prerouting priority -101; jump prerouting_miniupnpd; }}
  chain postrouting_miniupnpd {{
  }}
  chain out {{ type nat hook postrouting priority 99; jump postrouting_miniupnpd; }}
}}
RULES
  cat >/run/upnp.conf <<CONF
ext_ifname=internet
ext_ip=1.2.3.4
listening_ip=lan
port=5000
enable_upnp=yes
enable_natpmp=yes
secure_mode=no
uuid=5ba9d2f4-0000-4000-8000-00000000000{number}
allow 1-65535 0.0.0.0/0 1-65535
CONF
  systemd-run --quiet --unit=upnp miniupnpd -d -f /run/upnp.conf
  for _ in {{1..300}}; do curl -so /dev/null {lan}:5000/rootDesc.xml && exit; sleep 0.1; done
  exit 1 ;;
off)
  systemctl stop upnp
  nft delete table inet filter ;;
open)
  service=urn:schemas-upnp-org:service:WANIPConnection:1
  curl -sfo /dev/null {lan}:5000/ctl/IPConn -H "SOAPAction: \"$service#AddPortMapping\"" -d "<?xml version=\"1.0\"?>
    <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><u:AddPortMapping xmlns:u=\"$service\">
    <NewRemoteHost></NewRemoteHost><NewExternalPort>$2</NewExternalPort><NewProtocol>TCP</NewProtocol>
    <NewInternalPort>$2</NewInternalPort><NewInternalClient>${{3:-{pacs}}}</NewInternalClient><NewEnabled>1</NewEnabled>
    <NewPortMappingDescription>Viewer</NewPortMappingDescription><NewLeaseDuration>3600</NewLeaseDuration>
    </u:AddPortMapping></s:Body></s:Envelope>" ;;
opened)
  nft list chain inet filter prerouting_miniupnpd | grep dnat ;;
esac
UPNP
chmod 755 /usr/local/sbin/upnp
"""
"""A box is administered from its own console; it shows nothing of itself to the internet, and UPnP is off at first. It
tells the time to its LAN.

It is miniupnpd, as in many a box, which lets any machine open ports to any other. miniupnpd refuses to announce an
address of documentation, so it is told another, which nobody here calls.
"""

WORKSTATION = """
dpkg --purge orthanc-dicomweb orthanc >/dev/null 2>&1
export DEBIAN_FRONTEND=noninteractive
apt-get -qq install --no-download --no-install-recommends avahi-daemon dconf-gsettings-backend \
  gsettings-desktop-schemas libglib2.0-bin rpcbind udev </dev/null >/dev/null 2>&1
"""
"""The lab's image is a server's; where images are read, Orthanc was never installed, but what desktops come with."""

GATE = """
dpkg --purge orthanc-dicomweb orthanc >/dev/null 2>&1
"""
"""A gateway never had Orthanc, which the lab's image brings."""

MODALITY = """
echo 'ListenAddress 0.0.0.0' >/etc/ssh/sshd_config.d/modality.conf
systemctl restart ssh
"""
"""SSH is the lab's own way in, from the LAN; a modality shows none of its own to the internet, which comes by IPv6."""

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
    own = {"pacs": _orthanc, "box": _box, "ws": lambda _host: WORKSTATION, "gate": lambda _host: GATE}
    own |= dict.fromkeys(("ct", "us", "old"), lambda _host: MODALITY)
    return script + own.get(host.kind, lambda _host: "")(host)


def _box(host: Host) -> str:
    number = TOPOLOGY.clinics[str(host.clinic)]
    lan = f"lan{number}"
    return BOX.format(number=number, lan=host.plain(lan)[0], pacs=TOPOLOGY.hosts[f"pacs-{number}"].plain(lan)[0])


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
