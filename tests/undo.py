# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undo every surface on hosts that hold 50 studies, alone and beside somebody else's general hardening.

On Debian 12 and 13, each in a practice of the lab with its modality and its workstation: what posture sees of a surface
before it is hardened has to be what it sees after its undo, the studies have to be there, and the modality and the
workstation have to store, find and fetch images. The last line is `N checks: N held`.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

from lab import Lab
from story import Practice

NAME = os.environ.get("RADIOLOGY_LAB", "undo")
STUDIES, IMAGES = 50, 300
HOSTS = ("pacs-1", "ct-1", "ws-1", "box-1", "pacs-2", "ct-2", "ws-2", "box-2")
ALONE = ("orthanc", "dicom_tls", "authentication", "firewall", "remote_access", "system")
SHUFFLED = ("orthanc", "remote_access", "system", "firewall", "dicom_tls", "authentication")
"""Not the order in which they are hardened, nor its reverse: each is undone while others stand."""
EXCEPTED = {"older_than_configuration", "engineers", "open_logs", "installed", "carrier", "members"}
"""Facts of the moment (what waits for a restart, who is connected, the names of logs); packages and groups stay."""
ACCOUNTS = "callers.accounts"
"""Accounts stay too."""
OF_A_PACKAGE = ("system.updates.every_days", "system.updates.security", "system.time.daemon")
"""What unattended-upgrades, which stays, does by Debian's own settings; and the clock's package, stopped as before."""
RULES, OF_AN_ACCOUNT = "callers.missing_rules", "orthanc port"
"""Facts of rules, and the one that is asked for only where the front's account, which stays, is known."""
LAST = "/etc/systemd/system/orthanc.service.d/zzz-baseline.conf"
"""Is read after every other drop-in, ours too: what it says can only be told."""
FOREIGN = (
    "/etc/ssh/sshd_config.d/00-baseline.conf",
    "/etc/ssh/sshd_config",
    "/etc/sysctl.d/99-baseline.conf",
    "/etc/nftables.conf",
    "/etc/systemd/system/orthanc.service.d/override.conf",
    LAST,
)
BY_HAND = 'test "$(find /var/lib/radiology-hardening/kept -perm /077 -type d | wc -l)" = 0'


