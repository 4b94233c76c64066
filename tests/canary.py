# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plant known passwords, harden and audit at -vvv, and search everything that was said for them and for key material.

Searched: the output of every playbook with --diff and -vvv, of hardening also with --check, the reports, the hosts'
journals, and the command lines of all processes on host and controller while it ran. The search is proven by what may
hold secrets: there it finds them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

from inventory import PASSWORD
from lab import Lab

NAME = "canary"
HOST, STATION = "pacs-1", "ws-1"
CLINIC = "dmz-practice"
CANARIES = {
    login: f"CANARY{number}xQ7nV2sLkP9wZ4rT" for number, login in enumerate(("a.martin", "b.leroy", "c.moreau"))
}
FIRST = {login: f"{password}-first" for login, password in CANARIES.items()}
"""By which people first come in at the workstation."""
OF_SETTINGS = {
    what: f"CANARY{number}hT6yBn3mQ8vXcKd5"
    for number, what in enumerate(
        ("proxy", "index", "images", "database", "address", "other", "service", "cloud", "account"), len(CANARIES)
    )
}
TOLD = {
    "Odbc": {
        "EnableIndex": False,
        "IndexConnectionString": f"DSN=index;PWD={OF_SETTINGS['index']}",
        "StorageConnectionString": f"DSN=images;PWD={OF_SETTINGS['images']}",
    },
    "PostgreSQL": {
        "EnableIndex": False,
        "Password": OF_SETTINGS["database"],
        "ConnectionUri": f"postgresql://orthanc:{OF_SETTINGS['address']}@192.0.2.1/orthanc",
    },
    "MySQL": {"EnableIndex": False, "Password": OF_SETTINGS["other"]},
    "Authorization": {"WebService": f"http://orthanc:{OF_SETTINGS['service']}@192.0.2.1/"},
    "AzureBlobStorage": {
        "ConnectionString": f"AccountKey={OF_SETTINGS['cloud']}",
        "AccountKey": OF_SETTINGS["account"],
    },
}
"""What somebody had told Orthanc before, of databases, a service and a cloud that it does not use."""
TELL = "install -m 640 -o root -g orthanc /dev/stdin /etc/orthanc/canary.json"
PROXY = f's|"HttpProxy" *: *"[^"]*"|"HttpProxy": "orthanc:{OF_SETTINGS["proxy"]}@192.0.2.1:3128"|'
"""Its own configuration has this key already, which must not stand in two files."""
SETTINGS = "/etc/orthanc/canary.json /etc/orthanc/hardened/orthanc.json"
SHADOW = (
    "import crypt, spwd, sys; told = spwd.getspnam(sys.argv[1]).sp_pwdp; sys.exit(crypt.crypt(input(), told) != told)"
)
"""Tells whether a password is that of an account; for the Python of Debian 12."""
KEYS = "/etc/dicom-front/server.key /etc/dicom-front/link.key /etc/orthanc/tls/orthanc.key /etc/orthanc-web/server.key"
PEOPLE = "/etc/orthanc-web/people.map"
MAPS = "/etc/orthanc-web/orthanc.map /etc/orthanc-web/probes.map"
"""Headers by which the front asks Orthanc, and this host its front; none has a line break in it."""
WATCH = r"while [ -e /run/watch ]; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' '; echo; sleep 0.02; done >/root/seen"


def main() -> int:
    """Run it all and tell which secret was seen where."""
    lab = Lab(NAME, (HOST, STATION))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        lab.up(work / "inventory")
        try:
            plant(lab, work)
            texts = said(lab, work)
            secrets = wanted(lab, work)
            allowed = lab.execute(HOST, "sh", "-c", f"cat {KEYS} {PEOPLE} {MAPS} {SETTINGS}").stdout
            used = all(
                not lab.execute(
                    STATION, "python3", "-Wignore", "-c", SHADOW, login, stdin=first, check=False
                ).returncode
                for login, first in FIRST.items()
            )
        finally:
            lab.down()
    found = [
        f"{what} in {where}" for where, text in texts.items() for what, secret in secrets.items() if secret in text
    ]
    proven = used and all(
        secret in allowed for what, secret in secrets.items() if what.startswith(("basic", "key", "header", "setting"))
    )
    print("\n".join(found))
    print(f"{len(secrets)} secrets searched in {len(texts)} texts of {sum(map(len, texts.values()))} characters")
    print(f"{len(secrets) - len(found)} passed, {len(found) + (not proven)} failed")
    return 0 if secrets and proven and not found and all(texts.values()) else 1


