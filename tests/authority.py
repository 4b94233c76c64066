# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let each practice's authority be followed by another while its modality stores one image a second; none may be lost.

On Debian 12 and 13. The modality takes its new certificate during the overlap; the workstation goes on with the former
one, which is let in until the former authority ends, and refused in the handshake from then on. Each stage that comes
too early is refused by the names of the devices; one run is killed. The last line is
`N checks: N held; N images stored, N lost`.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time

import rotation
from rotation import CLINICS, HOSTS, PROCESSES, SERVED, TOLD, Rotation

NAME = os.environ.get("RADIOLOGY_LAB", "authority")
TRUSTED = "grep -c BEGIN /etc/dicom-front/ca.crt; grep -c BEGIN /etc/dicom-front/revoked.crl"
REFUSALS = "journalctl -t dicom_front -o cat --no-pager | grep -c 'CN=ws.* FAILED:'"
SHOWN = """
for port in 2762 443; do openssl s_client -connect {address}:$port </dev/null 2>/dev/null | openssl x509; done
"""
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)
TALLY = re.compile(r"changed=(\d+) ")
SECONDS = 60
"""How long a run may take until it has come to what it does on the controller."""


class Change(Rotation):
    """The lab with its two practices, of which each changes its authority."""

    def stage(self, stage: str, *more: str) -> str:
        """Bring both practices to a stage, and return what was printed."""
        return self.play("rotate_certificates", "-e", f"authority={stage}", *more)

    def refused(self, stage: str) -> str:
        """Try a stage that has to be refused, and return what was printed."""
        playbook = rotation.ROOT / "playbooks" / "rotate_certificates.yml"
        done = self.attempt("ansible-playbook", "-i", str(self.inventory), str(playbook), "-e", f"authority={stage}")
        self.check(f"authority={stage} is refused when it comes too early", holds=done.returncode != 0)
        return " ".join(done.stdout.split())

    def killed(self, stage: str) -> None:
        """Kill a run once the clinics' folders are at a stage, and no server is, with all it started on the controller."""
        program, playbook = rotation.ROOT / "playbooks" / "rotate_certificates.yml", str(self.inventory)
        command = [str(rotation.Path(sys.executable).with_name("ansible-playbook")), "-i", playbook, str(program)]
        begun = subprocess.Popen(
            [*command, "-e", f"authority={stage}", "-e", "anyway=true"],
            cwd=rotation.ROOT,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + SECONDS
        folders = [self.folder(practice) / "authority" / "former" for practice in self.practices]
        while time.monotonic() < deadline and not all(folder.exists() for folder in folders):
            time.sleep(0.05)
        os.killpg(begun.pid, signal.SIGKILL)
        self.check("the killed run had not ended", holds=begun.wait() == -signal.SIGKILL)

    def trusted(self, count: int, when: str) -> None:
        """Check how many authorities the fronts trust, and that they have a list of revoked certificates of each."""
        for said in self.ask(TRUSTED):
            self.check(f"the front trusts {count} {when}", holds=said.split() == [str(count)] * 2)

    def in_(self, kind: str, how: str) -> None:
        """Check that a device is let in, in each practice."""
        for said in self.each(lambda each: each.device(kind, "echo", tls=True, check=False)):
            self.check(f"{kind} is let in {how}", holds=said == "alive")

    def take(self, kind: str, *, certificate: bool) -> None:
        """Let a device trust both authorities, and bear its new certificate or keep its former one."""
        for practice in self.practices:
            folder = self.folder(practice)
            texts = {"ca.crt": folder / "authority" / "trusted.crt"}
            if certificate:
                texts["device.crt"] = folder / "certificates" / f"{kind}.crt"
            for name, path in texts.items():
                line = f"cat >/etc/dicom-device/{name}.part; mv /etc/dicom-device/{name}.part /etc/dicom-device/{name}"
                text = path.read_text(encoding="utf-8")
                self.lab.execute(f"{kind}-{practice.number}", "sh", "-c", line, stdin=text)

    def shown_by(self, authority: str) -> list[bool]:
        """Tell of each practice whether both fronts show certificates that this authority signed, by OpenSSL's word."""
        found = []
        for practice, said in zip(self.practices, self.ask(SHOWN), strict=True):
            command = ["openssl", "verify", "-CAfile", str(self.folder(practice) / "authority" / authority)]
            texts = PEM.findall(said)
            answers = [
                subprocess.run(command, input=text, capture_output=True, text=True, check=False) for text in texts
            ]
            found.append([answer.returncode for answer in answers] == [0, 0])
        return found

    def overlap(self) -> None:
        """Begin: both are trusted, nothing else changes for anybody, and the new one signs for the devices."""
        served, processes = self.ask(SERVED), self.ask(PROCESSES)
        self.trusted(1, "before")
        self.stage("new")
        self.trusted(2, "during the overlap")
        self.check("the servers' certificates are the former", holds=self.ask(SERVED) == served)
        self.check("a second run changes nothing", holds=set(TALLY.findall(self.stage("new"))) == {"0"})
        for kind in ("ct", "ws"):
            self.in_(kind, "by its former certificate during the overlap")
        self.take("ct", certificate=True)
        self.take("ws", certificate=False)
        self.in_("ct", "by a certificate of the new authority during the overlap")
        said = self.refused("shown")
        self.check("the device that has not changed is named, and no other", holds="early: ws did not come" in said)
        self.killed("shown")
        self.check("no server was brought to it by the killed run", holds=self.ask(SERVED) == served)
        for kind in ("ct", "ws"):
            self.in_(kind, "after a killed run")
        self.stage("shown", "-e", "anyway=true")
        self.trusted(2, "while the servers show certificates of the new one")
        self.check("DICOM and the web are served with its certificates", holds=all(self.shown_by("ca.crt")))
        for kind, which in (("ct", "new"), ("ws", "former")):
            self.in_(kind, f"by its {which} certificate then")
        self.check("no front and no Orthanc was restarted", holds=self.ask(PROCESSES) == processes)

    def end(self) -> None:
        """End the former authority: who has not changed is refused in the handshake."""
        processes, said = self.ask(PROCESSES), self.refused("only")
        self.check("the device that has not changed is named, and no other", holds="early: ws did not come" in said)
        before = [int(said) for said in self.ask(REFUSALS)]
        self.stage("only", "-e", "anyway=true")
        self.trusted(1, "after the end")
        self.in_("ct", "after the end of the former authority")
        out = self.each(lambda each: each.device("ws", "echo", tls=True, check=False))
        self.check("the former certificate is let in no more", holds="alive" not in out)
        refused = [int(said) > then for said, then in zip(self.ask(REFUSALS), before, strict=True)]
        self.check("it is refused in the handshake", holds=all(refused))
        self.fetch()
        self.in_("ws", "by its new certificate")
        self.check("a second run changes nothing", holds=set(TALLY.findall(self.stage("only"))) == {"0"})
        self.check("neither does a run of harden", holds=set(TALLY.findall(self.play("harden"))) == {"0"})
        left = [name for each in self.practices for name in os.listdir(self.folder(each) / "authority")]
        self.check("one authority is left", holds=sorted(set(left)) == ["README", "ca.crt", "ca.key", "revoked.crl"])
        self.check("no front and no Orthanc was restarted", holds=self.ask(PROCESSES) == processes)


def main() -> int:
    """Build the lab, let the modalities store, change the authorities, and tell the tally."""
    lab = rotation.Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Change(lab, inventory)
        trial.prepare()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(practice.device, "ct", "trickle", "/root/studies", tls=True) for practice in trial.practices
            ]
            time.sleep(5)
            try:
                trial.overlap()
                trial.end()
            finally:
                trial.each(lambda practice: lab.execute(f"ct-{practice.number}", "touch", "/root/studies/stop"))
            told = [TOLD.fullmatch(each.result()) for each in waiting]
        there = trial.each(lambda practice: practice.device("ws", "retrieve", tls=True, check=False))
    finally:
        lab.down()
    tallies = [(int(each[1]), int(each[2])) for each in told if each]
    trial.check("modalities stored all along", holds=len(tallies) == len(CLINICS) and min(tallies)[0] > 20)
    due = [f"{stored} images retrieved" for stored, dummy in tallies]
    trial.check(f"the workstations fetch each image: {', '.join(there)}", holds=there == due)
    stored, lost = sum(each[0] for each in tallies), sum(each[1] for each in tallies)
    print(f"{len(trial.held)} checks: {trial.held.count(True)} held; {stored} images stored, {lost} lost")
    return 0 if all(trial.held) and not lost else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
