# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc itself: the meaning of its configuration, its confinement, and whether it runs with both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    orthanc_account,
    orthanc_configuration,
    orthanc_database,
    orthanc_files,
    orthanc_flaws,
    orthanc_peers,
    orthanc_plugins,
    orthanc_routes,
    orthanc_scripts,
    orthanc_service,
    orthanc_storage,
    others,
)
from ansible_collections.radiology.hardening.plugins.module_utils.ae_titles import FACTORY_AE_TITLES
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

NAME = "orthanc"
FACTS: dict[str, str] = {
    "installed": "bool: the server is on the host",
    "version": "str: upstream's version, as 1.12.7",
    "package_version": "str: Debian's version; empty when it is not installed from a package",
    "configuration_path": "str: the file or folder that the unit tells Orthanc to read",
    "unreadable_configuration": "str: what is wrong with a file that Orthanc could not read, or with the type of a"
    " value in it; empty when all is well",
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
    "service.environment": "list of str: names; NAME=value where the value is none that somebody may keep secret",
    "service.LimitCORE": "str: systemd's LimitCORE=, in bytes; 0: no core dump",
    **{f"sandbox.{name}": "str: systemd's property in force" for name in orthanc_service.SANDBOX},
    "exposure": "float: what `systemd-analyze security` gives, 0 (confined) to 10; null: it says nothing",
    "memory_maximum_mib": "int: systemd's MemoryMax in MiB; 0 where there is no bound",
    "memory_refused_percent": "int: hundredths of memory_maximum_mib beyond which Orthanc is given no more (LimitDATA);"
    " 0: there is no such bound",
    "uncontained_flaws": "list of str: published flaws of this version that nothing on the host contains",
    "overriding": "list of str: what another's drop-in sets otherwise than ours, with its file",
    "sandbox_file": "str: SHA-256 of the drop-in that confines the service; null: none",
    "factory_ae_title": "bool: the server's own AE title is one that software has from the factory",
    "plugins.loaded": "list of str: plugins that the running server names; null: it does not answer",
    "plugins.undeclared": "list of str: loaded plugins that are not declared; null: it does not answer",
    "plugins.missing": "list of str: declared plugins that are not loaded; null: it does not answer",
    "plugins.in_use": "list of str: files of undeclared plugins that may hold images, show them or serve somebody",
    "plugins.without_file": "list of str: declared plugins of which there is no file",
    "plugins.files": "list of str: the files of the declared plugins",
    "scripts.undeclared": "list of str: Lua and Python scripts that Orthanc runs and that are not declared",
    "scripts.advice": "list of str: what to do about them",
    "storage.when_full": "str: rejects (new images, by a quota), disk (as the version knows no quota that rejects, only"
    " the full disk does), unbounded (no quota), deletes (the oldest patients)",
    "storage.room_mib": "int: size of the file system that holds the images, in MiB; 0: unknown",
    "storage.used_mib": "int: how much is in use of that file system, by whatever, in MiB; 0: unknown",
    "storage.stored_mib": "int: how much the images take, in MiB; null: the server does not answer",
    "peers.cleartext": "list of str: other web servers that Orthanc sends images to without TLS",
    "peers.authorities": "str: the list of certificate authorities on this host; empty: none",
    "database.advice": "list of str: what to do about a database that is called in clear, or that listens",
    "database.cleartext": "list of str: section at machine of databases beyond this host that Orthanc is told to call"
    " without TLS",
    "database.listening": "list of str: process on address:port where a database of this host, which Orthanc is told to"
    " use, listens beyond loopback",
    "account.shell": "str: the login shell of the account orthanc; null: no such account",
    "account.sudo": "list of str: rules by which the account orthanc may run commands as another one",
    "account.crontab": "bool: the account orthanc has a crontab",
    "files.open_folders": "list of str: folders of images, index, logs and temporary files that others may use",
    "files.open_configuration": "list of str: files of the configuration that are not root's, or that others may write",
    "files.open_logs": "list of str: logs that others may read",
    "logs.days": "int: after how many days without a line a log is removed; 0: never",
    "logs.rotated": "bool: the log of the running server is begun anew each day, so that its lines grow old too",
    "routes.late": "list of str: ip's family and destination of routes to those who send images, which wait for"
    " acknowledgements there",
    "routes.refused": "dict: those of them that could not be changed when that was last tried, to what ip said of each",
    "routes.managers": "list of str: what manages the network and can set an attribute of routes anew",
    "routes.files": "dict: file that has it set anew to its SHA-256; null: there is none",
    "routes.at_boot": "bool: it is set at each start",
    "logs.rotated_by_others": "list of str: other files of logrotate's that name Orthanc's logs",
    "logs.traces": "list of str: categories of messages that name patients; null: the server does not answer",
}

