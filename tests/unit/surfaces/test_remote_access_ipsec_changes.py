# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway of IPsec while its devices change: who is cut off, who is not, and that a run which was killed is mended."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    home_ipsec,
    home_ipsec_host,
    home_tunnel,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from disk_host import RecordedHost
from test_remote_access_ipsec import LAPTOP, PEERS, TABLET, TUNNEL

CONN = (
    "list-conn event {%(name)s {local_addrs=[%%any] remote_addrs=[%%any] remote-1 {id=%%any class=public key "
    "certs=[CN=%(device)s.remote-access] cacerts=[]} children {%(name)s {mode=TUNNEL "
    "local-ts=[10.0.1.10/32 fd00:1::10/128] remote-ts=[dynamic]}}}}"
)
POOLS = " ".join(
    f"radiology-home-{each['name']}-{version} {{base={address} size=1 online=1 offline=0}}"
    for each in (LAPTOP, TABLET)
    for version, address in zip((4, 6), each["addresses"], strict=True)
)


class Gateway(RecordedHost):
    """A host whose strongSwan loads every connection that lies in its folder."""

    def __init__(self) -> None:
        super().__init__()
        self.stats["/sys/class/net/ipsec0"] = {
            "mode": "0755",
            "owner": "root",
            "group": "root",
            "size": 0,
            "is_directory": True,
            "modified": 0.0,
        }
        self.standing = ["radiology-home-laptop", "radiology-home-gone", "office"]
        self.pools = POOLS
        self.starter = False
        self.killed = ""
        """A command at which the run is killed."""

    def list(self, path: str) -> tuple[str, ...]:
        return tuple(each.rpartition("/")[2] for each in self.files if each.startswith(f"{path}/"))

    def run(self, command, *, stdin=None, timeout=120):
        words = " ".join(command)
        loaded = [name.removesuffix(".conf") for name in self.list(home_ipsec.CONNECTIONS)]
        self.answers(
            "swanctl --list-conns --raw",
            output="\n".join(CONN % {"name": name, "device": name.rpartition("-")[2]} for name in loaded),
        )
        self.answers("swanctl --list-pools --raw", output=f"get-pools reply {{{self.pools}}}")
        self.answers(
            "swanctl --list-sas --raw",
            output="\n".join(
                f"list-sa event {{{name} {{uniqueid=1 version=2 state=ESTABLISHED local-host=x"
                for name in self.standing
            ),
        )
        if words.startswith(("systemctl", "swanctl --load", "swanctl --terminate")):
            self.answers(words, status=1 if "restart radiology-tunnel" in words and self.lost() else 0)
        if "is-active" in words:
            self.answers(words, status=0 if self.starter else 3)
        if self.killed and self.killed in words:
            raise KeyboardInterrupt
        return super().run(command, stdin=stdin, timeout=timeout)

    def lost(self) -> bool:
        """Tell whether strongSwan refuses a pool: one has another address, while a device has the former."""
        at = home_ipsec.CONNECTIONS
        ours = [name for name in self.standing if name.startswith(home_ipsec.OURS)]
        texts = {name: self.files[f"{at}/{name}.conf"] for name in ours if f"{at}/{name}.conf" in self.files}
        ended = {line.rpartition(" --ike ")[2].partition(" ")[0] for line in self.done if " --terminate " in line}
        given = home_ipsec.pools(f"get-pools reply {{{self.pools}}}")
        return any(
            f"addrs = {pool.base}/" not in text
            for name, text in texts.items()
            for pool in (given[f"{name}-4"], given[f"{name}-6"])
            if name not in ended
        )


