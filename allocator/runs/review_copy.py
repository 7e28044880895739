"""The texts of a run as people decide on them: approve, edit, ban, and bring the run's files up to date."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign.copy_decisions import (
    BY_A_PERSON,
    KEY,
    Reviewed,
    decisions_file,
    reviewed,
    write_decisions,
)
from allocator.campaign.messages import (
    PARTS,
    briefs,
    copy_row,
    copy_table,
    key_of,
    recipients,
)
from allocator.campaign.reading import read_decisions
from allocator.errors import Finding, InputError, PluginError
from allocator.plugins import registry
from allocator.plugins.copy import Brief, Copy, Verdict
from allocator.plugins.protocols import ReviewableCopyWriter
from allocator.progress import Progress, no_progress
from allocator.runs.copy import origin_of, read_texts, replace_texts, row_key
from allocator.runs.opening import open_run
from allocator.runs.options import Options

SCHEMA = pl.Schema({**dict.fromkeys((*KEY, "hook", "decision"), pl.String()), "at": pl.Datetime("us")})


@dataclass(frozen=True)
class Text:
    """One text of a run and what was decided on it.

    Parameters
    ----------
    brief
        What was asked for.
    row
        Its row of ``copy.csv``; for an edited text, as it will be.
    decision
        ``approved``, ``edited``, ``banned`` (another will be written), or empty.
    size
        How long it is, as its channel counts.
    """

    brief: Brief
    row: Mapping[str, Any]
    decision: str
    size: str

    @property
    def parts(self) -> dict[str, str]:
        """The text by part."""
        return _parts(self.row)


class Review:
    """The texts of a run, and the decisions of its campaign.

    A decision is kept at once, in the campaign's ``reviewed_copy.csv``; `apply` brings the files of the
    run up to date. What others decide meanwhile is kept, too.

    Parameters
    ----------
    folder
        A run with messages, or a folder of ``allocate copy``.
    campaign_folder
        The campaign [default: the one that the run was made from].

    Raises
    ------
    InputError
        If there are no texts, or the campaign has changed since they were written.
    PluginError
        If the copy writer cannot put a person's words in front of the facts.
    """

    def __init__(self, folder: Path, campaign_folder: Path | None = None) -> None:
        self.folder = folder
        run_folder, writer = origin_of(folder)
        run = open_run(run_folder, campaign_folder)
        self.campaign = Options(writer=writer).apply(run.campaign)
        self._sent, self._arms = recipients(self.campaign, run.task, run.given), run.arms
        self._name = self.campaign.config.copy_.writer
        self._writer = _reviewable(self._name, self.campaign.config.copy_.options)
        asked = {key_of(brief): brief for brief in briefs(self.campaign, self._sent)}
        self._rows = read_texts(folder / "copy.csv", asked)
        self._briefs = [asked[row_key(row)] for row in self._rows]
        self._mine: list[dict[str, Any]] = []
        self._edited: dict[tuple[int, str], Copy | None] = {}
        self._decided = reviewed(self._read())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def decisions_file(self) -> Path:
        """Where decisions are kept."""
        return Path(os.path.normpath(decisions_file(self.campaign.folder)))

    def text(self, number: int) -> Text:
        """Return a text as it stands after all decisions; numbers start at 0."""
        row, brief = self._rows[number], self._briefs[number]
        decision = _decision(row, self._decided)
        if decision == "edited":
            copy = self._edit_of(number)
            row, decision = (copy_row(copy), decision) if copy else (row, "")
        return Text(brief, row, decision, self._writer.measure(brief, _parts(row)))

    def find(self, label: str) -> list[int]:
        """Return the texts of a cell (its digest, or the start of it), or the one of a number from 1.

        Raises
        ------
        InputError
            If there is none.
        """
        cells = [row["cell"] or "" for row in self._rows]
        found = [i for i, cell in enumerate(cells) if len(label) >= 4 and cell.startswith(label)]
        if not found and label.isascii() and label.isdigit() and 1 <= int(label) <= len(self):
            found = [int(label) - 1]
        if not found:
            message = "there is no text of this cell or number; `allocate copy review RUN --list` shows them"
            raise InputError(Finding(message, str(self.folder / "copy.csv"), found=repr(label[:40])))
        return found

    def approve(self, number: int) -> bool:
        """Approve the hook of a text for its message; False if the text has none."""
        hook = self.text(number).row["hook"]
        if hook:
            self._decide(number, "approved", hook)
        return bool(hook)

    def edit(self, number: int, hook: str) -> tuple[Verdict, ...]:
        """Put a person's hook in place of a text's and approve it, or say what is wrong with it."""
        hook = " ".join(hook.split())
        answer = self._check(number, hook)
        if not isinstance(answer, Copy):
            return tuple(answer)
        self._decide(number, "edited", hook)
        return ()

    def ban(self, hook: str, number: int | None = None) -> None:
        """Ban a hook in all messages of the campaign; `number` is the text that it was seen in."""
        self._decide(number, "banned", " ".join(hook.split()))

    def undo(self) -> bool:
        """Take back the latest decision made here; False if there is none left."""
        if not self._mine:
            return False
        row, decisions = self._mine.pop(), self._read()
        same = [i for i, other in enumerate(decisions.iter_rows(named=True)) if other == row]
        if same:
            decisions = pl.concat([decisions[: same[-1]], decisions[same[-1] + 1 :]])
        self._keep(decisions)
        return True

    def apply(self, progress: Progress = no_progress) -> dict[str, int]:
        """Bring the files of the run up to date with all decisions; return how many texts changed, by how.

        Texts whose hook was banned are written anew, the others only where a person decided so.
        """
        rows, counts = list(self._rows), {"approved": 0, "edited": 0, "banned": 0}
        banned = []
        for i, row in enumerate(self._rows):
            decision = _decision(row, self._decided)
            if decision == "banned":
                banned.append(i)
            elif decision == "edited":
                copy = self._edit_of(i)
                rows[i], decision = (copy_row(copy), decision) if copy else (row, "")
            elif decision == "approved":
                rows[i] = {**row, "note": _noted(row["note"])}
            if decision:
                counts[decision] += 1
        for i, copy in zip(banned, self._written_anew(banned, progress), strict=True):
            rows[i] = copy_row(copy)
        if rows != self._rows:
            replace_texts(self.folder, rows, self._sent, self._arms, self.campaign.folder)
            self._rows = rows
        return counts

    def _written_anew(self, numbers: Sequence[int], progress: Progress) -> list[Copy]:
        """Write texts anew; their variants come first, as they stand, so that no two say the same."""
        messages = {row_key(self._rows[i])[:-1] for i in numbers}
        others = [
            i for i, row in enumerate(self._rows) if i not in set(numbers) and row_key(row)[:-1] in messages
        ]
        asked = [self._pinned(i) for i in others]
        asked += [replace(self._briefs[i], approved=(), banned=self._decided.banned) for i in numbers]
        if not numbers:
            return []
        with registry.blamed(registry.COPYWRITERS, self._name, progress) as report:
            copies = self._writer.write(asked, seed=self.campaign.config.seed, progress=report)
        copy_table(copies, asked, self._name)
        return copies[len(others) :]

    def _pinned(self, number: int) -> Brief:
        row = self._rows[number]
        hooks = self._decided.approved.get(row_key(row)) or ((row["hook"],) if row["hook"] else ())
        return replace(self._briefs[number], approved=hooks, banned=self._decided.banned)

    def _edit_of(self, number: int) -> Copy | None:
        """Return the text that the latest approved hook makes; None if the guard is against it."""
        hook = self._decided.approved[row_key(self._rows[number])][0]
        if (number, hook) not in self._edited:
            answer = self._check(number, hook)
            self._edited[number, hook] = answer if isinstance(answer, Copy) else None
        return self._edited[number, hook]

    def _check(self, number: int, hook: str) -> Copy | tuple[Verdict, ...]:
        brief = replace(self._briefs[number], banned=self._decided.banned)
        with registry.blamed(registry.COPYWRITERS, self._name):
            return self._writer.check(brief, hook)

    def _decide(self, number: int | None, decision: str, hook: str) -> None:
        key = ("", "", "", "", "A") if number is None else row_key(self._rows[number])
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)
        row: dict[str, Any] = {name: value or None for name, value in zip(KEY, key, strict=True)}
        row |= {"hook": hook, "decision": decision, "at": now}
        self._keep(pl.concat([self._read(), pl.DataFrame([row], schema=SCHEMA)]))
        self._mine.append(row)

    def _read(self) -> pl.DataFrame:
        found = read_decisions(self.campaign.folder)
        return pl.DataFrame(schema=SCHEMA) if found is None else found.cast(SCHEMA)

    def _keep(self, decisions: pl.DataFrame) -> None:
        write_decisions(self.campaign.folder, decisions)
        self._decided = reviewed(decisions)


def _reviewable(name: str, options: Mapping[str, Any]) -> ReviewableCopyWriter:
    writer = registry.create(registry.COPYWRITERS, name, options)
    if not isinstance(writer, ReviewableCopyWriter):
        raise PluginError(
            f"The texts of the copy writer '{name}' cannot be reviewed: it has no `check` and `measure`."
        )
    return writer


def _parts(row: Mapping[str, Any]) -> dict[str, str]:
    return {part: row[part] for part in PARTS if row[part] is not None}


def _decision(row: Mapping[str, Any], decided: Reviewed) -> str:
    """Return what was decided on a text of the run, ``edited`` if it is to get other words."""
    if hooks := decided.approved.get(row_key(row)):
        return "approved" if hooks[0] == row["hook"] else "edited"
    return "banned" if (row["hook"] or "").lower() in decided.banned else ""


def _noted(note: str | None) -> str:
    notes = (note or "").split("; ") if note else []
    return "; ".join(notes if BY_A_PERSON in notes else [*notes, BY_A_PERSON])
