# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controls, read once from the roles that keep them, and which of them are in force."""

from __future__ import annotations

import dataclasses
import datetime
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.expectation import OPERATORS, holds

ROLES = Path(__file__).resolve().parents[2] / "roles"
SEVERITIES = ("critical", "high", "medium", "low")
PROFILES = ("baseline", "strict")
VANTAGE_KINDS = ("internet", "lan", "peer", "admin")
HARDENED = ("orthanc_server", "workstation", "gateway")
"""Kinds of host that roles harden."""
SYSTEMS = {"workstation": ("windows", "macos"), "modality": ("modality",)}
"""Kind of a device -> the systems of such devices; a control that a person attests says of each where to look."""


@dataclasses.dataclass(frozen=True)
class Clause:
    """One demand on one fact; `set_by` names the role variable that it bounds, if any."""

    fact: str
    operator: str
    expected: Any
    set_by: str | None = None

    def met_by(self, observed: Any) -> bool:
        """Tell whether an observed value meets this clause."""
        return holds(self.operator, observed, self.expected)

    def __str__(self) -> str:
        """Read as a half-sentence: `orthanc.config.WebDavEnabled is false`."""
        word = self.operator.replace("_", " ")
        return f"{self.fact} {word} {yaml.safe_dump(self.expected, default_flow_style=True).splitlines()[0].strip()}"


@dataclasses.dataclass(frozen=True)
class ByHand:
    """What a person runs to see a promise kept: on the host itself, or at each vantage point of some kinds."""

    run: str
    """Lines for bash, as root; where there is a `system`, for its own shell, or what to open on its screen."""
    shows: str
    """What the right answer looks like."""
    kinds: tuple[str, ...] = ()
    """Kinds of vantage points; none for the host itself."""
    system: str = ""
    """The system of a device that nobody logs in to: windows, macos or modality."""

    @property
    def language(self) -> str:
        """What reads the lines: bash, powershell, or a person, as text."""
        return {"windows": "powershell", "modality": "text"}.get(self.system, "bash")


@dataclasses.dataclass(frozen=True)
class Control:
    """A promise about facts, as its role's meta/controls*.yml state it.

    `concerns` names the kinds of host that it is asked of; empty for all that its role hardens. One without facts
    inside, which no role keeps, concerns kinds of device: it is seen from outside alone, or has `attest`, what a person
    vouches for where nobody logs in to the device.
    `advice` names the fact, a list of sentences, that tells what to do where the promise is broken; empty for none.
    `left_to_you` says what a person does about it where the role does not do all; empty where it does.
    """

    id: str
    title: str
    severity: str
    profiles: tuple[str, ...]
    rationale: str
    catalogue: str
    references: dict[str, list[str]]
    applies_when: Clause | None
    expect: tuple[Clause, ...]
    expect_from: dict[str, tuple[Clause, ...]]
    by_hand: tuple[ByHand, ...]
    advice: str = ""
    left_to_you: str = ""
    concerns: tuple[str, ...] = ()
    attest: str = ""

    @property
    def role(self) -> str:
        """The role that keeps this control, or the topic of those that no role keeps: the first word of its id."""
        return self.id.partition(".")[0]

    def asked_of(self, kind: str) -> bool:
        """Tell whether it is asked of hosts of a kind."""
        return kind in (self.concerns or HARDENED)


@dataclasses.dataclass(frozen=True)
class Waiver:
    """A dated exception to one control; on every host of the clinic unless it names one.

    With a `value` the control stays in force, with that weaker value in the place of its own; see `weakened`.
    """

    control: str
    reason: str
    owner: str
    expires: datetime.date
    host: str | None = None
    value: Any = None

    def concerns(self, control: str, host: str) -> bool:
        """Tell whether the waiver is about this control on this host, expired or not."""
        return self.control == control and self.host in (None, host)

    def covers(self, control: str, host: str, today: datetime.date) -> bool:
        """Tell whether the waiver stands for this control on this host; the day of expiry still counts."""
        return self.concerns(control, host) and today <= self.expires


@functools.cache
def load(role: str | None = None, roles: Path = ROLES) -> tuple[Control, ...]:
    """Return the controls of one role, or of all roles, in the order of their files.

    A role has them in meta/controls.yml, and further ones, by topic, in files called meta/controls_<topic>.yml.
    """
    names = [role] if role else sorted({path.parent.parent.name for path in roles.glob("*/meta/controls*.yml")})
    found: list[Control] = []
    for name in names:
        for path in sorted((roles / name / "meta").glob("controls*.yml")):
            listed = yaml_load(path.read_text(encoding="utf-8"))
            if not isinstance(listed, list):
                raise HardeningError(f"{path}: a list of controls is expected.")
            found += [_control(entry, name, path) for entry in listed]
    return tuple(found)


