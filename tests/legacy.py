# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a device that cannot speak TLS work by its declaration, and end with it, on Debian 12 and 13.

An ultrasound machine of each practice stores and retrieves in clear while the scanner and the workstation do so over
TLS; a capture on the server's network finds names of patients on its two links alone. Its AE title is refused from
another's tunnel and address, another's AE title by its port, and its port is silent to everybody else. Then the last day
is over: the firewall shuts the port by itself, the audit names device and day, one run takes the port away, and the
audit goes on naming it until somebody renews the declaration. The last line is `N checks: N held`.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import sys
import time
from typing import Any

import rotation
from inventory import DAYS, until
from practices import AE_TITLES, PREFIXES
from rotation import CLINICS, HOSTS, RESOURCES, ROOT, Rotation
from story import FRONT, Practice

NAME = os.environ.get("RADIOLOGY_LAB", "legacy")
DOOR, OWN = 11104, 11112
"""The server's port for the ultrasound, and the ultrasound's own."""
LOW = 104
"""The port that the oldest devices call, whatever they are told; it takes a privilege to listen there."""
IMAGES = 12
SILENT = 124
"""The status of timeout(1): neither taken nor refused."""
DEVICE = "/etc/dicom-device"
IDENTITY = tuple(f"{DEVICE}/{name}" for name in ("device.crt", "device.key", "ca.crt"))
TALLY = re.compile(r"changed=(\d+) ")
HARDENED = ("orthanc", "dicom_tls", "authentication", "firewall")
UNDECLARED = ("firewall.wan_exposure", "firewall.dicom_sources", "firewall.ipv6_parity", "firewall.persistent")
"""Promises that a rule breaks which the clinic file does not give any more."""
OVER = "dicom_tls.cleartext_unexpired"
SAID = "us was declared in clear until {day} by Dr Anne Martin, and its port 11104 is {state}"
LOGGED = "journalctl -t dicom_front -o cat --no-pager | grep -c '^{address} in clear to 11104 device=us '"
PAST = r"""sed -E 's/(meta time >= )"[0-9-]+ /\1"2020-01-01 /' /etc/radiology-firewall/ruleset.nft | nft -f -"""
"""The rules as they are when the day is over: the clock of this machine is everybody's."""
UNLOADED, LOADED = "nft delete table inet radiology", "systemctl restart radiology-firewall"
LISTENS = r"ss -Hltn | grep -cE ':11104 |\.40:11112 '; true"


