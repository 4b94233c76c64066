# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the deliberate act: show, have the device named, prove the escrow, start, follow."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders

MODULE = "radiology.hardening.encrypt_storage"
LOOK_EVERY = 5.0
"""Seconds between two looks at a job that runs, at least."""
REST = 3.0
"""A host is left alone for so many times as long as it took to answer: a slow one works, and is not kept answering."""


class ActionModule(ActionBase):
    """Make the calls of the deliberate act in their order."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was found, or how the job ended."""
        self.variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, self.variables)
        self.host = str(self.variables["inventory_hostname"])
        self.took = 0.0
        given = self._task.args
        self.name = str(given.get("name", "studies"))
        try:
            if not (given.get("storage") or {}).get("folder"):
                raise HardeningError(
                    f"The clinic file declares no storage for {self.host}: name under it the folder that holds the"
                    " images (storage.folder)."
                )
            found = self.call("describe")
            if not found["begun"]:
                self.show(found)
                if found["refusals"]:
                    raise HardeningError("Nothing was changed. " + " ".join(found["refusals"]))
                if self._task.check_mode:
                    return {**result, **found, "changed": True}
                self.demand_confirmation(found)
            elif self._task.check_mode:
                return {**result, **found, "changed": not found["done"]}
            if found.get("done"):
                return {**result, **self.finish(found)}
            found = self.start({}) if found.get("armed") else self.begin()
            return {**result, **self.follow(found), "changed": True}
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Make one call on the host; HardeningError with its sentence when it fails."""
        given = {key: self._task.args[key] for key in ("name", "storage") if key in self._task.args}
        answer: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args={**given, **arguments, "call": call}, task_vars=self.variables
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg", "unreachable")))
        if answer.get("failed"):
            raise HardeningError(str(answer.get("msg", f"The call {call} failed.")))
        return answer

    def show(self, found: Mapping[str, Any]) -> None:
        """Print what would be done, to which device, how long, and what it needs."""
        studies = f"{found['studies']} studies, " if found["studies"] is not None else ""
        lines = (
            f"{self.host}: {found['folder']} would be encrypted",
            f"  device      {found['device']}",
            f"  mounted at  {found['mount_point']}",
            f"  holds       {studies}{found['files']} files, {found['bytes'] / (1 << 30):.2f} GiB",
            f"  strategy    {found['strategy']}; stops {', '.join(found['services']) or 'nothing now'}",
            f"  takes       about {found['minutes']} min at the speed at which the device is read now",
            f"  unlocked by {found['unlock']} at every boot, or by the recovery key",
        )
        for line in (*lines, *(f"  mind        {note}" for note in found["notes"])):
            Display().display(line)

    def demand_confirmation(self, found: Mapping[str, Any]) -> None:
        """HardeningError unless the answer names the device that was shown."""
        confirm = str(self._task.args.get("confirm") or "")
        names = [text for text in (found["serial"], found["uuid"]) if text]
        if confirm not in names or not confirm:
            wrong = f"The answer {confirm} names another device. " if confirm else ""
            raise HardeningError(
                f"Nothing was changed. {wrong}To encrypt {found['device']}, run the playbook again with"
                f" -e confirm={names[0] if names else '<its UUID>'}"
            )

    def begin(self) -> dict[str, Any]:
        """Seal the recovery key, prove that it opens, keep the header's copies, and start the job."""
        given, escrow = self._task.args, self._task.args.get("escrow") or {}
        directory = os.path.dirname(str(self.variables["clinic"]["file"]))
        certificates = escrow_folders.certificates(escrow, directory)
        places = escrow_folders.folders(escrow, directory, self.host, self.name)
        sealed = self.call("seal", certificates=certificates)
        escrow_folders.keep(places, escrow_folders.SEALED, base64.b64decode(sealed["sealed"]))
        path = os.path.join(places[0], escrow_folders.SEALED)
        answer = str(given.get("answer") or "")
        if not answer and given.get("private_key"):
            passphrase = str(given.get("passphrase") or "")
            answer = escrow_folders.answer(path, str(given["private_key"]), passphrase, str(sealed["nonce"]))
        if not answer:
            line = escrow_folders.how_to_answer(path, str(sealed["nonce"]))
            raise HardeningError(
                f"Nothing was encrypted. The recovery key of {self.host} lies sealed in {' and '.join(places)}."
                f" Have somebody who can open it run: {line}  and run the playbook again with"
                " -e escrow_answer=<what it prints>, or with -e escrow_private_key=<path>."
            )
        prepared = self.call("prepare", confirm=str(given.get("confirm") or ""), answer=answer)
        escrow_folders.keep(places, escrow_folders.HEADER, base64.b64decode(prepared["header"]))
        evidence = {
            "luks_uuid": prepared["luks_uuid"],
            "digest": prepared["digest"],
            "recipients": [escrow_folders.fingerprint(certificate) for certificate in certificates],
            "places": [f"{place} (on the controller)" for place in places],
        }
        escrow_folders.about(places, {**evidence, "host": self.host, "name": self.name})
        return self.start(evidence)

    def start(self, evidence: Mapping[str, Any]) -> dict[str, Any]:
        """Start the job; a host that is lost on the way is waited for, since it may have begun."""
        answers = {key: self._task.args[key] for key in ("confirm", "accept_different") if key in self._task.args}
        while True:
            try:
                return self.call("start", evidence=evidence, **answers)
            except AnsibleConnectionFailure:
                self._connection.reset()
                time.sleep(LOOK_EVERY)

    def follow(self, found: dict[str, Any]) -> dict[str, Any]:
        """Show the job's sentences until it ends; it goes on without this terminal."""
        said = ""
        while not (found["done"] or found["stopped"] or found.get("waiting")):
            if found["sentence"] not in ("", said):
                said = found["sentence"]
                Display().display(f"{self.host}: {said}")
            try:
                found = self.look()
            except AnsibleConnectionFailure:
                self._connection.reset()  # the host restarts, or the line is down: its unit goes on by itself
        if found["stopped"]:
            raise HardeningError(f"{self.host} stopped at {found['stage']}: {found['sentence']}")
        if found.get("waiting"):
            Display().display(f"{self.host}: ready; restart it, and run the playbook again. {found['sentence']}")
            return found
        lost = found.get("different", 0)
        but = f", {lost} of them not as they were, which was accepted" if lost else ""
        Display().display(f"{self.host}: encrypted, every file compared{but}; {found['device']}")
        if found.get("worth"):
            Display().display(f"{self.host}: {found['worth']}")
        return found

    def look(self) -> dict[str, Any]:
        """Wait, and return how far the job is."""
        time.sleep(max(LOOK_EVERY, REST * self.took))
        begun = time.monotonic()
        found = self.call("status")
        self.took = time.monotonic() - begun
        return found

    def finish(self, found: dict[str, Any]) -> dict[str, Any]:
        """Wipe the former copy where that is asked; else say how the host stands."""
        if not self._task.args.get("retire") or found["stage"] == "retired":
            return {**found, "changed": False}
        found = self.call("retire")
        while found["stage"] != "retired":
            if found["stopped"]:
                raise HardeningError(f"{self.host}: {found['sentence']}")
            found = self.look()
        Display().display(f"{self.host}: {found['worth']}")
        return {**found, "changed": True}