class Trial:
    """The lab with its two practices, and the tally of what was checked."""

    def __init__(self, lab: Lab, inventory: Path) -> None:
        """Take a lab that is up."""
        self.lab, self.inventory = lab, inventory
        self.practices = {f"pacs.{clinic}": Practice(lab, clinic) for clinic in ("dmz-practice", "forwarded-practice")}
        self.held: list[bool] = []
        self.began = time.monotonic()

    def check(self, what: str, found: object, due: object = True) -> None:
        """Tell whether what was found is what is due."""
        self.held.append(found == due)
        seconds = time.monotonic() - self.began
        more = "" if found == due else f": {found!r} instead of {due!r}"
        print(f"{'held  ' if found == due else 'FAILED'} {seconds:5.0f} s  {what}{more}", flush=True)

    def each(self, do: Callable[[str, Practice], Any]) -> dict[str, Any]:
        """Do the same in both practices at once."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = {host: pool.submit(do, host, practice) for host, practice in self.practices.items()}
            return {host: done.result() for host, done in waiting.items()}

    def play(self, path: str, *more: str, roles: str = "", facts: str = "") -> subprocess.CompletedProcess[str]:
        """Run a playbook and return what it said."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "ANSIBLE_FORCE_COLOR": "0",
            "RADIOLOGY_LAB": NAME,
            "RADIOLOGY_ROLE": roles,
            "FACTS": facts,
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory), str(ROOT / path)]
        return subprocess.run([*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def demand(self, path: str, *more: str, roles: str = "") -> str:
        """Run a playbook that has to succeed."""
        done = self.play(path, *more, roles=roles)
        if done.returncode:
            sys.exit(
                f"{path} {' '.join(more)}: exit status {done.returncode}\n{failing(done.stdout)}{done.stderr[-2000:]}"
            )
        return done.stdout

    def facts(self, path: str = "tests/integration/facts.yml") -> dict[str, dict[str, Any]]:
        """Return what posture, or the audit, sees of each host."""
        with tempfile.TemporaryDirectory() as folder:
            done = self.play(path, facts=folder)
            if done.returncode:
                sys.exit(f"{path}: exit status {done.returncode}\n{failing(done.stdout)}{done.stderr[-2000:]}")
            return {host: json.loads((Path(folder) / f"{host}.json").read_text()) for host in self.practices}

    def undo(self, surface: str) -> dict[str, str]:
        """Undo a surface on both hosts, one playbook each, and return what was said."""

        def do(host: str, dummy: Practice) -> str:
            return self.demand("playbooks/undo.yml", "-l", host, "-e", f"surface={surface}", "-e", f"confirm={host}")

        return self.each(do)

    def same(self, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Check that the facts of each host, or of one surface of it, are as before."""
        for host in self.practices:
            self.check(f"{host}: {what}", differing(before[host], after[host]), [])

    def use(self, when: str, *, tls: bool, whole: bool = False) -> None:
        """Check that the studies are there, and that images are stored, found and fetched; `whole`: every one stored."""
        for verb, due in (
            ("store", f"{IMAGES if whole else 6} images stored"),
            ("query", f"{STUDIES} studies, {STUDIES * 2} series"),
            ("retrieve", f"{IMAGES} images retrieved"),
        ):
            kind, more = ("ct", ("/root/studies" if whole else "/root/study",)) if verb == "store" else ("ws", ())

            def do(
                _host: str, practice: Practice, verb: str = verb, kind: str = kind, more: tuple[str, ...] = more
            ) -> str:
                return practice.device(kind, verb, *more, tls=tls, check=False)

            for host, said in self.each(do).items():
                self.check(f"{host}: {verb} {when}", said, due)

    def run(self, *command: str) -> dict[str, str]:
        """Run a command on both servers and return what it printed."""
        return self.each(
            lambda _host, practice: self.lab.execute(f"pacs-{practice.number}", *command, check=False).stdout
        )


def failing(said: str) -> str:
    """Return of what a playbook said the tasks that failed on a host, and the recap: the rest can be long."""
    *tasks, recap = re.split(r"(?m)^(?=(?:TASK|PLAY|RUNNING HANDLER) )", said)
    return "".join([task for task in tasks if re.search("(?m)^(?:fatal|failed|ERROR)", task)] + [recap])


def differing(before: Any, after: Any, path: str = "") -> list[str]:
    """Return where two sets of facts differ, the facts of the moment and what stays left out."""
    if path.endswith((ACCOUNTS, *OF_A_PACKAGE)):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            said
            for key in sorted({*before, *after} - EXCEPTED)
            for said in differing(before.get(key), after.get(key), f"{path}.{key}")
        ]
    if path.endswith(RULES):
        before, after = ([rule for rule in rules or [] if rule != OF_AN_ACCOUNT] for rules in (before, after))
    return [] if before == after else [f"{path.lstrip('.')}: {before!r} became {after!r}"]


def alone(trial: Trial) -> None:
    """Harden one surface alone, refuse an undo that is not confirmed, undo it, and look at everything."""
    before = trial.facts()
    for surface in ALONE:
        trial.demand("molecule/resources/converge.yml", roles=surface)
        hardened = trial.facts()
        for host in trial.practices:
            trial.check(f"{host}: {surface} changes", differing(before[host], hardened[host]) != [])
        refused = trial.play("playbooks/undo.yml", "-l", "pacs.dmz-practice", "-e", f"surface={surface}").stdout
        asked = "Nothing was changed. To undo" in refused and f"{surface} would be undone" in refused
        trial.check(f"the undo of {surface} is shown, and asks for the host's name", asked)
        closed = trial.run("sh", "-c", BY_HAND + " && echo closed")
        trial.check(f"what was kept of {surface} is root's alone", set(closed.values()), {"closed\n"})
        trial.undo(surface)
        trial.same(f"facts after the undo of {surface} are those before", before, trial.facts())
        trial.use(f"after the undo of {surface}", tls=False)
    said = trial.play("playbooks/undo.yml", "-l", "pacs.dmz-practice", "-e", "surface=orthanc").stdout
    trial.check("a second undo says that nothing is kept", "Nothing of orthanc was kept on this host" in said)


def beside(trial: Trial) -> None:
    """Harden after somebody else, be hardened over, harden again, undo all, and harden anew."""
    foreign = (ROOT / "tests" / "integration" / "other_hardening.sh").read_text(encoding="utf-8")

    def baseline() -> None:
        for host in ("pacs-1", "pacs-2"):
            trial.lab.execute(host, "sh", "-s", stdin=foreign)

    baseline()
    digests, before = trial.run("sha256sum", *FOREIGN), trial.facts()
    said = trial.demand("playbooks/harden.yml", "--diff")
    touched = changed(digests, trial.run("sha256sum", *FOREIGN))
    for path in touched:
        trial.check(f"the change of {path}, which is another's, is told", path in said)
    judged(trial, "after another's hardening", SANDBOX)
    hand_over(trial)
    trial.use("with everything hardened", tls=True)

    baseline()
    judged(trial, "after another's hardening ran over ours", OVERRIDDEN)
    trial.demand("playbooks/harden.yml")
    judged(trial, "after ours ran again", SANDBOX)

    for surface in SHUFFLED:
        trial.undo(surface)
        counted = trial.run("python3", "-c", COUNT)
        for host, number in counted.items():
            trial.check(f"{host}: images after the undo of {surface}, others standing", number.strip(), str(IMAGES))
    trial.same("facts after all was undone are those before", before, trial.facts())
    trial.check("another's files are as it wrote them", changed(digests, trial.run("sha256sum", *FOREIGN)), [])
    trial.use("after all was undone", tls=False)
    trial.demand("playbooks/harden.yml")
    judged(trial, "hardened anew after the undo", SANDBOX)
    hand_over(trial)
    trial.use("hardened anew", tls=True)


COUNT = """
import glob
images = 0
for path in glob.glob("/var/lib/orthanc/db*/??/??/*"):
    with open(path, "rb") as file:
        images += file.read(132)[128:] == b"DICM"
print(images)
"""
"""Counts the images in Orthanc's storage; its index is locked while it runs (1.12.7)."""

SANDBOX = {"orthanc.sandbox": LAST, "orthanc.version_floor": LAST}
"""What remains for a person: the finding names the setting and the file."""

OVERRIDDEN = {
    **SANDBOX,
    "authentication.ssh_administration_only": "/etc/ssh/sshd_config.d/00-baseline.conf:",
}
"""What another's hardening takes back when it runs after ours, until ours runs again."""


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the files whose digest is another than before, on either host."""
    pairs = {(line, host) for host, lines in before.items() for line in lines.splitlines()}
    gone = pairs - {(line, host) for host, lines in after.items() for line in lines.splitlines()}
    return sorted({line.split()[1] for line, _host in gone})


def judged(trial: Trial, when: str, named: Mapping[str, str]) -> None:
    """Check that the audit fails the controls of `named` alone, each finding with the file that it comes from."""
    findings = trial.facts("tests/integration/findings.yml")
    for host, each in findings.items():
        failing = {finding["control"]: json.dumps(finding) for finding in each if finding["verdict"] != "pass"}
        told = {control: named.get(control, "no file") in text for control, text in failing.items()}
        trial.check(
            f"{host}: of {len(each)} controls fail {when}, each with its file", told, dict.fromkeys(named, True)
        )
        trial.check(f"{host}: {when} something was judged", len(each) > 0)


def hand_over(trial: Trial) -> None:
    """Give the devices the certificates that the clinic's authority signed."""
    trial.each(lambda host, practice: practice.fetch_certificates(trial.inventory / practice.clinic))


def main() -> int:
    """Build the lab, prepare both practices, run the trials, and tell the tally."""
    lab = Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Trial(lab, inventory)
        trial.each(lambda host, practice: practice.make_studies(STUDIES))
        trial.each(lambda host, practice: practice.hand_in_requests(inventory / practice.clinic))
        trial.each(lambda host, practice: practice.run("ct", "studies.py", "/root/study", practice.clinic, "1"))
        trial.use("as the practice left it", tls=False, whole=True)
        for part in (alone, beside):
            part(trial)
    finally:
        lab.down()
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held")
    return 0 if trial.held and all(trial.held) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