def brought_up(host: Gateway, peers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(unit_state, "properties", lambda *_given: {"ActiveState": "active"})
    host.done.clear()
    home_ipsec_host._bring_up(host, {**TUNNEL, "peers": peers}, [])
    return [line.rpartition(" --ike ")[2].partition(" ")[0] for line in host.done if " --terminate " in line]


def test_who_is_let_in_no_more_is_cut_off_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.files["/etc/swanctl/conf.d/radiology-home-gone.conf"] = "x"
    host.files["/etc/swanctl/conf.d/office.conf"] = "x"
    host.standing.remove("radiology-home-laptop")
    assert brought_up(host, PEERS, monkeypatch) == ["radiology-home-gone"]
    host.standing.append("radiology-home-laptop")
    assert "/etc/swanctl/conf.d/radiology-home-gone.conf" not in host.files
    assert host.files["/etc/swanctl/conf.d/office.conf"] == "x"
    assert host.files[home_tunnel.UNIT_FILE] == home_ipsec.SERVICE
    host.standing.remove("radiology-home-gone")
    renewed = [{**PEERS[0], "certificates": ["NEW", "LAPTOP"]}, PEERS[1]]
    assert brought_up(host, renewed, monkeypatch) == []
    another = [{**PEERS[0], "public_key": "c" * 64}, PEERS[1]]
    assert brought_up(host, another, monkeypatch) == ["radiology-home-laptop"]
    assert brought_up(host, PEERS[1:], monkeypatch) == ["radiology-home-laptop"]


def test_a_device_that_is_given_another_address_is_cut_off_before_its_pool_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Gateway()
    host.standing = []
    brought_up(host, PEERS, monkeypatch)
    host.standing = ["radiology-home-laptop", "radiology-home-tablet"]
    moved = [{**PEERS[0], "addresses": ["10.99.1.9", "fd99:1::2"]}, PEERS[1]]
    assert brought_up(host, moved, monkeypatch) == ["radiology-home-laptop"]
    said = [
        line for line in host.done if line.startswith(("swanctl --load-conns", "swanctl --term", "write /etc/swan"))
    ]
    assert said == [
        "swanctl --load-conns",
        "swanctl --terminate --ike radiology-home-laptop --force --timeout 5",
        "write /etc/swanctl/conf.d/radiology-home-laptop.conf",
    ]


def test_nothing_is_begun_beside_a_strongswan_that_is_set_by_ipsec_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.starter = True
    with pytest.raises(HardeningError, match=r"strongswan-starter\.service runs here, .* leaves no port"):
        brought_up(host, PEERS, monkeypatch)
    assert home_tunnel.UNIT_FILE not in host.files
    assert not [line for line in host.done if "enable" in line or "restart" in line]


def test_a_former_key_is_cut_off_also_by_the_run_after_one_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    another = [{**PEERS[0], "public_key": "c" * 64}, PEERS[1]]
    for moment in ("swanctl --load-conns", "swanctl --terminate", "daemon-reload", "--load-creds"):
        host = Gateway()
        host.standing = []
        brought_up(host, PEERS, monkeypatch)
        host.standing, host.killed = ["radiology-home-laptop"], moment
        with pytest.raises(KeyboardInterrupt):
            brought_up(host, another, monkeypatch)
        ended = [line for line in host.done if " --terminate " in line and moment != "swanctl --terminate"]
        host.killed = ""
        assert len(ended) + len(brought_up(host, another, monkeypatch)) == 1


def test_a_device_that_strongswan_has_otherwise_than_its_file_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.standing = []
    brought_up(host, PEERS, monkeypatch)
    host.standing = ["radiology-home-laptop", "radiology-home-tablet"]
    host.pools = POOLS.replace("10.99.1.2", "10.99.1.77")
    assert brought_up(host, PEERS, monkeypatch) == ["radiology-home-laptop"]


def test_a_file_of_others_that_gives_away_a_device_s_address_is_named() -> None:
    host = Gateway()
    host.standing = []
    host.files["/etc/swanctl/conf.d/office.conf"] = "connections { office { pools = radiology-home-laptop-4 } }"
    host.files["/etc/swanctl/conf.d/branch.conf"] = "connections { branch { pools = branch } }"
    found = home_ipsec_host.observe(host, TUNNEL)["peers"]["undeclared"]
    assert found == ["another's file /etc/swanctl/conf.d/office.conf"]


def test_a_connection_that_strongswan_does_not_take_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    monkeypatch.setattr(Gateway, "list", lambda *_given: ())
    host.answers("journalctl -u radiology-tunnel.service -n 5 --no-pager -o cat", output="loading failed\n")
    with pytest.raises(HardeningError, match=r"does not take radiology-home-laptop, .*; it says: loading failed"):
        brought_up(host, PEERS, monkeypatch)


def test_strongswan_is_stopped_only_where_nobody_else_has_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for others, last in (((), "disable --now"), (("office",), "restart")):
        host = Gateway()
        brought_up(host, PEERS, monkeypatch)
        for name in others:
            host.files[f"/etc/swanctl/conf.d/{name}.conf"] = "x"
        home_ipsec_host.take_down(host)
        assert f"systemctl --quiet {last} strongswan.service".replace("--quiet restart", "restart") in host.done
        assert [*host.files] == [f"/etc/swanctl/conf.d/{name}.conf" for name in others]
        assert home_ipsec_host.left(host) == []


def test_a_take_down_that_is_killed_leaves_something_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in ("daemon-reload", "--load-creds", "--load-all", "disable --now strongswan"):
        host = Gateway()
        brought_up(host, PEERS, monkeypatch)
        host.files[home_ipsec.REQUEST] = "REQUEST"
        monkeypatch.setattr(Gateway, "stat", lambda self, path: self.files.get(path))
        host.killed = moment
        with pytest.raises(KeyboardInterrupt):
            home_ipsec_host.take_down(host)
        assert home_ipsec_host.left(host) == [home_ipsec_host.OF_US]
        host.killed = ""
        home_ipsec_host.take_down(host)
        assert home_ipsec_host.left(host) == []
        monkeypatch.undo()
