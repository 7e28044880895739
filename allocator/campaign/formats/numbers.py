"""Numbers as people write them -> numbers with a decimal point: marks, signs, currencies, percent.

Whether ``1.234`` is a thousand or little more than one depends on where it was written. It is read only if
the file, or campaign.toml, says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

Mark = Literal[".", ","]
# Between thousands whatever the decimal mark is: apostrophes, and spaces, also those that do not break.
NEUTRAL = r"'’\x{20}\x{a0}\x{2009}\x{202f}"
DASH = r"\-\x{2212}"
CURRENCY = rf"[^\d\s.,'’()+{DASH}%٪％:/_@#]{{1,4}}\.?"
# A sign or parentheses, a currency before or behind, a percent sign behind.
PARTS = (
    rf"^(?P<open>\()?\s*(?P<sign>[+{DASH}])?\s*(?P<before>{CURRENCY})?\s*(?P<inner>[+{DASH}])?\s*"
    rf"(?P<core>[0-9.,](?:[0-9.,{NEUTRAL}]*[0-9.,])?(?:[eE][+\-]?[0-9]{{1,3}})?)"
    rf"\s*(?P<percent>[%٪％])?\s*(?P<behind>{CURRENCY})?\s*(?P<close>\))?$"
)


def _groups(mark: str) -> str:
    """Digits in groups of three, or in India's of two before the last three."""
    return rf"[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}"


NEUTRAL_GROUPS = _groups(f"[{NEUTRAL}]")


def _certain(decimal: str, other: str) -> str:
    """Match what can only be read with this decimal mark."""
    d, o = rf"\{decimal}", rf"\{other}"
    return "|".join(
        (
            rf"^{_groups(o)}{d}[0-9]*$",  # 1,234.56
            rf"^[0-9]{{1,3}}(?:{o}[0-9]{{2,3}})+{o}[0-9]{{3}}$",  # 1,234,567
            rf"^{NEUTRAL_GROUPS}{d}[0-9]*$",  # 1 234.567
            rf"^(?:0[0-9]*|[0-9]{{4,}})?{d}[0-9]+$",  # 0.123, .5, 1234.567
            rf"^[0-9]+{d}(?:[0-9]{{0,2}}|[0-9]{{4,}})$",  # 1.5, 1.2345
            rf"^[0-9]*{d}[0-9]*[eE][+\-]?[0-9]+$",  # 1.234e-5
        )
    )


CERTAIN: dict[Mark, str] = {".": _certain(".", ","), ",": _certain(",", ".")}
HEAD = 1000  # cells among which most columns have what is looked for
OPEN = r"^[1-9][0-9]{0,2}[.,][0-9]{3}$"
EXPONENT = r"(?:[eE][+\-]?[0-9]+)?"


def _spelling(decimal: Mark, thousands: str | None) -> str:
    """Match numbers with a decimal mark and, between thousands, the mark that is stated or any other."""
    groups = []
    if thousands is None:
        groups = [_groups(r"\." if decimal == "," else ","), NEUTRAL_GROUPS]
    elif thousands in ("'", " "):
        groups = [_groups("['’]" if thousands == "'" else f"[{NEUTRAL[2:]}]")]
    elif thousands:
        groups = [_groups(rf"\{thousands}")]
    whole = "|".join(["[0-9]+", *groups])
    return rf"^(?:(?:{whole})(?:\{decimal}[0-9]*)?|\{decimal}[0-9]+){EXPONENT}$"


@dataclass(frozen=True)
class Evidence:
    """What the cells of a column say of its decimal mark.

    Parameters
    ----------
    point, comma
        Index of a cell that can only have this decimal mark.
    either
        Index of a cell that may have either; None if there is none.
    """

    point: int | None = None
    comma: int | None = None
    either: int | None = None

    @property
    def mark(self) -> Mark | None:
        """The mark that is sure; None if none is, or both are."""
        if (self.point is None) == (self.comma is None):
            return None
        return "." if self.comma is None else ","


def as_plain(text: pl.Series) -> pl.Series | None:
    """Return a column of numbers as programs write them, as numbers; None if a cell is anything else."""
    number = text if text.dtype.is_float() else text.cast(pl.Float64, strict=False)
    return number if number.null_count() == text.null_count() else None


def split(text: pl.Series) -> pl.DataFrame:
    """Return the sign, currency, digits with their marks, and percent sign of each cell."""
    parts = text.str.extract_groups(PARTS).struct.unnest()
    matched = pl.col("open").is_null() == pl.col("close").is_null()
    signs = pl.sum_horizontal(pl.col("open", "sign", "inner").is_not_null())
    minus = pl.coalesce("sign", "inner").is_in(["-", "\u2212"]).fill_null(False)
    one_currency = pl.col("before").is_null() | pl.col("behind").is_null()
    whole = matched & (signs <= 1) & one_currency
    return parts.select(
        core=pl.when(whole).then("core"),
        negative=minus | pl.col("open").is_not_null(),
        currency=pl.when(whole).then(pl.coalesce("before", "behind")),
        percent=pl.col("percent").is_not_null(),
    )


def evidence(core: pl.Series) -> Evidence:
    """Return what cells say of the decimal mark.

    Parameters
    ----------
    core
        Digits and marks, without sign, currency and percent sign.
    """
    return Evidence(
        first(core, CERTAIN["."]),
        first(core, CERTAIN[","]),
        first(core, OPEN),
    )


def plain_evidence(text: pl.Series) -> Evidence:
    """As `evidence`, of cells that are numbers with a decimal point or none, and perhaps a sign."""
    for part in (text.head(HEAD), text):
        core = part.str.strip_chars_start("+-")
        if (point := first(core, CERTAIN["."])) is not None:
            return Evidence(point)
    return Evidence(None, None, first(core, OPEN))


def first(core: pl.Series, pattern: str) -> int | None:
    """Return the index of the first cell that matches; most columns have one among their first."""
    for part in (core.head(HEAD), core):
        found = part.str.contains(pattern).fill_null(False).arg_true()
        if len(found):
            return int(found[0])
    return None


def respell(parts: pl.DataFrame, decimal: Mark, thousands: str | None) -> pl.Series:
    """Return numbers with a decimal point and no other marks; null where a cell is none."""
    other = "." if decimal == "," else ","
    digits = pl.col("core").str.replace_all(rf"[\{other}{NEUTRAL}]", "")
    digits = digits.str.replace(",", ".", literal=True) if decimal == "," else digits
    fits = pl.col("core").str.contains(_spelling(decimal, thousands))
    signed = pl.when("negative").then("-" + digits).otherwise(digits)
    return parts.select(pl.when(fits).then(signed)).to_series()
