"""What a category, a segment and a tone mean, looked up in the data files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from copygen.untrusted import plain_label, script_of

SITEWIDE = frozenset({"all", "any", "everything", "sitewide", "storewide", "全场", "全部", "全店"})


@dataclass(frozen=True)
class Theme:
    """A category as the copy knows it.

    Parameters
    ----------
    key
        Name in ``data/themes.toml``; ``general`` for anything it does not list.
    names
        How the offer line names the category, by language; empty for an offer on everything.
    """

    key: str
    names: Mapping[str, str]


@cache
def load(name: str) -> dict[str, Any]:
    """Return a data file of this package."""
    return tomllib.loads(files("copygen").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))


@cache
def _aliases() -> dict[str, str]:
    return {alias: key for key, table in load("themes").items() for alias in (key, *table["aliases"])}


def theme_of(category: str | None) -> Theme:
    """Return the theme of a category label.

    The label is named exactly, never by a wider word: by ``data/labels.toml``, or as it stands in
    the language whose script it is written in if it is a few plain words; otherwise, and in the
    other language, it is "selected items".
    """
    label = (category or "").strip().casefold()
    if not label or label in SITEWIDE:
        return Theme("general", {})
    general, exact = load("themes")["general"], load("labels")
    names = {"en": general["en"], "zh": general["zh"]}
    plain = plain_label(label)
    if plain is not None and script_of(plain) == "latin":
        names["en"] = plain
    elif plain is not None and script_of(plain) == "han":
        names["zh"] = plain
        names["en"] = next((english for english, name in exact["zh"].items() if name == plain), names["en"])
    names.update({language: exact[language][label] for language in names if label in exact[language]})
    return Theme(_aliases().get(label, "general"), names)


def other_goods(theme: str, category: str, text: str) -> str | None:
    """Return goods that `text` names although `category` is a narrower part of the theme without them."""
    kinds = [re.compile(kind, re.IGNORECASE) for kind in load("themes")[theme].get("goods", ())]
    others = [kind for kind in kinds if not kind.search(category)]
    named = (kind.search(text) for kind in others) if len(others) < len(kinds) else ()
    return next((match[0] for match in named if match), None)


def persona_of(segment: str) -> str:
    """Return the persona that a segment label names in plain words, else ``everyone``."""
    return _named_in("personas", segment) or "everyone"


def tone_of(tone: str) -> str:
    """Return the tone that the campaign's words name, else ``warm``."""
    return _named_in("tones", tone) or "warm"


def _named_in(table: str, label: str) -> str | None:
    plain = plain_label(label.replace("_", " "))
    if plain is None:
        return None
    words = set(plain.casefold().replace("-", " ").split())
    for key, entry in load("prompts")[table].items():
        for word in entry["words"]:
            if word in words or (script_of(word) == "han" and word in plain):
                return str(key)
    return None
