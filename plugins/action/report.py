# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the reports of all clinics of a run and give the verdict; nothing is called on a host."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    report_console,
    report_document,
    report_junit,
    report_page,
)


class ActionModule(ActionBase):
    """Build a document a clinic, write it in three forms, print it, and fail when a verdict is fail."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdict of each clinic and where its reports lie."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _checked, arguments = self.validate_argument_spec({"directory": {"type": "path", "default": "reports"}})
        now = datetime.datetime.now(tz=datetime.UTC)
        limited = "ansible_limit" in variables
        documents = report_document.build(variables["hostvars"], variables["groups"], now, limited=limited)
        if not documents:
            raise AnsibleActionFail(
                "There is no clinic in this inventory, or none within --limit, so nothing was judged."
            )
        written = []
        for document in json.loads(json.dumps(documents)):
            folder = os.path.join(os.path.abspath(arguments["directory"]), document["clinic"]["name"])
            evidence = json.dumps(document, indent=2, sort_keys=True) + "\n"
            write(os.path.join(folder, "report.json"), evidence)
            write(os.path.join(folder, "junit.xml"), report_junit.xml(document))
            write(os.path.join(folder, "report.html"), report_page.html(document, evidence))
            Display().display(report_console.table(document))
            Display().display(f"  {os.path.join(folder, 'report.html')}")
            written.append({"clinic": document["clinic"]["name"], "verdict": document["verdict"], "folder": folder})
        wanting = [each["clinic"] for each in written if each["verdict"] != "pass"]
        result.update(changed=False, reports=written)
        if wanting:
            result.update(failed=True, msg=f"Found wanting: {', '.join(wanting)}. The reports say why.")
        return result


def write(path: str, text: str) -> None:
    """Replace a file atomically: temporary file in the same folder, fsync, rename."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".report-", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise AnsibleActionFail(f"{path} cannot be written: {error.strerror}.") from error
