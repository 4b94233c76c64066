# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may in: people over HTTPS by name, devices over DICOM by AE title and address, engineers over SSH by key."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    account_lockout,
    account_passwords,
    expectation,
    orthanc_configuration,
    orthanc_service,
    orthanc_text,
    root_account,
    second_factor,
    ssh_daemon,
    ssh_group,
    web_front,
    web_front_ask,
    web_front_certificate,
    web_front_plan,
    web_front_state,
    web_roles,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import orthanc

NAME = "authentication"
OWN = (web_front.UNIT_FILE, ssh_daemon.FILE, ssh_group.FILE)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
USES = (orthanc,)
FACTS: dict[str, str] = {
    "http.anonymous_status": "int: what Orthanc itself answers to GET /system without credentials; null: no answer",
    "http.default_credentials": "str: refused or accepted, for pairs that everybody knows; null: no answer",
    "http.people_accepted": "list of str: logins that Orthanc lets in by the passwords that people give the front; "
    "null: no answer",
    "users.names": "list of str: the logins that Orthanc knows",
    "users.undeclared": "list of str: logins that Orthanc knows and the clinic file does not",
    "users.missing": "list of str: logins of the clinic file that Orthanc does not know",
    "dicom.undeclared_modalities": "list of str: entries of DicomModalities whose AE title no declared device has",
    "dicom.missing_modalities": "list of str: declared devices that DicomModalities lacks",
    "dicom.exceeding_modalities": "list of str: entries of DicomModalities that may do more than is declared of them",
    "dicom.misplaced_modalities": "list of str: entries whose Host is not the device's loopback address",
    "dicom.shared_ae_titles": "list of str: AE titles of several entries (any case): they switch the host check off",
    "secret_files.loose": "list of str: files with secrets that are not 0640 root or tighter",
    "web.installed": "bool: nginx is on the host",
    "web.files.*": "str: SHA-256 of each file of the front; null: no file",
    "web.logins": "str: SHA-256 of the list by which the front asks Orthanc for people; null: no list",
    "web.people": "str: SHA-256 of the list of people and their roles; null: no list",
    "web.misplaced_people": "list of str: logins whose role on the front is not that of the clinic file; null: no list",
    "web.weak_passwords": "list of str: logins whose password at the front is of fewer than 80 bits; null: no list",
    "web.role_breaches": "list of str: role, method and path that the front lets through although the role may not; "
    "null: it cannot be asked",
    "web.guesses_a_second": "int: how many wrong passwords a second it looks at, of one source; null: no answer",
    "web.failures_logged": "bool: the journal has them as warnings, with login and source; null: no answer",
    "web.queries_logged": "bool: the journal has what was searched for as well, such as a name; null: no answer",
    "web.request": "str: SHA-256 of the certificate request for the front's key; null: none",
    **{f"web.certificate.{name}": told for name, told in web_front_certificate.FACTS.items()},
    "web.active": "bool: the front runs",
    "web.enabled": "bool: the front starts with the machine",
    "web.older_than_configuration": "bool: the front runs with files that changed since",
    "web.anonymous_status": "int: what the front answers to GET /system without credentials; null: no answer",
    "web.foreign_name_status": "int: what the front answers to a Host name that is not its own; null: no answer",
    "web.foreign_origin_status": "int: what it answers to a page of another site (Origin); null: no answer",
    "web.compressed_body_status": "int: what it answers to a request with a compressed body; null: no answer",
    "web.large_body_status": "int: what it answers to a body of a byte more than it may have; null: no answer",
    "web.silent_addresses": "list of str: own addresses on which the front does not answer; null: it does not run",
    "web.tls_versions": "list of str: TLS versions in which the front completes a handshake; null: it does not run",
    "web.ssl_protocols": "list of str: nginx's ssl_protocols; null: the front does not run",
    "web.ssl_ciphers": "list of str: nginx's ssl_ciphers; null: the front does not run",
    "web.ssl_ecdh_curve": "list of str: nginx's ssl_ecdh_curve; null: the front does not run",
    "web.cleartext_listens": "list of str: address:port where this host takes web requests in clear",
    "web.altered": "list of str: path: what makes the front run otherwise than the role wrote it",
    "web.distribution": "str: what nginx.service is there for: off, default site, other sites",
    "root.password": "str: locked, set or none, as passwd says; null: it does not say",
    "root.sudo_asks": "list of str: logins of whom sudo asks root's password, where that is not locked",
    "lockout.in_force": "bool: PAM counts wrong passwords (pam_faillock), and locks by them",
    "lockout.deny": "int: how many in a row lock an account; null: none are counted",
    "lockout.unlock_time": "int: seconds that it stays locked, 0 for ever; null: none are counted",
    "lockout.of_others": "bool: PAM counts them by lines that are not ours",
    "passwords.checked": "bool: PAM refuses a new password that pam_pwquality finds weak",
    "passwords.minlen": "int: how many characters a new password has at least; null: none is looked at",
    "passwords.dictcheck": "bool: one of a dictionary is refused, and there is a dictionary; null: none is looked at",
    "passwords.enforce_for_root": "bool: root cannot give anybody a weak one either",
    "passwords.overriding": "list of str: file and setting that ask for less, and count before ours",
    "passwords.hashing": "str: pam_unix's word for how it keeps new passwords; DES: it has none; null: no password",
    "sshd.installed": "bool: sshd is on the host",
    "sshd.file": "str: SHA-256 of the drop-in; null: none",
    "sshd.included": "bool: sshd_config reads the folder of the drop-in",
    "sshd.shadows": "list of str: file:line of settings that are read before the drop-in and differ",
    "sshd.exceptions": "list of str: file:line in Match blocks that differ from the drop-in",
    "sshd.unconfirmed": "bool: a change waits for its confirmation, else the host undoes it",
    "sshd.overriding": "list of str: shadows and exceptions with their settings, or that none of ours is read",
    "sshd.command_line": "list of str: options that sshd was started with and that differ from the drop-in",
    "sshd.older_than_configuration": "bool: the running sshd has not read its newest files",
    "sshd.authorized_keys": "dict: login -> number of authorized keys",
    "sshd.UsePAM": "str: what `sshd -T` says",
    "sshd.keys_from_elsewhere": "bool: keys come from a command or a certificate authority too",
    "sshd.weak_algorithms": "list of str: keyword and name of weak algorithms that sshd accepts; null: it does not say",
    **second_factor.FACTS,
    **ssh_group.FACTS,
    **{f"sshd.{keyword}": "str or int: what `sshd -T` says" for keyword in ssh_daemon.KEYWORDS},
}

