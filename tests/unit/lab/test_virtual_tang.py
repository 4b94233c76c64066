# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's Tang server: a real tangd, asked over HTTP."""

from __future__ import annotations

import base64
import json
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

RESOURCES = Path(__file__).resolve().parents[3] / "molecule" / "resources"


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lab's modules be imported, as its commands import them."""
    monkeypatch.setattr(sys, "path", [str(RESOURCES), *sys.path])


def advertised(port: int) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/adv", timeout=20) as answer:
        payload = json.load(answer)["payload"]
    keys: list[dict[str, object]] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["keys"]
    return keys


def test_the_thumbprint_is_that_of_the_standard_s_example() -> None:
    from virtual_tang import thumbprint

    # RFC 8037, appendix A.2 and A.3.
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "use": "sig"}
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_it_serves_stops_and_serves_the_same_keys_again(tmp_path: Path) -> None:
    from virtual_process import found
    from virtual_tang import Tang, free_port

    tang = Tang(tmp_path, free_port())
    try:
        tang.start()
        first = tang.thumbprint()
        keys = advertised(tang.port)
        assert {"verify"} <= {use for key in keys for use in key["key_ops"]}  # type: ignore[attr-defined]
        assert json.loads(tang.pin()) == {"url": f"http://10.0.2.2:{tang.port}", "thp": first}
        tang.stop()
        assert not tang.running
        with pytest.raises(urllib.error.URLError):
            advertised(tang.port)
        tang.start()
        assert advertised(tang.port) == keys
        assert tang.thumbprint() == first
    finally:
        tang.stop()
    assert found(tmp_path) == []


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    from virtual_process import MachineError
    from virtual_tang import Tang

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        tang = Tang(tmp_path, taken.getsockname()[1])
        with pytest.raises(MachineError, match="is someone else's"):
            tang.start()
    assert not tang.running