SANDBOX_DROP_IN = f"{orthanc_service.DROP_INS}/zz-radiology-sandbox.conf"
OWN = (SANDBOX_DROP_IN,)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
KEPT_OFF = {"SslEnabled": False}
"""Debian's Orthanc crashes at the first HTTPS request (1.10.1, 1.12.7); the web front in front of it speaks TLS."""
PDU = "MaximumPduLength"
DEFAULT_PDU, LARGER_PDU = 16384, 65536
"""Bytes: where the default stands a device may send more at once, as each write waits for the one before."""

AT_ONCE = (
    *("orthanc.account.", "orthanc.database.", "orthanc.files.", "orthanc.logs.days", "orthanc.logs.rotated"),
    "orthanc.peers.",
)
"""Facts that are mended, or left to a person, while the server runs."""

LOOSENED = (
    "systemd gives Orthanc's confinement {score}, so something beside our drop-in loosens it: look at "
    "`systemctl cat orthanc`"
)

SANDBOX_TEXT = """\
# Written by radiology.hardening. TCP_NODELAY is read by DCMTK: each image is acknowledged at once.
# Beyond LimitDATA Orthanc is refused memory and refuses a request; at MemoryMax the kernel ends it, and all transfers.
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
LimitDATA={refused}M
LimitCORE={core}
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
    """Return the facts; `scope` need not be this role's own, so that other surfaces can look at Orthanc too."""
    found = orthanc_configuration.observe(host)
    config = found["config"]
    told = found.pop("asked")
    plugins = orthanc_plugins.observe(host, config, told["plugins"], scope.get("plugins") or [])
    return {
        **found,
        "uncontained_flaws": orthanc_flaws.uncontained(found) if found["installed"] else [],
        "sandbox_file": host.digest(SANDBOX_DROP_IN),
        "factory_ae_title": str(config["DicomAet"]).strip().upper() in FACTORY_AE_TITLES,
        "plugins": plugins,
        "scripts": orthanc_scripts.observe(config, scope.get("scripts") or []),
        "storage": {
            **orthanc_storage.observe(host, config, found["version"]),
            "stored_mib": told["stored_mib"],
        },
        "account": orthanc_account.observe(host),
        "files": orthanc_files.observe(host, config),
        "logs": {
            "rotated_by_others": orthanc_files.rotated_by_others(host),
            "days": orthanc_files.retention_days(host),
            "rotated": orthanc_files.is_rotated(host, taken_over=found["taken_over"]),
            "traces": told["traces"],
        },
        "routes": orthanc_routes.observe(host, scope.get("callers") or []),
        "overriding": others.overriding(host, orthanc_service.UNIT, SANDBOX_DROP_IN),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; all settings and the sandbox change in one, with a single restart."""
    found = facts["orthanc"]
    unmet = [name for name in expectation.unmet(facts, wanted) if name.startswith("orthanc.")]
    text = sandbox(found, wanted, scope)
    drop_in = {SANDBOX_DROP_IN: (text, 0o644, "root", "root")}
    drifted = found["sandbox_file"] != orthanc_configuration.digest(text)
    left = _left(found, wanted, scope, drifted=drifted)
    restarting = [name for name in unmet if not name.startswith(AT_ONCE) and name not in left]
    kept = ", ".join(restarting) or ("it confined" if drifted else "what is declared")
    held = settings(found, wanted, scope)
    steps = orthanc_configuration.configure(facts, held, f"keep {kept}", drop_in, anyway=drifted or bool(restarting))
    if not found["installed"]:
        return steps
    steps += orthanc_account.steps(found["account"], unmet)
    steps += orthanc_files.steps(found["files"], unmet)
    drift = "orthanc.logs.days" in wanted and found["logs"]["days"] != scope["log_days"]
    if drift or "orthanc.logs.rotated" in unmet:
        steps.append(orthanc_files.keep_logs(scope["log_days"]))
    steps += orthanc_routes.steps(found["routes"], scope.get("callers") or [])
    return steps + [step for steps in left.values() for step in steps]


def settings(
    found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keys of Orthanc's configuration that this surface holds."""
    if "orthanc.factory_ae_title" in wanted and str(scope["ae_title"]).strip().upper() in FACTORY_AE_TITLES:
        raise HardeningError(f"The AE title {scope['ae_title']} is a factory value; give the server one of its own.")
    held = {
        **expectation.dictated(wanted, "orthanc.config"),
        **KEPT_OFF,
        "DicomAet": scope["ae_title"],
        "LimitFindInstances": scope["find_instances_maximum"],
        "LimitFindResults": scope["find_results_maximum"],
        "Name": scope["name"],
    }
    if found["config"].get(PDU, DEFAULT_PDU) == DEFAULT_PDU:
        held[PDU] = LARGER_PDU
    if scope.get("front_follows") and found["config"].get("RemoteAccessAllowed"):
        held["RemoteAccessAllowed"] = True  # the role authentication closes it as soon as the front stands
    if not found["installed"]:
        return held
    if "orthanc.plugins.undeclared" in wanted:
        held |= orthanc_plugins.settings(found["plugins"])
    if "orthanc.storage.when_full" in wanted:
        held |= orthanc_storage.settings(found, scope["storage_maximum_mib"])
    if "orthanc.config.HttpsVerifyPeers" in wanted:
        held |= orthanc_peers.settings(found)
    return held


def sandbox(found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> str:
    """Return the drop-in that confines the service to its storage and its log."""
    properties = {**orthanc_service.SANDBOX, **expectation.dictated(wanted, "orthanc.sandbox")}
    service = expectation.dictated(wanted, "orthanc.service")
    return SANDBOX_TEXT.format(
        user=service.get("user", "orthanc"),
        storage=" ".join(orthanc_files.folders(found["config"])) or "/var/lib/orthanc",
        restart=service.get("Restart", "always"),
        core=service.get("LimitCORE", "0"),
        memory=scope["memory_maximum_mib"],
        refused=int(scope["memory_maximum_mib"]) * 7 // 8,
        sandbox="\n".join(f"{name}={value}" for name, value in properties.items()),
    )


def _left(
    found: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any], *, drifted: bool
) -> dict[str, list[Step]]:
    """Return what is left to a person, by the fact that no restart would mend."""
    score = found["exposure"]
    most = wanted.get("orthanc.exposure", {}).get("at_most", 10)
    loosened = not drifted and not expectation.holds("at_most", score, most)
    left: dict[str, list[Step]] = {
        "orthanc.plugins.undeclared": orthanc_plugins.undeclared(found["plugins"]),
        "orthanc.plugins.missing": orthanc_plugins.missing(found["plugins"]),
        "orthanc.scripts.undeclared": orthanc_scripts.steps(found["scripts"]),
        "orthanc.storage.when_full": orthanc_storage.steps(found, scope["storage_maximum_mib"]),
        "orthanc.peers.cleartext": orthanc_peers.steps(found),
        **orthanc_database.steps(found["database"]),
        "orthanc.logs.rotated_by_others": orthanc_files.leave_ours(found["logs"]["rotated_by_others"]),
        "orthanc.exposure": [deliberate(LOOSENED.format(score=score))] if loosened else [],
    }
    return {name: steps for name, steps in left.items() if steps and name in wanted}
