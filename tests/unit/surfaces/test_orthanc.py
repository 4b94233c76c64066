# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc's plugins, peers, account, files and logs: what is seen, what is mended, what is left to a person."""

from __future__ import annotations

import copy
import getpass
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    orthanc_account,
    orthanc_ask,
    orthanc_files,
    orthanc_peers,
    orthanc_plugins,
    orthanc_service,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import orthanc
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from test_agreement import hardened

ME = getpass.getuser()
CONTROLS = catalogue.wanted(catalogue.load("orthanc"))
DICOMWEB = f"{orthanc_plugins.PACKAGED}/libOrthancDicomWeb.so"
FOLDER = f"{orthanc_plugins.PACKAGED}/libServeFolders.so"
VIEWER = "/opt/libStoneWebViewer.so"


class Answering(Host):
    """A host below a folder whose commands answer from a table, by their first word."""

    def __init__(self, root: Any, **answers: str) -> None:
        super().__init__(str(root))
        self.answers = answers
        self.ran: list[list[str]] = []

    def run(self, command: Any, **rest: Any) -> Result:
        self.ran.append(list(command))
        known = self.answers.get(command[0].replace("-", "_"))
        return Result(127, "", "") if known is None else Result(0, known, "")


def put(root: Any, path: str, text: str = "", mode: int = 0o644) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def planned(release: str = "debian13", wanted: Any = None, **changes: Any) -> tuple[list[str], list[str]]:
    """Return what is planned and what is left to a person, on a hardened host with these parts of its facts changed."""
    known = hardened("orthanc", release)
    facts = copy.deepcopy(known["facts"])
    for part, values in changes.items():
        facts["orthanc"][part] = {**facts["orthanc"][part], **values} if isinstance(values, dict) else values
    steps, left = parted(orthanc.plan(facts, CONTROLS if wanted is None else wanted, known["scope"]))
    return [step.does for step in steps], [step.does for step in left]


@pytest.mark.parametrize(
    ("plugin", "file"),
    [
        ("dicom-web", DICOMWEB),
        ("dicom-web", "/usr/lib/orthanc/libOrthancDicomWeb.so.1.20"),
        ("worklists", "libModalityWorklists.so"),
        ("serve-folders", FOLDER),
        ("postgresql-index", "libOrthancPostgreSQLIndex.so"),
        ("orthanc-explorer-2", "libOrthancExplorer2.so"),
        ("stone-webviewer", VIEWER),
        ("connectivity-checks", "libConnectivityChecks.so"),
    ],
)
def test_a_plugin_and_its_file_have_a_word_in_common(plugin: str, file: str) -> None:
    assert orthanc_plugins.word(plugin) == orthanc_plugins.word(file)


def plugins(root: Any, config: dict[str, Any], loaded: Any, declared: Any = ()) -> dict[str, Any]:
    for path in (DICOMWEB, FOLDER, VIEWER, f"{orthanc_plugins.PACKAGED}/README"):
        put(root, path)
    told = {"Plugins": [f"{orthanc_plugins.PACKAGED}/"], **config}
    return orthanc_plugins.observe(Host(str(root)), told, loaded, list(declared))


def test_an_idle_plugin_of_the_package_goes(tmp_path: Any) -> None:
    found = plugins(tmp_path, {"ServeFolders": {}}, ["dicom-web", "serve-folders"])
    assert (found["undeclared"], found["missing"], found["in_use"]) == (["serve-folders"], [], [])
    assert orthanc_plugins.settings(found) == {"Plugins": [DICOMWEB]}
    assert orthanc_plugins.undeclared(found) == []


@pytest.mark.parametrize(
    ("config", "used"),
    [
        ({"Plugins": [DICOMWEB, VIEWER]}, VIEWER),
        ({"ServeFolders": {"/series": "/srv"}}, FOLDER),
    ],
)
def test_a_plugin_that_somebody_may_need_stays_and_is_told(tmp_path: Any, config: dict[str, Any], used: str) -> None:
    found = plugins(tmp_path, config, None)
    assert found["in_use"] == [used]
    assert orthanc_plugins.settings(found) == {"Plugins": [DICOMWEB, used]}
    (step,) = orthanc_plugins.undeclared(found)
    assert used in step.does
    with pytest.raises(HardeningError):
        step.do(Host(str(tmp_path)))


def test_a_declared_plugin_is_loaded_from_wherever_it_was(tmp_path: Any) -> None:
    found = plugins(tmp_path, {"Plugins": [VIEWER, DICOMWEB]}, ["dicom-web"], ["dicom-web", "stone-webviewer", "ohif"])
    assert found["missing"] == ["stone-webviewer", "ohif"]
    assert found["files"] == [VIEWER, DICOMWEB]
    assert [step.does for step in orthanc_plugins.missing(found)] == [
        "The clinic file declares the plugin ohif, of which there is no file: install its package"
    ]


def test_where_nothing_is_declared_dicomweb_need_not_be_there(tmp_path: Any) -> None:
    found = orthanc_plugins.observe(Host(str(tmp_path)), {"Plugins": ["/nowhere"]}, [], [])
    assert (found["missing"], found["undeclared"], found["files"]) == ([], [], [])