ALLOWS = {
    "AllowEcho": "echo",
    "AllowStore": "store",
    "AllowFind": "find",
    "AllowFindWorklist": "worklist",
    "AllowMove": "move",
    "AllowGet": "get",
    "AllowStorageCommitment": "storage_commitment",
}
"""Key of a DicomModalities entry (Orthanc 1.10.1 to 1.13.0; each is true when absent) -> word of the clinic file."""

NO_PORT = 104
"""Orthanc wants a port of every modality; a device that does not listen gets DICOM's well-known one."""

SECRET = re.compile(
    r'"(?:RegisteredUsers|OrthancPeers|Servers|(?:WebService)?HttpHeaders)"\s*:\s*\{\s*"'
    r'|"\w*(?:Password|Secret\w*|Token|ConnectionString|ConnectionUri|AccessKey|AccountKey)"\s*:\s*"[^"]'
    r'|"Pin"\s*:\s*"[^"]'
    r'|"HttpProxy"\s*:\s*"[^"]*@'
)
COMMENT = re.compile(r"(?m)^\s*//.*$|/\*[\s\S]*?\*/")


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; those about Orthanc are empty or null on a host without it."""
    configuration, logins, port = _orthanc(host)
    sshd, web = ssh_daemon.observe(host, scope), web_front_state.observe(host, scope)
    asking = ssh_daemon.asking(host) if second_factor.devices(scope.get("tunnel") or {}) else []
    return {
        "http": _http(host, port),
        "users": _users(logins, scope.get("people") or []),
        "dicom": _modalities(configuration.get("DicomModalities") or {}, scope.get("devices") or []),
        "secret_files": {"loose": _loose(host)},
        "web": {**web, **web_front_certificate.observe(host, scope, web["silent_addresses"])},
        "root": root_account.observe(host, scope),
        "lockout": account_lockout.observe(host),
        "passwords": account_passwords.observe(host),
        "sshd": sshd,
        "ssh_access": ssh_group.observe(host, scope, sshd),
        "outside": second_factor.observe(host, scope, asking, sshd["authorized_keys"]),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps: Orthanc first, so that the front never stands before an open server.

    Where Orthanc is open to other hosts already, the front comes first, so that a run which is broken off leaves the
    web served one way or the other.
    """
    mine = facts[NAME]
    unmet = [name for name in expectation.unmet(facts, wanted) if name.startswith((f"{NAME}.", "orthanc."))]
    steps: list[Step] = []
    if facts["orthanc"]["installed"] and scope.get("web", True):
        told = settings(wanted, scope) | _web_addresses(facts["orthanc"]["config"])
        held = orthanc_configuration.configure(facts, told, "let in declared people and devices only")
        if not held and _below(unmet, "http", "users", "dicom"):
            held = [Step("Start Orthanc anew, which answers otherwise than its configuration says", _restart_orthanc)]
        front = web_front_plan.plan(mine["web"], _below(unmet, "web"), scope)
        is_open = facts["orthanc"]["config"].get("RemoteAccessAllowed")
        if is_open and web_front_plan.waits(front, scope):
            return front  # the controller signs, and calls again
        steps += [*front, *held] if is_open else [*held, *front]
        steps += web_front_plan.plan_distribution(mine["web"])
    steps += [
        Step(f"Keep {path} from all but those who need it", lambda host, path=path: _tighten(host, path))  # type: ignore[misc]
        for path in mine["secret_files"]["loose"]
    ]
    steps += root_account.steps(mine["root"], _below(unmet, "root"), mine["sshd"], scope, ssh_daemon.settings(scope))
    steps += account_lockout.steps(mine["lockout"], _below(unmet, "lockout"))
    steps += account_passwords.steps(mine["passwords"], _below(unmet, "passwords"))
    asked = scope if f"{NAME}.outside.one_factor" in wanted else {**scope, "tunnel": {}}
    text = web_front_plan.digest(ssh_daemon.render(asked))
    codes = second_factor.steps(mine["outside"], _below(unmet, "outside"), scope)
    daemon = _daemon(mine, unmet, text, asked, limited=ssh_group.LIMITED in wanted)
    # PAM asks for the code before sshd sends anybody there, and until sshd sends nobody there any more.
    return [*steps, *codes, *daemon] if mine["outside"]["declared"] else [*steps, *daemon, *codes]


