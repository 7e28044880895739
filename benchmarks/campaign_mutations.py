"""Campaigns changed at random: cells, columns, rows, settings and bytes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from allocator.campaign.columns.exports import exports
from benchmarks.campaign_forms import FORMS, typed
from benchmarks.nonsense.draft import draft

WORDS: dict[str, list[str]] = tomllib.loads(
    Path(__file__).with_name("campaign_mutations.toml").read_text(encoding="utf-8")
)
NOT_TEXT = (None, 0, -1, 1, 2**53, 2**63 - 1, 0.1 + 0.2, 1e308, -1e-300, True, False)
CELLS: tuple[Any, ...] = (*WORDS["cells"], "a" * 5000, *NOT_TEXT)
COLUMNS = (*WORDS["columns"], "a" * 300)
NUMBERS, LINES = WORDS["numbers"], WORDS["lines"]

Rows = list[list[Any]]
OnTable = Callable[[Rows, Random], None]


def _name(rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(COLUMNS)
    return rng.choice(rng.choice(exports()).names())


def _column(rows: Rows, rng: Random) -> int:
    return rng.randrange(len(rows[0]))


def _cell(rows: Rows, rng: Random) -> None:
    if len(rows) > 1:
        rows[rng.randrange(1, len(rows))][_column(rows, rng)] = rng.choice(CELLS)


def _cells(rows: Rows, rng: Random) -> None:
    place, cell = _column(rows, rng), rng.choice(CELLS)
    for row in rows[1:]:
        row[place] = cell


def _mixed(rows: Rows, rng: Random) -> None:
    place, some = _column(rows, rng), rng.sample(CELLS, 3)
    for row in rows[1:]:
        row[place] = rng.choice(some)


def _renamed(rows: Rows, rng: Random) -> None:
    rows[0][_column(rows, rng)] = _name(rng)


def _added(rows: Rows, rng: Random) -> None:
    some = rng.sample(CELLS, 2)
    for row in rows:
        row.append(_name(rng) if row is rows[0] else rng.choice(some))


def _dropped(rows: Rows, rng: Random) -> None:
    place = _column(rows, rng)
    if len(rows[0]) > 1:
        for row in rows:
            del row[place]


def _swapped(rows: Rows, rng: Random) -> None:
    one, other = _column(rows, rng), _column(rows, rng)
    rows[0][one], rows[0][other] = rows[0][other], rows[0][one]


def _row_again(rows: Rows, rng: Random) -> None:
    rows.insert(rng.randrange(1, len(rows) + 1), list(rng.choice(rows)))


def _row_gone(rows: Rows, rng: Random) -> None:
    del rows[rng.randrange(len(rows)) if len(rows) > 1 and rng.random() < 0.2 else -1]
    if not rows:
        rows.append(["user_id"])


def _few(rows: Rows, rng: Random) -> None:
    del rows[rng.randrange(1, 4) :]


def _shuffled(rows: Rows, rng: Random) -> None:
    place = _column(rows, rng)
    cells = [row[place] for row in rows[1:]]
    rng.shuffle(cells)
    for row, cell in zip(rows[1:], cells, strict=True):
        row[place] = cell


def _ragged(rows: Rows, rng: Random) -> None:
    row = rng.choice(rows)
    if rng.random() < 0.5 and len(row) > 1:
        del row[-1]
    else:
        row.append(rng.choice(CELLS))


TABLE: tuple[OnTable, ...] = (
    _cell, _cell, _cell, _cells, _cells, _mixed, _renamed, _added, _dropped, _swapped, _row_again, _row_gone,
    _few, _shuffled,
)  # fmt: skip


def _settings(toml: str, rng: Random) -> str:
    lines = toml.splitlines()
    place = rng.randrange(len(lines))
    what = rng.randrange(5)
    if what == 0:
        key, equals, _ = lines[place].partition(" = ")
        lines[place] = f"{key}{equals}{rng.choice(NUMBERS)}" if equals else lines[place]
    elif what == 1:
        del lines[place]
    elif what == 2:
        lines.insert(place, rng.choice(lines))
    else:
        lines += rng.sample(LINES, rng.randrange(1, 4))
    return "\n".join(lines) + "\n"


def _bytes(path: Path, rng: Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(data) + 1)
        what = rng.randrange(4)
        if what == 0:
            del data[place:]
        elif what == 1:
            data[place:place] = rng.randbytes(rng.randrange(1, 5))
        elif what == 2:
            del data[place : place + rng.randrange(1, 40)]
        elif data and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))


def write_mutated(folder: Path, seed: int) -> str:
    """Write the campaign of a seed into a new folder; return the form of its tables."""
    rng = Random(seed)
    form = list(FORMS)[seed % len(FORMS)]
    made = draft()
    tables: dict[str, Rows] = {name: typed(rows) for name, rows in made.tables.items()}
    if rng.random() < 0.75:
        del tables["history"]
    elif rng.random() < 0.4:
        del tables["scores"]
    toml = made.toml
    where = rng.random()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if where < 0.75:
            rng.choice(TABLE)(tables[rng.choice(sorted(tables))], rng)
        elif where < 0.9:
            toml = _settings(toml, rng)
    if rng.random() < 0.03 and where < 0.75:
        _ragged(tables[rng.choice(sorted(tables))], rng)
    folder.mkdir()
    toml += FORMS[form](folder, tables)
    (folder / "campaign.toml").write_text(toml, encoding="utf-8")
    if where >= 0.9:
        _bytes(rng.choice(sorted(folder.iterdir())), rng)
    return form
