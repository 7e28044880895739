"""The finished message: facts by construction, around a hook or without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from allocator.plugins.copy import Brief
from copygen import numbers_and_dates
from copygen.facts import Facts
from copygen.phrases import (
    ADVERTISING_MARK,
    CHINESE_SIGNATURE,
    DATES,
    FULL_STOP,
    NOTICES,
    OFFER,
    PARTS,
    SIGNATURE,
)
from copygen.themes import Theme

__all__ = ["PARTS", "compose"]

SLOT = re.compile(r"\[(\w+)\]")
# A sentence in angle brackets is dropped if one of its slots is empty.
OPTIONAL = re.compile(r"<([^<>]*)>")


def compose(brief: Brief, facts: Facts, theme: Theme, hook: str | None = None) -> dict[str, str]:
    """Return the parts of the message for `brief`, stating `facts` around `hook`.

    Parameters
    ----------
    brief, facts, theme
        What to say, to whom and where; `theme` names the category, if the offer has one.
    hook
        A sentence without facts and without its full stop; None for the bare template.
    """
    locale = brief.locale or brief.language
    script = "zh-Hant" if numbers_and_dates.is_traditional(locale) else brief.language
    slots = {**_facts(facts, theme, locale, script), **_sender(brief, locale, script)}
    # A question needs no full stop.
    slots["sentence"] = hook + ("" if hook[-1] in "?？" else FULL_STOP[script]) if hook else ""
    slots["headline"] = hook or slots["offer"]
    return {part: _fill(text, slots) for part, text in PARTS[brief.channel, script].items()}


def _facts(facts: Facts, theme: Theme, locale: str, script: str) -> dict[str, str]:
    language = numbers_and_dates.language_of(locale)
    name = theme.names.get(language, "")

    def money(value: Decimal | None) -> str:
        return "" if value is None else numbers_and_dates.money(value, facts.currency, locale)

    percent = facts.kind == "percent"
    offer = {
        "off": numbers_and_dates.percent_off(facts.value, locale) if percent else money(facts.value),
        "on": f" {'on ' if facts.kind == 'free_shipping' else ''}{name}" if name else "",
        "of": name,
    }
    return {
        "offer": _fill(OFFER[script][facts.kind], offer),
        "minimum": money(facts.minimum),
        "cap": money(facts.cap),
        "code": facts.code or "",
        **_dates(facts, locale),
    }


def _dates(facts: Facts, locale: str) -> dict[str, str]:
    """Return the period, and the deadline: its last day, else its first, where there is room for one date."""
    days = {"first": facts.starts, "last": facts.ends}
    slots = {
        name: numbers_and_dates.date(day, facts.currency, locale) if day else "" for name, day in days.items()
    }
    words = DATES[numbers_and_dates.language_of(locale)]
    only = "until" if facts.ends else "from"
    period = words["both" if facts.starts and facts.ends else only]
    if facts.starts is None and facts.ends is None:
        return {"period": "", "deadline": ""}
    return {"period": _fill(period, slots), "deadline": _fill(words[only], slots)}


def _sender(brief: Brief, locale: str, script: str) -> dict[str, str]:
    """Return who writes, how to stop it, and the mark of an advertisement, as the country wants them."""
    # Chinese without a region is the mainland's.
    country = numbers_and_dates.region_of(locale) or ("CN" if script == "zh" else "")
    brand = {"brand": " ".join(brief.brand.split())}
    notices = NOTICES.get((brief.channel, script), {})
    return {
        **brand,
        "sender": _fill(CHINESE_SIGNATURE if country == "CN" else SIGNATURE[script], brand),
        "notice": " ".join(brief.opt_out.split()) or notices.get(country, notices.get("", "")),
        "mark": ADVERTISING_MARK[script] if country == "CN" else "",
    }


def _fill(text: str, slots: Mapping[str, str]) -> str:
    """Fill the slots in one pass; what a slot holds is never read as a pattern."""
    pieces: list[str] = []
    for i, piece in enumerate(OPTIONAL.split(text)):
        names = SLOT.findall(piece)
        if i % 2 and not all(slots[name] for name in names):
            continue
        pieces.append(SLOT.sub(lambda match: slots[match[1]], piece))
    return "".join(pieces)
