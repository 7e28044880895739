"""What is wrong with what was asked, collected so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from allocator.campaign.places import Places
from allocator.errors import Finding, InputError, PluginError

T = TypeVar("T")


@dataclass
class Problems:
    """Findings in the order in which they came, and which of them are about plugins.

    `places` says where the campaign's tables stand, once it is read: findings name these.
    """

    findings: list[Finding] = field(default_factory=list)
    of_plugins: list[str] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    def collect(self, function: Callable[..., T], *args: Any, **named: Any) -> T | None:
        """Call a function; keep what it finds wrong, and return None then."""
        try:
            return function(*args, **named)
        except InputError as error:
            self.findings += self.places.of(error.findings)
        except PluginError as error:
            self.plugin(error, Finding(str(error)))
        return None

    def plugin(self, error: PluginError, finding: Finding) -> None:
        """Keep what is wrong with a plugin; `finding` says it beside other findings."""
        self.of_plugins.append(str(error))
        self.findings.append(finding)

    def stop(self) -> None:
        """Raise what was collected, if anything was.

        Raises
        ------
        InputError
            With every finding.
        PluginError
            If all of them are about plugins.
        """
        findings = list(dict.fromkeys(self.findings))
        if len(self.of_plugins) == len(self.findings) > 0:
            raise PluginError("\n".join(dict.fromkeys(self.of_plugins)))
        if findings:
            raise InputError(findings)
