# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold settings of Orthanc, whichever surface wants them: one file of ours that carries the whole meaning.

The first time, what all of the package's files mean together is taken over; nothing that Orthanc understood is lost.
The package's files stay untouched, so that an upgrade never stops to ask about them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    orthanc_ask,
    orthanc_database,
    orthanc_options,
    orthanc_peers,
    orthanc_service,
    orthanc_text,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_service import Content
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

SECRETS = ("RegisteredUsers", "OrthancPeers")
"""Keys that never become facts."""

SECRET = re.compile(
    "(?i)password|secret|token|connectionstring|accesskey|accountkey"
    "|^(pin|servers|httpheaders|connectionuri|httpproxy)$"
)
"""Keys, at any depth, whose values plugins, proxies and peers keep secret; they never become facts either."""

NAMED_BY_PEOPLE = "DicomModalities"
"""Its keys are the site's own words, which say nothing of their values: a scanner may be called pin."""

IN_PART = ("DicomWeb",)
"""Sections of which a setting gives the keys that are held; the others, secrets among them, stay as they are."""

LOGIN = re.compile(r"(?<=//)\S*@")
"""A login, and a password, in an address; by mistake rather more than less of it."""

TOLD_WHOLE = ("TCP_NODELAY",)
"""Names of the service's environment whose values are facts too; others may be what a setting's ${...} stands for."""

TLS_SINCE = {key: orthanc_options.LATER[key] for key in ("DicomTlsMinimumProtocolVersion", "DicomTlsCiphersAccepted")}


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprints(users: Mapping[str, str]) -> dict[str, str]:
    """Return each login with the SHA-256 of `login:password`; passwords of 139 bits cannot be guessed from it."""
    return {login: digest(f"{login}:{password}") for login, password in sorted(users.items())}


def without_secrets(value: Any) -> Any:
    """Return a value of the configuration with every password, token and key that plugins keep in it left out."""
    if isinstance(value, dict):
        return {key: without_secrets(inner) for key, inner in value.items() if not SECRET.search(key)}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return LOGIN.sub("", value) if isinstance(value, str) else value


def observe(host: Host) -> dict[str, Any]:
    """Return what Orthanc is told, and what it does not understand of it; no secrets."""
    found = orthanc_service.properties(host)
    path = orthanc_service.configuration_path(found)
    version = _version(host)
    contents, amiss = orthanc_text.look(host, path)
    merged, twice = orthanc_text.merge(contents)
    users = merged.get("RegisteredUsers")
    config = without_secrets({key: value for key, value in merged.items() if key not in SECRETS})
    if isinstance(entries := merged.get(NAMED_BY_PEOPLE), dict):
        config[NAMED_BY_PEOPLE] = {name: without_secrets(entry) for name, entry in entries.items()}
    defaults = {
        **orthanc_options.DEFAULTS,
        "AuthenticationEnabled": bool(config.get("RemoteAccessAllowed", False)),
    }
    answering = unit_state.is_active(found) and orthanc_service.answers(config)
    older = orthanc_service.is_older(host, found, config, list(contents))
    return {
        "installed": host.stat(orthanc_service.BINARY) is not None,
        "version": version.partition("+")[0].partition("-")[0],
        "package_version": version,
        "configuration_path": path,
        "unreadable_configuration": " ".join(amiss),
        "taken_over": path == orthanc_service.FOLDER
        and host.text(orthanc_service.CONFIGURATION_DROP_IN) == orthanc_service.DROP_IN,
        "config": {**defaults, **config},
        "registered_users": fingerprints(users) if isinstance(users, dict) else {},
        "duplicate_keys": twice,
        "unknown_keys": sorted(set(merged) - orthanc_options.known(version)) if version else [],
        "stray_files": _stray(host, path),
        "service": {
            "active": unit_state.is_active(found),
            "enabled": unit_state.is_enabled(found) or found.get("UnitFileState") == "alias",
            "answers": answering,
            "older_than_configuration": older,
            "user": found.get("User", ""),
            "Restart": found.get("Restart", ""),
            "environment": _environment(found.get("Environment", "")),
            "LimitCORE": found.get("LimitCORE", ""),
        },
        "exposure": orthanc_service.exposure(host),
        "peers": orthanc_peers.observe(host, merged),
        "database": orthanc_database.observe(host, merged),
        "asked": _asked(config, users) if answering else dict.fromkeys(("plugins", "traces", "stored_mib")),
        "sandbox": {name: found.get(name, "") for name in orthanc_service.SANDBOX},
        "memory_maximum_mib": _mebibytes(found.get("MemoryMax", "")),
        "memory_refused_percent": refused_percent(found.get("LimitDATA", ""), found.get("MemoryMax", "")),
    }


