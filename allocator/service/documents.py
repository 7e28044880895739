"""JSON in and out: bodies straight to checked models, results straight to bytes."""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from allocator.campaign.config import toml_finding
from allocator.errors import Finding, InputError
from allocator.service.error_documents import ServiceError

T = TypeVar("T")
JSON = re.compile(r"application/(?:[\w.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
REQUEST = "request"


def dump(value: Any) -> bytes:
    """Return JSON; infinities and NaN become null, NumPy's numbers and arrays plain ones."""
    return to_json(value, inf_nan_mode="null", fallback=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response with a document."""
    return Response(dump(value), status, headers, "application/json")


def require_json(request: Request) -> None:
    """Refuse a body that is no JSON.

    Raises
    ------
    ServiceError
        415, also for a body that is compressed.
    """
    if not JSON.fullmatch(request.headers.get("content-type", "").strip()):
        message = "The body must be JSON, with the header 'Content-Type: application/json'."
        raise ServiceError(415, "unsupported-media-type", "Not JSON", message)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        message = "The body must not be compressed."
        raise ServiceError(415, "unsupported-media-type", "Compressed body", message)


async def read_body(request: Request) -> bytes:
    """Return the JSON text of a request."""
    require_json(request)
    return await request.body()


def parse(adapter: TypeAdapter[T], body: bytes) -> T:
    """Check a body.

    Raises
    ------
    InputError
        With everything that is wrong with it.
    """
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise InputError([_finding(detail) for detail in error.errors(include_url=False)]) from error


def _finding(detail: Any) -> Finding:
    if detail["type"] == "json_invalid":
        return Finding(f"this is not valid JSON: {detail['ctx']['error']}", REQUEST)
    # The places of alternatives are pydantic's own words, not keys of the document.
    place = tuple(part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("@")))
    return toml_finding({**detail, "loc": place}, REQUEST)
