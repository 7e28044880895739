"""One line a request, for people or as JSON: never a body, a query, a user or a key."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

LOGGER = logging.getLogger("allocate.service")
FIELDS = "fields"


def log(level: int, message: str, *, error: BaseException | None = None, **fields: Any) -> None:
    """Write a line with named fields."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, message, extra={FIELDS: fields}, exc_info=error)


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
        text = f"{_stamp(record)} {record.levelname.lower()} {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        document = {"time": _stamp(record), "level": record.levelname.lower(), "event": record.getMessage()}
        document |= getattr(record, FIELDS, {})
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)
