# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write docs/clinic-file.md from the clinic file's schema; with --check, fail when it is not what would be written."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_schema

PAGE = ROOT / "docs" / "clinic-file.md"
HEAD = """# The clinic file

Generated from `meta/clinic.schema.json`; change the schema, not this page.

One YAML file describes one clinic. Copy one of `inventories/example/`, where each line is explained, and give its
first line the path of the schema, so that an editor completes and explains it:

```yaml
# yaml-language-server: $schema=<path of the collection>/meta/clinic.schema.json
```

In `ansible.cfg`, name the plugin, and let a refused file end the run:

```ini
[inventory]
enable_plugins = radiology.hardening.clinic, ansible.builtin.yaml, ansible.builtin.ini
any_unparsed_is_failed = true
```

`ansible-inventory -i <file> --list --yaml` shows what the file yields, or says in one sentence what is wrong: file and
line, key, what was found, what is accepted. Nothing is touched before the whole file is right. The file holds no
secrets; they are made later, and kept in the folder beside it that bears the clinic's name. The playbook `validate`
checks what goes with the file as well, and reaches no host either.

Beside what each key accepts, these hold:

- An address is literal, lies in the network that it is given under, and is no other host's.
- No range of a network overlaps another.
- No two machines have one AE title, in whatever case, and none has a factory's, such as ORTHANC.
- The last three octets of the devices' IPv4 addresses differ: on the server, `127.` and they stand for a device.
- A login is one person's: those that several people share, such as `admin`, are refused.
- A server with `storage` needs the clinic's `escrow`, and strategy `volume` the disk that it goes `onto`.
- No key is given twice; anchors, aliases and tags are not read.
"""


def page() -> str:
    """Return the whole page."""
    schema = clinic_schema.schema()
    parts = [HEAD, section("The file", schema)]
    for name, rule in schema["properties"].items():
        inner = _inner(rule)
        if inner:
            parts.append(section(f"`{name}`: {inner['title'].lower()}", inner))
        elif "properties" in rule:
            parts.append(section(f"`{name}`", rule))
    storage = schema["$defs"]["storage"]
    unlock = storage["properties"]["unlock"]
    parts += [
        section("`ssh`", schema["$defs"]["ssh"]),
        section("`storage`", storage),
        section("`storage.unlock`", unlock),
        *(section(f"`storage.unlock.{pin}`", rule) for pin, rule in unlock["properties"].items()),
        section("`storage.backup`", storage["properties"]["backup"]),
    ]
    return "".join(parts)


def section(title: str, rule: dict[str, Any]) -> str:
    """Return a section with one row for each key."""
    rows = [f"\n## {title}\n\n{rule['description']}\n", "\n| key | meaning | accepted | example |\n|---|---|---|---|\n"]
    for name, key in rule["properties"].items():
        whole = _whole(key)
        needed = " (needed)" if name in rule.get("required", []) else ""
        example = json.dumps(whole["examples"][0], ensure_ascii=False)
        cells = [f"`{name}`{needed}", whole["description"], clinic_schema.accepted(whole), f"`{example}`"]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(rows)


def _whole(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a rule with what it refers to."""
    return {**clinic_schema.schema()["$defs"].get(rule.get("$ref", "").rpartition("/")[2], {}), **rule}


def _inner(rule: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a mapping by name, or a list, is made of; None for what has keys of its own or is plain."""
    of = rule.get("additionalProperties") or rule.get("items")
    return _whole(of) if isinstance(of, dict) and "$ref" in of else None


def main(arguments: list[str]) -> int:
    """Write or check."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the schema says; run tools/write_clinic_docs.py and commit it.")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
