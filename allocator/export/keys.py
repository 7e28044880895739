"""By what a tool knows each user: taken from the table of users when it is needed, and kept nowhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.columns.meanings import NOTHING
from allocator.campaign.config import table_settings
from allocator.campaign.formats import FIRST_ROW, Place, open_table
from allocator.campaign.naming import name_columns
from allocator.campaign.schema import USERS
from allocator.campaign.table_files import find_table
from allocator.campaign.tables import clean_text
from allocator.errors import Finding, InputError
from allocator.export.tool import KeyKind, Tool

EMAIL = r"^[^\s@,;<>\"()]+@[^\s@,;<>\"()]+\.[^\s@,;<>\".()]+$"
LONGEST_EMAIL = 254
PHONE = r"^\+[1-9]\d{6,14}$"  # E.164
BETWEEN_DIGITS = r"[\s./()-]"
NAMED: dict[KeyKind, tuple[str, ...]] = {
    "email": ("email", "emailaddress", "mail", "customeremail", "contactemail"),
    "phone": ("phone", "phonenumber", "mobile", "mobilenumber", "mobilephone", "cellphone"),
}
"""Names of columns, their letters alone, that are taken for keys unless others are named."""
WORDS: dict[KeyKind, str] = {"id": "ids", "email": "e-mail addresses", "phone": "phone numbers"}
EXPECTED: dict[KeyKind, str] = {
    "id": "an id",
    "email": "an address such as ann@example.com",
    "phone": "a number with its country's code, such as +4915112345678",
}


NO_KEY = "no key for the tool"
SHARED_KEY = "the key of several users, whom the tool takes for one"


@dataclass(frozen=True)
class Unusable:
    """A user whom the tool cannot know, why, and where that is seen."""

    user: str
    why: str
    finding: Finding


@dataclass(frozen=True)
class Keys:
    """The keys of users.

    Parameters
    ----------
    frame
        ``user``, the campaign's id of them, and a column for each kind of key; null where none can be used.
    columns
        The column that each kind was taken from.
    place
        Where the table of users stands; record i of it is row i of `frame`.
    cells
        What stands in those columns.
    header
        All columns of the table of users.
    unsure
        Columns that could each hold a kind, where several could and none was named.
    """

    frame: pl.DataFrame
    columns: Mapping[KeyKind, str]
    place: Place
    cells: pl.DataFrame
    header: tuple[str, ...] = ()
    unsure: Mapping[KeyKind, Sequence[str]] = field(default_factory=dict)

    def lacking(self, kind: KeyKind, users: pl.Series) -> list[Unusable]:
        """Return those of some users who have no key of a kind that can be used."""
        return self._unusable(self.frame[kind].is_null(), kind, users, NO_KEY, EXPECTED[kind])

    def shared(self, kind: KeyKind, users: pl.Series) -> list[Unusable]:
        """Return those of some users whose key is that of another user, too."""
        folded = self.frame[kind].str.to_lowercase()
        twice = folded.is_not_null() & folded.is_duplicated()
        return self._unusable(twice, kind, users, SHARED_KEY, None)

    def _unusable(
        self, wrong: pl.Series, kind: KeyKind, users: pl.Series, why: str, expected: str | None
    ) -> list[Unusable]:
        rows = (wrong & self.frame["user"].is_in(users.implode())).arg_true().to_list()
        column, cells, ids = self.columns[kind], self.cells[kind], self.frame["user"]
        return [
            Unusable(
                ids[row],
                why,
                self.place.of(
                    Finding(
                        f"{why} (user {ids[row]})",
                        row=row + FIRST_ROW,
                        column=column,
                        found=_shown(cells[row]),
                        expected=expected,
                    )
                ),
            )
            for row in rows
        ]


def take_keys(campaign: Campaign, named: Mapping[KeyKind, str]) -> Keys:
    """Take users' keys from the table of users.

    Parameters
    ----------
    campaign
        Whose users.
    named
        Columns by what they hold. Ids are those of users unless one is named; a column of addresses or phone
        numbers is taken by its name, if one column has such a name.

    Raises
    ------
    InputError
        If a column that was named is not there.
    """
    table, ids, place = _users(campaign)
    found: dict[KeyKind, str] = {"id": ids}
    guesses = {kind: _guesses(table, kind, ids) for kind in NAMED}
    for kind, names in guesses.items():
        if len(names) == 1:
            found[kind] = names[0]
    for kind, name in named.items():
        found[kind] = _column(table, kind, name, place)
    columns = [pl.col(name).alias(kind) for kind, name in found.items()]
    cells = table.select(pl.col(ids).alias("user"), *columns)
    order = campaign.users.select(user="user_id")
    if cells.height != order.height or not cells["user"].equals(order["user"]):
        cells = order.join(cells, on="user", how="left", maintain_order="left")
        place = Place(place.name)  # rows were left out, so that the rest stand elsewhere
    clean = [_cleaned(cells[kind], kind) for kind in found]
    unsure = {kind: names for kind, names in guesses.items() if kind not in found and names}
    return Keys(pl.DataFrame([cells["user"], *clean]), found, place, cells, tuple(table.columns), unsure)


def key_of(tool: Tool, keys: Keys, named: Collection[KeyKind]) -> KeyKind:
    """Return by what a tool is to know people: what was named, else the first that is there.

    Raises
    ------
    InputError
        If there is nothing, or something was named that is no key of the tool.
    """
    usable = [*tool.keys, *(kind for kind, _ in tool.beside.values())]
    if strange := [kind for kind in named if kind not in usable]:
        kinds = " or ".join(f"--{kind}" for kind in dict.fromkeys(usable))
        message = f"{tool.title} does not know people by this; name {kinds}"
        raise InputError([Finding(message, column=f"--{kind}") for kind in strange])
    if of_tool := [kind for kind in tool.keys if kind in named]:
        return of_tool[0]
    for kind in tool.keys:
        if kind == "id" and not tool.own_id:
            continue
        if kind in keys.columns:
            return kind
        _require_sure(keys, kind)
    kinds = " or ".join(f"--{kind} COLUMN" for kind in tool.keys)
    message = f"no column is sure to hold what {tool.title} knows people by; name it with {kinds}"
    columns = ", ".join(keys.header)[:200]
    raise InputError(
        Finding(message, keys.place.name, found=columns, expected=" or ".join(tool.keys.values()))
    )


def require_kind(keys: Keys, kind: KeyKind, why: str) -> None:
    """Raise InputError if there is no column for a kind of key."""
    _require_sure(keys, kind)
    if kind not in keys.columns:
        message = f"no column is sure to hold {WORDS[kind]}, which {why}; name it with --{kind} COLUMN"
        raise InputError(Finding(message, keys.place.name, found=", ".join(keys.header)[:200]))


def match_form(cells: pl.Series, kind: KeyKind) -> pl.Series:
    """Return keys in the form in which they are compared: addresses in any case, numbers by their digits."""
    if kind == "phone":
        digits = cells.str.replace_all(r"\D", "")
        return pl.select(pl.when(digits != "").then("+" + digits)).to_series().alias(kind)
    return (cells.str.to_lowercase() if kind == "email" else cells).alias(kind)


def _require_sure(keys: Keys, kind: KeyKind) -> None:
    if kind in keys.unsure:
        names = ", ".join(keys.unsure[kind])
        message = f"several columns could hold {WORDS[kind]}: {names}; name one with --{kind} COLUMN"
        raise InputError(Finding(message, keys.place.name))


def _users(campaign: Campaign) -> tuple[pl.DataFrame, str, Place]:
    """Return the table of users as it stands in its file, its column of ids, and where it stands."""
    settings = table_settings(campaign.folder)
    assert settings is not None  # the campaign was read
    tables, formats, columns = settings
    source = find_table(campaign.folder, USERS, tables)
    assert source is not None
    raw = open_table(source, formats.of(USERS.name))
    table = clean_text(raw.frame, raw.name)
    named = name_columns(table, USERS, raw.name, columns.get("users", NOTHING))
    ids = named.origin.get("user_id")
    if named.rows is not None:
        table = table[named.rows]
    if ids is None or not campaign.users["user_id"].is_in(table[ids].implode()).all():
        message = "the ids of users are not found in this table any more; run again"
        raise InputError(Finding(message, raw.place.name))
    return table, ids, raw.place


def _column(table: pl.DataFrame, kind: KeyKind, name: str, place: Place) -> str:
    if name in table.columns:
        return name
    close = difflib.get_close_matches(name, table.columns, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    message = f"there is no column '{name}' for --{kind}{hint}"
    raise InputError(Finding(message, place.name, found=", ".join(table.columns)[:200]))


def _guesses(table: pl.DataFrame, kind: KeyKind, ids: str) -> list[str]:
    """Return the columns whose names say that they hold such keys; that of ids if all are addresses."""
    plain = {name: re.sub(r"[^a-z]", "", name.casefold()) for name in table.columns}
    found = [name for name, letters in plain.items() if letters in NAMED[kind]]
    if not found and kind == "email" and table[ids].str.contains(EMAIL).fill_null(True).all():
        return [ids]
    return found


def _cleaned(cells: pl.Series, kind: KeyKind) -> pl.Series:
    """Return keys in the form that tools want; null where a cell holds none."""
    if kind == "id":
        return cells.alias(kind)
    if kind == "email":
        good = cells.str.contains(EMAIL) & (cells.str.len_chars() <= LONGEST_EMAIL)
    else:
        national = cells.str.contains("(0)", literal=True)  # +44 (0)20: the 0 is not dialled from abroad
        cells = cells.str.replace_all(BETWEEN_DIGITS, "")
        good = cells.str.contains(PHONE) & ~national
    return pl.select(pl.when(good).then(cells)).to_series().alias(kind)


def _shown(cell: str | None) -> str:
    return "nothing" if cell is None else repr(cell)
