# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Routes on which images are acknowledged at once: which are changed, by which commands, and what sets them anew."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_routes
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

CALLERS = ["10.7.0.30", "10.7.0.20", "192.0.2.9", "2001:db8::30"]
ROUTES = {
    "10.7.0.30": "10.7.0.0/24 dev lan proto kernel scope link src 10.7.0.10 linkdown",
    "10.7.0.20": "10.7.0.0/24 dev lan proto kernel scope link src 10.7.0.10 linkdown",
    "192.0.2.9": "default via 10.7.0.1 dev lan proto static metric 100 onlink",
    "2001:db8::30": "2001:db8::/64 dev lan proto kernel metric 256 pref medium",
}
CHANGED = [
    "-4 route change 10.7.0.0/24 dev lan proto kernel scope link src 10.7.0.10 quickack 1",
    "-4 route change default via 10.7.0.1 dev lan proto static metric 100 onlink quickack 1",
    "-6 route change 2001:db8::/64 dev lan proto kernel metric 256 pref medium quickack 1",
]
LEFT = [
    "10.7.0.0/24 dev lan proto kernel scope link src 10.7.0.10 quickack 1",
    "default proto static nexthop via 10.7.0.1 dev lan weight 1 nexthop via 10.7.0.2 dev lan weight 1",
    "2001:db8::/64 dev lan proto ra metric 100 pref medium",
    "2001:db8::/64 dev lan proto kernel metric 256 expires 86000sec pref medium",
    "unreachable default dev lo metric 4294967295 error 4294967183 pref medium",
    "local 10.7.0.30 dev lan table local proto kernel scope host src 10.7.0.30",
]
SHOWN = {
    "10.8.0.0/16 nhid 5 via 10.7.0.1 dev lan proto static": "10.8.0.0/16 nhid 5 proto static",
    "2001:db8:8::/64 nhid 6 via inet6 2001:db8::1 dev lan metric 9": "2001:db8:8::/64 nhid 6 metric 9",
    "default via dead::1 dev lan dead linkdown pref medium": "default via dead::1 dev lan pref medium",
    "default via 10.7.0.1 dev lan onlink pervasive offload trap": "default via 10.7.0.1 dev lan onlink",
    "default via 10.7.0.1 dev lan notify unresolved rt_offload rt_trap": "default via 10.7.0.1 dev lan",
    "default via 10.7.0.1 dev lan rt_offload_failed realm 3": "default via 10.7.0.1 dev lan realm 3",
    "default via 10.7.0.1 dev lan mtu lock 1400 rto_min lock 20ms quickack 0": (
        "default via 10.7.0.1 dev lan mtu lock 1400 rto_min 20ms"
    ),
}
"""Route as iproute2 prints it -> as it takes it (seen on 6.1)."""
SAYS = "Error: Nexthop has invalid gateway"


class Routed(Host):
    """A host whose `ip` knows these routes, and which remembers what it was asked to run."""

    def __init__(self, root: Path, routes: dict[str, str]) -> None:
        super().__init__(str(root))
        self.routes, self.ran = routes, []  # type: ignore[var-annotated]

    def run(self, command: Any, **rest: Any) -> Result:
        self.ran.append(list(command))
        if command[0] != "ip":
            return Result(0, "", "")
        route = self.routes.get(command[-1])
        return Result(0, f"{route} \n", "") if route else Result(2, "", "RTNETLINK answers: Network is unreachable")

    def write(self, path: str, content: Any, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> None:
        target = Path(self.path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        target.chmod(mode)


def changes(tmp_path: Path, script: str, routes: dict[str, str], *words: str, fails: str = "") -> tuple[int, list[str]]:
    """Run a script with an `ip` that answers from these routes; return its status and what it changed."""
    script = script.replace(orthanc_routes.REFUSED, str(tmp_path / "refused"))
    told = "\n".join(f'*" {key} ") echo "{route}" ;;' for key, route in routes.items())
    log = tmp_path / "changed"
    log.touch()
    fake = tmp_path / "ip"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *" change "*) echo "$*" >> {log}; case "$*" in *"{fails or "nothing"}"*) echo "{SAYS}\n." >&2; exit 2;;'
        f" esac;"
        f' exit 0 ;; esac\ncase "$* " in\n{told}\n*) exit 2 ;;\nesac\n',
        encoding="utf-8",
    )
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script, "sh", *words], env=environment, check=False, capture_output=True)
    return done.returncode, log.read_text(encoding="utf-8").splitlines()


def program() -> str:
    return orthanc_routes.contents(CALLERS, [])[orthanc_routes.PROGRAM][0]


def test_each_route_is_changed_once_and_in_nothing_but_this_attribute(tmp_path: Path) -> None:
    assert changes(tmp_path, program(), ROUTES) == (0, CHANGED)


@pytest.mark.parametrize("route", LEFT)
def test_a_route_that_has_it_or_is_not_ours_to_change_stays(tmp_path: Path, route: str) -> None:
    assert changes(tmp_path, program(), dict.fromkeys(CALLERS, route)) == (0, [])
    assert orthanc_routes.observe(Routed(tmp_path, dict.fromkeys(CALLERS, route)), CALLERS)["late"] == []


@pytest.mark.parametrize("shown", SHOWN)
def test_what_is_shown_of_a_route_and_not_taken_is_left_out(tmp_path: Path, shown: str) -> None:
    assert changes(tmp_path, program(), {"10.7.0.30": shown}) == (0, [f"-4 route change {SHOWN[shown]} quickack 1"])
    there = {"exact default": f"{shown.removesuffix(' quickack 0')} quickack 1"}
    back = f"-4 route change {SHOWN[shown]}{' quickack 0' if 'nhid' in shown else ''}"
    assert changes(tmp_path, orthanc_routes.BACK, there, "-4", "default")[1][1:] == [back]


