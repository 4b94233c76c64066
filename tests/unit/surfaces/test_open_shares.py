# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which shares of Samba and exports of NFS are open to whoever asks, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import open_shares
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

GLOBAL = """\
# Global parameters
[global]
\tusershare allow guests = Yes
\tusershare max shares = 100
\tusershare path = /var/lib/samba/usershares
\tavailable = Yes
\tguest ok = No
\tprintable = No

[printers]
\tguest ok = Yes
\tpath = /var/tmp
\tprintable = Yes

"""
IMAGES = "[images]\n\tguest ok = Yes\n\tpath = /srv/images\n"


class Server(Host):
    """A host below a folder, with what Samba and NFS say; None: not installed."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.answers: dict[str, Result | None] = {"testparm": None, "exportfs": None}

    def run(self, command, **_):
        return self.answers[command[0]] or Result(127, "", "")

    def lay(self, path, text):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture(name="server")
def with_nothing(tmp_path):
    return Server(tmp_path)


def test_a_host_without_samba_and_nfs_shares_nothing(server):
    server.lay("/etc/exports", "/srv/images *(rw)\n")
    assert open_shares.observe(server) == {"open": [], "advice": []}
    assert open_shares.steps({"open": [], "advice": []}, []) == []


@pytest.mark.parametrize(
    ("share", "opened"),
    [
        (IMAGES, True),
        ("[images]\n\tpath = /srv/images\n", False),
        (f"{IMAGES}\tavailable = No\n", False),
        (f"{IMAGES}\tprintable = Yes\n", False),
    ],
)
def test_a_share_is_open_where_samba_itself_says_that_guests_are_let_in(server, share, opened):
    server.lay("/etc/samba/smb.conf", "[global]\n[ Images ]\npublic = yes\n")
    server.answers["testparm"] = Result(0, GLOBAL + share, "")
    assert open_shares.observe(server)["open"] == ["images (/srv/images), to guests by /etc/samba/smb.conf"] * opened


def test_what_all_shares_begin_with_counts_for_each(server):
    server.answers["testparm"] = Result(
        0, GLOBAL.replace("guest ok = No", "guest ok = Yes") + "[a]\n[b]\n\tguest ok = No\n", ""
    )
    server.lay("/etc/samba/smb.conf", "[global]\nguest ok = yes\ninclude = /etc/samba/more.conf\ninclude = /etc/%m\n")
    server.lay("/etc/samba/more.conf", "[a]\n[b]\nguest ok = no\n")
    assert open_shares.observe(server)["open"] == ["a (its folder), to guests by /etc/samba/more.conf"]


@pytest.mark.parametrize(
    ("change", "opened"),
    [({}, True), ({"allow guests = Yes": "allow guests = No"}, False), ({"shares = 100": "shares = 0"}, False)],
)
def test_what_people_share_by_themselves_is_named(server, change, opened):
    shown = GLOBAL
    for old, new in change.items():
        shown = shown.replace(old, new)
    server.answers["testparm"] = Result(0, shown, "")
    folder = "/var/lib/samba/usershares"
    server.lay(f"{folder}/desk", "#VERSION 2\npath=/home/anne/desk\nusershare_acl=Everyone:R\nguest_ok=y\n")
    server.lay(f"{folder}/own", "#VERSION 2\npath=/home/anne\nguest_ok=n\n")
    assert open_shares.observe(server)["open"] == [f"desk (/home/anne/desk), to guests by {folder}/desk"] * opened


def test_a_configuration_that_samba_cannot_read_is_no_closed_one(server):
    server.answers["testparm"] = Result(
        1, "", "Load smb config files from /etc/samba/smb.conf\nError loading services.\n"
    )
    assert "Error loading services" in open_shares.observe(server)["open"][0]


@pytest.mark.parametrize(
    ("line", "folders"),
    [
        ("/srv/images *(ro)", ["/srv/images"]),
        ("/srv/images", ["/srv/images"]),
        ("/srv/images (ro)", ["/srv/images"]),
        ("/srv/images 10.0.0.0/8(rw) (ro)", ["/srv/images"]),
        ("/srv/images -ro 0.0.0.0/0", ["/srv/images"]),
        ("/srv/images ::/0(rw,sec=krb5p:sys)", ["/srv/images"]),
        ("/srv/images *.*(ro)", ["/srv/images"]),
        ("/srv/images ?*.?*(ro)", ["/srv/images"]),
        ("/srv/images ???(ro) pacs?(ro) @everybody(ro)", []),
        ("/srv/images 0.0.0.0/1(ro) 128.0.0.0/1(ro)", ["/srv/images"]),
        ("/srv/images 128.0.0.0/128.0.0.0(ro) 0.0.0.0/128.0.0.0(ro)", ["/srv/images"]),
        ("/srv/images 0.0.0.0/1(ro) 128.0.0.0/2(ro) 192.0.0.0/2(ro)", ["/srv/images"]),
        ("/srv/images 0.0.0.0/1(ro) 128.0.0.0/1(ro,sec=krb5i)", []),
        ("/srv/images 0.0.0.0/1(ro) 8000::/1(ro)", []),
        ("/srv/images 0.0.0.0/1(ro)\n/srv/other 128.0.0.0/1(ro)", []),
        ("/srv/images ::/1(ro) 8000::/1(ro)", ["/srv/images"]),
        ("/srv/images *(rw,sec=krb5p)", []),
        ("/srv/images \\\n  *(ro)", ["/srv/images"]),
        ('"/srv/old images" *(ro)', ["/srv/old images"]),
        ("/srv/old\\040images *(ro)", ["/srv/old images"]),
        ("/srv/images 192.168.10.0/24(rw) *.practice.example(ro)", []),
        ("# /srv/images *(ro)", []),
        ("", []),
    ],
)
def test_an_export_to_everybody_is_found_in_the_files_and_in_the_table(server, line, folders):
    server.answers["exportfs"] = Result(0, "", "")
    server.lay("/etc/exports", f"{line}\n")
    assert open_shares.observe(server)["open"] == [f"{folder}, to everybody by /etc/exports" for folder in folders]
    server.lay("/etc/exports", "")
    server.lay("/etc/exports.d/more.exports", f"{line}\n")
    assert len(open_shares.observe(server)["open"]) == len(folders)
    server.lay("/etc/exports.d/more.exports", "")
    server.answers["exportfs"] = Result(0, f"{line}\n", "")
    assert open_shares.observe(server)["open"] == [f"{folder}, to everybody by exportfs" for folder in folders]


def test_halves_of_the_internet_in_two_places_are_all_of_it(server):
    server.lay("/etc/exports", "/srv/images 0.0.0.0/1(ro)\n")
    server.answers["exportfs"] = Result(0, "/srv/images  128.0.0.0/1(ro)\n/srv/images  0.0.0.0/1(ro)\n", "")
    assert open_shares.observe(server)["open"] == ["/srv/images, to everybody by /etc/exports"]
    server.lay("/etc/exports", "")
    (said,) = open_shares.observe(server)["advice"]
    assert "run `exportfs -u '128.0.0.0/1:/srv/images'` and `exportfs -u '0.0.0.0/1:/srv/images'`" in said


def test_closing_is_left_to_a_person_who_is_told_how(server):
    server.answers = {"testparm": Result(0, GLOBAL + IMAGES, ""), "exportfs": Result(0, "/srv/images  *(ro)\n", "")}
    server.lay("/etc/samba/smb.conf", "[images]\n")
    steps = open_shares.steps(open_shares.observe(server), ["system.shares.open"])
    assert all(isinstance(step, Deliberate) for step in steps)
    said = " ".join(step.does for step in steps)
    assert "set `guest ok = no` in /etc/samba/smb.conf" in said
    assert "run `exportfs -u '*:/srv/images'`" in said
