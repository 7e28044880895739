"""One line a request, for people or as JSON: never a body, a query, a user or a key."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any

from allocator.errors import AllocateError

LOGGER = logging.getLogger("allocate.service")
FIELDS = "fields"


def log(level: int, message: str, *, error: BaseException | None = None, **fields: Any) -> None:
    """Write a line with named fields, and what is known of an error."""
    if LOGGER.isEnabledFor(level):
        told = {} if error is None else {"trace": trace_of(error)}
        LOGGER.log(level, message, extra={FIELDS: fields | told})


def trace_of(error: BaseException) -> str:
    """Return where an error comes from. What it says is left out unless we wrote it: it may quote data."""
    if isinstance(error, AllocateError):
        return str(error)
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__module__}.{type(error).__qualname__}"


def set_up(*, as_json: bool, quiet: bool) -> None:
    """Let the service's log go to standard error; with `quiet` only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it says what is said here, in other words


def _stamp(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


class _Lines(logging.Formatter):
    """``time level message key=value ...``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {key}={value}" for key, value in getattr(record, FIELDS, {}).items())
        return f"{_stamp(record)} {record.levelname.lower()} {record.getMessage()}{fields}"


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        document = {"time": _stamp(record), "level": record.levelname.lower(), "event": record.getMessage()}
        document |= getattr(record, FIELDS, {})
        return json.dumps(document, ensure_ascii=False)
