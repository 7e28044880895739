"""What the routes of one app share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from starlette.requests import Request

from allocator.service.gate import OWNER
from allocator.service.jobs.queue import Jobs
from allocator.service.metrics import Metrics
from allocator.service.plans.live import Plans
from allocator.service.settings import Settings


@dataclass
class Service:
    """The parts of a running service; `closing` once it was told to stop."""

    settings: Settings
    metrics: Metrics
    engine: sa.Engine
    jobs: Jobs
    plans: Plans
    closing: bool = False

    def close(self) -> None:
        """Take no part in new work: the service was told to stop."""
        self.closing = True
        self.jobs.hurry()


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    return cast(Service, request.app.state.service)


def owner_of(request: Request) -> str:
    """Return the name of the caller's key; empty without keys."""
    return cast(str, request.scope["state"][OWNER])