def test_a_plugin_in_use_does_not_restart_the_server_at_each_run() -> None:
    used = {"in_use": [VIEWER], "undeclared": ["stone-webviewer"]}
    steps, left = planned(plugins=used, config={"Plugins": [DICOMWEB, VIEWER]})
    assert steps == []
    assert len(left) == 1


def test_peers_in_clear_are_named_without_their_passwords(tmp_path: Any) -> None:
    put(tmp_path, orthanc_peers.AUTHORITIES)
    told = {
        "OrthancPeers": {
            "hub": ["http://hub.example:8042/", "login", "secret"],
            "safe": ["https://hub.example/"],
            "here": {"Url": "http://127.0.0.1:8043/"},
            "odd": {"Url": 7},
        },
        "DicomWeb": {"Servers": {"cloud": {"Url": "http://cloud.example/dicom-web/", "Password": "secret"}}},
    }
    found = orthanc_peers.observe(Host(str(tmp_path)), told)
    assert found == {"cleartext": ["cloud", "hub", "odd"], "authorities": orthanc_peers.AUTHORITIES}
    assert [step.does.split(" in clear")[0] for step in orthanc_peers.steps({"peers": found})] == [
        f"Orthanc sends images to {name}" for name in ("cloud", "hub", "odd")
    ]
    assert orthanc_peers.settings({"peers": found, "config": {"HttpsCACertificates": ""}}) == {
        "HttpsCACertificates": orthanc_peers.AUTHORITIES
    }
    assert orthanc_peers.settings({"peers": found, "config": {"HttpsCACertificates": "/etc/own.crt"}}) == {}


@pytest.mark.parametrize(
    ("sudo", "rules"),
    [
        ("User orthanc is not allowed to run sudo on pacs.\n", []),
        ("User orthanc may run the following commands on pacs:\n    (ALL) NOPASSWD: ALL\n", ["(ALL) NOPASSWD: ALL"]),
        ("User orthanc may run the following commands on pacs:\n    (ALL) ALL\n    (ALL : ALL) !ALL\n", []),
    ],
)
def test_the_account_is_looked_at(tmp_path: Any, sudo: str, rules: list[str]) -> None:
    put(tmp_path, "/etc/passwd", "root:x:0:0::/root:/bin/bash\northanc:x:101:103::/var/lib/orthanc:/bin/bash\n")
    put(tmp_path, orthanc_account.CRONTAB)
    assert orthanc_account.observe(Answering(tmp_path, sudo=sudo)) == {
        "shell": "/bin/bash",
        "sudo": rules,
        "crontab": True,
    }


def test_a_host_without_the_account_and_without_sudo_has_none(tmp_path: Any) -> None:
    assert orthanc_account.observe(Answering(tmp_path)) == {"shell": None, "sudo": [], "crontab": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"account": {"shell": "/bin/bash"}},
        {"account": {"sudo": ["(ALL) ALL"]}},
        {"account": {"crontab": True}},
        {"files": {"open_folders": ["/var/lib/orthanc/db-v6"]}},
        {"files": {"open_configuration": ["/etc/orthanc/dicomweb.json"]}},
        {"files": {"open_logs": ["/var/log/orthanc/a"]}},
        {"logs": {"days": 0}},
        {"logs": {"rotated": False}},
    ],
)
def test_account_files_and_logs_are_mended_without_a_restart(changes: dict[str, Any]) -> None:
    steps, left = planned(**changes)
    assert len(steps) == 1
    assert "Configure Orthanc" not in steps[0]
    assert left == []


def test_a_trace_is_ended_by_a_restart() -> None:
    steps, left = planned(logs={"traces": ["dicom"]})
    assert steps == ["Configure Orthanc to keep orthanc.logs.traces: restart it with its newest configuration"]
    assert left == []


