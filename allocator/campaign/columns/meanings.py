"""``[columns]`` in campaign.toml: what a file's columns mean, where their names do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

TableName = Literal["users", "coupons", "history", "events", "orders", "scores"]
FEATURE, IGNORE, ALL_OTHERS = "feature", "ignore", "*"
CATEGORY, NUMBER = "category", "number"
FEATURES = (FEATURE, CATEGORY, NUMBER)
"""What a column of users can be that only predictors read: the last two say how they read it."""


class Meaning(BaseModel):
    """What one column of a file is: a name alone, several, or a table that says more.

    Parameters
    ----------
    is_
        Names of the table's columns; of users also ``consent_email`` and the like, ``feature``, or
        ``category`` or ``number`` for a feature that predictors are to read as such; ``ignore``.
    values
        What cells mean, by what stands in them in any case and spacing: ``{ Expired = "no" }``.
    unit
        ``cents`` where amounts are hundredths of the currency's unit, ``one`` where they are not.
    sign
        ``minus`` where amounts that are taken off are written as negative numbers.
    only
        Only rows with one of these cells are read, in any case and spacing.
    blank
        ``skip``: rows whose cell is empty are not read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    is_: tuple[Annotated[str, Field(min_length=1)], ...] = Field(alias="is", min_length=1)
    values: dict[str, str] = {}
    unit: Literal["one", "cents"] = "one"
    sign: Literal["plus", "minus"] = "plus"
    only: tuple[str, ...] = ()
    blank: Literal["keep", "skip"] = "keep"

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.is_[0]


def meaning_as(*names: str) -> Meaning:
    """Return what a column is whose cells stand for themselves."""
    return Meaning.model_validate({"is": names})


def _whole(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        value = {"is": value}
    if isinstance(value, dict) and isinstance(value.get("is"), str | list):
        names = value["is"]
        value = {**value, "is": (names,) if isinstance(names, str) else tuple(names)}
    if isinstance(value, dict) and isinstance(value.get("only"), list):
        value = {**value, "only": tuple(value["only"])}
    return value


def _single(meaning: Meaning) -> Meaning:
    if len(meaning.is_) > 1 and {*FEATURES, IGNORE} & set(meaning.is_):
        raise ValueError("a column that is several things cannot be a feature or ignored, too")
    return meaning


Meanings = dict[str, Annotated[Meaning, BeforeValidator(_whole), AfterValidator(_single)]]
Columns = dict[TableName, Meanings]

NOTHING: Mapping[str, Meaning] = {}
