"""A campaign of a few users as rows of text, which each kind of nonsense spoils in one way."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

USERS = 48
TOML = """\
schema = 1
name = "small"
currency = "EUR"
as_of = 2026-06-01

[objective]
maximize = "incremental_margin"
margin = 0.5

[[limits]]
kind = "budget"
label = "total"
at_most = 6

[copy]
writer = "template"
brand = "Shop"
channels = ["email"]
"""
Cells = str | Sequence[str] | Callable[[int], str]
"""One text for all rows, one each, or by the number of the row (from 0)."""


@dataclass
class Draft:
    """A campaign that is about to be written.

    Parameters
    ----------
    tables
        Rows of each table, the header first.
    toml
        campaign.toml.
    bytes
        Files that are written as they are, in place of those of a table.
    """

    tables: dict[str, list[list[str]]]
    toml: str = TOML
    bytes: dict[str, bytes] = field(default_factory=dict)

    def put(self, table: str, column: str, cells: Cells, rows: Sequence[int] | None = None) -> None:
        """Fill some rows of a column, or all, which is added if it is not there."""
        header, *body = self.tables[table]
        if column not in header:
            for row in self.tables[table]:
                row.append(column if row is header else "")
        place = header.index(column)
        for i in range(len(body)) if rows is None else rows:
            body[i][place] = cells if isinstance(cells, str) else cells(i) if callable(cells) else cells[i]

    def rename(self, table: str, column: str, name: str) -> None:
        """Call a column otherwise."""
        header = self.tables[table][0]
        header[header.index(column)] = name

    def drop(self, table: str, column: str) -> None:
        """Remove a column."""
        place = self.tables[table][0].index(column)
        for row in self.tables[table]:
            del row[place]

    def add(self, table: str, **cells: str) -> None:
        """Add a row: the first one with some other cells."""
        header, first = self.tables[table][:2]
        row = dict(zip(header, first, strict=True)) | cells
        self.tables[table].append([row[name] for name in header])

    def set(self, old: str, new: str) -> None:
        """Replace text of campaign.toml that is there."""
        assert old in self.toml
        self.toml = self.toml.replace(old, new)


def draft(*, learns: bool = True) -> Draft:
    """Return a campaign with which nothing is wrong; if it `learns`, with past sends."""
    ids = [f"u{i:02}" for i in range(USERS)]
    users = [["user_id", "region", "spend", "consent_email"]]
    users += [[user, ("north", "south")[i % 2], f"{12.5 + i}", "1"] for i, user in enumerate(ids)]
    coupons = [
        ["coupon_id", "kind", "value", "max_discount", "min_spend", "code", "starts_at", "ends_at"],
        ["C1", "percent", "10", "20", "", "TEN", "2026-01-31", "2026-12-31"],
        ["C2", "amount", "5", "", "25", "FIVE", "2026-01-31", "2026-12-31"],
    ]
    history = [
        ["user_id", "coupon_id", "sent_at", "propensity", "converted", "redeemed", "revenue", "discount"]
    ]
    for i, user in enumerate(ids):
        coupon = ("C1", "", "C2", "")[i % 4]
        ordered = i % 3 == 0
        taken = ordered and coupon != ""
        history.append(
            [user, coupon, f"2026-03-{i % 28 + 1:02}", "0.25" if coupon else "0.5", str(int(ordered)),
             str(int(taken)), "50" if ordered else "0", "5" if taken else "0"]
        )  # fmt: skip
    scores = [["user_id", "coupon_id", "value", "cost"]]
    scores += [
        [user, coupon, f"{1 + (7 * i + j) % 5}.5", f"{1 + (3 * i + j) % 3}.25"]
        for i, user in enumerate(ids)
        for j, coupon in enumerate(("C1", "C2"))
    ]
    tables = {"users": users, "coupons": coupons, "scores": scores}
    return Draft({**tables, "history": history} if learns else tables)


Spoil = Callable[[Draft], None]


@dataclass(frozen=True)
class Nonsense:
    """One kind of it.

    Parameters
    ----------
    name
        In words.
    says
        What a finding, a note or who may be reached must say of it, as a pattern.
    spoil
        Does it to a draft.
    learns
        Whether there are past sends to learn from, beside the scores.
    text_only
        Whether only files of text can hold it: other forms have no such cells, or no such names.
    """

    name: str
    says: re.Pattern[str]
    spoil: Spoil
    learns: bool = False
    text_only: bool = False

    def made(self) -> Draft:
        """Return a draft that is spoilt so."""
        spoilt = draft(learns=self.learns)
        self.spoil(spoilt)
        return spoilt


KINDS: dict[str, Nonsense] = {}


def nonsense(says: str, *, learns: bool = False, text_only: bool = False) -> Callable[[Spoil], Spoil]:
    """Keep a function that spoils a draft under its name; `says` is what must be said of it."""

    def keep(spoil: Spoil) -> Spoil:
        name = spoil.__name__.replace("_", " ")
        assert name not in KINDS
        KINDS[name] = Nonsense(name, re.compile(says, re.IGNORECASE | re.DOTALL), spoil, learns, text_only)
        return spoil

    return keep


of_history = partial(nonsense, learns=True)