class Legacy(Rotation):
    """The lab with its two practices, each with an ultrasound machine that speaks in clear."""

    def converge(self, *roles: str) -> str:
        """Harden by some roles, and return what was printed."""
        os.environ["RADIOLOGY_ROLE"] = ",".join(roles)
        done = self.attempt("ansible-playbook", "-i", str(self.inventory), str(RESOURCES / "converge.yml"))
        if done.returncode:
            sys.exit(done.stdout[-6000:] + done.stderr[-2000:])
        return done.stdout + done.stderr

    def begin(self) -> None:
        """Make images of the scanner and of the ultrasound, harden, and let the others bear their certificates."""
        for kind in ("ct", "us"):
            self.each(
                lambda each, kind=kind: each.run(kind, "studies.py", "/root/studies", f"{each.clinic}{kind}", "2")
            )
        self.each(lambda practice: practice.hand_in_requests(self.folder(practice)))
        self.converge(*HARDENED)
        self.fetch()

    def both(self, what: str, found: list[Any], due: Any) -> None:
        """Check that something is so in both practices."""
        self.check(f"{what}: {found}" if found != [due] * 2 else what, holds=found == [due] * 2)

    def us(self, verb: str, *more: str, port: int = DOOR) -> list[str]:
        """Let each ultrasound do something in clear, and return what it said."""
        return self.each(lambda each: each.device("us", verb, *more, tls=False, port=port, check=False))

    def knock(self, kind: str, port: int = DOOR) -> list[int]:
        """Return how a device's attempt to connect to the server ended: 0, 1 or SILENT."""

        def do(practice: Practice) -> int:
            line = f"timeout 3 bash -c '</dev/tcp/{practice.address('pacs')}/{port}' 2>/dev/null"
            return self.lab.execute(f"{kind}-{practice.number}", "bash", "-c", line, check=False).returncode

        return self.each(do)

    def associate(self, kind: str, title: str, port: int = DOOR, *identity: str) -> list[str]:
        """Let a device ask for an association by an AE title, and return how it ended."""
        program = (RESOURCES / "witnesses" / "associate.py").read_text(encoding="utf-8")

        def do(practice: Practice) -> str:
            calling = title if title == "NOBODY" else f"{PREFIXES[practice.clinic]}_{title}"
            words = (
                "python3",
                "-",
                practice.address("pacs"),
                str(port),
                calling,
                AE_TITLES[practice.clinic],
                *identity,
            )
            done = self.lab.execute(f"{kind}-{practice.number}", *words, stdin=program, check=False)
            return (done.stdout.split() or [done.stderr[-200:]])[0]

        return self.each(do)

    def work(self) -> None:
        """Let all devices work while the server's network is captured."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            captures = [pool.submit(self.capture, practice) for practice in self.practices]
            time.sleep(1)
            over_tls = self.each(lambda each: each.device("ct", "store", "/root/studies", tls=True, check=False))
            self.both("the scanner stores over TLS", over_tls, f"{IMAGES} images stored")
            self.both("the ultrasound stores in clear", self.us("store", "/root/studies"), f"{IMAGES} images stored")
            for kind, tls in (("ws", True), ("us", False)):
                told = self.each(lambda each, k=kind, t=tls: each.device(k, "retrieve", tls=t, port=DOOR, check=False))
                self.both(f"{kind} retrieves what both have stored", told, f"{2 * IMAGES} images retrieved")
            self.each(lambda each: self.lab.execute(f"pacs-{each.number}", "touch", "/run/captured"))
            seen = [capture.result() for capture in captures]
        self.check("the captures hold packets", holds=min(each["packets"] for each in seen) > 100)
        for practice, each in zip(self.practices, seen, strict=True):
            us, pacs = practice.address("us"), practice.address("pacs")
            ways = {
                tuple(re.sub(r":\d{5}\b(?<!:11104)(?<!:11112)", "", end) for end in link.split())
                for link in each["links"]
            }
            due = {(us, f"{pacs}:{DOOR}"), (f"{pacs}:{DOOR}", us), (pacs, f"{us}:{OWN}")}
            self.check(f"{practice.clinic}: names in clear on the links of us alone: {sorted(ways)}", holds=ways == due)
            logged = LOGGED.replace("{address}", us)
            count = self.lab.execute(f"pacs-{practice.number}", "sh", "-c", logged, check=False).stdout.strip()
            self.check(f"{practice.clinic}: the front's journal tells of {count} sessions of us", holds=int(count) > 2)

    def capture(self, practice: Practice) -> dict[str, Any]:
        """Capture on the server's network until the work is done, and return what was found."""
        program = (RESOURCES / "witnesses" / "in_clear.py").read_text(encoding="utf-8")
        surnames = re.search(r"SURNAMES = \((.*?)\)", (RESOURCES / "devices" / "studies.py").read_text("utf-8"))
        names = [f"{name}^" for name in re.findall(r"[A-Z]+", surnames[1] if surnames else "")]
        words = ("python3", "-", "lan", "/run/captured", *names)
        found: dict[str, Any] = json.loads(self.lab.execute(f"pacs-{practice.number}", *words, stdin=program).stdout)
        return found

    def identities(self) -> None:
        """Address, port and AE title belong together, by firewall and front, and by the front alone."""
        self.both("us is let in by its port", self.associate("us", "US1"), "accepted")
        for title in ("CT1", "WS1", "NOBODY"):
            refused = [each != "accepted" for each in self.associate("us", title)]
            self.both(f"{title} is refused by the port of us", refused, True)
        refused = [each != "accepted" for each in self.associate("ct", "US1", FRONT, *IDENTITY)]
        self.both("US1 is refused in the tunnel of ct", refused, True)
        self.both("ct is let in by its own tunnel", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        for kind, port in (("ct", DOOR), ("ws", DOOR), ("us", FRONT)):
            self.both(f"port {port} is silent to {kind}", self.knock(kind, port), SILENT)
        self.ask(UNLOADED)
        for title in ("US1", "CT1"):
            self.both(
                f"without the firewall, the front refuses {title} from ct", self.associate("ct", title), "refused"
            )
        self.both("... and lets us in", self.associate("us", "US1"), "accepted")
        self.ask(LOADED)

    def last_day(self) -> None:
        """The day is over before anybody comes: the firewall shuts the port by itself."""
        self.both("the port takes us", self.knock("us"), 0)
        self.ask(PAST)
        self.both("when the day is over, the port is silent to us without a run", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.ask(LOADED)

    def declare(self, days: int, port: int = DOOR) -> str:
        """Write into each clinic file on which day the declaration ends, and for which port; return that day."""
        for clinic in CLINICS:
            path = self.inventory / f"{clinic}.yml"
            text = until(path.read_text(encoding="utf-8"), days)
            path.write_text(text.replace(f"cleartext: {{port: {DOOR}", f"cleartext: {{port: {port}"), encoding="utf-8")
        return re.findall(r'cleartext: .*"([0-9-]+)"', path.read_text(encoding="utf-8"))[0]

    def audit(self, *places: str) -> list[dict[str, Any]]:
        """Audit from inside and from these places, and return the reports."""
        folder = self.inventory.parent / "reports"
        limit = ":".join(("orthanc_servers", "localhost", *places))
        playbook, given = str(ROOT / "playbooks" / "audit.yml"), f"report_directory={folder}"
        self.attempt("ansible-playbook", "-i", str(self.inventory), playbook, "-l", limit, "-e", given)
        return [json.loads((folder / clinic / "report.json").read_text(encoding="utf-8")) for clinic in CLINICS]

    def tell(self, day: str) -> None:
        """The report tells the link and who answers for it; beside it nothing answers in clear."""
        for report in self.audit("ct-probe.*", "us-probe.*"):
            clinic = report["clinic"]["name"]
            (link,) = report["cleartext"]
            about = (link["device"], link["owner"], link["expires"], link["state"])
            self.check(
                f"{clinic}: the report tells of {link}", holds=about == ("us", "Dr Anne Martin", day, "in force")
            )
            self.check(f"{clinic}: us-probe sees it", holds=f"us-probe.{clinic} at " in link["said"])
            self.check(f"{clinic}: ct-probe does not", holds="ct-probe" not in link["said"])
            (ports,) = [each for each in report["findings"] if each["control"] == "dicom_tls.cleartext_ports"]
            points = {item["seen_from"] for item in ports["evidence"] if item["verdict"] == "pass"}
            self.check(
                f"{clinic}: seen from {sorted(points)}", holds={f"us-probe.{clinic}", f"ct-probe.{clinic}"} < points
            )
            broken = self.broken(report)
            self.check(f"{clinic}: broken, in {len(report['findings'])} findings: {broken}", holds=not broken)

    @staticmethod
    def broken(report: dict[str, Any]) -> dict[str, list[Any]]:
        """Return the promises of the roles that hardened which do not hold, by what was looked at, and what was seen.

        Not every vantage point of the clinic is in this lab.
        """
        seen = [
            each for each in report["findings"] if each["control"].startswith(tuple(f"{role}." for role in HARDENED))
        ]
        wrong = {
            each["control"]: [item["observed"] for item in each["evidence"] if item["verdict"] in ("fail", "error")]
            for each in seen
        }
        return {name: observed for name, observed in wrong.items() if observed}

    def expire(self) -> None:
        """The day is over: the audit names it, a run shuts the port, the audit goes on, and a renewal opens it."""
        day = self.declare(-1)
        self.named(day, "open", *UNDECLARED)
        self.converge("dicom_tls", "firewall")
        self.both("nobody listens for us any more", [said.strip() for said in self.ask(LISTENS)], "0")
        self.both("the port is silent to us", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.named(day, "shut")
        told = self.converge("dicom_tls", "firewall")
        self.check("a second run changes nothing, and says what is left", holds=set(TALLY.findall(told)) == {"0"})
        self.check("... by name and day", holds=SAID.format(day=day, state="shut") in " ".join(told.split()))
        self.declare(DAYS, LOW)
        self.converge("dicom_tls", "firewall")
        self.both(f"renewed, for port {LOW}, us is let in again", self.us("echo", port=LOW), "alive")
        self.both("... and by its former port no more", self.knock("us"), SILENT)
        self.both("... while ct is let in", self.associate("ct", "CT1", FRONT, *IDENTITY), "accepted")
        self.check("a second run changes nothing", holds=set(TALLY.findall(self.converge("dicom_tls"))) == {"0"})

    def named(self, day: str, state: str, *follow: str) -> None:
        """Check that the audit fails by name and day, and that no promise is broken beside it and those that follow."""
        for report in self.audit():
            clinic = report["clinic"]["name"]
            broken = self.broken(report)
            said = [sentence for observed in broken.pop(OVER, []) for sentence in observed]
            due = SAID.format(day=day, state=state)
            self.check(f"{clinic}: the audit says {said}", holds=len(said) == 1 and said[0].startswith(due))
            self.check(f"{clinic}: no other promise is broken but {broken}", holds=set(broken) == set(follow))


def main() -> int:
    """Build the lab, let the devices work, end the declaration, and tell the tally."""
    lab = rotation.Lab(NAME, (*HOSTS, "us-1", "us-2"))
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        trial = Legacy(lab, inventory)
        trial.begin()
        trial.work()
        trial.identities()
        trial.last_day()
        trial.tell(trial.declare(DAYS))
        trial.expire()
    finally:
        lab.down()
    held = trial.held
    print(f"{len(held)} checks: {held.count(True)} held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    rotation.NAME = NAME
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
