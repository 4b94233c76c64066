# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drawing of a clinic: its networks, its hosts, and what each vantage point reaches; red where undeclared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from ansible_collections.radiology.hardening.plugins.plugin_utils import report_home
from ansible_collections.radiology.hardening.plugins.plugin_utils.report_console import plain

WIDTH = 960
ROW = 104
TOP = 84
BOX = (150, 58)
SERVER = 458
DEVICE = 800
INTERNET_BOX = 252
"""Left edges, in the drawing's units, of the servers, the devices and the internet box."""
STANDING = ("orthanc_server", "gateway")
"""Kinds of host that are drawn in the middle, where lines from the vantage points end."""
KINDS = {
    "internet": "the internet",
    "lan": "an undeclared device",
    "peer": "a declared device",
    "admin": "administration",
}


class Reach(NamedTuple):
    """A port that a vantage point reaches, in words, and whether the clinic file declares it."""

    words: str
    declared: bool


def svg(document: Mapping[str, Any]) -> str:
    """Return the drawing as an SVG element."""
    servers = [host for host in document["hosts"] if host["kind"] in STANDING]
    points = document["vantage_points"]
    outside = [point for point in points if point["kind"] == "internet"]
    inside = [point for point in points if point["kind"] != "internet"]
    devices = [host for host in document["hosts"] if host["kind"] not in (*STANDING, "vantage_point")]
    rows = max(len(servers), len(outside) + len(document["tunnels"]), len(inside) + len(devices), 2)
    height = TOP + rows * ROW + 20
    title = f"What each vantage point reaches at {plain(document['clinic']['title'])}"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="drawing-title drawing-text" class="drawing">',
        f'<title id="drawing-title">{escape(title)}</title>',
        f'<desc id="drawing-text">{escape(description(document))}</desc>',
        _zone((10, 215), height, "Internet", ", ".join(document["clinic"]["internet"]["addresses"])),
        _zone((305, WIDTH - 315), height, "Clinic", _networks(document)),
    ]
    places: dict[str, tuple[int, int]] = {}
    for number, server in enumerate(servers):
        places[server["name"]] = (SERVER, TOP + number * ROW)
    spots = [(point, 40, TOP + number * ROW) for number, point in enumerate(outside)]
    spots += [(point, DEVICE - 20, TOP + number * ROW) for number, point in enumerate(inside)]
    for point, x, y in spots:
        parts += _lines(point, x, y, places)
    for number, tunnel in enumerate(document["tunnels"], len(outside)):
        parts += _tunnel(tunnel, TOP + number * ROW, places[tunnel["gateway"]])
    parts.append(_internet_box(outside or document["tunnels"], height))
    for server in servers:
        parts.append(_host(*places[server["name"]], server["name"], server["ae_title"] or server["kind"], "server"))
    for point, x, y in spots:
        parts.append(_host(x, y, point["name"], KINDS[point["kind"]], f"vantage {point['kind']}"))
    for number, device in enumerate(devices):
        y = TOP + (len(inside) + number) * ROW
        parts.append(_host(DEVICE - 20, y, device["name"], device["ae_title"] or device["kind"], "device"))
    return "\n".join([*parts, "</svg>"])


def reaches(facts: Mapping[str, Any]) -> list[Reach]:
    """Return what one vantage point reaches of a host, by port; what answers over UDP last."""
    wire = facts["wire"]
    if not wire.get("reachable"):
        return [Reach("no way from here", declared=False)]
    words = dict.fromkeys(wire["dicom"]["cleartext_ports"], "DICOM in clear")
    words.update(dict.fromkeys(wire["dicom"].get("cleartext_declared", []), "DICOM in clear, by exception"))
    words.update(dict.fromkeys(wire["dicom"]["tls_ports"], "DICOM over TLS"))
    words.update(dict.fromkeys(wire["http"]["cleartext_ports"], "HTTP in clear"))
    words.update(dict.fromkeys(wire["ssh"]["ports"], "SSH"))
    found: dict[str, Reach] = {}
    for place in wire["ports"]["open"]:
        port = place.rpartition(":")[2]
        declared = place not in wire["ports"]["undeclared"]
        known = found.get(port)
        found[port] = Reach(f"{port} {words.get(place, '')}".strip(), declared and (known is None or known.declared))
    over_udp = {place.rpartition(":")[2] for place in wire["ports"].get("udp", [])}
    return [found[port] for port in sorted(found, key=int)] + [
        Reach(f"{words} (UDP)", declared=False) for words in sorted(over_udp, key=lambda each: int(each.split()[0]))
    ]


def description(document: Mapping[str, Any]) -> str:
    """Return the drawing in words, for those who do not see it."""
    return " ".join(sentences(document))


def sentences(document: Mapping[str, Any]) -> list[str]:
    """Return, for each vantage point, what it was shown by which hosts, or why it could not look; and each tunnel."""
    told = [sentence for point in document["vantage_points"] if (sentence := _sentence(point))]
    home = [sentence for tunnel in document["tunnels"] for sentence in report_home.sentences(tunnel)]
    return [plain(sentence) for sentence in (told or ["No vantage point looked."]) + home]


