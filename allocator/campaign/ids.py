"""Ids that are one in two spellings: across files, where they ought to match, and within one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

Fold = Callable[[pl.Expr], pl.Expr]

SAMPLE = 20_000  # distinct ids by which a cause is found
SAMPLE_OF_EMAILS = 1_000  # rows by which a column of addresses is known
ROUNDED = r"^\d(?:\.\d+)?[eE]\+\d+$"  # 1.23E+12: a spreadsheet's way with long numbers, digits lost
FOLDS: dict[str, Fold] = {
    "letters are in another case": lambda ids: ids.str.to_lowercase(),
    "a decimal point (.0) is added": lambda ids: ids.str.replace(r"\.0+$", ""),
    "leading zeros are lost or added": lambda ids: ids.str.replace(r"^0+(\d)", "$1"),
    "thousands are marked": lambda ids: ids.str.replace_all(r"(\d),(\d\d\d)", "$1$2"),
    "accents or widths are in another form (Unicode)": lambda ids: ids.str.normalize("NFKC"),
    "spaces, quotes or invisible characters are added": lambda ids: ids.str.replace_all(r"[\s\p{Cf}'\"]", ""),
}
"""What other programs do to ids, and how it is undone on both sides."""


@dataclass(frozen=True)
class Mismatch:
    """Ids that match those of another file but for their spelling.

    Parameters
    ----------
    cause
        What differs, in words.
    ids
        Those that would match.
    here, there
        One of them, and how the other file spells it.
    """

    cause: str
    ids: pl.Series
    here: str
    there: str

    def __str__(self) -> str:
        return f"{self.cause}: '{self.here}' here, '{self.there}' there"


def find_mismatch(unknown: pl.Series, known: pl.Series) -> Mismatch | None:
    """Return why distinct ids are not among the known ones, if it is their spelling; None if it is not.

    One cause that explains most is named, else all together.
    """
    some = unknown.head(SAMPLE)
    both = pl.concat([side.head(SAMPLE).alias("id") for side in (unknown, known)])
    folds = {cause: fold for cause, fold in FOLDS.items() if _changes(both, fold)}
    together = _matches(some, known, list(folds.values()))
    if together.is_empty():
        return None
    for cause, fold in folds.items():
        if _matches(some, known, [fold]).height >= 0.9 * together.height:
            return _mismatch(cause, _matches(unknown, known, [fold]))
    closer = [cause for cause, fold in folds.items() if _brings_closer(together, fold)]
    return _mismatch(", and ".join(closer), _matches(unknown, known, list(folds.values())))


def _changes(ids: pl.Series, fold: Fold) -> bool:
    return not ids.to_frame().select(fold(pl.col(ids.name))).to_series().equals(ids)


def _mismatch(cause: str, matches: pl.DataFrame) -> Mismatch:
    return Mismatch(cause, matches["here"], *matches.row(0))


def _matches(some: pl.Series, known: pl.Series, folds: list[Fold]) -> pl.DataFrame:
    """Return the ids that match after some folds, ``here`` and ``there``, in the order of `some`."""
    here, there = (
        pl.DataFrame({name: ids}).with_columns(_folded(pl.col(name), folds).alias("fold"))
        for name, ids in (("here", some), ("there", known))
    )
    there = there.unique("fold", keep="first", maintain_order=True)
    return here.join(there, on="fold", maintain_order="left").select("here", "there")


def _folded(ids: pl.Expr, folds: list[Fold]) -> pl.Expr:
    for fold in folds:
        ids = fold(ids)
    return ids


def _brings_closer(matches: pl.DataFrame, fold: Fold) -> bool:
    """Return whether a fold brings some pair closer: it changes one side of it and not the other alike."""
    here, there = pl.col("here"), pl.col("there")
    return bool(matches.select(((fold(here) != here) != (fold(there) != there)).any()).item())


def rounded(ids: pl.Series) -> str | None:
    """Return an id that a spreadsheet rounded, such as ``1.23E+12``; None if there is none."""
    found = ids.filter(ids.str.contains(ROUNDED))
    return None if found.is_empty() else str(found[0])


def one_in_two_spellings(table: pl.DataFrame, file: str, column: str, what: str) -> list[str]:
    """Say which ids, or e-mails, stand in several rows, but for case; and whether those rows disagree on
    holdout and consent.

    Parameters
    ----------
    table, file, column
        Where they stand.
    what
        A row is taken for this.
    """
    folded = table[column].str.to_lowercase()
    if not (folded.str.len_bytes() == folded.str.len_chars()).all():
        folded = folded.str.normalize("NFKC")
    as_they_are = column.endswith("_id") and bool((folded == table[column]).all())  # ids are there once each
    if as_they_are or folded.n_unique() == len(folded):
        return []
    flags = [name for name in table.columns if name == "holdout" or name.startswith("consent_")]
    apart = [pl.col(name).n_unique() > 1 for name in flags] or [pl.lit(False)]
    groups = (
        table.select(*flags, id=pl.col(column), fold=folded)
        .filter(pl.col("fold").is_not_null() & pl.col("fold").is_duplicated())
        .group_by("fold", maintain_order=True)
        .agg(pl.col("id").head(2), apart=pl.any_horizontal(apart))
    )
    if groups.is_empty():
        return []
    one, other = groups["id"][0].to_list()
    n, disagree = groups.height, int(groups["apart"].sum())
    times = "once" if n == 1 else f"{n:,} times"
    note = (
        f"{file}, {column}: one in several rows, in spellings that differ at most in case, {times}: '{one}' "
        f"and '{other}'; each row is {what} of its own"
    )
    return [f"{note} ({disagree:,} of them disagree on holdout or consent)" if disagree else note]


def email_columns(users: pl.DataFrame) -> list[str]:
    """Return the columns of users, ids apart, that hold e-mail addresses."""
    texts = [name for name in users.columns if name != "user_id" and users.schema[name] == pl.String]
    heads = {name: users[name].head(SAMPLE_OF_EMAILS).drop_nulls() for name in texts}
    return [
        name
        for name, cells in heads.items()
        if len(cells) and cells.str.contains("@").sum() > 0.8 * len(cells)
    ]