def test_a_route_that_cannot_be_changed_is_told_and_fails_nothing(tmp_path: Path) -> None:
    assert changes(tmp_path, program(), ROUTES, fails="metric 100") == (0, CHANGED)
    assert (tmp_path / "refused").read_text(encoding="utf-8") == f"-4 default: {SAYS} .\n"
    assert changes(tmp_path, program(), {}) == (0, CHANGED)
    assert (tmp_path / "refused").read_text(encoding="utf-8") == ""


def test_a_route_that_cannot_be_changed_ends_no_run_and_is_left_to_a_person_from_then_on(tmp_path: Path) -> None:
    host = Routed(tmp_path, ROUTES)
    (step,) = orthanc_routes.steps(orthanc_routes.observe(host, CALLERS), CALLERS)
    refused = Path(host.path(orthanc_routes.REFUSED))
    refused.parent.mkdir()
    refused.write_text(f"-4 default: {SAYS}.\n-4 10.99.0.0/24: gone since\n", encoding="utf-8")
    step.do(host)
    assert [
        "default acknowledged at once where that route is made (`quickack 1`)" in each for each in host.remarks
    ] == [
        False,
        True,
    ]
    link = Path(host.path(orthanc_routes.STARTED))
    link.parent.mkdir(parents=True)
    link.symlink_to(host.path(f"{orthanc_routes.UNITS}/{orthanc_routes.SERVICE}"))
    host.routes = {**{key: f"{route} quickack 1" for key, route in ROUTES.items()}, "192.0.2.9": ROUTES["192.0.2.9"]}
    found = orthanc_routes.observe(host, CALLERS)
    assert (found["late"], found["refused"]) == (["-4 default"], {"-4 default": f"{SAYS}."})
    ordinary, left = parted(orthanc_routes.steps(found, CALLERS))
    assert ordinary == []
    (told,) = (each.does for each in left)
    assert told.startswith("Have images by the route to default acknowledged at once where that route is made")
    assert told.endswith(f'ip says "{SAYS}"')
    (step,) = orthanc_routes.steps({**found, "late": ["-4 default", "-6 2001:db8::/64"]}, CALLERS)
    assert "images from 2001:db8::/64 at once" in step.does


def test_the_undo_takes_the_attribute_and_nothing_else(tmp_path: Path) -> None:
    there = {"exact default": "default via 10.7.0.1 dev lan quickack 1 linkdown"}
    undone = changes(tmp_path, orthanc_routes.BACK, there, "-4", "default")
    assert undone == (0, ["-4 route change default via 10.7.0.1 dev lan"])


def test_the_undo_of_a_route_without_it_changes_nothing(tmp_path: Path) -> None:
    assert changes(tmp_path, orthanc_routes.BACK, {"exact default": "default via 10.7.0.1"}, "-4", "default") == (0, [])


def test_what_waits_is_seen_and_mended_once(tmp_path: Path) -> None:
    host = Routed(tmp_path, ROUTES)
    found = orthanc_routes.observe(host, CALLERS)
    assert found["late"] == ["-4 10.7.0.0/24", "-4 default", "-6 2001:db8::/64"]
    assert found["managers"] == []
    (step,) = orthanc_routes.steps(found, CALLERS)
    assert "10.7.0.0/24, default, 2001:db8::/64" in step.does
    assert "nothing here is known to manage the network" in step.does
    step.do(host)
    enabling = ["systemctl", "--quiet", "--no-reload", "enable", orthanc_routes.SERVICE]
    assert host.ran[-3:] == [enabling, ["systemctl", "daemon-reload"], [orthanc_routes.PROGRAM]]
    link = Path(host.path(orthanc_routes.STARTED))
    link.parent.mkdir(parents=True)
    link.symlink_to(host.path(f"{orthanc_routes.UNITS}/{orthanc_routes.SERVICE}"))
    host.routes = {key: f"{route} quickack 1" for key, route in ROUTES.items()}
    assert orthanc_routes.steps(orthanc_routes.observe(host, CALLERS), CALLERS) == []


def test_every_manager_of_the_network_that_is_there_sets_it_anew(tmp_path: Path) -> None:
    for path in ("etc/network/if-up.d", "etc/NetworkManager/dispatcher.d", "run/systemd/netif"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "run/systemd/netif/state").touch()
    host = Routed(tmp_path, ROUTES)
    found = orthanc_routes.observe(host, CALLERS)
    assert found["managers"] == ["ifupdown", "NetworkManager", "systemd-networkd"]
    (step,) = orthanc_routes.steps(found, CALLERS)
    step.do(host)
    for path in orthanc_routes.HOOKS.values():
        hook = Path(host.path(path))
        assert os.access(hook, os.X_OK)
        assert f"start {orthanc_routes.SERVICE}" in hook.read_text(encoding="utf-8")
    assert orthanc_routes.PATH in host.ran[-1]


def test_without_declared_devices_no_route_is_looked_at(tmp_path: Path) -> None:
    host = Routed(tmp_path, ROUTES)
    found = orthanc_routes.observe(host, [])
    assert (found["late"], found["files"], host.ran) == ([], {}, [])
    assert orthanc_routes.steps(found, []) == []


def test_the_order_of_callers_changes_nothing() -> None:
    callers = ["2001:db8:11::30", "10.77.11.30", "10.77.11.20"]
    assert orthanc_routes.contents(callers, []) == orthanc_routes.contents(callers[::-1], [])
