"""Several files -> a campaign: which is which, what belongs together, what must be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from allocator.campaign.columns.meanings import meaning_as
from allocator.campaign.formats import sheets_of
from allocator.campaign.guess.files import SCHEMAS, ColumnGuess, FileGuess, look, read_columns
from allocator.campaign.guess.joining import Join, best_join
from allocator.errors import Finding, InputError

IDS = {"user_id": "users", "coupon_id": "coupons"}


@dataclass(frozen=True)
class CampaignGuess:
    """What people's files are taken to be, together.

    Parameters
    ----------
    files
        By table, in the order of a campaign's files.
    others
        Files that are no table of a campaign, or a second one of a table.
    joins
        How tables belong together, by the id.
    notes
        What was seen that a person should know.
    """

    files: Mapping[str, FileGuess]
    others: tuple[FileGuess, ...]
    joins: Mapping[str, Join]
    notes: tuple[str, ...]

    @property
    def questions(self) -> int:
        """How many things only a person can say."""
        return sum(
            len(guess.facts.unsure)
            + sum(column.meaning is None and bool(column.choices) for column in guess.columns)
            for guess in self.files.values()
        )


def guess_campaign(paths: Iterable[Path], stated: Mapping[Path, str] | None = None) -> CampaignGuess:
    """Look at files and find out what they are.

    Parameters
    ----------
    paths
        Files that people have; of a workbook every sheet is looked at.
    stated
        Tables that are known, by file.

    Raises
    ------
    InputError
        With every file that cannot be read.
    """
    stated = stated or {}
    looked, findings = [], []
    for path in dict.fromkeys(paths):
        try:
            sheets: list[str | None] = [*sheets_of(path)] or [None]
            for sheet in sheets:
                guess = look(path, sheet)
                looked.append(replace(guess, table=stated[path]) if path in stated else guess)
        except InputError as error:
            findings += [replace(finding, file=finding.file or str(path)) for finding in error.findings]
    if findings:
        raise InputError(findings)
    files, others = _tables(looked, set(stated))
    if "users" not in files and not files:
        found = ", ".join(guess.name for guess in looked)
        message = "none of these files looks like a table of a campaign; say what one is: --from users=FILE"
        raise InputError(Finding(message, found=found, expected=", ".join(SCHEMAS)))
    read = {table: read_columns(guess) for table, guess in files.items()}
    joins: dict[str, Join] = {}
    notes: list[str] = []
    for own, table in IDS.items():
        read = _joined(read, own, table, joins, notes)
    notes += _personal_ids(read)
    return CampaignGuess(read, tuple(others), joins, tuple(notes))


def _personal_ids(files: Mapping[str, FileGuess]) -> Iterator[str]:
    key = files["users"].column_of("user_id") if "users" in files else None
    if key is not None and files["users"].frame[key].str.contains("@", literal=True).any():
        yield f"'{key}' of {files['users'].name} holds e-mail addresses: results name customers by them"


def _tables(looked: Sequence[FileGuess], stated: set[Path]) -> tuple[dict[str, FileGuess], list[FileGuess]]:
    """Give each table the file that most speaks for; stated ones first."""
    order = sorted(
        looked, key=lambda guess: (guess.path not in stated, -max(guess.scores.values()), guess.name)
    )
    taken: dict[str, FileGuess] = {}
    others = []
    for guess in order:
        if guess.table is None or guess.table in taken:
            others.append(guess)
        else:
            taken[guess.table] = guess
    return {name: taken[name] for name in SCHEMAS if name in taken}, others


def _joined(
    files: dict[str, FileGuess], own: str, table: str, joins: dict[str, Join], notes: list[str]
) -> dict[str, FileGuess]:
    """Find out which columns hold the ids of `table`, and say how well they fit."""
    if table not in files:
        return files
    having: list[str] = [name for name in files if name not in IDS.values()]
    having = [name for name in having if own in {column.name for column in SCHEMAS[name].columns}]
    rows = files[table]
    others = {name: (files[name].frame, files[name].column_of(own)) for name in having}
    join = best_join(rows.frame, rows.column_of(own), others)
    if join is None:
        return files
    joins[own] = join
    columns = {table: join.key, **join.columns}
    for name, share in join.shares.items():
        column, key = f"'{join.columns[name]}' of {files[name].name}", f"'{join.key}' of {rows.name}"
        if not share:
            here, there = _sample(files[name], join.columns[name]), _sample(rows, join.key)
            notes.append(f"no id in {column} is in {key}: {here} and {there}")
        elif share < 1:
            notes.append(f"{share:.0%} of the ids in {column} are in {key}; the others' rows are not used")
    return {
        name: _with_id(guess, own, columns[name]) if name in columns else guess
        for name, guess in files.items()
    }


def _with_id(guess: FileGuess, own: str, column: str) -> FileGuess:
    """Take a column for an id that another was taken for by its name, or none."""
    if guess.column_of(own) == column:
        return guess
    kept = []
    for known in guess.columns:
        if known.column == column:
            continue
        if known.meaning is not None and own in known.meaning.is_:
            left = tuple(word for word in known.meaning.is_ if word != own)
            if left:
                kept.append(replace(known, meaning=known.meaning.model_copy(update={"is_": left})))
            continue
        kept.append(known)
    samples = next((facts.samples for facts in guess.facts.columns if facts.name == column), ())
    found = ColumnGuess(column, samples, meaning_as(own), "its ids are in the other files")
    names = [found, *kept]
    taken = {known.column for known in names}
    return replace(
        guess, columns=tuple(names), others=tuple(n for n in guess.frame.columns if n not in taken)
    )


def _sample(guess: FileGuess, column: str) -> str:
    cells = guess.frame[column].drop_nulls()
    return repr(cells[0]) if len(cells) else "nothing"
