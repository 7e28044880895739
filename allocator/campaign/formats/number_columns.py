"""One column of numbers as people write them: what is sure of it, what is not, and its cells respelled."""

from __future__ import annotations

from functools import cached_property

import polars as pl

from allocator.campaign.formats import numbers
from allocator.campaign.formats.currencies import currencies_of
from allocator.campaign.formats.raw import FIRST_ROW, Place
from allocator.campaign.formats.settings import TableFormat
from allocator.errors import Finding

MOSTLY = 0.95  # of a free column's cells are numbers with marks and signs: then it holds numbers
SAMPLE = 50  # cells of a free column that tell a label at once
POINT, COMMA = "a decimal point", "a decimal comma"


class NumberColumn:
    """A column that holds numbers, or may.

    Parameters
    ----------
    text
        Its cells; null where empty.
    kind
        ``number``, ``money``, ``offer``, ``share`` or ``feature``.
    keys
        What is stated of the table.
    currency
        The campaign's.
    stored
        Types of its cells that the source knows.
    plain
        Whether every cell is a number as programs write it; found out unless given.
    """

    def __init__(
        self,
        text: pl.Series,
        kind: str,
        keys: TableFormat,
        currency: str | None,
        stored: frozenset[str],
        plain: bool | None = None,
    ) -> None:
        self.name, self.text, self.kind = text.name, text, kind
        self._keys, self._currency, self._stored = keys, currency, stored
        self._plain = numbers.as_plain(text) is not None if plain is None else plain

    @cached_property
    def is_number(self) -> bool:
        """Whether its cells are numbers that may have to be respelled."""
        if self._stored and "text" not in self._stored:
            return False
        if self._plain:
            return numbers.first(self.text, r"\.") is not None
        if self.kind != "feature":
            return True
        if self._share(self.text.drop_nulls().head(SAMPLE)) < 0.5:
            return False
        return self._share(self.text) >= MOSTLY

    def _share(self, text: pl.Series) -> float:
        """Return the share of cells that are numbers with marks and signs of their own or this currency."""
        parts = numbers.split(text)
        signs = parts["currency"].drop_nulls().unique().to_list()
        known = [sign for sign in signs if self._is_sign(sign)]
        ours = parts["currency"].is_null() | parts["currency"].is_in(known)
        count = len(text) - text.null_count()
        return float((parts["core"].is_not_null() & ours).sum()) / count if count else 0.0

    def _is_sign(self, sign: str) -> bool:
        codes = currencies_of(sign)
        return bool(codes) and (not sign.isalpha() or self._currency in codes)

    @cached_property
    def signs(self) -> pl.DataFrame:
        """Core, sign, currency and percent sign of each cell."""
        return numbers.split(self.text)

    @cached_property
    def evidence(self) -> numbers.Evidence:
        """What the cells say of the decimal mark."""
        if not self.is_number:
            return numbers.Evidence()
        found = numbers.plain_evidence(self.text) if self._plain else numbers.evidence(self.signs["core"])
        if self._keys.thousands is not None and self._keys.thousands not in (".", ","):
            core = self.text if self._plain else self.signs["core"]
            found = numbers.Evidence(*(numbers.first(core, mark) for mark in (r"\.", ",")))
        if "number" in self._stored and found.point is None:
            return numbers.Evidence(0, found.comma, found.either)  # the source's own numbers have a point
        return found

    @property
    def mark(self) -> numbers.Mark | None:
        """The decimal mark that is sure, stated or not."""
        return self._stated or self.evidence.mark

    @property
    def _stated(self) -> numbers.Mark | None:
        if self._keys.decimal is not None:
            return self._keys.decimal
        return {".": ",", ",": "."}.get(self._keys.thousands or "")  # type: ignore[return-value]

    def check(self, of_file: numbers.Mark | None) -> list[Finding]:
        """Return what is unsure, or cannot be meant.

        Parameters
        ----------
        of_file
            The decimal mark that other columns of the file are sure of.
        """
        if not self.is_number:
            return []
        found = self.evidence
        if "number" in self._stored and found.comma is not None:
            message = "the column holds numbers, and text that is a number with a decimal comma"
            return [self.at(found.comma, message, "a number, as in other rows")]
        if self._stated is None and found.point is not None and found.comma is not None:
            message = "numbers are written in two ways in this column: this one has"
            expected = "one way of writing numbers in the column"
            return [
                self.at(found.point, f"{message} {POINT}", expected),
                self.at(found.comma, f"{message} {COMMA}", expected),
            ]
        if self.mark is None and of_file is None and found.either is not None:
            cell = self.signs["core"][found.either]
            whole = cell.replace(".", "").replace(",", "")
            either = f"this may be {whole} or {cell.replace(',', '.')}"
            message = f"{either}, and no row says which; state the decimal mark under [format]"
            return [self.at(found.either, message, '[format] decimal = "." or ","')]
        return [] if self._plain else [*self._currency_findings(), *self._percent_findings()]

    def respell(self, of_file: numbers.Mark | None) -> pl.Series | None:
        """Return the cells with a decimal point and no other mark or sign; None if they are so already."""
        decimal = self.mark or of_file or "."
        if not self.is_number or (self._plain and decimal == "."):
            return None
        number = numbers.respell(self.signs, decimal, self._keys.thousands)
        refused = pl.lit(False)
        if self.kind in ("number", "share"):
            refused = pl.col("currency").is_not_null()
        if self.kind in ("number", "money"):
            refused |= pl.col("percent")
        unknown = [sign for sign in self._all_signs if not currencies_of(sign)]
        refused |= pl.col("currency").is_in(unknown).fill_null(False)
        if self.kind == "share":
            hundredth = (number.cast(pl.Float64, strict=False) / 100).cast(pl.String)
            number = pl.select(pl.when(self.signs["percent"]).then(hundredth).otherwise(number)).to_series()
        frame = self.signs.with_columns(number=number, text=self.text)
        kept = pl.when(refused | pl.col("number").is_null()).then("text").otherwise("number")
        return frame.select(kept.alias(self.name)).to_series()

    @cached_property
    def _all_signs(self) -> list[str]:
        return self.signs["currency"].drop_nulls().unique(maintain_order=True).to_list()

    def _currency_findings(self) -> list[Finding]:
        known = {sign: codes for sign in self._all_signs if (codes := currencies_of(sign))}
        if self.kind in ("number", "share") or not known:
            return []
        first = {sign: int((self.signs["currency"] == sign).arg_true()[0]) for sign in known}
        if not frozenset.intersection(*known.values()):
            message = "there is more than one currency in this column"
            return [self.at(i, message, self._currency or "one currency") for i in first.values()]
        if self.kind == "feature" or self._currency is None:
            return []
        return [
            self.at(first[sign], "this amount is in another currency than the campaign", self._currency)
            for sign, codes in known.items()
            if self._currency not in codes
        ]

    def _percent_findings(self) -> list[Finding]:
        signed, is_number = self.signs["percent"], self.signs["core"].is_not_null()
        if not signed.any():
            return []
        if self.kind == "money":
            return [
                self.at(i, "a percent sign in a column of amounts", "an amount")
                for i in signed.arg_true()[:1]
            ]
        bare = (is_number & ~signed).arg_true()
        if self.kind in ("share", "feature") and len(bare):
            message = "some numbers have a percent sign and others have none, so that 0.1 may be 10 %"
            expected = "a sign in every row, or in none"
            return [self.at(i, message, expected) for i in (int(signed.arg_true()[0]), int(bare[0]))]
        return []

    def understood(self, place: Place) -> list[str]:
        """Return what was found out of the column and is not as in a plain file, as parts of a sentence."""
        found, words = self.evidence, []
        if self._stated is None and found.comma is not None:
            words.append(f"decimal commas ({self._shown(found.comma, place)})")
        if self.kind == "feature" and not self._plain:
            if self.signs["percent"].any():
                words.append(f"percent signs left off in {self.name}")
            if self._all_signs:
                words.append(f"{self._all_signs[0]} left off in {self.name}")
        return words

    def _shown(self, i: int, place: Place) -> str:
        row = place.rows.row(i)
        return f"'{self.text[i]}'" + (f" in row {row:,}" if row is not None else "")

    def at(self, i: int, message: str, expected: str) -> Finding:
        """Return a finding on a cell."""
        return Finding(message, None, i + FIRST_ROW, self.name, repr(self.text[i]), expected)