def plant(lab: Lab, work: Path) -> None:
    """Put the canaries into the clinic's vault file, and into what Orthanc is told, before the first run."""
    lab.execute(HOST, *TELL.split(), stdin=json.dumps(TOLD))
    lab.execute(HOST, "sed", "-i", "-f", "/dev/stdin", "/etc/orthanc/orthanc.json", stdin=PROXY)
    vault = work / "inventory" / CLINIC / "vault.yml"
    vault.parent.mkdir(parents=True, exist_ok=True)
    vault.write_text(yaml.safe_dump({"passwords": CANARIES, "initial_passwords": FIRST}), encoding="utf-8")
    run(lab, "ansible-vault", "encrypt", str(vault))


def said(lab: Lab, work: Path) -> dict[str, str]:
    """Ask what hardening would do, harden, both once more, and audit, loudly; return all that was said, by where."""
    inventory = ("-i", str(work / "inventory"), "-vvv", "--diff")
    watching, seen = threading.Event(), []
    watcher = threading.Thread(target=watch_controller, args=(watching, seen))
    watcher.start()
    on_hosts = [threading.Thread(target=watch_host, args=(lab, host)) for host in (HOST, STATION)]
    for on_host in on_hosts:
        on_host.start()
    texts = {
        name: run(lab, "ansible-playbook", *inventory, "-e", f"report_directory={work / 'reports'}", *what, check=False)
        for name, *what in (
            ("the check before", "playbooks/harden.yml", "--check"),
            ("the first run", "playbooks/harden.yml"),
            ("the check after", "playbooks/harden.yml", "--check"),
            ("the second run", "playbooks/harden.yml"),
            ("the audit", "playbooks/audit.yml"),
        )
    }
    watching.set()
    for host, on_host in zip((HOST, STATION), on_hosts, strict=True):
        lab.execute(host, "rm", "/run/watch")
        on_host.join()
        texts[f"command lines on {host}"] = lab.execute(host, "cat", "/root/seen").stdout
        texts[f"the journal of {host}"] = lab.execute(host, "journalctl", "--no-pager", "--output", "cat").stdout
    watcher.join()
    texts["command lines on the controller"] = "\n".join(seen)
    texts["the reports"] = "".join(
        path.read_text(encoding="utf-8") for path in (work / "reports").rglob("*") if path.is_file()
    )
    return texts


def wanted(lab: Lab, work: Path) -> dict[str, str]:
    """Return every secret: passwords, as they are and as browsers send them, the authority's, and lines of keys."""
    vault = run(lab, "ansible-vault", "view", str(work / "inventory" / CLINIC / "vault.yml"))
    secrets = {f"password of {login}": password for login, password in CANARIES.items()}
    secrets |= {f"first password of {login}": password for login, password in FIRST.items()}
    secrets |= {f"setting {what}": word for what, word in OF_SETTINGS.items()}
    for login, password in CANARIES.items():
        secrets[f"basic {login}"] = base64.b64encode(f"{login}:{password}".encode()).decode()
    secrets["the authority's passphrase"] = yaml.safe_load(vault)["authority_passphrase"]
    secrets["the vault's password"] = (lab.state / PASSWORD).read_text(encoding="utf-8").strip()
    for path in KEYS.split():
        lines = lab.execute(HOST, "cat", path).stdout.splitlines()
        secrets[f"key {path}"] = lines[1]
    for path in MAPS.split():
        for number, header in enumerate(re.findall(r"Basic ([\w+/=]+)", lab.execute(HOST, "cat", path).stdout)):
            secrets[f"header {number} of {path}"] = header
    secrets["what the front's passwords come of"] = yaml.safe_load(vault)["orthanc_logins"]
    return secrets


def run(lab: Lab, program: str, *arguments: str, check: bool = True) -> str:
    """Run a program of Ansible's with the lab's vault password and return all that it printed."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
        "RADIOLOGY_LAB": lab.name,
    }
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"{program}: {done.stderr}")
    return done.stdout + done.stderr


def watch_host(lab: Lab, host: str) -> None:
    """Note the command lines of a host's processes until told to end."""
    lab.execute(host, "sh", "-c", f"touch /run/watch; {WATCH}", check=False)


def watch_controller(end: threading.Event, seen: list[str]) -> None:
    """Note the command lines of this machine's processes until told to end."""
    while not end.wait(0.05):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(process.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:
                continue


if __name__ == "__main__":
    sys.exit(main())
