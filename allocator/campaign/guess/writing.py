"""A guess as campaign.toml: what is sure as it is, what is not as a question."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit

from allocator.campaign.columns.meanings import ALL_OTHERS, IGNORE, Meaning, meaning_as
from allocator.campaign.formats.currencies import currencies_of
from allocator.campaign.guess.campaign import CampaignGuess
from allocator.campaign.guess.files import SCHEMAS, ColumnGuess, FileGuess

FEW = 20  # different texts of a column that are categories, not people
CHEAPEST = ("email", "push", "in_app", "sms")


def campaign_toml(guess: CampaignGuess, folder: Path) -> str:
    """Return a campaign.toml that reads the files where they are.

    Parameters
    ----------
    guess
        What the files are.
    folder
        Where campaign.toml will be; files are named from there.
    """
    lines = [
        "# Written by allocate init from your own files, which are read where they are.",
        "# Lines that begin with #? are questions: take the answer, or check will ask.",
        "schema = 1",
        f"name = {_quoted(folder.resolve().name or 'campaign')}",
        *_currency(guess),
        "# as_of = 2026-11-30        # the day of the decision; today, unless given",
        *_tables(guess, folder),
        *_format(guess),
        *(line for table, file in guess.files.items() for line in _columns(table, file)),
        "",
        "[objective]",
        'maximize = "incremental_margin"',
        "#? margin = 0.4            # what is left of sales after the cost of goods; 1, unless given",
        "",
        "#? [[limits]]              # what you may spend",
        '#? kind = "budget"',
        '#? label = "total"',
        "#? at_most = 1000",
        "",
        "[copy]",
        '#? brand = ""              # who sends; SMS and e-mail need it',
        f"channels = [{', '.join(map(_quoted, _channels(guess)))}]",
    ]
    return "\n".join(lines) + "\n"


def _tables(guess: CampaignGuess, folder: Path) -> Iterator[str]:
    """Yield where tables come from that are no file of their name beside campaign.toml."""
    places = {table: _from(file, folder) for table, file in guess.files.items()}
    named = {table: place for table, place in places.items() if place.partition(".")[0] != table}
    yield from ("", "[tables]") if named else ()
    yield from (f"{table} = {_quoted(place)}" for table, place in named.items())


def _quoted(text: str) -> str:
    return tomlkit.item(text).as_string()


def _from(file: FileGuess, folder: Path) -> str:
    """Return where a file is, from campaign.toml, with forward slashes on every system."""
    try:
        path = os.path.relpath(file.path.resolve(), folder.resolve())
    except ValueError:  # another drive
        path = str(file.path.resolve())
    sheet = file.facts.source.part
    return path.replace(os.sep, "/") + (f"#{sheet}" if sheet else "")


def _currency(guess: CampaignGuess) -> Iterator[str]:
    """Yield the currency that the files state, or the question."""
    for file in guess.files.values():
        for facts in file.facts.columns:
            if facts.name.casefold() in ("currency", "currency_code") and facts.distinct == 1:
                code = facts.samples[0].upper()
                if len(code) == 3 and code.isalpha():
                    yield f'currency = "{code}"           # as in {facts.name} of {file.name}'
                    return
    signs = {
        facts.currency for file in guess.files.values() for facts in file.facts.columns if facts.currency
    }
    codes = [currencies_of(sign) for sign in signs]
    common = frozenset.intersection(*codes) if codes else frozenset()
    if len(common) == 1:
        yield f'currency = "{next(iter(common))}"           # by the signs beside amounts'
    else:
        yield '#? currency = "USD"        # of all amounts; USD, unless given'


def _format(guess: CampaignGuess) -> Iterator[str]:
    """Yield how each file is written where that is not as in a plain file, and what only a person can say."""
    for table, file in guess.files.items():
        facts = file.facts
        sure: dict[str, Any] = dict(facts.keys)
        if facts.kind == "text":
            sure |= {"delimiter": facts.delimiter} if facts.delimiter != "," else {}
            sure |= {"encoding": file.encoding} if file.encoding else {}
        sure |= {"skip_rows": facts.skipped} if facts.skipped else {}
        if sure or facts.unsure:
            yield from ("", f"[format.{table}]" + (f"           # {file.name}" if sure else ""))
        for key, value in sure.items():
            guessed = (
                "        # a guess: see whether names with accents are right" if key == "encoding" else ""
            )
            yield f"{key} = {tomlkit.item(value).as_string()}{guessed}"
        for key, sample in facts.unsure.items():
            choices = '"day-first" or "month-first"' if key == "dates" else '"." or ","'
            yield f"#? {key} = {choices}        # {sample}"


def _columns(table: str, file: FileGuess) -> Iterator[str]:
    """Yield what the columns of a file are that do not have the table's own names."""
    lines = [line for column in file.columns for line in _column(file, column)]
    if SCHEMAS[table].extra == "error" and file.others:
        lines.append(f'"{ALL_OTHERS}" = "{IGNORE}"           # {_some(file.others)}')
    if lines:
        yield from ("", f"[columns.{table}]" + (f"           # {file.export.title}" if file.export else ""))
        yield from lines


def _column(file: FileGuess, column: ColumnGuess) -> Iterator[str]:
    name, samples = _quoted(column.column), _samples(file, column)
    if column.column == ALL_OTHERS:
        yield f"# {name} stands for all other columns here: rename the one that is called so"
    elif column.meaning is None and column.choices:
        asked = f"{column.why}: {samples}" if samples else column.why
        yield f"#? {name} = {' or '.join(column.choices)}        # {asked}"
    elif column.meaning is None:
        yield f"# {name}: {column.why}"
    elif column.meaning != meaning_as(column.column):
        yield f"{name} = {_meaning(column.meaning)}" + (f"           # {samples}" if samples else "")


def _meaning(meaning: Meaning) -> str:
    names: Any = meaning.is_[0] if len(meaning.is_) == 1 else list(meaning.is_)
    more = meaning.model_dump(exclude_defaults=True, exclude={"is_"})
    if not more:
        return str(tomlkit.item(names).as_string())
    table = tomlkit.inline_table()
    table.append("is", names)
    for key, value in more.items():
        table.append(key, list(value) if isinstance(value, tuple) else value)
    return str(table.as_string())


def _samples(file: FileGuess, column: ColumnGuess) -> str:
    """Return cells to tell a column by, but none that could tell who somebody is."""
    facts = next((facts for facts in file.facts.columns if facts.name == column.column), None)
    personal = facts is None or (facts.holds == "text" and facts.distinct > FEW)
    if personal or (column.meaning is not None and "user_id" in column.meaning.is_):
        return ""
    return ", ".join(map(_short, column.samples))


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6:,} more" if len(names) > 6 else shown


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 24 else line[:21] + "..."


def _channels(guess: CampaignGuess) -> list[str]:
    """Return the channels that customers' columns speak of; e-mail where none does."""
    users = guess.files.get("users")
    said = (
        {word for column in users.columns if column.meaning for word in column.meaning.is_}
        if users
        else set()
    )
    found = [name for name in CHEAPEST if {f"consent_{name}", f"opt_out_{name}"} & said]
    return found or ["email"]
