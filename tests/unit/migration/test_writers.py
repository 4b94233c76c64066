# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever of ours can format, overwrite or open for writing, read from the source: each place is known and guarded.

What tests/interlocks walks with real devices is this list; a new entry needs a guard and a test there first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PROGRAMS = {
    "badblocks", "blkdiscard", "cfdisk", "dd", "fdisk", "hdparm", "lvcreate", "lvremove", "mdadm", "mke2fs", "mkntfs",
    "mkswap", "nvme", "parted", "pvcreate", "pvremove", "resize2fs", "sfdisk", "sgdisk", "shred", "swapon", "vgcreate",
    "zpool",
}  # fmt: skip
"""Programs that write to a device whatever it holds."""
WORDS = {"erase", "luksErase", "luksFormat", "luksHeaderRestore", "plainOpen", "reencrypt", "repair"}
"""Actions of cryptsetup that write to a device."""
OPTIONS = {"--all", "-a", "--backup", "-o", "--offset"}
"""With one of these wipefs writes; so it is called without any."""
MODES = {"O_WRONLY", "O_RDWR", "O_APPEND"}

COMMANDS = {
    "migration/luks.py _format: luksFormat": "formats a sparse file of its own, never a device",
    "migration/luks.py initialise: reencrypt": "--init-only: a header in a file; after `confirm_file_system`",
    "migration/luks.py go_on: reencrypt": "after `settle`: the confirmed file system, or half of it encrypted",
    "migration/luks.py replay: repair": "within `settle`, after `confirm_no_other`",
    "migration/machine.py Machine.make_file_system: mkfs.": "after `confirm_empty`, and unforced",
    "disk_swap.py _encrypt: swapon": "on the volume that systemd opened over what `_held` found to be swap or nothing",
}
"""Every command that writes to a device, and what stands before it."""


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield every function with its name, and the module's own statements as ``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", node
        else:
            yield prefix.rstrip("."), node


def sources() -> Iterator[tuple[str, str, ast.AST]]:
    """Yield file, function and syntax of everything that a host or a controller runs."""
    for path in sorted(PLUGINS.rglob("*.py")):
        short = str(path.relative_to(PLUGINS)).removeprefix("module_utils/")
        for name, node in functions(ast.parse(path.read_text(encoding="utf-8"))):
            yield short, name, node


def commands(node: ast.AST) -> Iterator[list[str]]:
    """Yield the words of every tuple or list, which is what commands are written as; f-strings by their beginning."""
    for found in ast.walk(node):
        if isinstance(found, ast.Tuple | ast.List):
            words = [part.values[0] if isinstance(part, ast.JoinedStr) and part.values else part for part in found.elts]
            yield [part.value for part in words if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def test_every_command_that_writes_to_a_device_is_known() -> None:
    found = set()
    for file, function, node in sources():
        for words in commands(node):
            told = [each for each in words if each in WORDS or each.startswith("mkfs")]
            told += [each for each in words[:1] if each.rpartition("/")[2] in PROGRAMS]
            if words[:1] == ["wipefs"] and OPTIONS & set(words):
                told.append("wipefs")
            found |= {f"{file} {function}: {each}" for each in told}
    assert found == set(COMMANDS)


def test_no_device_is_opened_for_writing_without_being_held_alone() -> None:
    """What opens anything for writing opens a file of ours; where it is a device, it is held alone, or known here."""
    known = {"migration/restoring.py write"}  # a header of ours where one was, after `demand_place`
    found = set()
    for file, function, node in sources():
        if not file.startswith("migration/") and file != "disk_swap.py":
            continue
        opens = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & MODES
        opens |= {
            str(part.args[1].value)
            for part in ast.walk(node)
            if isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id == "open"
            and len(part.args) > 1
            and isinstance(part.args[1], ast.Constant)
            and set(str(part.args[1].value)) & set("wax+")
        }
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        alone = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)} & {"O_EXCL"}
        if opens and not alone and "device" in names:
            found.add(f"{file} {function}")
    assert found == known
