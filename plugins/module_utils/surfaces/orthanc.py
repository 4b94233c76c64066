# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc itself: the meaning of its configuration, its confinement, and whether it runs with both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    orthanc_configuration,
    orthanc_flaws,
    orthanc_service,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

NAME = "orthanc"
FACTS: dict[str, str] = {
    "installed": "bool: the server is on the host",
    "version": "str: upstream's version, as 1.12.7",
    "package_version": "str: Debian's version; empty when it is not installed from a package",
    "configuration_path": "str: the file or folder that the unit tells Orthanc to read",
    "unreadable_configuration": "str: what is wrong with a file that Orthanc could not read; empty when all is well",
    "taken_over": "bool: the unit reads the file that this collection writes",
    "config.*": "any: the effective value of a top-level key, the version's default where it is absent; no secrets",
    "registered_users": "dict: login to SHA-256 of login:password",
    "duplicate_keys": "list of str: keys that stand in two files, which stops the server",
    "unknown_keys": "list of str: keys that the installed version ignores in silence",
    "stray_files": "list of str: files beside ours in our folder",
    "service.active": "bool: the unit runs",
    "service.enabled": "bool: the unit starts with the machine",
    "service.answers": "bool: GET /system on loopback gives 200 or 401",
    "service.older_than_configuration": "bool: the process began before a file that it reads last changed",
    "service.user": "str: the account that it runs as",
    "service.Restart": "str: systemd's Restart=",
    "service.environment": "list of str: NAME=value",
    **{f"sandbox.{name}": "str: systemd's property in force" for name in orthanc_service.SANDBOX},
    "memory_maximum_mib": "int: systemd's MemoryMax in MiB; 0 where there is no bound",
    "uncontained_flaws": "list of str: published flaws of this version that nothing on the host contains",
    "sandbox_file": "str: SHA-256 of the drop-in that confines the service; null: none",
}

SANDBOX_DROP_IN = f"{orthanc_service.DROP_INS}/zz-radiology-sandbox.conf"
KEPT_OFF = {"SslEnabled": False}
"""Debian's Orthanc crashes at the first HTTPS request (1.10.1, 1.12.7); the web front in front of it speaks TLS."""

SANDBOX_TEXT = """\
# Written by radiology.hardening. TCP_NODELAY is read by DCMTK: each image is acknowledged at once.
[Unit]
RequiresMountsFor={storage}
StartLimitIntervalSec=0

[Service]
User={user}
Group={user}
Environment=TCP_NODELAY=1
Restart={restart}
RestartSec=2
MemoryMax={memory}M
{sandbox}
ReadWritePaths={storage} /var/log/orthanc
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; `scope` is not needed, so that other surfaces can look at Orthanc too."""
    found = orthanc_configuration.observe(host)
    return {
        **found,
        "uncontained_flaws": orthanc_flaws.uncontained(found) if found["installed"] else [],
        "sandbox_file": host.digest(SANDBOX_DROP_IN),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return one step at the most: all settings and the sandbox change with a single restart."""
    settings = {
        **expectation.dictated(wanted, "orthanc.config"),
        **KEPT_OFF,
        "DicomAet": scope["ae_title"],
        "Name": scope["name"],
    }
    if scope.get("front_follows") and facts["orthanc"]["config"].get("RemoteAccessAllowed"):
        settings["RemoteAccessAllowed"] = True  # the role authentication closes it as soon as the front stands
    text = sandbox(facts["orthanc"], wanted, scope)
    drop_in = {SANDBOX_DROP_IN: (text, 0o644, "root", "root")}
    drifted = facts["orthanc"]["sandbox_file"] != orthanc_configuration.digest(text)
    unmet = [name for name in expectation.unmet(facts, wanted) if name.startswith("orthanc.")]
    because = f"keep {', '.join(unmet)}" if unmet else "keep it confined" if drifted else "hold what is declared"
    return orthanc_configuration.configure(facts, settings, because, drop_in, anyway=drifted or bool(unmet))


def sandbox(found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> str:
    """Return the drop-in that confines the service to its storage and its log."""
    config = found["config"]
    folders = {str(config.get(key, "")) for key in ("StorageDirectory", "IndexDirectory")} - {""}
    storage = " ".join(sorted(folders)) or "/var/lib/orthanc"
    properties = {**orthanc_service.SANDBOX, **expectation.dictated(wanted, "orthanc.sandbox")}
    service = expectation.dictated(wanted, "orthanc.service")
    return SANDBOX_TEXT.format(
        user=service.get("user", "orthanc"),
        storage=storage,
        restart=service.get("Restart", "always"),
        memory=scope["memory_maximum_mib"],
        sandbox="\n".join(f"{name}={value}" for name, value in properties.items()),
    )