def _sentence(point: Mapping[str, Any]) -> str:
    """Tell what hosts show to one vantage point; those that show the same together; empty where it had no target."""
    from_here = f"From {_short(point['name'])} ({KINDS[point['kind']]})"
    if point["why"]:
        return f"{from_here} nobody could look: {point['why']}."
    showing: dict[str, list[str]] = {}
    for seen in point["sees"]:
        reached = reaches(seen["facts"])
        listed = ", ".join(f"{each.words}{'' if each.declared else ' (undeclared)'}" for each in reached)
        if not seen["facts"]["wire"].get("reachable"):
            listed = "no answer"  # off, or beyond every way: that is no port, declared or not
        showing.setdefault(listed or "nothing", []).append(_short(seen["host"]))
    told = [f"{shown} of {_listed(hosts)}" for shown, hosts in showing.items()]
    unproven: dict[str, list[str]] = {}
    for silent in point["unproven"]:
        unproven.setdefault(silent["why"], []).append(_short(silent["host"]))
    told += [f"nothing is proven of {_listed(hosts)}, since {why}" for why, hosts in unproven.items()]
    return f"{from_here}: {'; '.join(told)}." if told else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[1:] else "") + names[-1]


def _short(name: str) -> str:
    return name.partition(".")[0]


def _lines(point: Mapping[str, Any], x: int, y: int, places: Mapping[str, tuple[int, int]]) -> list[str]:
    parts: list[str] = []
    of_the_right: dict[Reach, None] = {}
    for seen in point["sees"]:
        if seen["host"] not in places:
            continue
        left, top = places[seen["host"]]
        from_left = x < left
        start, end = (x + BOX[0], left) if from_left else (x, left + BOX[0])
        reached = reaches(seen["facts"])
        kind = "closed" if not reached else "declared" if all(each.declared for each in reached) else "undeclared"
        height = y + BOX[1] // 2
        target = top + BOX[1] // 2 + (0 if from_left else (height - top) // 12)
        bend = (start + end) // 2
        curve = f"M{start} {height} C{bend} {height} {bend} {target} {end} {target}"
        parts.append(f'<path class="line {kind}" d="{curve}"/>')
        if from_left:
            middle = height if abs(height - target) < 20 else (height + target) // 2
            parts += _labels(reached, start, end, middle)
        else:
            of_the_right |= dict.fromkeys(reached)
    if x > SERVER and set(places) & {seen["host"] for seen in point["sees"]}:  # the lines begin at one place
        parts += _labels(list(of_the_right), x, SERVER + BOX[0], y + BOX[1] // 2)
    if note := "could not look" if point["why"] else "heard nobody" if point["unproven"] and not point["sees"] else "":
        parts.append(f'<text class="note" x="{x}" y="{y + BOX[1] + 16}">{note}</text>')
    return parts


def _tunnel(tunnel: Mapping[str, Any], y: int, gateway: tuple[int, int]) -> list[str]:
    """Draw the devices at home as one, and their tunnel through the internet box to its gateway."""
    x, state = 40, tunnel["state"]
    start, end, height, target = x + BOX[0], gateway[0], y + BOX[1] // 2, gateway[1] + BOX[1] // 2 + 12
    bend = (start + end) // 2
    curve = f"M{start} {height} C{bend} {height} {bend} {target} {end} {target}"
    reached = [Reach(words, declared=True) for words in report_home.grants(tunnel)] if state == report_home.UP else []
    looks = {report_home.UP: "tunnel", report_home.OPEN: "undeclared", report_home.WIDE: "undeclared"}
    kind = looks.get(state, "closed")
    count = len(tunnel["devices"])
    note = f"{count} device{'' if count == 1 else 's'}"
    return [
        f'<path class="line {kind}" d="{curve}"/>',
        *(_labels(reached, start, end, (height + target) // 2 + 34) if reached else []),
        _host(x, y, "from home", note if reached else state, "device"),
    ]


def _labels(reached: Sequence[Reach], start: int, end: int, middle: int) -> list[str]:
    """Write along a line that comes from the left in its middle, beside a vantage point on the right at its end."""
    x, anchor = ((max(start, INTERNET_BOX + 28) + end) // 2, "middle") if start < end else (start - 10, "end")
    words = [("declared" if each.declared else "undeclared", each.words) for each in reached]
    listed = words or [("closed", "nothing answers")]
    return [
        f'<text class="label {kind}" x="{x}" y="{middle - 8 - 15 * (len(listed) - 1 - number)}" '
        f'text-anchor="{anchor}">{escape(plain(said))}</text>'
        for number, (kind, said) in enumerate(listed)
    ]


def _zone(span: tuple[int, int], height: int, name: str, note: str) -> str:
    left, width = span
    return (
        f'<rect class="zone" x="{left}" y="10" width="{width}" height="{height - 20}" rx="14"/>'
        f'<text class="zone-name" x="{left + 16}" y="36">{escape(name)}</text>'
        f'<text class="note" x="{left + 16}" y="54">{escape(plain(note))}</text>'
    )


def _networks(document: Mapping[str, Any]) -> str:
    return ", ".join(f"{network['name']} {network['cidrs'][0]}" for network in document["clinic"]["networks"])


def _internet_box(outside: Sequence[Mapping[str, Any]], height: int) -> str:
    middle = TOP + BOX[1] // 2 if outside else height // 2
    return (
        f'<rect class="internet-box" x="{INTERNET_BOX}" y="{middle - 34}" width="28" height="68" rx="5"/>'
        f'<text class="note" x="266" y="{middle + 52}" text-anchor="middle">internet box</text>'
    )


def _host(x: int, y: int, name: str, note: str, kind: str) -> str:
    middle = x + BOX[0] // 2
    short, under = escape(_short(plain(name))[:20]), escape(plain(note)[:28])
    return (
        f'<g class="host {kind}"><rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="9"/>'
        f'<text class="host-name" x="{middle}" y="{y + 25}" text-anchor="middle">{short}</text>'
        f'<text class="note" x="{middle}" y="{y + 43}" text-anchor="middle">{under}</text></g>'
    )