def _daemon(
    mine: Mapping[str, Any], unmet: Sequence[str], text: str, scope: Mapping[str, Any], *, limited: bool
) -> list[Step]:
    """Return the steps for sshd, and for the group that it lets in where the control of it is in force."""
    if not mine["sshd"]["installed"]:
        return []
    found, lacking = mine["ssh_access"], _below(unmet, "ssh_access")
    more = ssh_group.within(found, lacking, scope, wanted=limited)
    paths = ssh_group.touched(found) if more else []
    parts = ("sshd", "outside") if mine["outside"]["declared"] else ("sshd",)
    return [
        *ssh_group.before(found, scope, wanted=limited),
        *ssh_daemon.plan(mine["sshd"], _below(unmet, *parts), text, scope, (more, paths)),
        *ssh_group.left(found, lacking, scope),
    ]


def settings(wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of Orthanc's configuration that this surface holds; people only when passwords are given."""
    held = dict(expectation.dictated(wanted, "orthanc.config"))
    held["DicomModalities"] = {str(device["name"]): modality(device) for device in scope.get("devices") or []}
    passwords = scope.get("orthanc_passwords")
    if passwords is not None:
        held["RegisteredUsers"] = {str(each["login"]): passwords[each["login"]] for each in scope.get("people") or []}
    return held


def _web_addresses(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is held of a DICOMweb section: links in its answers name the front, not Debian's http://localhost."""
    return {"DicomWeb": {"Host": "", "Ssl": True}} if isinstance(config.get("DicomWeb"), Mapping) else {}


def modality(device: Mapping[str, Any]) -> dict[str, Any]:
    """Return the DicomModalities entry of a declared device, which Orthanc meets at its loopback address."""
    return {
        "AET": str(device["ae_title"]),
        "Host": str(device["loopback"]),
        "Port": int(device.get("port") or 0) or NO_PORT,
        **{key: word in (device.get("may") or []) for key, word in ALLOWS.items()},
        "UseDicomTls": False,
    }


def _below(unmet: Sequence[str], *parts: str) -> list[str]:
    return [name for name in unmet if name.startswith(tuple(f"{NAME}.{part}." for part in parts))]


def _orthanc(host: Host) -> tuple[dict[str, Any], list[str], int]:
    """Return what Orthanc is told (as far as it can be read), its logins, its HTTP port (0: not installed)."""
    if host.stat(orthanc_service.BINARY) is None:
        return {}, [], 0
    path = orthanc_service.configuration_path(orthanc_service.properties(host))
    told, _twice = orthanc_text.merge(orthanc_text.look(host, path)[0])  # the surface orthanc says what is amiss
    users = told.get("RegisteredUsers")
    return told, sorted(users) if isinstance(users, dict) else [], int(told.get("HttpPort") or 8042)


def _http(host: Host, port: int) -> dict[str, Any]:
    anonymous = web_front_ask.status("127.0.0.1", port, "/system") if port else None
    accepted = anonymous is not None and web_front_ask.known_pair_accepted("127.0.0.1", port)
    return {
        "anonymous_status": anonymous,
        "default_credentials": None if anonymous is None else "accepted" if accepted else "refused",
        "people_accepted": None if anonymous is None else _accepted(host, port, anonymous),
    }


def _accepted(host: Host, port: int, anonymous: int) -> list[str]:
    """Return the logins that pass by the front, whose roles then count for nothing; none where everybody is let in."""
    people = host.text(web_front.PEOPLE) or ""
    return sorted(
        web_roles.login(header)
        for header in (web_roles.headers(people) if anonymous == 401 else ())
        if web_front_ask.status("127.0.0.1", port, "/system", headers={"Authorization": header}) == 200
    )


def _users(logins: Sequence[str], people: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    declared = {str(person["login"]) for person in people}
    return {
        "names": sorted(logins),
        "undeclared": sorted(set(logins) - declared),
        "missing": sorted(declared - set(logins)),
    }


def _modalities(entries: Mapping[str, Any], devices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare DicomModalities with the declared devices; an entry in array form may do everything."""
    declared = {str(device["ae_title"]): modality(device) for device in devices}
    found = {name: _as_mapping(entry) for name, entry in entries.items()}
    titles = Counter(str(entry.get("AET", "")).upper() for entry in found.values())
    known = {name: declared[entry["AET"]] for name, entry in found.items() if entry.get("AET") in declared}
    return {
        "undeclared_modalities": sorted(set(found) - set(known)),
        "missing_modalities": sorted(set(declared) - {str(entry.get("AET")) for entry in found.values()}),
        "exceeding_modalities": sorted(
            name for name, due in known.items() if any(found[name].get(key, True) and not due[key] for key in ALLOWS)
        ),
        "misplaced_modalities": sorted(
            name
            for name, entry in found.items()
            if not _is_address(entry.get("Host")) or _misplaced(entry, known.get(name))
        ),
        "shared_ae_titles": sorted(title for title, count in titles.items() if count > 1),
    }


def _misplaced(entry: Mapping[str, Any], due: Mapping[str, Any] | None) -> bool:
    return due is not None and entry.get("Host") != due["Host"]


def _as_mapping(entry: Any) -> dict[str, Any]:
    if isinstance(entry, list) and len(entry) >= 3:
        return {"AET": entry[0], "Host": entry[1], "Port": entry[2]}
    return dict(entry) if isinstance(entry, Mapping) else {}


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        return False
    return True


def _loose(host: Host) -> list[str]:
    """Return the files with secrets, copies of them included, that others than root and the service may read."""
    folders = ("/etc/orthanc", "/etc/orthanc/hardened")
    texts = {f"{folder}/{name}": host.text(f"{folder}/{name}") for folder in folders for name in host.list(folder)}
    secret = [path for path, text in texts.items() if text and SECRET.search(COMMENT.sub("", text))]
    found = []
    for path in (*secret, web_front.KEY, web_front.NEXT_KEY, *web_front.SECRET):
        entry = host.stat(path)
        if entry and (
            int(entry.mode, 8) & ~0o640 or entry.owner != "root" or entry.group not in ("root", _group(path))
        ):
            found.append(path)
    return found


def _group(path: str) -> str:
    return web_front.USER if path.startswith(f"{web_front.FOLDER}/") else "orthanc"


def _tighten(host: Host, path: str) -> None:
    host.own(path, mode=0o640, group=_group(path))


def _restart_orthanc(host: Host) -> None:
    host.must(["systemctl", "restart", orthanc_service.UNIT])
