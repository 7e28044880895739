"""The finished message: facts by construction, around a hook or without one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from allocator.protocols import Brief
from copygen import formatting
from copygen.facts import Facts
from copygen.themes import Theme

SLOT = re.compile(r"\[(\w+)\]")
# A sentence in angle brackets is dropped if one of its slots is empty.
OPTIONAL = re.compile(r"<([^<>]*)>")

OFFER = {
    "en": {"percent": "[off][on]", "amount": "[off] off[on]", "free_shipping": "Free shipping[on]"},
    "zh": {"percent": "[of][off]", "amount": "[of]立减[off]", "free_shipping": "[of]免运费"},
}

# What follows the offer in one line: minimum, cap and code.
TERMS = {
    "en": "[offer]< on orders of [minimum] or more><, up to [cap] off>.< Code: [code].>",
    "zh": "[offer]<，满[minimum]可用><，最高减[cap]><，优惠码：[code]>",
}
PARTS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("sms", "en"): {
        "body": "[brand]: <[hook]. >" + TERMS["en"] + "< Valid [period].> Reply STOP to opt out",
    },
    ("sms", "zh"): {
        "body": "【[brand]】<[hook]。>" + TERMS["zh"] + "<，[period]>。拒收请回复R",
    },
    ("push", "en"): {"title": "[headline]", "body": TERMS["en"] + "< Valid [deadline].>"},
    ("push", "zh"): {"title": "[headline]", "body": TERMS["zh"] + "<，[deadline]>。"},
    ("in_app", "en"): {"title": "[headline]", "body": TERMS["en"] + "< Valid [period].>"},
    ("in_app", "zh"): {"title": "[headline]", "body": TERMS["zh"] + "<，[period]>。"},
    ("email", "en"): {
        "subject": "[headline]",
        "preheader": "[offer]< on orders of [minimum] or more><, valid [deadline]>.",
        "body": "Hello,\n\n<[hook].\n\n>Here is your offer from [brand]:\n\n"
        "Offer: [offer]<\nMinimum spend: [minimum]><\nMaximum discount: [cap]><\nCode: [code]>"
        "<\nValid: [period]>\n\n[brand]\nYou can unsubscribe from these e-mails at any time.",
    },
    ("email", "zh"): {
        "subject": "广告 | [headline]",
        "preheader": "[offer]<，满[minimum]可用><，[deadline]>。",
        "body": "您好：\n\n<[hook]。\n\n>[brand]为您准备了以下优惠：\n\n"
        "优惠：[offer]<\n使用门槛：满[minimum]><\n优惠上限：[cap]><\n优惠码：[code]><\n[period]>\n\n"
        "[brand]\n如不想再收到此类邮件，可随时退订。",
    },
}


def compose(brief: Brief, facts: Facts, theme: Theme, hook: str | None = None) -> dict[str, str]:
    """Return the parts of the message for `brief`, stating `facts` around `hook`.

    Parameters
    ----------
    brief, facts, theme
        What to say, to whom and where; `theme` names the category, if the offer has one.
    hook
        A sentence without facts and without its full stop; None for the bare template.
    """
    slots = _slots(brief, facts, theme)
    slots["hook"] = hook or ""
    slots["headline"] = hook or slots["offer"]
    return {part: _fill(text, slots) for part, text in PARTS[brief.channel, brief.language].items()}


def _slots(brief: Brief, facts: Facts, theme: Theme) -> dict[str, str]:
    language, currency = brief.language, facts.currency
    name = theme.names.get(language, "")

    def money(value: Decimal | None) -> str:
        return "" if value is None else formatting.money(value, currency, language)

    percent = facts.kind == "percent"
    offer = {
        "off": formatting.percent_off(facts.value, language) if percent else money(facts.value),
        "on": f" {'on ' if facts.kind == 'free_shipping' else ''}{name}" if name else "",
        "of": name,
    }
    return {
        "brand": " ".join(brief.brand.split()),
        "offer": _fill(OFFER[language][facts.kind], offer),
        "minimum": money(facts.minimum),
        "cap": money(facts.cap),
        "code": facts.code or "",
        "period": _period(facts, language),
        "deadline": _deadline(facts, language),
    }


def _deadline(facts: Facts, language: str) -> str:
    """Return the last day, else the first, where there is room for one date."""
    if facts.ends is None:
        return "" if facts.starts is None else _period(facts, language)
    day = formatting.date(facts.ends, facts.currency, language)
    return f"until {day}" if language == "en" else f"有效期至{day}"


def _period(facts: Facts, language: str) -> str:
    if facts.starts is None:
        return _deadline(facts, language)
    first = formatting.date(facts.starts, facts.currency, language)
    if facts.ends is None:
        return f"from {first}" if language == "en" else f"有效期自{first}起"
    last = formatting.date(facts.ends, facts.currency, language)
    return f"from {first} to {last}" if language == "en" else f"有效期{first}至{last}"


def _fill(text: str, slots: Mapping[str, str]) -> str:
    """Fill the slots in one pass; what a slot holds is never read as a pattern."""
    pieces: list[str] = []
    for i, piece in enumerate(OPTIONAL.split(text)):
        names = SLOT.findall(piece)
        if i % 2 and not all(slots[name] for name in names):
            continue
        pieces.append(SLOT.sub(lambda match: slots[match[1]], piece))
    return "".join(pieces)
