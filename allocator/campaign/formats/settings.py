"""``[tables]`` and ``[format]`` of campaign.toml: where tables come from, and how their cells are written."""

from __future__ import annotations

from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

TABLES = ("users", "coupons", "history", "events", "orders", "scores")
Place = Annotated[str, Field(min_length=1)]
Dates = Literal["day-first", "month-first", "iso"]


class Tables(BaseModel):
    """``[tables]``: where each table comes from, in place of a file of its name.

    A file, beside campaign.toml or with its path; ``book.xlsx#Sheet`` for a sheet; ``shop.duckdb#table``,
    ``shop.sqlite#table`` or ``postgresql://host/database#table`` for a table of a database, or a query in
    place of its name. ``${NAME}`` stands for an environment variable.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    users: Place | None = None
    coupons: Place | None = None
    history: Place | None = None
    events: Place | None = None
    orders: Place | None = None
    scores: Place | None = None

    def of(self, table: str) -> str | None:
        """Return where a table comes from; None if that is not stated."""
        return cast("str | None", getattr(self, table, None))


class TableFormat(BaseModel):
    """How the cells of one table are written; what is left out is found out where it is sure.

    `skip_rows` are the lines before the header.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] | None = None
    thousands: Literal[".", ",", " ", "'", ""] | None = None
    dates: Dates | None = None
    encoding: str | None = None
    skip_rows: int | None = Field(default=None, ge=0, le=1000)

    @field_validator("delimiter")
    @classmethod
    def _parts_cells(cls, mark: str | None) -> str | None:
        if mark is not None and (mark.isalnum() or mark in "\"'\r\n." or not mark.isascii()):
            raise ValueError('a delimiter is one mark between cells, such as ",", ";", "|" or "\\t"')
        return mark

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        try:
            "".encode(name or "utf-8")
        except LookupError:
            known = "utf-8, utf-16, windows-1252, iso-8859-15, gb18030, big5, shift_jis"
            raise ValueError(f"there is no such encoding; known are {known} and others") from None
        return name

    @model_validator(mode="after")
    def _marks_differ(self) -> Self:
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError("decimal and thousands must be different marks")
        return self

    def stated(self) -> dict[str, object]:
        """Return the keys that are stated."""
        return {
            name: value for name in TableFormat.model_fields if (value := getattr(self, name)) is not None
        }


class Format(TableFormat):
    """``[format]``: how the cells of all tables are written; ``[format.users]`` and the like of one."""

    users: TableFormat = TableFormat()
    coupons: TableFormat = TableFormat()
    history: TableFormat = TableFormat()
    events: TableFormat = TableFormat()
    orders: TableFormat = TableFormat()
    scores: TableFormat = TableFormat()

    def own(self, table: str) -> TableFormat:
        """Return what is stated of one table alone."""
        return cast("TableFormat", getattr(self, table, TableFormat()))

    def of(self, table: str) -> TableFormat:
        """Return what holds for a table: what is stated of it, else what is stated of all."""
        own = self.own(table).stated()
        every = self.stated()
        if {"decimal", "thousands"} & own.keys():  # marks belong together
            every = {name: value for name, value in every.items() if name not in ("decimal", "thousands")}
        return TableFormat.model_validate({**every, **own})
