"""An OpenAI-compatible endpoint: sends one request, waits its turn, tries again, and says why it gave up."""

from __future__ import annotations

import email.utils
import os
import re
import time
from collections.abc import Callable
from typing import Any

import anyio
import httpx2

from allocator.errors import PluginError
from copygen.backends.answers import read_complaint, read_completion
from copygen.options import HttpOptions
from copygen.untrusted import visible

MOST_BYTES = 1_000_000
FIRST_WAIT, MOST_WAIT = 0.5, 60.0  # seconds
MAY_WORK_LATER = frozenset({408, 409, 425, 429})
OPTIONAL = ("n", "seed", "temperature", "max_tokens")
"""What a request can do without where a server does not know it."""


class Failure(Exception):  # noqa: N818 - not an error of the program: another cell may do better
    """A request that brought nothing, and why.

    Parameters
    ----------
    reason
        In words, without the key.
    advice
        What to correct, if no other request can do better until it is; empty otherwise.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason, self.advice = reason, advice


class _Later(Exception):  # noqa: N818
    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after = reason, after


class _Refused(Exception):  # noqa: N818
    def __init__(self, status: int, complaint: str) -> None:
        super().__init__(complaint)
        self.status, self.complaint = status, complaint


class Endpoint:
    """Where chats are completed; holds the key, and lets it out to that address alone.

    Parameters
    ----------
    options
        Its address, limits and the name of the variable with the key.

    Raises
    ------
    PluginError
        If the variable holds what cannot be a key.
    """

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._key = os.environ.get(options.api_key_env, "").strip()
        if not self._key.isascii() or not self._key.isprintable() or " " in self._key:
            raise PluginError(f"The environment variable {options.api_key_env} holds no usable key.")
        self._next_turn = 0.0
        self._unknown: frozenset[str] = frozenset()

    def client(self) -> httpx2.AsyncClient:
        """Return a client to pass to `complete`; the caller closes it."""
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return httpx2.AsyncClient(
            # What comes compressed could be larger than what is counted while it comes.
            headers={"Accept-Encoding": "identity", **key},
            timeout=self._options.timeout,
            limits=httpx2.Limits(max_connections=self._options.concurrency),
            follow_redirects=False,
            trust_env=not self._options.local,  # no proxy on the way to this machine
        )

    async def complete(
        self, client: httpx2.AsyncClient, body: dict[str, Any], jitter: Callable[[int], float]
    ) -> list[str]:
        """Return the texts that the endpoint answers with.

        Parameters
        ----------
        client
            From `client`.
        body
            The request, optional fields and all.
        jitter
            A number from 0 to 1 for each attempt, which spreads the waits between them.

        Raises
        ------
        Failure
            If no attempt brought an answer, or the endpoint refused the request.
        """
        for attempt in range(self._options.retries + 1):
            try:
                return await self._with_known_fields(client, body)
            except _Refused as refusal:
                raise self._failure(refusal) from None
            except _Later as problem:
                if attempt == self._options.retries:
                    raise Failure(problem.reason) from None
                backoff = FIRST_WAIT * 2**attempt * (0.5 + jitter(attempt))
                await anyio.sleep(min(backoff if problem.after is None else problem.after, MOST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    async def _with_known_fields(self, client: httpx2.AsyncClient, body: dict[str, Any]) -> list[str]:
        """Send the request, and again without optional fields if the server does not take them."""
        sent = {key: value for key, value in body.items() if key not in self._unknown}
        try:
            return await self._send(client, sent)
        except _Refused as refusal:
            optional = [key for key in OPTIONAL if key in sent]
            if refusal.status not in (400, 422) or not optional:
                raise
            named = [key for key in optional if re.search(rf"(?<![\\\w]){key}(?!\w)", refusal.complaint)]
            left_out = frozenset(named or optional)
            found = await self._send(client, {k: v for k, v in sent.items() if k not in left_out})
            self._unknown |= left_out
            return found

    async def _send(self, client: httpx2.AsyncClient, body: dict[str, Any]) -> list[str]:
        await self._turn()
        timeout = self._options.timeout
        url = f"{self._options.base_url}/chat/completions"
        try:
            with anyio.fail_after(timeout):  # httpx2 limits each wait only: a server may drip for ever
                async with client.stream("POST", url, json=body) as response:
                    return self._read(response.status_code, response.headers, await _content(response))
        except (TimeoutError, httpx2.TimeoutException):
            raise _Later(f"no answer within {timeout:g} s") from None
        except (httpx2.TransportError, OSError) as error:
            raise _Later(self._redacted(str(error) or type(error).__name__)) from None

    def _read(self, status: int, headers: httpx2.Headers, content: bytes) -> list[str]:
        if status == 200:
            try:
                return read_completion(content)
            except ValueError as error:
                raise _Later(f"an answer that is no chat completion ({self._redacted(str(error))})") from None
        complaint = self._redacted(read_complaint(content))
        if status in MAY_WORK_LATER or status >= 500:
            after = _retry_after(headers.get("Retry-After"))
            if status == 429 and after is not None:
                # The others would only be refused as well.
                self._next_turn = max(self._next_turn, time.monotonic() + min(after, MOST_WAIT))
            raise _Later(f"status {status}" + (f": {complaint}" if complaint else ""), after)
        raise _Refused(status, complaint)

    async def _turn(self) -> None:
        """Wait until the next request may be sent."""
        rate, now = self._options.requests_per_minute, time.monotonic()
        start = max(now, self._next_turn)
        if rate is not None:
            self._next_turn = start + 60 / rate
        if start > now:
            await anyio.sleep(start - now)

    def _failure(self, refusal: _Refused) -> Failure:
        """Return what a refusal means, and what to correct."""
        options, status = self._options, refusal.status
        said = f"status {status}" + (f": {refusal.complaint}" if refusal.complaint else "")
        if status == 401:  # servers like to quote the key here
            said = "status 401: the key is refused" if self._key else "status 401: a key is needed"
            held = "whose key is refused" if self._key else "which is not set"
            advice = f"check the environment variable {options.api_key_env}, {held}"
        elif status == 403:
            advice = f"check that the key in {options.api_key_env} may use the model '{options.model}'"
        elif status == 404:
            advice = f"check base_url (most end in /v1) and that it serves a model named '{options.model}'"
        elif 300 <= status < 400:
            said = f"status {status}: a redirect, which is not followed"
            advice = "set base_url to the address that it leads to"
        else:
            advice = f"check that '{options.model}' under model is a chat model of this endpoint"
        return Failure(said, advice)

    def _redacted(self, text: str) -> str:
        hidden = text.replace(self._key, "[key]") if self._key else text
        return visible(hidden)[:200].rstrip(".")


async def _content(response: httpx2.Response) -> bytes:
    """Return the body of a response, up to the limit."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _Later("a compressed answer, which was not asked for")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise _Later(f"an answer of more than {MOST_BYTES:,} bytes")
    return bytes(content)


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait, None if it says nothing usable."""
    if not value:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip()):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
