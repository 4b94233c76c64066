# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the pages of docs/ from their sources; with --check, fail where a page is not what would be written."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path
from typing import Any

import jinja2
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / ".ansible" / "collections")]

import clinic_page
import page_sources
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, frameworks, report_console

DOCS = ROOT / "docs"
FOLDERS = ("controls", "modules", "roles")
"""Folders of docs/ in which every page is generated: one that has no source any more goes."""

PLACES = {
    "internet": "the internet",
    "lan": "the clinic's LAN (by no declared device)",
    "peer": "a declared device",
    "admin": "the administration network",
}
SYSTEMS = {
    "": "On the host, as root",
    "windows": "On Windows, in a PowerShell that an administrator opened",
    "macos": "On macOS, in the Terminal, with `sudo` where it is refused",
    "modality": "At the modality, with its maker's service",
}
WORDS = {
    "ADDRESS": "an address of the host as it is reached from there; from the internet, the clinic's public address",
    "AE_TITLE": "the host's AE title",
    "DEVICE": "a declared device: its key and certificate (`certificates/` beside the clinic file holds the latter)",
    "DEVICE_AE_TITLE": "the AE title of a declared device",
    "FOLDER": "each folder that holds patient data: Orthanc's two, and those of `disk_encryption_folders`",
    "HEADER": "`/var/lib/radiology-hardening/storage/VOLUME/header` or, where that is not, the device under the volume",
    "LOGIN": "the login of a person of the clinic; curl asks for the password",
    "MOUNT_POINT": "where the file system that holds such a folder is mounted",
    "SLOT": "the number of the keyslot",
    "TEMPORARY": "the folder that is printed, or `/tmp` where none is",
    "VOLUME": "the name of the opened volume, which `lsblk` prints with TYPE `crypt`, such as `studies`",
    "ca.crt": "the clinic's authority, `authority/ca.crt` beside the clinic file",
    "echoscu": "DCMTK's program (package dcmtk); pynetdicom has another of that name",
    "nmap": "the port scanner (package nmap); point it at hosts of your own alone",
}
"""What the words in commands are; one in capitals is to be replaced."""
MACRO = re.compile(r"\b([BCIMOPV]|RV)\(([^()]*)\)")


@functools.cache
def pages() -> dict[str, str]:
    """Return every generated page: its path below docs/ to its text."""
    controls, roles, modules = catalogue.load(), page_sources.roles(), page_sources.modules()
    environment = _environment()
    shared = {"frameworks": frameworks.load(), "statuses": frameworks.STATUSES, "citing": frameworks.citing(controls)}

    def page(template: str, **values: Any) -> str:
        text = environment.get_template(f"{template}.md.j2").render(**shared, **values)
        return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"

    return {
        "README.md": page("README", roles=roles, modules=modules),
        "clinic-file.md": clinic_page.page(),
        "controls.md": page("controls", controls=controls),
        "frameworks.md": page("frameworks"),
        **{
            f"controls/{control.id}.md": page("control", control=control, playbooks=page_sources.repairs(control))
            for control in controls
        },
        **{f"roles/{role['name']}.md": page("role", role=role) for role in roles},
        **{f"modules/{module['name']}.md": page("module", module=module) for module in modules},
    }


def _environment() -> jinja2.Environment:
    """Return an environment for Markdown: nothing is escaped but what would break a table."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "tools" / "pages"),
        autoescape=False,  # noqa: S701 # the pages are Markdown, their sources our own
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        cell=cell,
        code=code,
        due=due,
        markup=markup,
        meaning=page_sources.meaning,
        page=named,
        place=place,
        words=words,
    )
    return environment


def markup(text: str) -> str:
    """Return a text with Ansible's macros as Markdown; a module of ours links to its page."""

    def shown(macro: re.Match[str]) -> str:
        kind, content = macro[1], macro[2].partition("#")[0]
        name = content.removeprefix("radiology.hardening.")
        if kind == "M" and name != content:
            return f"[{content}](../modules/{name}.md)"
        return {"B": f"**{content}**", "I": f"*{content}*"}.get(kind, f"`{content}`")

    return MACRO.sub(shown, text)


def cell(text: str) -> str:
    """Return a text that stays inside its cell of a table."""
    return markup(text).replace("|", "\\|").replace("\n", " ")


def named(control: str) -> str:
    """Return a control's id as a link to its page; ValueError where there is none."""
    if control not in {each.id for each in catalogue.load()}:
        raise ValueError(f"There is no control {control}.")
    return f"[{control}](controls/{control}.md)"


def code(value: Any) -> str:
    """Return a default as YAML writes it, a template as it is; nothing where there is none."""
    if value is None:
        return ""
    template = isinstance(value, str) and "{{" in value
    return f"`{value if template else yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]}`"


def due(clause: catalogue.Clause) -> str:
    """Return what a clause demands, in the report's words."""
    return report_console.expected({"operator": clause.operator, "expected": clause.expected})


def place(look: catalogue.ByHand) -> str:
    """Return where a person stands who checks by hand."""
    if not look.kinds:
        return SYSTEMS[look.system]
    named = [PLACES[kind] for kind in look.kinds]
    return "From " + " and from ".join([", from ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def words(control: catalogue.Control) -> list[tuple[str, str]]:
    """Return the words of a control's commands that want telling, with what they are."""
    text = " ".join([*(look.run for look in control.by_hand), control.left_to_you])
    text += " ".join(told for word, told in WORDS.items() if _has(text, word))
    return [(word, told) for word, told in WORDS.items() if _has(text, word)]


def _has(text: str, word: str) -> bool:
    """Tell whether a text has a word by itself; a file's name not at the end of a path."""
    return re.search(rf"(?<![\w{'' if word.isupper() else '/'}]){re.escape(word)}\b", text) is not None


def stale(docs: Path = DOCS) -> list[str]:
    """Return a sentence for each page that is missing, is not what would be written, or has no source any more."""
    due_pages = pages()
    said = []
    for name, text in due_pages.items():
        if not (docs / name).is_file():
            said.append(f"docs/{name} is missing.")
        elif (docs / name).read_text(encoding="utf-8") != text:
            said.append(f"docs/{name} is not what its source says.")
    return said + [f"docs/{name} has no source any more." for name in leftovers(due_pages, docs)]


def leftovers(due_pages: dict[str, str], docs: Path) -> list[str]:
    """Return the files in the generated folders that no page is written to."""
    present = (path for folder in FOLDERS for path in sorted((docs / folder).rglob("*")) if not path.is_dir())
    return [name for path in present if (name := path.relative_to(docs).as_posix()) not in due_pages]


def write(docs: Path = DOCS) -> None:
    """Write every page, and remove those that have no source any more."""
    written = pages()
    for name, text in written.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8")
    for name in leftovers(written, docs):
        (docs / name).unlink()


def main(arguments: list[str]) -> int:
    """Write or check."""
    if "--check" not in arguments:
        write()
        return 0
    found = stale()
    for sentence in found:
        print(sentence)
    if found:
        print("Run `make docs` and commit what it writes.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
