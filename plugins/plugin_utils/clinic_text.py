# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of a clinic file, read into plain data that remembers its lines.

Anchors, aliases and tags are refused: a clinic file needs none, and each is a way to hide something from a reader.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

PLUGIN = "radiology.hardening.clinic"
DEEPEST = 12
"""Levels of nesting that are read; the deepest value of a clinic file lies at level 5."""

LARGEST = 1_000_000
"""Bytes that are read: a thousand times a usual clinic file."""

Path = tuple[str | int, ...]
"""Where a value stands: keys of mappings and places in lists, from the top of the file."""

_PLUGIN_LINE = re.compile(
    rb"^[\s{]*[\"']?plugin[\"']?\s*:\s*[\"']?" + re.escape(PLUGIN.encode()) + rb"[\"']?\s*(#|,|}|$)", re.MULTILINE
)
_WORD = re.compile(r"[A-Za-z0-9_.-]+")


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """What is wrong at a line (counted from 1), as one clause without the full stop."""

    line: int
    sentence: str


@dataclasses.dataclass
class Document:
    """A clinic file as plain data, the line of each value, and what was wrong already on reading."""

    data: Any
    lines: dict[Path, int]
    problems: list[Problem]

    def line(self, path: Path) -> int:
        """Return the line of a value, or of the nearest thing around it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class UnreadableError(Exception):
    """The text is no YAML that a clinic file may be made of; holds one Problem."""

    def __init__(self, line: int, sentence: str) -> None:
        """Take the line, counted from 1, and the clause that says what is wrong."""
        super().__init__(sentence)
        self.problem = Problem(line, sentence)


def names_plugin(content: bytes) -> bool:
    """Tell whether a file says that it is for this plugin, even when the rest of it is broken."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.replace(b"\0", b"")  # so that it is refused for its encoding, in a sentence of ours
    return _PLUGIN_LINE.search(content) is not None


def is_empty(content: bytes) -> bool:
    """Tell whether a file holds blanks, comments and marks of a document alone, as one that a full disk cut off."""
    lines = (line.strip() for line in content.splitlines())
    return all(line in (b"", b"---", b"...") or line.startswith(b"#") for line in lines)


def read(content: bytes) -> Document:
    """Read a clinic file; raise UnreadableError where nothing further could be said about it."""
    if len(content) > LARGEST:
        raise UnreadableError(1, f"the file has {len(content)} bytes; accepted: at most {LARGEST}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnreadableError(line, "the file is not encoded in UTF-8; accepted: UTF-8") from error
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        found = " ".join(f"{error.context or ''} {error.problem or ''}".split()).rstrip(".")
        raise UnreadableError(mark.line + 1 if mark else 1, f"the YAML cannot be read: {found}") from error
    except (ValueError, OverflowError) as error:
        raise UnreadableError(
            1, "the YAML holds an escape or a number that stands for nothing; accepted: plain text"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableError(
            line, "the file holds a character that YAML does not allow; accepted: plain text"
        ) from error
    document = Document(None, {(): 1}, [])
    document.data = _value(node, (), document) if node else None
    return document


def shown(value: Any) -> str:
    """Return a value as it may stand in a sentence: quoted, on one line, at most 60 characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    text = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
    return text if len(text) <= 60 else f"{text[:56]}...{text[-1]}"


def dotted(path: Path) -> str:
    """Return a path as people write it: `modalities.ct.may[0]`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += ("." if words else "") + (part if _WORD.fullmatch(part) and len(part) <= 60 else shown(part))
    return words or "the file"


class _Loader(yaml.SafeLoader):
    """Composes nodes, without aliases and without end."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise UnreadableError(line, "an anchor or alias (& or *) is used; accepted: the value itself")
        if self.depth > DEEPEST:
            raise UnreadableError(line, f"values are nested deeper than {DEEPEST} levels; accepted: a clinic file")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    """Return a node as plain data, and note its line and what is wrong with it."""
    document.lines.setdefault(path, node.start_mark.line + 1)
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_value(item, (*path, place), document) for place, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, path, document)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path, document)
    document.problems.append(
        Problem(line, f"{dotted(path)} has the tag {shown(node.tag)}; accepted: no tags, and no secrets, in this file")
    )
    return None


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            document.problems.append(Problem(line, f"{dotted(path)} has a key that is no word; accepted: a plain word"))
            continue
        here = (*path, key.value)
        if key.value in found:
            document.problems.append(
                Problem(line, f"{dotted(here)} is given twice, first on line {document.lines[here]}; accepted: once")
            )
            continue
        document.lines[here] = line
        found[key.value] = _value(value, here, document)
    return found


def _scalar(node: yaml.ScalarNode, path: Path, document: Document) -> Any:
    """Return a scalar; dates stay text, as they are written."""
    implied = _RULES.resolve(yaml.ScalarNode, node.value, (node.style is None, node.style is not None))
    line = node.start_mark.line + 1
    if node.tag != implied:
        document.problems.append(
            Problem(
                line, f"{dotted(path)} has the tag {shown(node.tag)}; accepted: no tags, and no secrets, in this file"
            )
        )
        return node.value
    try:
        construct = _PLAIN.get(node.tag.rpartition(":")[2])
        return construct(node) if construct else node.value
    except (ValueError, OverflowError) as error:
        raise UnreadableError(
            line, f"{dotted(path)} is a number that cannot be read; accepted: a plain number"
        ) from error


_RULES: Any = yaml.SafeLoader("")
"""A loader without a document, for the rules by which YAML reads a plain scalar."""

_PLAIN: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    "null": lambda scalar: None,
    "bool": _RULES.construct_yaml_bool,
    "int": _RULES.construct_yaml_int,
    "float": _RULES.construct_yaml_float,
}
