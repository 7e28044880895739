"""Folders changed at random, and folders that cannot be meant: what `allocate check` answers.

The former must be accepted, or refused with findings: no other error, and no answer that takes longer than
ten seconds. The latter must be refused, or accepted with a note that names what is wrong: never in silence.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import tempfile
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.campaign_forms import FORMS, OF_TEXT, TEXT_FILES
from benchmarks.campaign_mutations import write_mutated
from benchmarks.nonsense import KINDS, Draft, Nonsense
from benchmarks.nonsense.draft import draft
from benchmarks.record import Columns, Row, read
from cli.main import run

ABOUT = "campaign folders changed at random: what `allocate check` answers"
ABOUT_NONSENSE = "campaign folders that cannot be meant, by kind: what `allocate check` says"
HANGS, ACCEPTED = 10.0, 0
LOADING = 300.0  # the first answer of a process loads what all need
REFUSED = {3: "bad data", 4: "limits that clash", 7: "a plugin"}
NAME, NONSENSE = "campaign_fuzz", "campaign_nonsense"


class Hung(BaseException):
    """An answer took too long; not an Exception, so that nobody catches it."""


@dataclass(frozen=True)
class Answer:
    """What `allocate check` answered.

    Parameters
    ----------
    code
        Its exit code; None if it raised.
    said
        Findings, or notes and who may be reached.
    seconds
        Of CPU time.
    fault
        What is wrong with the answer; None if nothing is.
    """

    code: int | None
    said: tuple[str, ...]
    seconds: float
    fault: str | None = None


def ask(folder: Path, *, hangs: float = HANGS) -> Answer:
    """Call ``allocate check FOLDER --json`` in this process, and break it off after some seconds."""
    out, error, code, fault = io.StringIO(), io.StringIO(), None, None
    before = signal.signal(signal.SIGALRM, _hung)
    signal.setitimer(signal.ITIMER_REAL, hangs)
    start = time.process_time()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = run(["check", str(folder), "--json"])
    except Hung:
        fault = "hung"
    except BaseException as raised:  # panics of extensions are no Exception
        fault = f"raised {type(raised).__name__}: {raised}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    seconds = time.process_time() - start
    if code not in (None, ACCEPTED, *REFUSED):
        fault = f"exit code {code}: {error.getvalue()[-300:]}"
    said: tuple[str, ...] = ()
    if fault is None:
        try:
            said = tuple(_said(json.loads(out.getvalue())))
        except ValueError as raised:
            fault = f"no JSON: {raised}"
    return Answer(code, said, seconds, fault)


def _hung(*_: object) -> None:
    raise Hung


def _said(document: Mapping[str, Any]) -> Iterator[str]:
    if "error" in document:
        yield str(document["message"])
        for finding in document.get("findings", ()):
            yield " ".join(str(part) for part in finding.values() if part is not None)
        return
    yield from document["notes"]
    reach = document["reach"]
    yield from reach["cautions"]
    yield from (f"held out by {by}" for by in reach["held_out_by"])
    for channel in reach["channels"].values():
        yield from channel["said_by"]


@dataclass
class Tally:
    """Answers of the folders of one form."""

    folders: int = 0
    accepted: int = 0
    refused: int = 0
    faults: int = 0
    hung: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    seeds: list[int] = field(default_factory=list)

    def count(self, seed: int, answer: Answer) -> None:
        """Add an answer."""
        self.folders += 1
        self.seconds += answer.seconds
        self.slowest = max(self.slowest, answer.seconds)
        if answer.fault is None:
            self.accepted += answer.code == ACCEPTED
            self.refused += answer.code != ACCEPTED
            return
        self.hung += answer.fault == "hung"
        self.faults += answer.fault != "hung"
        self.seeds.append(seed)
        print(f"seed {seed}: {answer.fault}", flush=True)


def mutated(first: int, last: int, seconds: float = float("inf")) -> tuple[dict[str, Tally], int]:
    """Ask about folders of some seeds, in order, until time is up; return the answers and the next seed."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as place:
        said_of_nothing_wrong("plain CSV", Path(place))
        folder = Path(place) / "shop"
        for seed in range(first, last):
            form = write_mutated(folder, seed)
            tallies[form].count(seed, ask(folder))
            shutil.rmtree(folder)
            if time.monotonic() > until:
                return tallies, seed + 1
    return tallies, last