def kept_by_roles(roles: Path = ROLES) -> tuple[Control, ...]:
    """Return the controls that roles keep on hosts: those with facts inside. The others are devices'."""
    return tuple(control for control in load(None, roles) if control.expect)


def in_force(
    controls: tuple[Control, ...],
    *,
    profile: str,
    waivers: list[Waiver] | tuple[Waiver, ...] = (),
    host: str = "",
    today: datetime.date,
) -> tuple[Control, ...]:
    """Select the controls that a host has to keep today: those of the profile, less those waived.

    A control for which every waiver names a weaker value is kept with the first of them.
    """
    if profile not in PROFILES:
        raise HardeningError(f"hardening_profile is {profile!r}; accepted: {', '.join(PROFILES)}.")
    found = []
    for control in controls:
        values = [waiver.value for waiver in waivers if waiver.covers(control.id, host, today)]
        if profile in control.profiles and None not in values:
            found.append(weakened(control, values[0]) if values else control)
    return tuple(found)


def weakened(control: Control, value: Any) -> Control:
    """Return the control with a weaker value in the place of its own; HardeningError when it takes no such value.

    The value is that of its one clause with a bound, or of its only clause, and of those from outside that demand the
    same; the others stay as they are.
    """
    bounds = [clause for clause in control.expect if clause.operator in ("at_least", "at_most", "in", "subset_of")]
    chosen = bounds or list(control.expect)
    accepted = _weaker_than(chosen[0]) if len(chosen) == 1 else None
    if accepted is None:
        accepted = Weaker("none, the control is waived whole (leave value out)", lambda _: False)
    if not accepted.takes(value):
        raise HardeningError(
            f"hardening_waivers: {control.id} takes no value {value!r}; accepted: {accepted.described}."
        )
    own = chosen[0]
    expect = tuple(dataclasses.replace(each, expected=value) if each is own else each for each in control.expect)
    outside = {
        kind: tuple(
            dataclasses.replace(each, expected=value)
            if each.expected == own.expected and (each.operator == own.operator or isinstance(value, list))
            else each
            for each in clauses
        )
        for kind, clauses in control.expect_from.items()
    }
    return dataclasses.replace(control, expect=expect, expect_from=outside)


@dataclasses.dataclass(frozen=True)
class Weaker:
    """Which values are weaker than a clause's own."""

    described: str
    takes: Callable[[Any], bool]


def _weaker_than(clause: Clause) -> Weaker | None:
    own = clause.expected
    if clause.operator == "at_least":
        return Weaker(f"a number below {own}", lambda value: type(value) in (int, float) and value < own)
    if clause.operator == "at_most":
        return Weaker(f"a number above {own}", lambda value: type(value) in (int, float) and value > own)
    if clause.operator in ("in", "subset_of"):
        return Weaker(
            f"a list that holds {', '.join(map(str, own))} and more",
            lambda value: isinstance(value, list) and len(value) > len(own) and all(each in value for each in own),
        )
    if clause.operator == "is":
        return Weaker(f"another value than {own!r}", lambda value: type(value) is type(own) and value != own)
    return None


def wanted(controls: tuple[Control, ...]) -> dict[str, dict[str, Any]]:
    """Merge the inside demands of controls: fact -> operator -> value, as modules take it."""
    merged: dict[str, dict[str, Any]] = {}
    for control in controls:
        for clause in control.expect:
            demands = merged.setdefault(clause.fact, {})
            if clause.operator in demands and demands[clause.operator] != clause.expected:
                raise HardeningError(f"{control.id} and another control contradict each other about {clause.fact}.")
            demands[clause.operator] = clause.expected
    return merged


def refuse_weaker(controls: tuple[Control, ...], inputs: dict[str, Any]) -> None:
    """Raise HardeningError where a role variable falls short of the control that bounds it."""
    for control in controls:
        for clause in control.expect:
            if clause.set_by and clause.set_by in inputs and not clause.met_by(inputs[clause.set_by]):
                raise HardeningError(
                    f"{clause.set_by} is {inputs[clause.set_by]!r}, but control {control.id} demands that it be "
                    f"{clause.operator.replace('_', ' ')} {clause.expected!r}; choose such a value, or add a waiver "
                    f"for {control.id} (reason, owner, expires) to hardening_waivers in the clinic file."
                )


