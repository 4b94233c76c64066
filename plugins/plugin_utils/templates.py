# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jinja expressions, rendered alike on every supported ansible-core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleError, AnsibleTemplateError

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18 renders every string

    def trust_as_template(value: Any) -> Any:
        """Return the value: nothing has to be marked."""
        return value


def trusted(value: Any) -> Any:
    """Mark the strings of a default as templates that may be rendered (ansible-core 2.19 asks for it)."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [trusted(item) for item in value]
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return value


def guarded(render: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a renderer whose failures are AnsibleErrors; before ansible-core 2.19 a filter's own comes through."""

    def rendered(value: Any) -> Any:
        try:
            return render(value)
        except AnsibleError:
            raise
        except Exception as error:
            raise AnsibleTemplateError(type(error).__name__) from error

    return rendered