def configure(
    facts: Mapping[str, Any],
    settings: Mapping[str, Any],
    because: str,
    files: Mapping[str, Content] | None = None,
    *,
    anyway: bool = False,
) -> list[Step]:
    """Return the step that holds these settings (and writes these further files), or none when all is held.

    `settings` are top-level keys of Orthanc, those of IN_PART with what is held of them; of RegisteredUsers the
    passwords are compared by fingerprint. They come from no fact, where secrets are left out. A key that the installed
    version does not know is refused, and so is a version whose settings are not known for certain.
    `anyway` asks for the step whatever the settings are.
    """
    found = facts["orthanc"]
    if not found["installed"]:
        return [Step(f"Configure Orthanc once it is installed, to {because}", _not_installed)]
    if found["version"] not in orthanc_options.PROVEN:
        releases = " and ".join(f"{number} (Debian {release})" for number, release in orthanc_options.PROVEN.items())
        installed = f"Orthanc {found['version']} is" if found["version"] else "An Orthanc of no Debian package is"
        raise HardeningError(
            f"{installed} installed; what its settings mean is proven for {releases} alone: install that one."
        )
    version = found["package_version"]
    held = {key: value for key, value in settings.items() if not _ignored(key, version)}
    for key in held:
        if key not in orthanc_options.known(version):
            near = orthanc_options.nearest(key, version)
            hint = f"; did you mean {near}?" if near else "."
            raise HardeningError(f"Orthanc {found['version']} does not know the setting {key}{hint}")
    if "${" in json.dumps(held):
        raise HardeningError("A setting of Orthanc holds ${, which Orthanc would replace; choose another value.")
    differing = sorted(key for key, value in held.items() if _differs(found, key, value))
    if not (differing or anyway or _unsettled(found)):
        return []
    what = f"set {', '.join(differing)}" if differing else "restart it with its newest configuration"
    dropped = f"; keys that it never understood go: {', '.join(found['unknown_keys'])}" if found["unknown_keys"] else ""
    stray = ", ".join(found["stray_files"])
    dropped += f"; what is not ours goes, kept for an undo: {stray}" if stray else ""
    taken = "" if found["taken_over"] else f"take over the configuration of {found['configuration_path']}, "
    amiss = f" ({found['unreadable_configuration'].rstrip('.')})" if found["unreadable_configuration"] else ""

    def do(host: Host) -> None:
        _hold(host, held, dict(files or {}))

    return [Step(f"Configure Orthanc to {because}: {taken}{what}{dropped}{amiss}", do)]


def _unsettled(found: Mapping[str, Any]) -> bool:
    service = found["service"]
    return bool(
        not found["taken_over"]
        or found["unreadable_configuration"]
        or found["duplicate_keys"]
        or found["unknown_keys"]
        or found["stray_files"]
        or service["older_than_configuration"]
        or not service["answers"]
        or not service["enabled"]
    )


