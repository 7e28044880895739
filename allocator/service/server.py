"""The app behind a socket: started, told to stop, stopped."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from allocator.errors import Finding, InputError
from allocator.service.app import FAILURE, create_app
from allocator.service.settings import Settings

BACKLOG = 2048
STOPPING = (signal.SIGTERM, signal.SIGINT)


def run_server(settings: Settings, host: str, port: int, on_ready: Callable[[str], object]) -> None:
    """Answer requests until the process is told to stop (SIGTERM, SIGINT).

    Then no connection is accepted any more, requests in flight are finished, and running jobs go back to
    the queue.

    Parameters
    ----------
    settings
        Of the service.
    host, port
        Where to listen; port 0 takes a free one.
    on_ready
        Called with the address once the service answers.

    Raises
    ------
    InputError
        If the service has no keys and could be reached from other machines, if the address cannot be
        used, or if the service cannot start with these settings.
    """
    require_keys(settings, host)
    with bind(host, port) as bound:
        address = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
        app = create_app(settings)
        with _stopped_by_signals():
            try:
                _Server(app, settings, lambda: on_ready(address)).run(sockets=[bound])
            except SystemExit:  # uvicorn's way of saying that the app could not be started
                failure = getattr(app.state, FAILURE, None)
                if failure is None:
                    raise
                raise failure from None


def require_keys(settings: Settings, host: str) -> None:
    """Raise InputError for a service without keys that other machines could reach."""
    if not settings.keys and not is_loopback(host):
        message = (
            "without API keys the service listens only on this machine; make a key with "
            "`allocate serve --new-key NAME` and name its file with --keys"
        )
        raise InputError(Finding(message, column="--host", found=host, expected="127.0.0.1"))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Return a socket at an address.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        message = f"cannot listen there: {error.strerror or error}"
        raise InputError(Finding(message, column="--host and --port", found=f"{host}:{port}")) from error
    return bound


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let a signal end the server and nothing else: uvicorn raises it once more when it has stopped."""
    before = {number: signal.signal(number, lambda *_: None) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Uvicorn, with the service told of a signal before connections are closed."""

    def __init__(self, app: FastAPI, settings: Settings, on_ready: Callable[[], object]) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", backlog=BACKLOG, server_header=False,
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)), ws="none", proxy_headers=False,
        )  # fmt: skip
        super().__init__(config)
        self._app, self._on_ready = app, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is loaded stays; going through it again would hold requests up for 0.1 s
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        service: Any = getattr(self._app.state, "service", None)
        if service is not None:
            service.close()
        super().handle_exit(sig, frame)
