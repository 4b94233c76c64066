# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificate a device last came with, by lines of the front's journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front, dicom_front_seen
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

PRINT = "ab" * 20
LINE = f'1764170000.250000 pacs-1 dicom_front[12]: 10.0.0.30 "CN=ct" {PRINT} SUCCESS device=127.0.2.1 TLSv1.3 2 3 0.250 200\n'


class Told(Host):
    """A host whose journal says something."""

    def __init__(self, root: str, output: str, errors: str = "") -> None:
        super().__init__(root)
        self.said = Result(1 if errors or not output else 0, output, errors)
        self.asked: list[Sequence[str]] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> Result:
        self.asked.append(command)
        return self.said


def test_a_session_began_before_its_line(tmp_path: Path) -> None:
    assert dicom_front_seen.session(LINE) == {"fingerprint": PRINT, "began": 1764170000.0}
    assert dicom_front_seen.session("-- No entries --\n") == dicom_front_seen.session("") == {}
    assert dicom_front_seen.session(LINE.replace("SUCCESS", "FAILED:certificate revoked")) == {}


def test_the_newest_line_of_each_device_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path
    certificate = root / dicom_front.CERTIFICATE.lstrip("/")
    certificate.parent.mkdir(parents=True)
    certificate.write_text("a certificate", encoding="ascii")
    host = Told(str(root), LINE)
    found = dicom_front_seen.observe(host, [{"name": "ct", "loopback": "127.0.2.1"}], 1000.4)
    assert found["devices"] == {"ct": {"fingerprint": PRINT, "began": 1764170000.0}}
    assert found["shown"] == host.digest(dicom_front.CERTIFICATE)
    assert found["shown_since"] == certificate.stat().st_mtime
    (command,) = host.asked
    assert {"--since=@1000", r" SUCCESS device=127\.0\.2\.1 ", "-r"} <= set(command)


def test_a_device_that_never_came_and_a_front_that_is_not_there_say_nothing(
    tmp_path: Path,
) -> None:
    host = Told(str(tmp_path), "")
    found = dicom_front_seen.observe(host, [{"name": "ct", "loopback": "127.0.2.1"}], 0)
    assert found == {"devices": {}, "shown": "", "shown_since": 0.0}


def test_a_journal_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    host = Told(str(tmp_path), "", "No journal files were found.")
    with pytest.raises(HardeningError, match="journal does not tell which devices came: No journal files"):
        dicom_front_seen.observe(host, [{"name": "ct", "loopback": "127.0.2.1"}], 0)


DAMAGED = "Journal file /var/log/journal/x/system@0006.journal~ is truncated, ignoring file."


def test_a_journal_file_that_a_power_cut_left_hides_nothing(tmp_path: Path) -> None:
    for line, devices in ((LINE, {"ct"}), ("", set())):
        host = Told(str(tmp_path), line, DAMAGED)
        assert set(dicom_front_seen.observe(host, [{"name": "ct", "loopback": "127.0.2.1"}], 0)["devices"]) == devices


NOW, DAY = 1764170000.25, 86400


@pytest.mark.parametrize(
    ("left", "days_ago", "told"),
    [
        ("29", 0, "2025-12-25"),
        ("10", 0, "2025-12-06"),
        ("0", 5, "2025-11-21"),
        ("60", 31, "2025-12-25"),
        ("30", 0, ""),
        ("364", 60, ""),
        ("", 0, ""),
    ],
    ids=["a month", "ten days", "ended", "then two months", "lasts", "then a year", "a former front's line"],
)
def test_a_device_whose_certificate_ends_soon_is_told_by_its_newest_session(
    tmp_path: Path, left: str, days_ago: int, told: str
) -> None:
    line = LINE.replace("1764170000.250000", f"{NOW - days_ago * DAY:.6f}").replace(
        " 200\n", f" 200 {left}".rstrip() + "\n"
    )
    host = Told(str(tmp_path), line)
    due = dicom_front_seen.ENDS.format(name="ct", day=told)
    assert dicom_front_seen.ending(host, [{"name": "ct", "loopback": "127.0.2.1"}], NOW) == ([due] if told else [])
    (command,) = host.asked
    assert f"--since=@{NOW - 90 * DAY:.0f}" in command
    assert dicom_front_seen.session(line)["fingerprint"] == PRINT


def test_a_device_that_did_not_come_is_not_told_of(tmp_path: Path) -> None:
    assert dicom_front_seen.ending(Told(str(tmp_path), ""), [{"name": "ct", "loopback": "127.0.2.1"}], NOW) == []
    told = dicom_front_seen.ending(
        Told(str(tmp_path), "", "no journal"), [{"name": name, "loopback": "127.0.2.1"} for name in ("ct", "mr")], NOW
    )
    assert told == ["The journal does not tell which devices came: no journal"], "which ends no hardening"


def test_the_front_tells_at_the_end_of_its_line_what_is_read_there() -> None:
    text = dicom_front.configuration({"devices": [], "addresses": []}, {}, protocols=[], suites=[])
    assert "$session_time $status $ssl_client_v_remain';" in text
