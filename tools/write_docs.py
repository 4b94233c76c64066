# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write docs/controls.md from the controls; with --check, fail when the file is not what would be written."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

PAGE = ROOT / "docs" / "controls.md"
HEAD = """# Controls

Generated from `roles/*/meta/controls.yml` by `make docs`; change the controls, not this page.

"Inside" is what the host itself says, "from" is what a vantage point sees of it.
A control passes only where all of its evidence does.
"""


def page() -> str:
    """Return the whole page."""
    sections = [HEAD]
    for role in dict.fromkeys(control.role for control in catalogue.load()):
        controls = catalogue.load(role)
        sections.append(f"\n## {role} ({len(controls)})\n")
        sections += [section(control) for control in controls]
    return "".join(sections)


def section(control: catalogue.Control) -> str:
    """Return the part of the page that tells of one control."""
    lines = [
        f"\n### `{control.id}`\n\n**{control.title}.** Severity {control.severity}; {', '.join(control.profiles)}.\n"
    ]
    lines.append(f"\n{control.rationale}\n\n")
    lines += [f"- Inside: `{clause}`\n" for clause in control.expect]
    for kind, clauses in control.expect_from.items():
        lines += [f"- From {kind}: `{clause}`\n" for clause in clauses]
    if control.applies_when:
        lines.append(f"- Where `{control.applies_when}`\n")
    if control.advice:
        lines.append(f"- What to do, with the command and its minutes: `{control.advice}`\n")
    references = "; ".join(f"{name} {', '.join(clauses)}" for name, clauses in control.references.items())
    lines.append(f"- Reference catalogue `{control.catalogue}`; {references}\n")
    return "".join(lines)


def main(arguments: list[str]) -> int:
    """Write or check."""
    text = page()
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE.relative_to(ROOT)} is not what the controls say; run `make docs` and commit it.")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
