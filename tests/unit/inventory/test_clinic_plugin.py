# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""However broken its input, the plugin gives a result or one sentence, never a traceback."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible_collections.radiology.hardening.plugins.inventory.clinic import InventoryModule
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SMALL = (HERE / "valid" / "small.yml").read_bytes()
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "lan", "ct", "10.0.1.30", "10.0.1.0/24", "::1%1", "fd00:1::", "0.0.0.0/0", "\n", "{{ x }}"]),
)
TREES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parse(content: bytes, folder: Path, name: str = "clinic.yml", inventory: Any = None) -> InventoryData:
    file = folder / name
    file.write_bytes(content)
    plugin = InventoryModule()
    plugin.verify_file(str(file))
    inventory = inventory or InventoryData()
    plugin.parse(inventory, DataLoader(), str(file))
    return inventory


def result_or_sentence(content: bytes, folder: Path) -> str:
    """Return the sentence, or nothing when the file was taken."""
    try:
        parse(content, folder)
    except AnsibleParserError as error:
        sentence = str(error)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert sentence.isprintable()
        assert "Traceback" not in sentence
        assert sentence.startswith(str(folder))
        return sentence
    return ""


@SLOW
@given(st.binary(max_size=300))
def test_random_bytes(tmp_path: Path, content: bytes) -> None:
    assert result_or_sentence(content, tmp_path)


