"""Errors as problem documents (RFC 9457), in the words that the command line uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from allocator.errors import AllocateError, InfeasibleError, InputError, NoPlanError, PluginError
from allocator.service.database import UnavailableError

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:allocate:problem:"
RETRY_SECONDS = 5
MOST_FINDINGS = 1000  # in one answer, which would else be many times larger than what was sent


class ServiceError(AllocateError):
    """What the service itself refuses.

    Parameters
    ----------
    status, kind, title, detail
        Of the problem; `kind` ends its type.
    headers
        Of the answer.
    """

    def __init__(
        self, status: int, kind: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail
        self.headers = dict(headers or {})


class ProblemFinding(BaseModel):
    """One thing wrong with the input."""

    message: str = Field(description="What is wrong and what to do about it.")
    file: str | None = Field(None, description="`request`, a table of it such as `pairs`, or a file's name.")
    row: int | None = Field(None, description="Counted from 1; in a file the header is row 1.")
    column: str | None = Field(None, description="Column, or key such as `limits[1].at_most`.")
    found: str | None = None
    expected: str | None = None


class ProblemDocument(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str = Field(description="What kind of problem; stable, to branch on.")
    title: str
    status: int
    detail: str = Field(description="The whole story as text, in the words of the command line.")
    request_id: str | None = Field(None, description="As in the log and the header X-Request-ID.")
    errors: list[ProblemFinding] | None = Field(
        None, description="Everything that is wrong at once, the first thousand of it."
    )
    labels: list[str] | None = Field(None, description="Limits that cannot hold together.")
    repairs: dict[str, float] | None = Field(
        None, description="By how much limits must give for a plan to exist, at the least total change."
    )
    repairs_alone: dict[str, float] | None = Field(
        None, description="By how much each limit must give if no other does."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": PREFIX + "invalid-input",
                    "title": "The input is wrong",
                    "status": 422,
                    "detail": "pairs:3, cost: this value cannot be used (found 'x', expected a number)",
                    "request_id": "5f1c0e8a9b7d4c21",
                    "errors": [
                        {
                            "message": "this value cannot be used",
                            "file": "pairs",
                            "row": 3,
                            "column": "cost",
                            "found": "'x'",
                            "expected": "a number",
                        }
                    ],
                }
            ]
        }
    )


@dataclass(frozen=True)
class Refusal:
    """A problem to answer with: its document and the answer's headers."""

    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Of the answer."""
        return int(self.document["status"])

    def response(self, request_id: str | None = None) -> Response:
        """Return the answer."""
        document = self.document if request_id is None else {**self.document, "request_id": request_id}
        return Response(to_json(document, inf_nan_mode="null"), self.status, self.headers, MEDIA_TYPE)


def refusal_of(error: Exception) -> Refusal:
    """Return the problem that an error is; a bug says no more than that it is one."""
    if isinstance(error, ServiceError):
        return refusal(error.status, error.kind, error.title, error.detail, error.headers)
    if isinstance(error, InputError):
        shown, more = error.findings[:MOST_FINDINGS], len(error.findings) - MOST_FINDINGS
        detail = str(InputError(shown)) + (f"\n... and {more:,} more" if more > 0 else "")
        findings = [asdict(finding) for finding in shown]
        return refusal(422, "invalid-input", "The input is wrong", detail, errors=findings)
    if isinstance(error, InfeasibleError):
        return refusal(
            422, "infeasible", "No plan meets every limit", str(error), labels=list(error.labels),
            repairs=error.repairs, repairs_alone=error.repairs_alone,
        )  # fmt: skip
    if isinstance(error, NoPlanError):
        return refusal(422, "no-plan", "No plan was found in time", str(error))
    if isinstance(error, UnavailableError):
        return unavailable("The database does not answer", str(error))
    if isinstance(error, PluginError):
        return refusal(500, "plugin", "A plugin fails", str(error))
    detail = "This is a bug of the service; its log says more under the request id."
    return refusal(500, "bug", "This is a bug", detail)


def refusal_of_status(status: int, detail: str | None, headers: Mapping[str, str] | None) -> Refusal:
    """Return the problem of a status that the framework found."""
    title = HTTPStatus(status).phrase
    texts = {404: "There is nothing at this path.", 405: "The path does not take this method."}
    words = texts.get(status) or detail or title
    return refusal(status, title.lower().replace(" ", "-"), title, words, headers)


def unavailable(title: str, detail: str) -> Refusal:
    """Return the problem of a service that cannot answer now but will."""
    return refusal(503, "unavailable", title, detail, {"Retry-After": str(RETRY_SECONDS)})


def refusal(
    status: int, kind: str, title: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Refusal:
    """Make a problem; `more` are further members of its document."""
    document = {"type": PREFIX + kind, "title": title, "status": status, "detail": detail, **more}
    return Refusal(document, dict(headers or {}))
