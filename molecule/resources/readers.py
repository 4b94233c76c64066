# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Those of a practice who read from home, as each witness of its tunnel meets them, whatever the tunnel and its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from home import NO_ANSWER, Device
from story import STUDIES, Practice
from witnessing import Check, side_by_side

PLACES = {"home": ("home", "a.martin"), "tablet": ("attacker", "c.moreau")}
"""Device of the clinic file -> host of the lab that plays it, and its person."""
IMAGES, BYTES = 6, 128 * 128 * 2
"""Of a study of the lab, and of the pixels of an image."""
SERVING = (
    "for _ in {1..120}; do found=; for url in http://127.0.0.1:8042 https://%s; do "
    "found+=$(curl -sko /dev/null -m 15 -w '%%{http_code}' $url/system); done; "
    "[ $found = 401401 ] && exit; sleep 1; done; exit 1"
)
KEEP_ASKING = Path(__file__).with_name("witnesses") / "keep_asking.py"
STORE = (
    "for f in /root/studies/*; do "
    "curl -sfo /dev/null -u orthanc:orthanc 127.0.0.1:8042/instances --data-binary @$f || exit; done"
)


class Readers:
    """A reader's laptop and an administrator's tablet, elsewhere on the internet, and the server of one practice."""

    def __init__(self, practice: Practice, directory: Path, devices: Mapping[str, Device]) -> None:
        """Take the practice, the clinic's folder on the controller, and the devices of the places."""
        self.practice, self.directory, self.number = practice, directory, practice.number
        self.server, self.server6 = practice.address("pacs"), practice.address("pacs", 6)
        self.devices = dict(devices)
        self.home, self.tablet = self.devices["home"], self.devices["tablet"]

    def stored(self) -> Iterator[Check]:
        """Store the studies that they are to read."""
        made = self.practice.run("pacs", "studies.py", "/root/studies", self.practice.clinic, str(STUDIES))
        kept = self.practice.lab.execute(f"pacs-{self.number}", "bash", "-c", STORE, check=False).returncode
        yield f"the archive keeps {made}", kept, 0

    @property
    def asked(self) -> str:
        """Where the tablet's program tells of its one connection to this practice."""
        return f"/root/asked-{self.number}"

    def hold(self) -> None:
        """Let the tablet read over one connection, which stays open, and wait until it is answered on it."""
        program = KEEP_ASKING.read_text(encoding="utf-8")
        self.tablet.shell(f"cat >{self.asked}.py", stdin=program)
        asking = ("systemd-run", "--quiet", f"--unit=asking-{self.number}", "python3", f"{self.asked}.py")
        self.tablet.on(*asking, self.server, self.asked)
        self.told_until("answers")

    def told_until(self, word: str) -> str:
        """Return what is told of that connection, as soon as this word is in it."""
        self.tablet.shell(f"for _ in {{1..60}}; do grep -qs '{word}' {self.asked} && break; sleep 1; done")
        return self.tablet.shell(f"cat {self.asked}")

    def still_open(self) -> bool:
        """Tell whether the tablet goes on being answered over that connection."""
        said = self.told_until("")
        self.tablet.shell(f"for _ in {{1..60}}; do grep -qxF '{said}' {self.asked} || break; sleep 1; done")
        later = self.told_until("")
        return later != said and later.endswith("answers")

    def nothing(self, when: str, *addresses: str) -> Iterator[Check]:
        """Ask at addresses that must not answer; neither curl's own certificate check nor a password is in the way."""
        for address, status in side_by_side(self.home.status, addresses).items():
            yield f"{when}, {address} tells the laptop nothing", status, NO_ANSWER

    def power_cut(self) -> Iterator[Check]:
        """Cut the server's power, and wait until the web and Orthanc behind it answer, which both ask for a login."""
        host = f"pacs-{self.number}"
        self.practice.lab.cut_power(host)
        self.practice.lab.give_power(host)
        serving = self.practice.lab.execute(host, "bash", "-c", SERVING % self.server, check=False).returncode
        yield "the server serves again after a power cut", serving, 0

    def reading(self) -> Iterator[Check]:
        """Read by DICOMweb over HTTPS, at the server's own addresses."""
        for name, device in self.devices.items():
            for address in (self.server, self.server6):
                yield f"{name} lists the studies at {address}", len(device.studies(address)), STUDIES
        listed = self.home.studies(self.server)
        size = self.home.fetch(self.server, listed[0]) if listed else 0
        yield "home fetches a study whole", size > IMAGES * BYTES, True


def by_wireguard(practice: Practice, directory: Path) -> dict[str, Device]:
    """Return the devices that come by WireGuard."""
    return {name: Device(practice, directory, name, *known) for name, known in PLACES.items()}
