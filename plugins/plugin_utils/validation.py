# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clinics of an inventory, validated: what was found of each of their hosts, their waivers, and what is told."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import attestations, catalogue, concerns, home_devices
from ansible_collections.radiology.hardening.plugins.plugin_utils.preflight import Checked, Reach
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from ansible_collections.radiology.hardening.plugins.plugin_utils.report_console import plain

SOON = datetime.timedelta(days=30)
"""How long before its end a waiver is told of."""


@dataclasses.dataclass
class Clinic:
    """One clinic: what its file says of it, what is to be said, and how its hosts would be reached."""

    name: str
    title: str
    file: str
    profile: str
    remarks: Remarks
    reached: list[Reach]


def is_checked(variables: Mapping[str, Any]) -> bool:
    """Tell whether a run reaches a host or judges it: a vantage point, a server, a workstation with an ssh block."""
    return variables["clinic_host"]["kind"] == "vantage_point" or concerns.is_judged(variables)


def clinic(given: Mapping[str, Any], hosts: Mapping[str, Checked], today: datetime.date) -> Clinic:
    """Return one clinic; `given` is its variable `clinic`, `hosts` what was found of its hosts."""
    remarks = Remarks()
    for checked in hosts.values():
        remarks.add(checked.remarks)
    servers = {name: checked for name, checked in hosts.items() if checked.profile}
    file = str(given["file"])
    if given.get("forward"):
        remarks.note(f"{file}: remote_access: {home_devices.sentence(**given['forward'])}")
    _judge_waivers(remarks, file, servers, today)
    _judge_cleartext(remarks, file, next((each.devices for each in servers.values() if each.devices), ()), today)
    _judge_attestations(remarks, file, servers, today)
    return Clinic(
        name=str(given["name"]),
        title=str(given["title"]),
        file=file,
        profile=", ".join(sorted({str(checked.profile) for checked in servers.values()})) or "unknown",
        remarks=remarks,
        reached=[checked.reach for checked in hosts.values() if checked.reach],
    )


def refuse_one_address(clinics: Sequence[Clinic]) -> None:
    """Say which servers would be reached at one address: private ones repeat, and one host would get the other's."""
    seen: dict[tuple[str, ...], tuple[str, str]] = {}
    for each in clinics:
        for server in (reach for reach in each.reached if not reach.stands):
            where = (server.over, server.address, server.port, server.arguments)
            first, file = seen.setdefault(where, (server.host, each.file))
            if first != server.host:
                address = f"{server.address} port {server.port}"
                each.remarks.problem(
                    f"{each.file}: {server.host} is reached at {address}, as {first} of {file} is;"
                    " accepted: an ssh.address of its own, or a jump host in ansible_ssh_common_args"
                )


def lines(told: Clinic) -> list[str]:
    """Return what is told of a clinic, line by line."""
    width = max((len(reach.host) for reach in told.reached), default=0)
    found = ["", f"{plain(told.title)} ({told.name}), profile {told.profile}, {plain(told.file)}"]
    found += [f"  {reach.host:{width}}  {plain(reach)}" for reach in told.reached]
    found += [f"  note: {plain(sentence)}" for sentence in told.remarks.notes]
    return found + [f"  WRONG: {plain(sentence)}" for sentence in told.remarks.problems]


def verdict(clinics: Sequence[Clinic], others: Remarks) -> str:
    """Return the verdict on all clinics, in one line; `others` is what stands outside of each of them."""
    wanting = [f"{each.name} ({len(each.remarks.problems)})" for each in clinics if each.remarks.problems]
    if others.problems:
        wanting.append(f"the inventory ({len(others.problems)})")
    if wanting:
        return f"FAIL: found wanting: {', '.join(wanting)}."
    hosts = sum(len(each.reached) for each in clinics)
    return f"PASS: clinics checked: {len(clinics)}; hosts that a run would reach: {hosts}; reached now: none."


def _judge_cleartext(remarks: Remarks, file: str, devices: Sequence[Mapping[str, Any]], today: datetime.date) -> None:
    """Say which devices speak in clear by a declaration that has expired, or will soon."""
    for device in devices:
        link = device.get("cleartext")
        expires = datetime.date.fromisoformat(link["expires"]) if link else None
        if link and expires:
            owned = f"{file}: cleartext of {device['name']}, of {link['owner']},"
            if expires < today:
                remarks.problem(f"{owned} expired on {expires}; accepted: a later day, or no cleartext")
            elif expires - today <= SOON:
                remarks.note(f"{owned} expires on {expires}")


def _each_once(waivers: Iterable[catalogue.Waiver]) -> list[catalogue.Waiver]:
    """Return waivers in their order, each once; one whose value is a list has no hash."""
    found: list[catalogue.Waiver] = []
    for waiver in waivers:
        if waiver not in found:
            found.append(waiver)
    return found


def _judge_waivers(remarks: Remarks, file: str, servers: Mapping[str, Checked], today: datetime.date) -> None:
    """Say which waivers have expired, will soon, or stand for nothing."""
    controls = {control.id: control for control in catalogue.load()}
    for waiver in _each_once(waiver for checked in servers.values() for waiver in checked.waivers):
        what = f"{file}: hardening_waivers: {waiver.control}" + (f" on {waiver.host}" if waiver.host else "")
        owned = f"{what}, of {waiver.owner},"
        profiles = controls[waiver.control].profiles
        mine = [name for name in servers if waiver.host in (None, name)]
        if waiver.expires < today:
            remarks.problem(f"{owned} expired on {waiver.expires}; accepted: a later day, or no waiver")
        elif not mine:
            remarks.problem(f"{what} covers no host that is judged; accepted: {', '.join(servers)}, or no host")
        elif not any(servers[name].profile in profiles for name in mine):
            remarks.problem(
                f"{what} covers no host, since the control is of profile {', '.join(profiles)}; accepted: no waiver"
            )
        elif not any(_is_asked(waiver.control, servers[name]) for name in mine):
            remarks.problem(f"{what} covers no host, since the control is asked of none there; accepted: no waiver")
        elif waiver.expires - today <= SOON:
            remarks.note(f"{owned} expires on {waiver.expires}")


def _is_asked(control: str, checked: Checked) -> bool:
    return control in {each.id for each in checked.controls}


def _judge_attestations(remarks: Remarks, file: str, hosts: Mapping[str, Checked], today: datetime.date) -> None:
    """Say which attestations have ended, will soon, or are of a day to come, and what nobody attests."""
    for name, checked in hosts.items():
        if checked.attestations is None:
            continue
        unattested = []
        for control in (each for each in checked.controls if each.attest):
            standing, why_not = attestations.best(checked.attestations, control.id, name, today)
            what = f"{file}: hardening_attestations: {control.id} on {name}"
            waived = any(waiver.covers(control.id, name, today) for waiver in checked.waivers)
            if standing and standing.expires - today <= SOON:
                remarks.note(f"{what}, of {standing.by}, expires on {standing.expires}")
            elif why_not and not waived:
                remarks.problem(f"{what}: {why_not[-1]}; accepted: what somebody saw since, with name and day")
            elif not standing and not waived:
                unattested.append(control.id)
        if unattested:
            listed = ", ".join(unattested)
            remarks.note(f"{file}: nobody attests {listed} on {name}; an audit counts them as not audited")
