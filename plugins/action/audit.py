# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge a host: one remote call for the facts, everything else on the controller."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    attestations,
    catalogue,
    concerns,
    inputs,
    internet_scan,
    last_seen,
    report_document,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, View, judge
from ansible_collections.radiology.hardening.plugins.plugin_utils.templates import trusted

DECLARED_ONLY = "the clinic file declares this host without an ssh block, so nobody looks inside"


class ActionModule(ActionBase):
    """Gather the facts of a host and return its findings."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Observe, then judge what is in force on this host today."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _checked, arguments = self.validate_argument_spec(
            {"inside": {"type": "bool", "default": True}, "roles": {"type": "list", "elements": "str", "default": []}}
        )
        try:
            chosen = inputs.selection(variables, self._templar.template)
            controls = concerns.controls(variables, chosen["profile"], arguments["roles"])
            wanted = surfaces(controls)
            if last_seen.days(variables) and not arguments["roles"]:
                sight = self._sight_or_last(variables, wanted, arguments["inside"], result)
            else:
                sight = self._sight(variables, wanted, arguments["inside"])
            findings = judge(controls, sight, chosen["waivers"], chosen["today"])
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        counts = Counter(finding["verdict"] for finding in findings)
        result.update(
            changed=False,
            profile=chosen["profile"],
            findings=findings,
            counts=dict(counts),
            judged=counts["pass"] + counts["fail"],
        )
        return result

    def _sight_or_last(
        self, variables: dict[str, Any], wanted: list[str], look_inside: bool, result: dict[str, Any]
    ) -> Sight:
        """Return what is seen today, and keep it; of a host that is away, what was seen last, where that may stand."""
        said, version, now = "", report_document.version(), datetime.datetime.now(tz=datetime.UTC)
        try:
            sight = self._sight(variables, wanted, look_inside)
        except AnsibleConnectionFailure as error:
            said = str(error)
            sight = self._outside(variables, look_inside)
            if not (last_seen.is_unanswered(said, last_seen.addresses(variables)) and last_seen.is_unheard(sight)):
                raise
        unlogged = not (look_inside and variables["clinic_managed"])
        if said or (unlogged and last_seen.is_looked_for(sight) and last_seen.is_unheard(sight)):
            try:
                known = last_seen.recall(variables, version, now, inside=bool(said))
            except HardeningError as error:
                if said:
                    raise AnsibleConnectionFailure(f"{said} {error}") from None
                return last_seen.unseen(sight, str(error))
            sight, when = last_seen.standing_in(sight, known)
            if when:
                result["last_seen"] = when.isoformat(timespec="seconds")
            return sight
        seen = any(view.answers for view in sight.outside) if unlogged else sight.inside is not None
        if look_inside and seen and not self._task.check_mode:
            try:
                result["kept"] = last_seen.keep(variables, version, sight, now)
            except HardeningError as error:
                result["warnings"] = [f"{error} While this host is away, nothing will stand for it."]
        return sight

    def _sight(self, variables: dict[str, Any], wanted: list[str], look_inside: bool) -> Sight:
        """Return what is seen of a host today; AnsibleConnectionFailure where nobody logs in to it."""
        sight = self._outside(variables, look_inside)
        if not (look_inside and variables.get("clinic_managed", True) and wanted):
            return sight
        answer = self._execute_module(
            module_name="radiology.hardening.posture",
            module_args={"scope": self._scopes(variables, wanted), "surfaces": wanted},
            task_vars=variables,
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg", "unreachable")))
        if answer.get("failed"):
            return dataclasses.replace(sight, why=str(answer.get("msg", "the observers failed")))
        return dataclasses.replace(sight, inside=answer["facts"])

    def _outside(self, variables: dict[str, Any], look_inside: bool) -> Sight:
        """Return what the vantage points saw, before anybody looked inside."""
        managed = variables.get("clinic_managed", True)
        return Sight(
            host=variables["inventory_hostname"],
            inside=None,
            outside=tuple(views(variables)),
            why=DECLARED_ONLY if not managed and concerns.kind_of(variables) not in concerns.DEVICES else "",
            look_inside=look_inside,
            attestations=self._attestations(variables) if concerns.told_by_persons(variables) else None,
        )

    def _attestations(self, variables: dict[str, Any]) -> tuple[attestations.Attestation, ...]:
        return tuple(attestations.of(self._templar.template(variables.get("hardening_attestations", []))))

    def _scopes(self, variables: dict[str, Any], wanted: list[str]) -> dict[str, dict[str, Any]]:
        return {
            name: inputs.scope(name, inputs.inputs(name, variables, self._templar.template, trusted)) for name in wanted
        }


def surfaces(controls: Iterable[catalogue.Control]) -> list[str]:
    """Return the names of the surfaces that the controls' inside facts are of; a surface bears its role's name."""
    clauses = (clause for control in controls for clause in (*control.expect, control.applies_when) if clause)
    return list(dict.fromkeys(clause.fact.partition(".")[0] for clause in clauses))


def views(variables: dict[str, Any]) -> list[View]:
    """Return what the vantage points of this host's clinic saw of it; those that could not look say why.

    Reads the registered variable `hardening_exposure` of the hosts in group `vantage_points`.
    """
    host = variables["inventory_hostname"]
    clinic = variables.get("clinic", {}).get("name")
    found = []
    for name in variables.get("groups", {}).get("vantage_points", []):
        theirs = variables["hostvars"][name]
        if theirs.get("clinic", {}).get("name") != clinic or "hardening_exposure" not in theirs:
            continue
        exposure = theirs["hardening_exposure"]
        sent = [target["host"] for target in theirs.get("clinic_targets", [])]
        if host not in (*sent, *(exposure.get("targets") or ())):
            continue  # seen from there it has no address of its own: all hosts behind the box share that of the box
        facts = (exposure.get("targets") or {}).get(host)
        why = str(exposure.get("msg", "this host was not probed from there")) if not facts else ""
        answers = _answers(facts["wire"]) if facts else None
        if facts and facts["wire"].get("reachable") is False:
            facts, why = None, " ".join(facts["wire"].get("errors", ["there is no way from there"]))
        if facts and (deaf := internet_scan.deaf(host, theirs["clinic_vantage"], exposure)):
            facts, why, answers = None, deaf, answers or None
        kind = theirs["clinic_vantage"]["kind"]
        found.append(View(name=name, kind=kind, facts=facts, why=why, answers=answers))
    return found


def _answers(wire: dict[str, Any]) -> bool | None:
    """Tell whether anything of a host answered a vantage point; None where there was no way, or nobody told."""
    there = wire.get("present", wire.get("reachable") or None)
    return None if there is None else bool(there)
