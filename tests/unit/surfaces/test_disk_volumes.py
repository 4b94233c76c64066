# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a header says: recorded from real ones (disk/headers.json), and whatever else may stand there."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_volumes
from hypothesis import given
from hypothesis import strategies as st

HEADERS = json.loads((Path(__file__).parent / "disk" / "headers.json").read_text(encoding="utf-8"))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["type", "kdf", "keyslots", "0", "jwe", "1"]), inner)
    ),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys(["keyslots", "tokens", "segments", "config"], ANYTHING))


def header(name):
    return disk_volumes.read_header(HEADERS[name]["metadata"], HEADERS[name]["text"])


def volume(name="bound", **changes):
    """Return an opened volume with a recorded header, as an observer would after a good encryption."""
    found = header(name)
    escrow = {
        "luks_uuid": found["uuid"],
        "proven_at": "2026-11-24T14:45:00+00:00",
        "recipients": ["ab12"],
        "header_epoch": found["epoch"],
        "header_copies": ["/boot/images.header", "controller"],
    }
    opened = {"name": "images", "kind": "LUKS2", "encrypts": True, "cipher": "aes-xts-plain64", "key_bits": 512}
    return {**found, **opened, "header": "/dev/vdb1", "escrow": escrow, **changes}


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_real_header_is_read(name):
    found = header(name)
    assert found["readable"]
    assert found["epoch"] >= 1
    assert len(found["uuid"]) == 36
    assert found["keyslots"]


def test_what_names_each_keyslot_is_told():
    found = header("bound")
    assert [(slot["slot"], slot["derivation"], slot["named_by"]) for slot in found["keyslots"]] == [
        ("0", "pbkdf2", ["radiology-recovery"]),
        ("1", "pbkdf2", ["clevis"]),
    ]
    assert found["bindings"] == ["tpm2 pcr 7"]
    person = header("person")
    assert [(slot["derivation"], slot["named_by"]) for slot in person["keyslots"]] == [
        ("argon2id", []),
        ("pbkdf2", ["radiology-recovery"]),
    ]


def test_a_header_in_the_middle_of_a_reencryption_says_so():
    found = header("reencrypting")
    assert found["unfinished"]
    assert [slot["slot"] for slot in found["keyslots"]] == ["0"]
    assert not header("bound")["unfinished"]


def test_a_good_volume_leaves_nothing_to_say():
    good = [volume()]
    assert disk_volumes.not_luks2(good) == []
    assert disk_volumes.weak(good) == []
    assert disk_volumes.unknown_keyslots(good, 0) == []
    assert disk_volumes.not_escrowed(good) == []
    assert disk_volumes.unbound(good) == []
    assert disk_volumes.loosely_bound(good) == []


def test_a_person_s_passphrase_is_known_where_it_is_declared():
    assert disk_volumes.unknown_keyslots([volume("person")], 1) == []
    assert disk_volumes.unknown_keyslots([volume("person")], 0) == [
        "images: keyslots 0 are named by no token, 0 declared"
    ]
    assert disk_volumes.unbound([volume("person")]) == ["images opens by no TPM and no Tang"]


def test_a_passphrase_of_pbkdf2_is_weak_but_a_key_of_random_bits_is_not():
    slots = copy.deepcopy(volume()["keyslots"])
    slots[1]["named_by"] = []
    assert disk_volumes.weak([volume(keyslots=slots)]) == ["images: the passphrase of keyslot 1 is derived by pbkdf2"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cipher": "aes-cbc-essiv:sha256"}, "images: aes-cbc-essiv:sha256 with 512 bits"),
        ({"key_bits": 256}, "images: aes-xts-plain64 with 256 bits"),
        ({"cipher": ""}, "images: no cipher with 512 bits"),
    ],
)
def test_weak_ciphers_are_named(changes, said):
    assert disk_volumes.weak([volume(**changes)]) == [said]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "LUKS1"}, "images is LUKS1, not LUKS2"),
        ({"kind": ""}, "images is of an unknown kind, not LUKS2"),
        ({"encrypts": False}, "images is not wholly encrypted yet"),
        ({"unfinished": True}, "images is not wholly encrypted yet"),
        ({"readable": False}, "images: its header /dev/vdb1 cannot be read"),
    ],
)
def test_what_is_no_whole_luks2_is_named(changes, said):
    assert disk_volumes.not_luks2([volume(**changes)]) == [said]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "images: no proof that its recovery key was escrowed"),
        ({"luks_uuid": "other"}, "images: the proof of escrow is of another volume"),
        ({"recipients": []}, "images: the proof of escrow names nobody"),
        ({"proven_at": "yesterday"}, "images: the proof of escrow has no date"),
        ({"header_epoch": 3}, "images: its header has changed since its recovery key was escrowed (now at epoch 6)"),
        ({"header_copies": ["/boot/images.header"]}, "images: fewer than 2 copies of its header"),
    ],
)
def test_each_lack_of_escrow_has_its_sentence(change, said):
    escrow = {} if change is None else {**volume()["escrow"], **change}
    assert disk_volumes.not_escrowed([volume(escrow=escrow)]) == [said]