@SLOW
@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`,?# \n\t0\\xUu~<=.", max_size=80))
@example('"\\UFFFFFFFF"')
@example("plugin: !!int x")
@example("a: !!float .")
@example("[" * 5000)
@example("- " * 5000)
@example("a: " + "9" * 5000)
@example("%YAML " + "9" * 5000 + ".1\n---\na")
@example("&a [*a]")
@example("? ? ? a")
@example("a: 1:99:99")
@example("a: 0b")
@example("a: !!binary x")
@example("a: 9999-99-99")
def test_random_yaml(tmp_path: Path, content: str) -> None:
    assert result_or_sentence(content.encode(), tmp_path)


@SLOW
@given(TREES)
def test_random_trees(tmp_path: Path, tree: Any) -> None:
    assert result_or_sentence(yaml.safe_dump(tree).encode(), tmp_path)


@SLOW
@given(st.randoms(use_true_random=False), TREES)
def test_a_valid_file_with_one_value_replaced(tmp_path: Path, chance: random.Random, tree: Any) -> None:
    data = yaml.safe_load(SMALL)
    _replace(data, chance, tree)
    result_or_sentence(yaml.safe_dump(data).encode(), tmp_path)


@SLOW
@given(st.integers(0, len(SMALL)), st.integers(0, 40), st.binary(max_size=10))
def test_a_valid_file_with_some_bytes_replaced(tmp_path: Path, start: int, length: int, new: bytes) -> None:
    result_or_sentence(SMALL[:start] + new + SMALL[start + length :], tmp_path)


def test_the_whole_clinic_or_nothing(tmp_path: Path) -> None:
    inventory = InventoryData()
    with pytest.raises(AnsibleParserError):
        parse(SMALL.replace(b"LUM_CT1", b"LUM_WS1"), tmp_path, inventory=inventory)
    assert not inventory.hosts


def test_variables_are_plain_data(tmp_path: Path) -> None:
    inventory = parse(SMALL, tmp_path)
    host = inventory.hosts["pacs.test"]
    assert json.loads(json.dumps(host.vars["clinic_services"])) == host.vars["clinic_services"]
    assert {group.name for group in host.get_groups()} >= {"orthanc_servers", "clinic_hosts", "clinic_test"}
    assert inventory.groups["clinic_test"].vars["clinic"]["directory"] == str(tmp_path / "test")


def test_two_files_of_one_clinic_are_refused(tmp_path: Path) -> None:
    inventory = parse(SMALL, tmp_path, "first.yml")
    parse(SMALL, tmp_path, "first.yml", inventory)
    with pytest.raises(
        AnsibleParserError, match=r"second.yml: name is \"test\", as in .*first.yml; accepted: one file"
    ):
        parse(SMALL, tmp_path, "second.yml", inventory)


@pytest.mark.parametrize(
    ("content", "taken"),
    [
        ("plugin: radiology.hardening.clinic\n", True),
        ("---\n'plugin' : \"radiology.hardening.clinic\"  # ours\nname: [", True),
        ("{plugin: radiology.hardening.clinic, name: x}", True),
        ("plugin: radiology.hardening.clinical\n", False),
        ("# plugin: radiology.hardening.clinic\nall: {}\n", False),
        ("all: {hosts: {a: }}\n", False),
        ("$ANSIBLE_VAULT;1.1;AES256\n3330\n", False),
    ],
)
def test_which_files_are_ours(tmp_path: Path, content: str, taken: bool) -> None:
    file = tmp_path / "file.yml"
    file.write_text(content, encoding="utf-8")
    assert InventoryModule().verify_file(str(file)) is taken


def ansible_inventory(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an engineer would, with the plugin enabled and refused files fatal."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_INVENTORY_ENABLED": "radiology.hardening.clinic",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    }
    command = [str(Path(sys.executable).with_name("ansible-inventory")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_ansible_itself_reads_both_clinics_of_the_lab() -> None:
    files = [str(ROOT / "inventories" / "lab" / f"{name}-practice.yml") for name in ("dmz", "forwarded")]
    listed = json.loads(ansible_inventory("-i", files[0], "-i", files[1], "--list").stdout)
    assert listed["orthanc_servers"]["hosts"] == ["pacs.dmz-practice", "pacs.forwarded-practice"]
    shown = json.loads(
        ansible_inventory("-i", files[0], "-i", files[1], "--host", "ct-probe.forwarded-practice").stdout
    )
    assert shown["clinic"]["name"] == "forwarded-practice"
    assert shown["ansible_host"] == "10.77.12.30"
    assert shown["clinic_targets"][0]["expected_ports"] == [2762]


def test_a_refused_file_ends_the_run() -> None:
    answer = ansible_inventory("-i", str(HERE / "invalid" / "may_unknown.yml"), "--list")
    assert answer.returncode != 0
    assert 'modalities.ct.may[1] is "stor"; accepted: one of echo, store' in " ".join(answer.stderr.split())


def test_what_a_clinic_keeps_is_no_inventory(tmp_path: Path) -> None:
    parse(SMALL, tmp_path, "of-any-name.yml")
    for kept, ours in {"test/vault.yml": True, "test/certificates/ct.crt": True, "other/vault.yml": False}.items():
        file = tmp_path / kept
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("users: {a: }\n", encoding="utf-8")
        assert InventoryModule().verify_file(str(file)) is ours
    inventory = InventoryData()
    InventoryModule().parse(inventory, DataLoader(), str(tmp_path / "test" / "vault.yml"))
    assert not inventory.hosts


@pytest.mark.parametrize(
    ("kept", "ours"),
    [
        ("escrow/provider.pem", True),
        ("escrow/former.pem", True),
        ("escrow/keys/archive.rue-lumiere/studies/header.img.gz", True),
        ("rue-lumiere/authority/ca.key", True),
        ("other/provider.pem", False),
        ("provider.pem", False),
        ("second-disk/escrow/provider.pem", False),
    ],
)
def test_what_the_escrow_keeps_is_no_inventory(tmp_path: Path, kept: str, ours: bool) -> None:
    shutil.copy(ROOT / "inventories" / "example" / "rue-lumiere.yml", tmp_path)
    file = tmp_path / kept
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\n\x8b\n")
    assert InventoryModule().verify_file(str(file)) is ours


def test_a_broken_clinic_file_still_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "test.yml").write_bytes(SMALL + b"escrow: [\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n", encoding="utf-8")
    assert InventoryModule().verify_file(str(tmp_path / "test" / "vault.yml"))


@pytest.mark.parametrize("content", [b"", b"\n", b"---\n", b"# rue-lumiere, in service since 2019\n\n---\n...\n"])
def test_an_empty_file_is_refused_and_no_clinic_passed_over(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "clinic.yml"
    file.write_bytes(content)
    assert InventoryModule().verify_file(str(file))
    sentence = result_or_sentence(content, tmp_path)
    assert sentence == f"{file}:1: the file is empty; accepted: a clinic file, or no file."


def test_a_folder_with_clinics_and_their_escrow_is_an_inventory(tmp_path: Path) -> None:
    for file in (ROOT / "inventories" / "example").glob("*.yml"):
        shutil.copy(file, tmp_path)
    (tmp_path / "escrow").mkdir()
    (tmp_path / "escrow" / "provider.pem").write_text("-----BEGIN CERTIFICATE-----\n", encoding="ascii")
    listed = json.loads(ansible_inventory("-i", str(tmp_path), "--list").stdout)
    assert listed["orthanc_servers"]["hosts"] == ["pacs.bord-de-mer", "archive.rue-lumiere"]


def _replace(data: Any, chance: random.Random, tree: Any) -> None:
    """Put a tree in the place of one value of the data, chosen by walking down."""
    while True:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        key = chance.choice(keys)
        below = data[key]
        if not isinstance(below, dict | list) or not below or chance.random() < 0.2:
            data[key] = copy.deepcopy(tree)
            return
        data = below