def test_open_folders_files_and_logs_are_found_and_closed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orthanc_files, "USER", ME)
    for name in ("images", "var/log/orthanc/archive", "etc/orthanc/hardened"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images").chmod(0o755)
    (tmp_path / "var/log/orthanc").chmod(0o750)
    put(tmp_path, "/var/log/orthanc/open", mode=0o644)
    put(tmp_path, "/var/log/orthanc/closed", mode=0o640)
    host = Answering(tmp_path)
    found = orthanc_files.observe(host, {"StorageDirectory": "/images", "TemporaryDirectory": "/tmp"})
    assert found["open_folders"] == ["/images"]
    assert found["open_logs"] == ["/var/log/orthanc/open"]
    for step in orthanc_files.steps(found, ["orthanc.files.open_folders", "orthanc.files.open_logs"]):
        step.do(host)
    again = orthanc_files.observe(host, {"StorageDirectory": "/images"})
    assert (again["open_folders"], again["open_logs"]) == ([], [])
    assert host.stat("/images").mode == "0750"  # type: ignore[union-attr]


@pytest.mark.skipif(ME != "root", reason="only root can own root's files")
def test_a_configuration_that_others_may_write_is_found(tmp_path: Any) -> None:
    put(tmp_path, "/etc/orthanc/dicomweb.json", mode=0o664)
    put(tmp_path, "/etc/orthanc/orthanc.json", mode=0o644)
    put(tmp_path, orthanc_service.FILE, mode=0o640)
    assert orthanc_files.observe(Host(str(tmp_path)), {})["open_configuration"] == ["/etc/orthanc/dicomweb.json"]


def test_only_folders_of_orthanc_are_its_own() -> None:
    config = {"StorageDirectory": "/srv/images", "IndexDirectory": "/srv/images", "TemporaryDirectory": "/tmp/"}
    assert orthanc_files.folders(config) == ["/srv/images"]
    assert orthanc_files.folders({**config, "TemporaryDirectory": "/srv/tmp"}) == ["/srv/images", "/srv/tmp"]
    assert orthanc_files.folders({"StorageDirectory": "relative", "IndexDirectory": "/"}) == []


def test_the_sandbox_lets_orthanc_write_to_each_of_its_folders() -> None:
    known = hardened("orthanc", "debian12")
    found = copy.deepcopy(known["facts"]["orthanc"])
    found["config"]["TemporaryDirectory"] = "/srv/tmp"
    text = orthanc.sandbox(found, CONTROLS, known["scope"])
    assert "RequiresMountsFor=/srv/tmp /var/lib/orthanc/db-v6\n" in text
    assert "ReadWritePaths=/srv/tmp /var/lib/orthanc/db-v6 /var/log/orthanc\n" in text
    assert "LimitCORE=0\n" in text


def test_a_factory_ae_title_is_refused() -> None:
    known = hardened("orthanc", "debian12")
    with pytest.raises(HardeningError, match="ORTHANC is a factory value"):
        orthanc.plan(known["facts"], CONTROLS, {**known["scope"], "ae_title": "orthanc".upper()})


def test_a_loosened_confinement_that_is_not_ours_is_told() -> None:
    steps, left = planned(exposure=4.1)
    assert steps == []
    assert "systemctl cat orthanc" in left[0]


def test_systemd_s_score_is_read(tmp_path: Any) -> None:
    said = "...\n→ Overall exposure level for orthanc.service: 1.2 OK :-)\n"
    assert orthanc_service.exposure(Answering(tmp_path, systemd_analyze=said)) == 1.2
    assert orthanc_service.exposure(Answering(tmp_path)) is None


def test_the_running_server_is_asked_by_the_login_that_it_lets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(port: int, path: str, headers: dict[str, str]) -> tuple[int | None, str]:
        asked.append(path)
        if not headers:
            return 401, ""
        return 200, {
            "/plugins": '["explorer.js", "worklists", "dicom-web"]',
            "/statistics": '{"TotalDiskSizeMB": 12}',
            "/tools/log-level-dicom": "trace",
        }.get(path, "default")

    monkeypatch.setattr(orthanc_ask, "_answer", answer)
    server = orthanc_ask.Server({"HttpPort": 8042}, {"anna": "secret"})
    assert server.plugins() == ["dicom-web", "worklists"]
    assert asked == ["/plugins", "/plugins"]
    assert server.traces() == ["dicom"]
    assert server.stored_mib() == 12
    assert len(asked) == 2 + len(orthanc_ask.LOG_CATEGORIES) + 1
    monkeypatch.setattr(orthanc_ask, "_answer", lambda *dummy: (None, ""))
    assert (server.plugins(), server.traces(), server.stored_mib()) == (None, None, None)


def test_a_waived_control_leaves_its_settings_alone() -> None:
    names = ("orthanc.plugins.", "orthanc.storage.", "orthanc.peers.", "orthanc.config.HttpsVerifyPeers")
    wanted = {name: demands for name, demands in CONTROLS.items() if not name.startswith(names)}
    steps, left = planned(
        wanted=wanted,
        config={"Plugins": ["/opt"], "MaximumStorageSize": 0, "HttpsVerifyPeers": False},
        plugins={"in_use": [VIEWER]},
    )
    assert (steps, left) == ([], [])


@pytest.mark.parametrize(
    ("version", "named"), [("1.12.10", "Orthanc 1.12.10 is"), ("", "An Orthanc of no Debian package is")]
)
def test_a_version_that_was_not_measured_is_refused(version: str, named: str) -> None:
    with pytest.raises(HardeningError) as refused:
        planned(version=version, package_version=version)
    assert str(refused.value) == (
        f"{named} installed; what its settings mean is proven for 1.10.1 (Debian 12) and 1.12.7 (Debian 13) alone:"
        " install that one."
    )


@pytest.mark.parametrize(("present", "held"), [(16384, 65536), (None, 65536), (32768, None), (65536, None)])
def test_a_larger_pdu_is_allowed_where_the_default_stands(present: int | None, held: int | None) -> None:
    known = hardened("orthanc", "debian13")
    config = {key: value for key, value in known["facts"]["orthanc"]["config"].items() if key != "MaximumPduLength"}
    found = {**known["facts"]["orthanc"], "config": config | ({} if present is None else {"MaximumPduLength": present})}
    assert orthanc.settings(found, CONTROLS, known["scope"]).get("MaximumPduLength") == held