def _hold(host: Host, settings: Mapping[str, Any], files: dict[str, Content]) -> None:
    """Read all that Orthanc is told now, lay the settings over it, write, restart, prove."""
    path = orthanc_service.configuration_path(orthanc_service.properties(host))
    taken_over = path == orthanc_service.FOLDER
    stray = _stray(host, path)
    replaced = {*settings} - {*IN_PART}
    contents = orthanc_text.read(host, orthanc_service.FILE if taken_over else path, but=replaced)
    meaning, twice = orthanc_text.merge(contents)
    if twice:
        raise HardeningError(
            f"{', '.join(twice)} in {path} stands in two files, so that Orthanc does not start; keep it in one of them."
        )
    known = orthanc_options.known(_version(host))
    former = meaning
    meaning = {key: value for key, value in meaning.items() if key in known}
    if "${" in json.dumps(meaning):
        raise HardeningError(f"The files in {path} hold ${{...}}, which depends on the environment; write the value.")
    meaning.update({key: _whole(meaning, key, value) for key, value in settings.items()})
    text = json.dumps(meaning, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    host.keep_keys(orthanc_service.FILE, former, meaning)
    host.folder(orthanc_service.FOLDER, mode=0o750, group="orthanc")
    files[orthanc_service.FILE] = (text, 0o640, "root", "orthanc")
    files[orthanc_service.CONFIGURATION_DROP_IN] = (orthanc_service.DROP_IN, 0o644, "root", "root")
    orthanc_service.change(host, files, stray, meaning)


def _stray(host: Host, path: str) -> list[str]:
    """Return the files that Orthanc reads beside ours, readable ones or not; none while it reads another folder."""
    own = path == orthanc_service.FOLDER
    return [file for file in orthanc_text.files(host, path) if own and file != orthanc_service.FILE]


def _whole(meaning: Mapping[str, Any], key: str, value: Any) -> Any:
    """Return what a key is to mean: of a section that is held in part, what it meant beside that."""
    former = meaning.get(key)
    return {**former, **value} if key in IN_PART and isinstance(former, dict) else value


def _ignored(key: str, version: str) -> bool:
    """Tell whether a TLS setting is one that this version would ignore; the front in front of it holds it instead."""
    return key in TLS_SINCE and orthanc_options.number(version) < orthanc_options.number(TLS_SINCE[key])


def _differs(found: Mapping[str, Any], key: str, value: Any) -> bool:
    if key == "RegisteredUsers":
        return bool(found["registered_users"] != fingerprints(value))
    former = found["config"]
    return key not in former or former[key] != _whole(former, key, value)


def _asked(config: Mapping[str, Any], users: Any) -> dict[str, Any]:
    """Return what only the running server knows; without HTTP nobody can have changed how it logs."""
    server = orthanc_ask.Server(config, users if isinstance(users, dict) else {})
    if not config.get("HttpServerEnabled", True):
        return {"plugins": None, "traces": [], "stored_mib": None}
    return {"plugins": server.plugins(), "traces": server.traces(), "stored_mib": server.stored_mib()}


def _environment(said: str) -> list[str]:
    """Return the names of systemd's Environment=, with values that nobody keeps secret; none where it is unreadable."""
    try:
        pairs = [word.partition("=") for word in shlex.split(said)]
    except ValueError:
        return []
    return sorted(f"{name}={value}" if name in TOLD_WHOLE else name for name, equals, value in pairs if equals)


def _version(host: Host) -> str:
    answer = host.run(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", "orthanc"])
    status, _space, version = answer.output.partition(" ")
    return version if answer.ok and status == "installed" else ""


def refused_percent(limit: str, maximum: str) -> int:
    """Return systemd's LimitDATA in hundredths of its MemoryMax, begun ones whole; 0 where one of them is no bound."""
    refused, ended = _mebibytes(limit), _mebibytes(maximum)
    return -(-100 * refused // ended) if ended else 0


def _mebibytes(value: str) -> int:
    """Return systemd's bound in MiB; 0 where there is none."""
    return int(value) // 2**20 if value.isdigit() and int(value) < 2**62 else 0


def _not_installed(host: Host) -> None:
    raise HardeningError("Orthanc is not installed on this host.")
