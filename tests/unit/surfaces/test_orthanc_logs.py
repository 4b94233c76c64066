# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc's logs: how long they stay, and that the one which a running server writes to is begun anew."""

from __future__ import annotations

from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_files, orthanc_service
from test_orthanc import Answering, put


def test_logs_stay_as_long_as_the_file_says_and_the_cleaner_runs(tmp_path: Any) -> None:
    host = Answering(tmp_path, systemctl="ActiveState=active\n")
    assert orthanc_files.retention_days(host) == 0
    put(tmp_path, orthanc_files.RETENTION, orthanc_files._retention(200))
    assert orthanc_files.retention_days(host) == 200
    host.answers["systemctl"] = "ActiveState=inactive\n"
    assert orthanc_files.retention_days(host) == 0


def test_a_rule_that_would_remove_the_log_of_a_quiet_server_from_below_it_is_not_ours(tmp_path: Any) -> None:
    host = Answering(tmp_path, systemctl="ActiveState=active\n")
    lines = orthanc_files._retention(200).splitlines(keepends=True)
    assert f"x {orthanc_service.LOG}\n" in lines
    put(tmp_path, orthanc_files.RETENTION, "".join(line for line in lines if not line.startswith("x ")))
    assert orthanc_files.retention_days(host) == 0


def test_the_running_log_is_rotated_where_all_that_it_takes_is_there(tmp_path: Any, monkeypatch: Any) -> None:
    host = Answering(tmp_path, systemctl="ActiveState=active\n")
    put(tmp_path, "/usr/sbin/logrotate")
    assert not orthanc_files.is_rotated(host, taken_over=True)
    for path in (orthanc_files.RETENTION, orthanc_files.ROTATION):
        put(tmp_path, path)
    monkeypatch.setattr(host, "write", lambda path, text: put(tmp_path, path, text))
    orthanc_files.keep_logs(200).do(host)
    assert ["systemctl", "enable", "--now", "--quiet", orthanc_files.CLEANER, orthanc_files.ROTATOR] in host.ran
    assert orthanc_files.is_rotated(host, taken_over=True)
    assert not orthanc_files.is_rotated(host, taken_over=False), "then it writes to a file of another name"
    (tmp_path / "usr/sbin/logrotate").unlink()
    assert not orthanc_files.is_rotated(host, taken_over=True)
    put(tmp_path, "/usr/sbin/logrotate")
    host.answers["systemctl"] = "ActiveState=inactive\n"
    assert not orthanc_files.is_rotated(host, taken_over=True)


def test_another_file_of_logrotates_that_names_the_log_is_told(tmp_path: Any) -> None:
    host = Answering(tmp_path)
    put(tmp_path, orthanc_files.ROTATION, orthanc_files.ROTATION_TEXT)
    put(tmp_path, "/etc/logrotate.conf", "weekly # not /var/log/orthanc\ninclude /etc/logrotate.d\n")
    assert orthanc_files.rotated_by_others(host) == []
    put(tmp_path, "/etc/logrotate.d/orthanc", "/var/log/orthanc/*.log {\n weekly\n}\n")
    assert orthanc_files.rotated_by_others(host) == ["/etc/logrotate.d/orthanc"]
    (told,) = orthanc_files.leave_ours(["/etc/logrotate.d/orthanc"])
    assert "logrotate leaves ours out" in told.does


def test_the_log_that_is_emptied_is_one_that_orthanc_appends_to() -> None:
    assert f"--logfile={orthanc_service.LOG} " in orthanc_service.DROP_IN
    assert f"{orthanc_service.LOG} {{" in orthanc_files.ROTATION_TEXT
    assert "copytruncate" in orthanc_files.ROTATION_TEXT.split()
