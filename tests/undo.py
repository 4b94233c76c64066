# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undo every surface on hosts that hold 50 studies, alone and beside somebody else's general hardening.

On Debian 12 and 13, each in a practice of the lab with its modality and its workstation: what posture sees of a surface
before it is hardened has to be what it sees after its undo, the studies have to be there, and the modality and the
workstation have to store, find and fetch images. So it is with the surfaces of the workstations. Those of disks are
undone on machines, by undo_machine.py. The last line is `N checks: N held`.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

from lab import Lab
from story import Practice
from undone import Undoing

NAME = os.environ.get("RADIOLOGY_LAB", "undo")
STUDIES, IMAGES = 50, 300
HOSTS = ("pacs-1", "ct-1", "ws-1", "box-1", "pacs-2", "ct-2", "ws-2", "box-2")
ALONE = ("orthanc", "dicom_tls", "authentication", "firewall", "remote_access", "system")
SHUFFLED = ("orthanc", "remote_access", "system", "firewall", "dicom_tls", "authentication")
"""Not the order in which they are hardened, nor its reverse: each is undone while others stand."""
OF_WORKSTATIONS = ("authentication", "firewall", "system", "workstation")
WRITABLE = ("find", "/var/log/orthanc", "-type", "f", "-perm", "/022")
"""Logs that others than Orthanc may write."""
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


class Trial(Undoing):
    """The lab with its two practices."""

    def __init__(self, lab: Lab, inventory: Path) -> None:
        """Take a lab that is up."""
        super().__init__(NAME, inventory, ALONE)
        self.lab = lab
        self.practices = {f"pacs.{clinic}": Practice(lab, clinic) for clinic in ("dmz-practice", "forwarded-practice")}

    def each(self, do: Callable[[str, Practice], Any]) -> dict[str, Any]:
        """Do the same in both practices at once."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = {host: pool.submit(do, host, practice) for host, practice in self.practices.items()}
            return {host: done.result() for host, done in waiting.items()}

    def undo_both(self, surface: str) -> None:
        """Undo a surface in both practices, one playbook each, on what is looked at."""
        kind = "ws" if self.targets == "workstations" else "pacs"
        self.each(lambda _host, practice: self.undo(surface, f"{kind}.{practice.clinic}"))

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


def alone(trial: Trial) -> None:
    """Harden one surface alone, refuse an undo that is not confirmed, undo it, and look at everything."""
    before = trial.facts()
    for surface in ALONE:
        trial.demand("molecule/resources/converge.yml", roles=surface)
        trial.changed(surface, before, trial.facts())
        refused = trial.play("playbooks/undo.yml", "-l", "pacs.dmz-practice", "-e", f"surface={surface}").stdout
        asked = "Nothing was changed. To undo" in refused and f"{surface} would be undone" in refused
        trial.check(f"the undo of {surface} is shown, and asks for the host's name", asked)
        closed = trial.run("sh", "-c", BY_HAND + " && echo closed")
        trial.check(f"what was kept of {surface} is root's alone", set(closed.values()), {"closed\n"})
        trial.undo_both(surface)
        trial.same(f"facts after the undo of {surface} are those before", before, trial.facts())
        trial.check(f"no log is writable after the undo of {surface}", set(trial.run(*WRITABLE).values()), {""})
        trial.use(f"after the undo of {surface}", tls=False)
    said = trial.play("playbooks/undo.yml", "-l", "pacs.dmz-practice", "-e", "surface=orthanc").stdout
    trial.check("a second undo says that nothing is kept", "Nothing of orthanc was kept on this host" in said)


def workstations(trial: Trial) -> None:
    """Harden each surface of the workstations alone, undo it, and look at everything."""
    trial.targets, trial.surfaces = "workstations", OF_WORKSTATIONS
    before = trial.facts()
    for surface in OF_WORKSTATIONS:
        trial.demand("molecule/resources/converge.yml", roles=surface)
        trial.changed(surface, before, trial.facts())
        trial.undo_both(surface)
        trial.same(f"facts after the undo of {surface} are those before", before, trial.facts())
        trial.use(f"after the undo of {surface} on the workstations", tls=False)
    trial.targets, trial.surfaces = "orthanc_servers", ALONE


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
        trial.undo_both(surface)
        counted = trial.run("python3", "-c", COUNT)
        for host, number in counted.items():
            trial.check(f"{host}: images after the undo of {surface}, others standing", number.strip(), str(IMAGES))
    trial.same("facts after all was undone are those before", before, trial.facts())
    trial.check("no log is writable after all was undone", set(trial.run(*WRITABLE).values()), {""})
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
        for part in (alone, workstations, beside):
            part(trial)
    finally:
        lab.down()
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held")
    return 0 if trial.held and all(trial.held) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
