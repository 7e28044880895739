"""What a caller says of where the passes over the data run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from allocator.errors import Finding
from allocator.problem.arrays import shown

Kind = Literal["auto", "cpu", "torch", "ray"]


@dataclass(frozen=True)
class EngineSettings:
    """Which engine prices users, and with how much of the machine.

    Parameters
    ----------
    engine
        ``cpu``, ``torch`` or ``ray``; ``auto`` is ``torch`` if a device is given, else ``cpu``.
    device
        Of torch, such as ``"cuda"`` or ``"cuda:1"``; for ``torch`` the first GPU unless given, else the CPU.
    threads
        Worker threads (``cpu``) or worker processes (``ray``); all cores unless given.
    """

    engine: Kind = "auto"
    device: str | None = None
    threads: int | None = None

    def findings(self) -> list[Finding]:
        """Return what is wrong with the settings."""
        wrong: list[Finding] = []
        device: object = self.device
        kinds = ("auto", "cpu", "torch", "ray")
        if not isinstance(self.engine, str) or self.engine not in kinds:
            expected = "auto, cpu, torch or ray"
            wrong.append(
                Finding("unknown engine", column="engine", found=shown(self.engine), expected=expected)
            )
            return wrong
        if device is not None and not isinstance(device, str):
            wrong.append(Finding("must be the name of a device", column="device", found=shown(device)))
        elif self.device is not None and self.engine in ("cpu", "ray"):
            message = f"the engine '{self.engine}' takes no device; leave it out, or use engine torch"
            wrong.append(Finding(message, column="device", found=repr(self.device)))
        whole = isinstance(self.threads, int) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and self.threads >= 1):
            message, expected = "the setting cannot be used", "a whole number, 1 or more"
            wrong.append(Finding(message, column="threads", found=shown(self.threads), expected=expected))
        return wrong
