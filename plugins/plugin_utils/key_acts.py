# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of what is done with the keys of an encrypted volume: unlock, rotate, restore a header.

The host and its escrow folders are told of one after the other, so that a cut between two steps leaves a key that was
proven and opens; each act, run again, goes on from there.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders

LEFT = "It was left as it is. "


class Host(Protocol):
    """The host, as an act reaches it."""

    name: str

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Make one call of the module disk_keys; HardeningError with its sentence when it fails."""

    def hand(self, document: bytes) -> None:
        """Give the next call, through a pipe and in memory, what must not touch a disk."""


class Acts:
    """The acts on one host's volume."""

    def __init__(
        self, host: Host, places: Sequence[str], given: Mapping[str, Any], show: Callable[[str], None]
    ) -> None:
        """Take the host, its escrow folders, the options of the task, and what prints a line."""
        self.host, self.places, self.show = host, list(places), show
        self.private_key = str(given.get("private_key") or "")
        self.passphrase = str(given.get("passphrase") or "")
        self.given = given

    # What every act needs

    def describe(self) -> dict[str, Any]:
        """Return how the volume stands, and print it."""
        found = self.host.call("describe")
        if not found["begun"] and found["system"]:
            raise HardeningError(
                f"{LEFT}The whole system of {self.host.name} is encrypted (strategy system), and no playbook changes"
                " its keys or its header: docs/disk-runbook.md has the commands by hand under each heading."
            )
        if not found["begun"]:
            raise HardeningError(
                f"{self.host.name} has no storage that was encrypted by the playbook encrypt_storage: run that first."
            )
        state = "open, mounted" if found["up"] else "open, not in use" if found["open"] else "locked"
        bound = ", ".join(found["bindings"]) or "none"
        for line in (
            f"{self.host.name}: the volume on {found['device']}, for {found['mount_point']}",
            f"  state       {state}; stage {found['stage']}{', the encryption goes on' if found['armed'] else ''}",
            f"  header      {found['header']}: {found['state']}, epoch {found['epoch']}, UUID {found['luks_uuid']}",
            f"  keyslots    {', '.join(found['keyslots']) or 'none'}; bound by {found['unlock']} in {bound}",
            f"  escrow      {' and '.join(self.places)}",
        ):
            self.show(line)
        return found

    def keys(self, *, needed: bool = True) -> list[bytes]:
        """Return the recovery keys that the private key opens: the one in force, and one that is to replace it.

        HardeningError where they are needed, and the private key that was given opens none.
        """
        if not self.private_key:
            return []
        found: list[bytes] = []
        refused: list[str] = []
        for name in (escrow_folders.SEALED, escrow_folders.NEXT):
            for path in (os.path.join(place, name) for place in self.places):
                if not os.path.exists(path):
                    continue
                try:
                    found.append(escrow_folders.open_sealed(path, self.private_key, self.passphrase))
                    break
                except HardeningError as error:
                    refused.append(str(error))
        if not found and needed:
            raise HardeningError(
                f"{LEFT}" + (" ".join(refused) or f"No sealed recovery key lies in {' or '.join(self.places)}.")
            )
        return found

    def hand(self, keys: Sequence[bytes], header: bytes = b"") -> None:
        """Hand keys, and the copy of a header, to the next call."""
        if keys or header:
            document = {
                "keys": [key.decode() for key in keys],
                "header": base64.b64encode(gzip.compress(header)).decode(),
            }
            self.host.hand(json.dumps(document).encode())

    def refresh(self) -> str:
        """Fetch the header anew into each escrow folder, with a new recovery key in the former one's place, if any."""
        taken = self.host.call("collect")
        escrow_folders.keep(self.places, escrow_folders.HEADER, base64.b64decode(taken["header"]))
        told = {
            "luks_uuid": taken["luks_uuid"],
            "digest": taken["digest"],
            "places": [f"{place} (on the controller)" for place in self.places],
        }
        if taken["sealed"]:
            told["recipients"] = taken["recipients"]
            escrow_folders.keep(self.places, escrow_folders.SEALED, base64.b64decode(taken["sealed"]))
            escrow_folders.forget(self.places, escrow_folders.NEXT)
        former = escrow_folders.told(self.places)
        escrow_folders.about(self.places, {**former, **told, "host": self.host.name, "name": self.host_volume})
        return str(self.host.call("record", evidence=told)["sentence"])

    @property
    def host_volume(self) -> str:
        """The volume's name on the host."""
        return str(self.given.get("name") or "studies")

    # Unlock

    def unlock(self, *, check: bool) -> dict[str, Any]:
        """Open the volume with the key from the escrow; bind it to the present TPM or Tang where that is asked."""
        found, rebind = self.describe(), bool(self.given.get("rebind"))
        if found["up"] and not rebind:
            return self.ended(found, f"{self.host.name}: open and mounted already; nothing to do", changed=False)
        opening = (
            "give its key to the job that encrypts it" if found["armed"] else "open it with the key from the escrow"
        )
        steps = [f"{opening}, mount it, start its services"] if not found["up"] else []
        whose = "its job" if found["armed"] else "its header"
        steps += [f"bind {whose} to the present TPM or Tang, and keep the header's copies fresh"] if rebind else []
        self.show(f"  would       {'; '.join(steps)}")
        if check:
            return self.ended(found, "", changed=True)
        keys = self.keys()
        if not keys and not found["up"]:
            raise HardeningError(
                f"{LEFT}The key of {self.host.name} lies sealed in the escrow: run the playbook again with"
                " -e escrow_private_key=<path of a private key that opens it>."
            )
        said = []
        if not found["up"]:
            self.hand(keys)
            said.append(self.host.call("unlock")["sentence"])
        if rebind:
            self.hand(keys)
            bound = self.host.call("rebind", storage=self.given.get("storage") or {})
            said.append(bound["sentence"])
            if bound["rebound"]:
                said.append(self.refresh())
        return self.ended(found, f"{self.host.name}: {'. '.join(said)}", changed=True)

    # Rotate

    def rotate(self, certificates: Sequence[str], *, check: bool) -> dict[str, Any]:
        """Replace the recovery key, or go on with a replacement that was begun."""
        found = self.describe()
        if found["armed"] or not found["whole"]:
            raise HardeningError(f"{LEFT}Its encryption goes on: its keys are changed when that is done.")
        begun = f", going on from {found['rotation']}" if found["rotation"] else ""
        self.show(
            f"  would       make a new recovery key on the host{begun}, seal it to {len(certificates)} certificates,"
            " have it proven to open, then destroy the former one and the header copies that it opens"
        )
        if check:
            return self.ended(found, "", changed=True)
        recipients = [escrow_folders.fingerprint(certificate) for certificate in certificates]
        self.hand(self.keys(needed=False))  # a private key of new people opens the new one alone
        renewed = self.host.call("renew", certificates=list(certificates), recipients=recipients)
        if renewed["step"] != "revoked":
            self.prove(base64.b64decode(renewed["sealed"]), str(renewed["nonce"]), renewed["step"])
        sentence = (
            f"{self.host.name}: the recovery key was replaced. {self.refresh()}; what opens by the former key are only"
            " copies of the header that were taken elsewhere, as in backups of these folders"
        )
        if renewed["recipients"] != recipients:
            sentence += ". It is sealed to the certificates of the run that began this: run the playbook once more"
        return self.ended(found, sentence, changed=True)

    def prove(self, sealed: bytes, nonce: str, step: str) -> None:
        """Keep the sealed new key in each escrow folder, have it opened there, and the former one destroyed."""
        escrow_folders.keep(self.places, escrow_folders.NEXT, sealed)
        path = os.path.join(self.places[0], escrow_folders.NEXT)
        answer = str(self.given.get("answer") or "")
        if not answer and self.private_key:
            answer = escrow_folders.answer(path, self.private_key, self.passphrase, nonce)
        if not answer and step == "added":
            raise HardeningError(
                f"The former recovery key of {self.host.name} stays until the new one, which lies sealed in"
                f" {' and '.join(self.places)}, was shown to open. Have somebody who can open it run:"
                f" {escrow_folders.how_to_answer(path, nonce)}  and run the playbook again with"
                " -e escrow_answer=<what it prints>, or with -e escrow_private_key=<path>."
            )
        self.hand(self.keys(needed=False))
        self.host.call("revoke", answer=answer)

    # Restore a header

    def restore(self, *, check: bool) -> dict[str, Any]:
        """Write the newest copy from the escrow in a damaged header's place, then open the volume."""
        found = self.describe()
        path, copy = escrow_folders.newest_header(self.places)
        self.show(
            f"  would       write {path} (epoch {luks.epoch(copy)}) to {found['header']}, if that is damaged, keep what"
            " is there now, and open the volume"
        )
        if check:
            return self.ended(found, "", changed=found["state"] == "none")
        keys = self.keys()
        self.hand(keys, copy)
        said = [str(self.host.call("restore", confirm=str(self.given.get("confirm") or ""))["sentence"])]
        self.hand(keys)
        said.append(str(self.host.call("unlock")["sentence"]))
        if not self.host.call("describe")["current"]:
            said.append(self.refresh())
        return self.ended(found, f"{self.host.name}: {'. '.join(said)}", changed=True)

    def ended(self, found: Mapping[str, Any], sentence: str, *, changed: bool) -> dict[str, Any]:
        """Print the act's last sentence and return its result."""
        if sentence:
            self.show(sentence)
        return {**found, "sentence": sentence, "changed": changed}