def waivers_of(listed: Any) -> list[Waiver]:
    """Read `hardening_waivers`; a waiver that is incomplete or names no control is refused by name."""
    known = {control.id: control for control in load()}
    found: list[Waiver] = []
    if not isinstance(listed or [], list) or any(not isinstance(entry, dict) for entry in listed or []):
        raise HardeningError("hardening_waivers: accepted: a list of mappings with control, reason, owner and expires.")
    for entry in listed or []:
        missing = [key for key in ("control", "reason", "owner", "expires") if not entry.get(key)]
        if missing:
            raise HardeningError(f"hardening_waivers: {entry.get('control', 'a waiver')} lacks {', '.join(missing)}.")
        if entry["control"] not in known:
            raise HardeningError(f"hardening_waivers: there is no control {entry['control']!r}.")
        try:
            expires = datetime.date.fromisoformat(str(entry["expires"]))
        except ValueError as error:
            raise HardeningError(
                f"hardening_waivers: {entry['control']} expires {entry['expires']!r}; accepted: a date as 2027-01-31."
            ) from error
        host, value = entry.get("host") or None, entry.get("value")
        if value is not None:
            weakened(known[entry["control"]], value)
        found.append(Waiver(entry["control"], str(entry["reason"]), str(entry["owner"]), expires, host, value))
    return found


def _control(entry: dict[str, Any], role: str, path: Path) -> Control:
    known = {field.name for field in dataclasses.fields(Control)}
    where = f"{path}: {entry.get('id', 'a control without id')}"
    unknown = set(entry) - known
    if unknown:
        raise HardeningError(f"{where} has unknown keys: {', '.join(sorted(unknown))}.")
    control = Control(
        id=entry["id"],
        title=entry["title"],
        severity=entry["severity"],
        profiles=tuple(entry["profiles"]),
        rationale=" ".join(str(entry["rationale"]).split()),
        catalogue=entry["catalogue"],
        references={name: [str(clause) for clause in clauses] for name, clauses in entry["references"].items()},
        applies_when=_clause(entry["applies_when"], where) if entry.get("applies_when") else None,
        expect=tuple(_clause(clause, where) for clause in entry.get("expect", [])),
        expect_from={
            kind: tuple(_clause(clause, where) for clause in clauses)
            for kind, clauses in entry.get("expect_from", {}).items()
        },
        by_hand=tuple(_by_hand(look, where) for look in entry.get("by_hand", [])),
        advice=entry.get("advice", ""),
        left_to_you=" ".join(str(entry.get("left_to_you", "")).split()),
        concerns=tuple(entry.get("concerns", ())),
        attest=" ".join(str(entry.get("attest", "")).split()),
    )
    _refuse_out_of_form(control, role, where)
    return control


def _refuse_out_of_form(control: Control, role: str, where: str) -> None:
    """Raise HardeningError where the parts of a control do not go together."""
    if control.role != role:
        raise HardeningError(f"{where}: an id begins with its role, {role}.")
    if control.severity not in SEVERITIES or not set(control.profiles) <= set(PROFILES):
        raise HardeningError(f"{where}: severity is one of {SEVERITIES}, profiles are among {PROFILES}.")
    if not set(control.expect_from) <= set(VANTAGE_KINDS):
        raise HardeningError(f"{where}: expect_from knows the vantage points {', '.join(VANTAGE_KINDS)}.")
    kinds = HARDENED if control.expect else tuple(SYSTEMS)
    if not set(control.concerns) <= set(kinds) or not (control.concerns or control.expect):
        inside = "with" if control.expect else "without"
        raise HardeningError(f"{where}: concerns is a list of {', '.join(kinds)}, for a control {inside} facts inside.")
    if (control.expect and control.attest) or not (control.expect or control.attest or any(control.expect_from)):
        raise HardeningError(f"{where}: a control expects facts inside, or has attest, or is seen from outside alone.")
    looked = {look.system for look in control.by_hand if not look.kinds}
    if control.expect and looked != {""}:
        raise HardeningError(f"{where}: by_hand has to say what a person runs on the host.")
    systems = {system for kind in control.concerns for system in SYSTEMS.get(kind, ())}
    if not control.expect and looked != (systems if control.attest else set()):
        raise HardeningError(f"{where}: by_hand has to look on each system that attest concerns, and on no other.")
    if {kind for look in control.by_hand for kind in look.kinds} != set(control.expect_from):
        raise HardeningError(f"{where}: by_hand has to look from the vantage points of expect_from, and from no other.")


def _by_hand(entry: dict[str, Any], where: str) -> ByHand:
    if set(entry) - {"from", "system", "run", "shows"} or not (entry.get("run") and entry.get("shows")):
        raise HardeningError(f"{where}: by_hand is a list of run, shows and, where it is not the host, from: {entry}.")
    shows, kinds = " ".join(str(entry["shows"]).split()), tuple(entry.get("from", ()))
    return ByHand(str(entry["run"]), shows, kinds, str(entry.get("system", "")))


def _clause(entry: dict[str, Any], where: str) -> Clause:
    operators = [key for key in entry if key in OPERATORS]
    if len(operators) != 1 or set(entry) - {"fact", "set_by", *operators}:
        raise HardeningError(f"{where}: a clause is a fact and one of {', '.join(OPERATORS)}; found {entry}.")
    return Clause(entry["fact"], operators[0], entry[operators[0]], entry.get("set_by"))
