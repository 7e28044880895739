"""An online plan as a JSON document."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.online.plan import OnlinePlan

SCHEMA_VERSION = 1
PLAN_FILE = "plan.json"
"""What the file is called in a run folder."""


def to_json(plan: OnlinePlan) -> str:
    """Return the plan as a JSON document; open bounds, and what is not known or not there, are left out."""
    document = {"schema": SCHEMA_VERSION} | _plain(asdict(plan))
    if not plan.separators:
        del document["separators"]
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, file: str | None = None) -> OnlinePlan:
    """Read what `to_json` wrote.

    Parameters
    ----------
    text
        The document.
    file
        Its name, for messages.

    Raises
    ------
    InputError
        With everything that is wrong with it.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        document = json.loads(text)
    except (ValueError, TypeError) as error:
        raise InputError(Finding(f"this plan cannot be read as JSON: {error}", file=file)) from error
    if not isinstance(document, dict) or document.pop("schema", None) != SCHEMA_VERSION:
        message = "this is no plan of this version; solve again, or write it with OnlinePlan"
        raise InputError(Finding(message, file=file, column="schema", expected=str(SCHEMA_VERSION)))
    try:
        return TypeAdapter(OnlinePlan).validate_python(document)
    except ValidationError as error:
        raise InputError(
            [
                Finding(
                    f"this is not what a plan holds: {wrong['msg'][:1].lower()}{wrong['msg'][1:]}",
                    file=file,
                    column=".".join(map(str, wrong["loc"])),
                )
                for wrong in error.errors(include_url=False)
            ]
        ) from error
    except InputError as error:
        raise InputError(
            [Finding(f.message, file, None, f.column, f.found, f.expected) for f in error.findings]
        ) from error


def read_online_plan(path: str | Path) -> OnlinePlan:
    """Read a plan from its file, or from a run folder.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    path = Path(path)
    file = path / PLAN_FILE if path.is_dir() else path
    try:
        text = file.read_bytes()
    except OSError as error:
        message = "there is no online plan here"
        expected = "a finished run folder without a fair objective, or a file written by OnlinePlan.to_json"
        raise InputError(Finding(message, file=str(path), expected=expected)) from error
    return from_json(text, str(file))


def _plain(value: Any) -> Any:
    """Leave out open bounds and what is not known: their absence says as much."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not _is_open(item)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _is_open(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isinf(value))
