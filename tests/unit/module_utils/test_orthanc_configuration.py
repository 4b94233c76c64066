# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Orthanc is told becomes facts without what anybody keeps secret in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration, orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import authentication
from test_agreement import hardened

UNIT = """\
ExecStart={ path=/usr/sbin/Orthanc ; argv[]=/usr/sbin/Orthanc --logdir=/var/log/orthanc /etc/orthanc ; ignore_errors=no }
Environment=TCP_NODELAY=1 DATABASE=canary "WORDS=canary canary"
"""
TOLD = {
    "HttpProxy": "login:canary@proxy.clinic:3128",
    "UserContentType": {"a": "http://login:canary@pacs.clinic/x", "b": ["https://canary@pacs.clinic", "c@d.e"]},
    "RegisteredUsers": {"anna": "canary"},
    "OrthancPeers": {"hub": ["https://hub.clinic/", "login", "canary"]},
    "Odbc": {
        "EnableIndex": True,
        "IndexConnectionString": "DSN=index;PWD=canary",
        "StorageConnectionString": "DSN=images;PWD=canary",
    },
    "AzureBlobStorage": {"ConnectionString": "AccountKey=canary", "AccountKey": "canary", "ContainerName": "images"},
    "AwsS3Storage": {"BucketName": "images", "AccessKey": "canary", "SecretKey": "canary"},
    "PostgreSQL": {"Host": "db.clinic", "Password": "canary", "ConnectionUri": "postgresql://o:canary@db.clinic/o"},
    "Pkcs11": {"Module": "/usr/lib/pkcs11.so", "Pin": "canary"},
    "DicomWeb": {"Servers": {"hub": ["https://hub.clinic/", "login", "canary"]}, "Root": "/dicom-web/"},
    "Authorization": {"TokenHttpHeaders": ["canary"], "WebServicePassword": "canary", "WebService": "http://a//b"},
}


class Machine(Host):
    """A host below a folder whose service manager says one thing."""

    def run(self, command, **_):
        return Result(0, UNIT, "") if command[0] == "systemctl" else Result(127, "", "")


def test_no_secret_of_the_configuration_becomes_a_fact(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "orthanc"
    folder.mkdir(parents=True)
    (folder / "orthanc.json").write_text(json.dumps(TOLD), encoding="utf-8")
    found = orthanc_configuration.observe(Machine(str(tmp_path)))
    assert "canary" not in json.dumps(found)
    assert found["service"]["environment"] == ["DATABASE", "TCP_NODELAY=1", "WORDS"]
    config = found["config"]
    assert config["UserContentType"] == {"a": "http://pacs.clinic/x", "b": ["https://pacs.clinic", "c@d.e"]}
    assert config["Odbc"] == {"EnableIndex": True}
    assert config["AzureBlobStorage"] == {"ContainerName": "images"}
    assert config["AwsS3Storage"] == {"BucketName": "images"}
    assert config["PostgreSQL"] == {"Host": "db.clinic"}
    assert config["Pkcs11"] == {"Module": "/usr/lib/pkcs11.so"}
    assert config["DicomWeb"] == {"Root": "/dicom-web/"}
    assert config["Authorization"] == {"WebService": "http://a//b"}


def test_an_environment_that_cannot_be_read_is_told_by_no_word_of_it() -> None:
    assert orthanc_configuration._environment('A="canary') == []
    assert orthanc_configuration._environment("") == []


@pytest.mark.parametrize("release", ["debian12", "debian13"])
def test_servers_that_images_are_passed_on_to_by_dicomweb_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    """What was left out of the facts, since it holds logins, is not left out of the file."""
    known = hardened("authentication", release)
    config = {**known["facts"]["orthanc"]["config"], "DicomWeb": {"Root": "/dicom-web/", "Host": "localhost"}}
    facts = {**known["facts"], "orthanc": {**known["facts"]["orthanc"], "config": config}}
    held = authentication._web_addresses(config)
    (step,) = orthanc_configuration.configure(facts, held, "let in declared people and devices only")
    assert ": set DicomWeb" in step.does
    folder = tmp_path / "etc" / "orthanc"
    folder.mkdir(parents=True)
    servers = {"hub": ["https://hub.clinic/", "login", "canary"]}
    (folder / "dicomweb.json").write_text(json.dumps({"DicomWeb": {**config["DicomWeb"], "Servers": servers}}))
    written: dict[str, Any] = {}
    host = Machine(str(tmp_path))
    monkeypatch.setattr(orthanc_service, "change", lambda _host, files, _stray, meaning: written.update(meaning))
    monkeypatch.setattr(host, "folder", lambda *dummy, **more: None)
    step.do(host)
    assert written["DicomWeb"] == {"Root": "/dicom-web/", "Host": "", "Ssl": True, "Servers": servers}
    config["DicomWeb"] = {"Root": "/dicom-web/", "Host": "", "Ssl": True}
    assert orthanc_configuration.configure(facts, held, "let in declared people and devices only") == []


def test_a_device_may_be_called_what_is_a_secret_elsewhere(tmp_path: Path) -> None:
    devices = {name: {"AET": "CT1", "Host": "127.0.2.1", "Port": 104} for name in ("secretariat", "pin", "token-ring")}
    folder = tmp_path / "etc" / "orthanc"
    folder.mkdir(parents=True)
    (folder / "orthanc.json").write_text(json.dumps({"DicomModalities": devices}), encoding="utf-8")
    assert orthanc_configuration.observe(Machine(str(tmp_path)))["config"]["DicomModalities"] == devices
