# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systemd unit of a front: a program of its own, with an account of its own, confined; its start; its next key."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils import unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

CHECK = ("/usr/sbin/nginx", "-t", "-q", "-e", "stderr", "-g", "pid /dev/null;", "-c")
"""nginx's own checker; the file to check follows."""

SERVICE = """\
# Kept by radiology.hardening (role {role}).
[Unit]
Description={description}
Wants=network-online.target
After={after}
StartLimitIntervalSec=0

[Service]
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
KillSignal=SIGQUIT
TimeoutStopSec=5
Restart=always
RestartSec=2
User={name}
Group={name}
RuntimeDirectory={name}
RuntimeDirectoryMode=0700
UMask=0077
MemoryMax={memory_mib}M
{capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


SECONDS = 20
"""How long nginx may take to change over from its former files to the present ones."""

NGINX = "/usr/sbin/nginx -e stderr -c /etc/{name}/nginx.conf -g 'daemon off; pid /run/{name}/nginx.pid;'"


def account(role: str, name: str, description: str) -> str:
    """Return the sysusers.d(5) file of the front's account."""
    return f'# Kept by radiology.hardening (role {role}).\nu {name} - "{description}" - /usr/sbin/nologin\n'


def service(
    role: str,
    name: str,
    description: str,
    *,
    memory_mib: int,
    after: Sequence[str] = (),
    low_port: bool = False,
    start: str = NGINX,
) -> str:
    """Return the unit; `low_port` lets it listen below 1024, `memory_mib` bounds it in MiB, `start` is its program."""
    low = "AmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE"
    return SERVICE.format(
        role=role,
        name=name,
        start=start.format(name=name),
        description=description,
        after=" ".join(("network-online.target", *after)),
        memory_mib=memory_mib,
        capabilities=low if low_port else "CapabilityBoundingSet=",
    )


def start(host: Host, unit: str, *, restart: bool) -> None:
    """Start the front, or have it read its files anew and wait until no worker listens as the former ones said.

    systemd's reload only sends the signal. nginx keeps what it has where it cannot change over in place, as from one
    key of a limit to another: then, after SECONDS, it is started anew.
    """
    host.enable(unit)
    former = _workers(host, unit)
    host.must(["systemctl", "restart" if restart else "reload-or-restart", unit])
    deadline = time.monotonic() + SECONDS
    while any(_listens(host, worker) for worker in former):
        if time.monotonic() > deadline:
            host.must(["systemctl", "restart", unit])
            return
        time.sleep(0.05)


def _workers(host: Host, unit: str) -> list[str]:
    master = unit_state.properties(host, unit).get("MainPID", "0")
    return (host.text(f"/proc/{master}/task/{master}/children") or "").split()


def _listens(host: Host, worker: str) -> bool:
    title = host.text(f"/proc/{worker}/cmdline") or ""
    return "nginx: worker process" in title and "shutting down" not in title


def next_key(host: Host, certificate: str, key: str, waiting: str) -> dict[str, str]:
    """Return the key that waits as what `key` is to say, where the certificate (PEM) was made for it."""
    text = host.text(waiting)
    if text is None:
        return {}
    theirs = host.must(["openssl", "x509", "-noout", "-pubkey"], stdin=certificate)
    ours = host.run(["openssl", "pkey", "-in", waiting, "-pubout"])
    return {key: text} if ours.ok and ours.output == theirs else {}
