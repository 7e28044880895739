"""A real server on this machine that speaks the chat-completions protocol, well or badly as a test asks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-0123456789abcdef"


@dataclass
class Reply:
    """What the server sends: all at once, a byte every `pause` seconds, or, with `hold`, nothing for long."""

    status: int = 200
    body: bytes | dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    pause: float = 0.0


def said(*texts: str | None) -> Reply:
    """Return a chat completion with a choice for each text."""
    choices = [{"index": i, "message": {"role": "assistant", "content": t}} for i, t in enumerate(texts)]
    return Reply(body={"object": "chat.completion", "choices": choices})


def failed(status: int, message: str = "no", **headers: str) -> Reply:
    """Return an error as OpenAI phrases it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message, "type": "invalid_request_error"}}, named)


@dataclass
class Asked:
    """One request: its path, headers and JSON, and how often the same question had been asked before."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    before: int

    @property
    def question(self) -> str:
        """The cell in words: what the last message asks."""
        return str(self.body["messages"][-1]["content"])


class ChatServer:
    """Answers each request with ``answer(asked)`` and keeps what it was asked."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._answer, self._lock, self._ended = answer, threading.Lock(), threading.Event()
        self._seen: Counter[str] = Counter()
        self._at_once = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # else headers and body go out apart, 40 ms from each other

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._counted():
                    reply = server._answer(server._keep(self.path, dict(self.headers), body))
                    if reply.hold:
                        server._ended.wait(20)
                        self.close_connection = True
                        return
                self._send(reply)

            def _send(self, reply: Reply) -> None:
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    for part in map(int.to_bytes, content) if reply.pause else [content]:
                        self.wfile.write(part)
                        self.wfile.flush()
                        time.sleep(reply.pause)
                except OSError:  # the client has had enough
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None: ...

        return Handler

    def _keep(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> Asked:
        with self._lock:
            asked = Asked(path, headers, body, 0)
            asked.before = self._seen[asked.question]
            self._seen[asked.question] += 1
            self.asked.append(asked)
            return asked

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1