def write_draft(folder: Path, made: Draft, form: str) -> None:
    """Write a draft in a form; files that it gives as they are come last."""
    folder.mkdir()
    more = FORMS[form](folder, made.tables)
    (folder / "campaign.toml").write_text(made.toml + more, encoding="utf-8")
    for name, data in made.bytes.items():
        (folder / name).write_bytes(data)


@dataclass(frozen=True)
class Asked:
    """What was said of one folder that cannot be meant."""

    answer: Answer
    named: bool

    @property
    def silent(self) -> bool:
        """Whether it was accepted without a word of it."""
        return self.answer.fault is not None or not self.named


def ask_of(kind: Nonsense, form: str, usual: frozenset[str], place: Path) -> Asked:
    """Ask about a folder of a kind; `usual` is what is said of the folder with which nothing is wrong."""
    folder = place / "nonsense"
    write_draft(folder, kind.made(), form)
    answer = ask(folder)
    shutil.rmtree(folder)
    new = [text for text in answer.said if text not in usual]
    return Asked(answer, any(kind.says.search(text) for text in new))


def said_of_nothing_wrong(form: str, place: Path) -> frozenset[str]:
    """Return what is said of folders with which nothing is wrong, with past sends and without."""
    said: set[str] = set()
    for learns in (True, False):
        write_draft(place / "right", draft(learns=learns), form)
        answer = ask(place / "right", hangs=LOADING)
        shutil.rmtree(place / "right")
        if answer.code != ACCEPTED:
            raise AssertionError(f"{form}: {answer}")
        said.update(answer.said)
    return frozenset(said)


def nonsense_rows(settings: Namespace) -> Iterator[Row]:
    """Yield each kind of nonsense: in how many forms it was refused, or accepted with a note of it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        usual = {form: said_of_nothing_wrong(form, place) for form in OF_TEXT}
        for kind in list(KINDS.values())[: settings.folders]:
            forms = TEXT_FILES if kind.text_only else OF_TEXT
            found = {form: ask_of(kind, form, usual[form], place) for form in forms}
            silent = [form for form, asked in found.items() if asked.silent]
            refused = sum(asked.answer.code in REFUSED for asked in found.values())
            yield {
                "kind": kind.name, "folders": len(found), "refused": refused,
                "named": len(found) - refused - len(silent), "silent": silent,
            }  # fmt: skip


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield each form: how many folders, and what was answered; goes on where a run was broken off."""
    before = read(NAME, settings.results) if settings.first else None
    tallies: dict[str, Tally] = defaultdict(Tally)
    for row in before["rows"] if before else ():
        tallies[row["form"]] = Tally(**{name: row[name] for name in Tally.__dataclass_fields__})
    found, following = mutated(settings.first, settings.folders, (settings.seconds or [float("inf")])[0])
    print(f"next: --first {following}", flush=True)
    for form in FORMS:
        tally, more = tallies[form], found.get(form, Tally())
        yield {
            "form": form, "folders": tally.folders + more.folders, "accepted": tally.accepted + more.accepted,
            "refused": tally.refused + more.refused, "faults": tally.faults + more.faults,
            "hung": tally.hung + more.hung, "slowest": max(tally.slowest, more.slowest),
            "seconds": tally.seconds + more.seconds, "seeds": tally.seeds + more.seeds,
        }  # fmt: skip


COLUMNS: Columns = {
    "form": lambda row: str(row["form"]),
    "folders": lambda row: f"{row['folders']:,}",
    "accepted": lambda row: f"{row['accepted']:,}",
    "refused": lambda row: f"{row['refused']:,}",
    "other errors": lambda row: f"{row['faults']:,}",
    "over 10 s": lambda row: f"{row['hung']:,}",
    "CPU seconds a folder": lambda row: f"{row['seconds'] / max(row['folders'], 1):.2f}",
    "slowest": lambda row: f"{row['slowest']:.1f}",
}
COLUMNS_NONSENSE: Columns = {
    "kind": lambda row: str(row["kind"]),
    "folders": lambda row: f"{row['folders']:,}",
    "refused": lambda row: f"{row['refused']:,}",
    "named in a note": lambda row: f"{row['named']:,}",
    "silently accepted": lambda row: f"{len(row['silent']):,}",
}
SETTINGS_NONSENSE: dict[str, Any] = {"folders": None}  # the first so many kinds; all, unless given
SETTINGS: dict[str, Any] = {"folders": 20_000, "first": 0, "seconds": None}
