"""How a predictor reads a column of users, where campaign.toml says so: as an amount or as a category."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from allocator.campaign.columns.meanings import CATEGORY, NUMBER, Meaning
from allocator.campaign.columns.names import key_of
from allocator.errors import Finding

FILE = "campaign.toml"


def readings(meanings: Mapping[str, Meaning], users: pl.DataFrame) -> dict[str, str]:
    """Return ``category`` or ``number`` for each column of users of which ``[columns.users]`` says it."""
    stated = {name: meaning.name for name, meaning in meanings.items() if meaning.name in (CATEGORY, NUMBER)}
    keys = {key_of(name): word for name, word in stated.items()}
    words = {name: stated.get(name) or keys.get(key_of(name)) for name in users.columns}
    return {name: word for name, word in words.items() if word is not None}


def reading_findings(meanings: Mapping[str, Meaning], users: pl.DataFrame) -> list[Finding]:
    """Return a finding for each column that is stated to be a number and holds text."""
    message = f'this column holds text, so it cannot be read as an amount; state "{CATEGORY}", or correct it'
    return [
        Finding(message, FILE, None, f'columns.users."{name}"', repr(_example(users[name])), "numbers")
        for name, word in readings(meanings, users).items()
        if word == NUMBER and users[name].dtype == pl.String and users[name].null_count() < len(users)
    ]


def _example(column: pl.Series) -> str:
    text = column.drop_nulls()
    return str(text.filter(text.cast(pl.Float64, strict=False).is_null()).append(text)[0])
