"""What every request passes: who calls, how large and slow a body may be, one line of log, metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from allocator.service.error_documents import Refusal, ServiceError, refusal, refusal_of
from allocator.service.logs import log
from allocator.service.metrics import Metrics
from allocator.service.settings import MEBIBYTE, Settings

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json"})
METRICS = "/metrics"
LOCAL = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)
OWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OWNER = "owner"
NOBODY = ""


@dataclass(frozen=True)
class Direct:
    """A path whose POST is answered without the framework's layers, which take longer than a decision."""

    path: str
    endpoint: Callable[[Request], Awaitable[Response]]


class Gate:
    """The outermost layer of the service, plain ASGI because decisions pass it a thousand times a second.

    It puts the caller's name into the request's state, and answers what nothing inside answered.
    """

    def __init__(
        self, app: ASGIApp, settings: Settings, metrics: Metrics, direct: Iterable[Direct] = ()
    ) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._direct = {("POST", each.path): each for each in direct}
        self._open = OPEN | {METRICS} if settings.open_metrics else OPEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = _request_id(headers)
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        async def refuse(problem: Refusal) -> None:
            await problem.response(request_id)(scope, receive, marked)

        state = scope.setdefault("state", {})
        state["request_id"], state[OWNER] = request_id, NOBODY
        try:
            problem = self._refused(scope, headers, state)
            if problem is None:
                await self._pass(scope, _Body(receive, self.settings), marked)
            else:
                await refuse(problem)
        except Exception as error:
            problem = refusal_of(error)
            if problem.status >= 500:
                log(logging.ERROR, "failed", error=error, id=request_id)
            if not status:
                await refuse(problem)
        finally:
            self._record(scope, state, request_id, status, time.perf_counter() - began)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._direct.get((scope["method"], scope["path"]))
        if direct is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = direct
        response = await direct.endpoint(Request(scope, receive))
        await response(scope, receive, send)

    def _refused(self, scope: Scope, headers: Headers, state: dict[str, Any]) -> Refusal | None:
        """Return why the caller may not, None if they may."""
        settings = self.settings
        if not settings.keys:
            # A page in somebody's browser could have its own name resolve to this machine.
            if not settings.any_host and not LOCAL.fullmatch(headers.get("host", "localhost")):
                text = "Without API keys the service answers only to localhost."
                return refusal(421, "misdirected-request", "Another host's name", text)
        elif scope["path"] not in self._open:
            owner = settings.keys.owner(_key(headers))
            if owner is None:
                text = "Give a key this service knows: 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
                return refusal(401, "unauthorized", "No valid key", text, {"WWW-Authenticate": "Bearer"})
            state[OWNER] = owner
        stated = headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > settings.max_body:
            return refusal_of(too_large(settings.max_body))
        return None

    def _record(
        self, scope: Scope, state: dict[str, Any], request_id: str, status: int, seconds: float
    ) -> None:
        route = getattr(scope.get("route"), "path", None) or ("unmatched" if status else "closed")
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self.metrics.request(method, route, status, seconds)
        log(
            logging.INFO, "request", method=method, route=route, status=status,
            ms=round(1000 * seconds, 2), key=state[OWNER] or "-", id=request_id,
        )  # fmt: skip


class _Body:
    """Receives a body and ends it where it grows too large or takes too long."""

    __slots__ = ("_deadline", "_left", "_most", "_open", "_receive")

    def __init__(self, receive: Receive, settings: Settings) -> None:
        self._receive, self._open = receive, True
        self._most = self._left = settings.max_body
        self._deadline = asyncio.get_running_loop().time() + settings.body_seconds

    async def __call__(self) -> Message:
        if not self._open:  # what comes now is that the caller went away
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            text = "The body took too long to arrive."
            raise ServiceError(408, "request-timeout", "Too slow", text, {"Connection": "close"}) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise too_large(self._most)
        self._open = message["type"] == "http.request" and message.get("more_body", False)
        return message


def too_large(most: int) -> ServiceError:
    """Return the error of a body above the limit."""
    size = f"{most / MEBIBYTE:g} MiB" if most >= MEBIBYTE else f"{most:,} bytes"
    text = f"The body is larger than the {size} that this service takes."
    return ServiceError(413, "content-too-large", "Too large", text, {"Connection": "close"})


def _request_id(headers: Headers) -> str:
    """Return the caller's own id if it can be one, else a fresh one."""
    own = headers.get("x-request-id", "")
    return own if OWN_ID.fullmatch(own) else secrets.token_hex(8)


def _key(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
