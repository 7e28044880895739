"""The errors a caller can act on; every one of them reads as a sentence a planner understands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_NAMED = 5  # limits that one message names


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the input.

    Parameters
    ----------
    message
        What is wrong and what to do about it, as a sentence.
    file, row, column
        Where: file name, row as a spreadsheet counts (the header is row 1), column or key name.
    found, expected
        What stands there, and what should.
    """

    message: str
    file: str | None = None
    row: int | None = None
    column: str | None = None
    found: str | None = None
    expected: str | None = None

    def where(self) -> str:
        """Return the place as ``file:row, column``."""
        place = self.file or ""
        if self.row is not None:
            place += f":{self.row}"
        if self.column is not None:
            place += f", {self.column}" if place else self.column
        return place

    def __str__(self) -> str:
        place = self.where()
        text = f"{place}: {self.message}" if place else self.message
        if self.found is not None:
            text += f" (found {self.found}"
            text += f", expected {self.expected})" if self.expected is not None else ")"
        elif self.expected is not None:
            text += f" (expected {self.expected})"
        return text


class AllocateError(Exception):
    """Base of every error that Allocate raises on purpose."""


class InputError(AllocateError):
    """The input is wrong. `findings` holds everything that was found, not only the first.

    Parameters
    ----------
    findings
        The findings, or one message as text.
    """

    def __init__(self, findings: Iterable[Finding] | Finding | str) -> None:
        if isinstance(findings, str):
            findings = Finding(findings)
        if isinstance(findings, Finding):
            findings = (findings,)
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


class InfeasibleError(AllocateError):
    """No plan meets every limit.

    Parameters
    ----------
    labels
        The labels of limits that cannot hold together; without any one of them, the others can.
    repairs
        For each label, by how much the limit would have to give for a plan to exist
        (in the limit's own unit), as found by the least total change.
    repairs_alone
        For each of `labels` that can repair the clash by itself, by how much it would have to give if no
        other limit gives.
    """

    def __init__(
        self,
        labels: Iterable[str],
        repairs: Mapping[str, float] | None = None,
        repairs_alone: Mapping[str, float] | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.repairs = dict(repairs or {})
        self.repairs_alone = dict(repairs_alone or {})
        names = ", ".join(f"'{label}'" for label in self.labels)
        text = f"No plan meets these limits together: {names}."
        if self.repairs:
            text += f" The least change that makes a plan possible: relax {_changes(self.repairs, '; ')}."
        others = {k: v for k, v in self.repairs_alone.items() if [k] != list(self.repairs)}
        if others:
            text += f" One limit alone would also do: {_changes(others, ', or ')}."
        super().__init__(text)


def _changes(amounts: Mapping[str, float], between: str) -> str:
    return between.join(f"'{label}' by {amount:,.6g}" for label, amount in amounts.items())


class NoPlanError(AllocateError):
    """Time ran out before any plan was found, and no proof that none exists.

    Parameters
    ----------
    labels
        The limits that stood in the way of the best attempt, the worst first; empty if there was none.
    """

    def __init__(self, labels: Iterable[str] = ()) -> None:
        self.labels = tuple(labels)
        text = "No plan was found that meets every limit, though no proof that none exists either"
        if self.labels:
            names = ", ".join(f"'{label}'" for label in self.labels[:MOST_NAMED])
            more = len(self.labels) - MOST_NAMED
            text += f". In the way of the best attempt: {names}" + (f" and {more:,} more" if more > 0 else "")
            super().__init__(f"{text}. Allow more time, or relax those a little.")
        else:
            super().__init__(f"{text}: allow more time, or relax the tightest limits a little.")


class PluginError(AllocateError):
    """A plugin is missing, broken, or returned something that breaks its contract."""
