# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a front or the firewall run otherwise than its role wrote it, told without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_front,
    dicom_front_state,
    own_words,
    web_front,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

UNIT = "/etc/systemd/system/front.service"
OURS = (UNIT, "[Service]\nExecStart=/usr/sbin/nginx\n")


def host_of(root: Path, **files: str) -> Host:
    for path, text in {UNIT: OURS[1], **files}.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return Host(str(root))


@pytest.mark.parametrize(
    ("folder", "text", "named"),
    [
        ("front.service.d", "[Service]\nExecStart=\nExecStart=/bin/true\n", "ExecStart"),
        (
            "front.service.d",
            "[Unit]\n ConditionPathExists=/nowhere\n[Service]\nUser=root\n",
            "ConditionPathExists, User",
        ),
        ("front.service.d", "[Service]\nBindReadOnlyPaths=/tmp/x:/etc/front\n", "BindReadOnlyPaths"),
        ("front.service.d", "[Service]\nMemoryMax=1G\nTimeoutStopSec=9\n", ""),
        ("service.d", "[Service]\nExecStart=\n", ""),
    ],
)
def test_a_drop_in_counts_where_it_has_another_thing_run(tmp_path: Path, folder: str, text: str, named: str) -> None:
    path = f"/run/systemd/system/{folder}/x.conf"
    host = host_of(tmp_path, **{path: text})
    said = own_words.altered(host, {"FragmentPath": UNIT, "DropInPaths": path}, OURS)
    assert said == ([f"{path}: sets {named}"] if named else [])
    assert own_words.strangers(said, UNIT) == ([path] if named else [])


def test_another_unit_in_place_of_ours_and_an_edited_one_are_told(tmp_path: Path) -> None:
    other = "/etc/systemd/system.control/front.service"
    host = host_of(tmp_path, **{UNIT: OURS[1].replace("nginx", "other")})
    said = own_words.altered(host, {"FragmentPath": other}, OURS, ("/etc/x.conf", [":7: is not ours"]))
    assert said == [
        f"{UNIT}: is not as it was written",
        f"{other}: takes the place of {UNIT}",
        "/etc/x.conf:7: is not ours",
    ]
    assert own_words.strangers(said, UNIT, "/etc/x.conf") == [other]
    assert own_words.altered(Host(str(tmp_path / "empty")), {}, OURS) == [], "not installed: others say so"


def test_what_a_package_brought_is_refused_and_not_removed() -> None:
    with pytest.raises(HardeningError, match=r"^/usr/lib/systemd/system/front\.service\.d/x\.conf changes what"):
        own_words.strangers(["/usr/lib/systemd/system/front.service.d/x.conf: sets ExecStart"], UNIT)


def test_lines_are_told_by_number_and_never_by_their_words() -> None:
    ours = "a;\nb;\nssl_protocols X;\n"
    assert own_words.foreign(ours, ours) == []
    said = own_words.foreign('a;\n\nproxy_set_header Authorization "Basic canary";\n  ssl_protocols Y;\n', ours)
    assert said == [":3: is not ours", ":4: is not ours", ": lacks b;", ": lacks ssl_protocols X;"]
    assert own_words.foreign(None, ours) == []


SCOPE = {
    "addresses": ["10.0.0.10"],
    "names": ["pacs"],
    "devices": [
        {"name": "ct", "address": "10.0.0.30", "address6": "", "loopback": "127.0.0.30", "tls": True, "port": 104}
    ],
}
BOUND = dicom_front.configuration(SCOPE, {"ct": ["a" * 40]}, protocols=["TLSv1.3"], suites=["X", "Y"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ('    default "";\n', "    default 127.0.0.30;\n"),
        ('    default "";\n', '    default "";\n    ~. 127.0.0.30;\n'),
        ('    default "";\n', '    default "";\n    include /tmp/x;\n'),
        ("  ssl_verify_depth 1;\n", "  ssl_verify_depth 1;\n  ssl_trusted_certificate /tmp/x;\n"),
        ("  ssl_verify_client on;\n", "  ssl_verify_client on; server { listen 1; }\n"),
        ("    proxy_ssl_name ct;\n", "    proxy_ssl_name other;\n"),
    ],
)
def test_the_dicom_front_s_file_is_ours_whatever_its_devices_and_suites_are(ours: str, theirs: str) -> None:
    assert dicom_front_state._foreign(BOUND, SCOPE) == []
    assert ours in BOUND
    assert dicom_front_state._foreign(BOUND.replace(ours, theirs), SCOPE)


def test_the_web_front_s_file_is_ours_whatever_another_fact_tells(tmp_path: Path) -> None:
    text = web_front.configuration(SCOPE)
    for changed, said in (
        (text, False),
        (text.replace("ssl_protocols TLSv1.2", "ssl_protocols TLSv1 TLSv1.2"), False),
        (
            text.replace(
                "    location @guess {", "    location /open { proxy_pass http://orthanc; }\n    location @guess {"
            ),
            True,
        ),
    ):
        host = host_of(tmp_path, **{web_front.CONFIGURATION: changed})
        assert bool(web_front_state._foreign(host, SCOPE)) is said