def test_a_volume_without_a_keyslot_for_recovery_is_not_escrowed():
    slots = [slot for slot in volume()["keyslots"] if "clevis" in slot["named_by"]]
    assert disk_volumes.not_escrowed([volume(keyslots=slots)]) == ["images: no keyslot is named as the recovery key's"]


def clevis(pin, settings):
    protected = base64.urlsafe_b64encode(json.dumps({"clevis": {"pin": pin, pin: settings}}).encode()).decode()
    return {"type": "clevis", "keyslots": ["1"], "jwe": {"protected": protected.rstrip("=")}}


@pytest.mark.parametrize(
    ("token", "bound"),
    [
        (clevis("tpm2", {"pcr_ids": "7", "pcr_bank": "sha256"}), "tpm2 pcr 7"),
        (clevis("tpm2", {"hash": "sha256"}), "tpm2"),
        (clevis("tang", {"url": "http://192.0.2.1"}), "tang"),
        (clevis("sss", {"t": 2}), "sss"),
        (clevis("null", {}), "null"),
        ({"type": "clevis", "jwe": "nonsense"}, "unknown"),
        ({"type": "clevis", "jwe": {"protected": "%%%"}}, "unknown"),
        ({"type": "systemd-tpm2", "tpm2-pcrs": [7, 11]}, "tpm2 pcr 7,11"),
        ({"type": "systemd-tpm2", "tpm2-pcrs": []}, "tpm2"),
        ({"type": "systemd-tpm2", "tpm2-pcrs": [], "tpm2_pubkey": "AA"}, "tpm2 pcr signed"),
        ({"type": "radiology-recovery"}, ""),
    ],
)
def test_what_a_token_binds_to(token, bound):
    assert disk_volumes.binding(token) == bound


@pytest.mark.parametrize(
    ("bindings", "said"),
    [
        (["tpm2 pcr 7", "tang", "sss"], []),
        (["tpm2"], ["images opens by tpm2, whatever system starts: no PCR is checked"]),
        (["null"], ["images opens by null, a pin that proves nothing"]),
    ],
)
def test_a_binding_that_proves_nothing_is_named(bindings, said):
    assert disk_volumes.loosely_bound([volume(bindings=bindings)]) == said


@pytest.mark.parametrize(
    ("target", "bits"),
    [
        ("0 8 crypt aes-xts-plain64 :64:logon:cryptsetup:x-d0 0 7:0 0", 512),
        (f"0 8 crypt aes-xts-plain64 {'0' * 128} 0 7:0 0", 512),
        (f"0 8 crypt aes-cbc-essiv:sha256 {'0' * 64} 0 7:0 0", 256),
        ("0 8 linear 7:0 0", 0),
        ("", 0),
    ],
)
def test_the_length_of_the_key_stands_in_the_kernel_s_table(target, bits):
    assert disk_volumes.key_bits(target) == bits


@given(PARTS, st.text())
def test_a_header_of_any_content_is_read_and_never_called_good(metadata, text):
    found = disk_volumes.read_header(metadata, text)
    good = {slot["slot"] for slot in found["keyslots"] if set(slot["named_by"]) & set(disk_volumes.NAMED)}
    opened = volume(**{**found, "escrow": {}})
    assert disk_volumes.not_escrowed([opened])
    if len(found["keyslots"]) > len(good):
        assert disk_volumes.unknown_keyslots([opened], 0)


@given(st.text())
def test_any_text_decodes_to_an_object(text):
    assert isinstance(disk_volumes.decoded(text), dict)
    assert isinstance(disk_volumes.parse_json(text), dict)


@given(ANYTHING.filter(lambda drawn: isinstance(drawn, dict)))
def test_a_proof_of_escrow_of_any_content_keeps_its_types(record):
    found = disk_volumes.read_escrow(record)
    assert found == {} or (isinstance(found["header_epoch"], int) and isinstance(found["recipients"], list))
