"""Who sends the message and how to stop it: found where they must stand, then taken out of the text."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from allocator.plugins.copy import Brief, Verdict
from copygen.guard.lookalikes import mixed_word
from copygen.guard.marks import CURRENCY_CHARACTERS
from copygen.guard.text import LINK, check_characters, check_script
from copygen.guard.words import listed_words

LONGEST_NOTICE = 100
BRAND = re.compile(r"[^\W_](?:[^\W_]|[ &'’.!·・-])*")
OFFER_LIKE = re.compile(
    r"\d\s*(?:折|元|块|塊|off|percent|dollars?)|免[费費]|[满滿立][减減]|(?<![A-Za-z])(?:free|discount|sale|winner|prize)(?![A-Za-z])",
    re.IGNORECASE,
)
# A code to send or a number to call: digits alone, nothing that could be read as an offer.
OFFER_FIGURE = re.compile(rf"[%‰折元{CURRENCY_CHARACTERS}]|\d[.,]\d")
BEFORE_NOTICE = {("sms", "en"): " ", ("sms", "zh"): "。", ("email", "en"): "\n", ("email", "zh"): "\n"}


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(files("copygen.guard").joinpath("data", "notices.toml").read_text(encoding="utf-8"))


def _rule(channel: str, country: str) -> dict[str, Any] | None:
    """Return what `country` asks of a channel; None if the channel carries no notice of its own."""
    rules = [rule for rule in _rules()["notice"] if rule["channel"] == channel]
    return next(
        (rule for rule in rules if country in rule.get("countries", ())),
        next((rule for rule in rules if not rule.get("countries")), None),
    )


def check_brand(brand: str, channel: str, country: str) -> Iterator[Verdict]:
    """Yield what makes a brand name unfit to sign this message; nothing if it is not signed."""
    rule = _rule(channel, country)
    if rule is None:
        return
    shown = f"'{_printable(brand)[:40]}'"
    if not brand:
        yield Verdict("signature", "the sender is empty; set `brand` under [copy] in campaign.toml")
    elif not BRAND.fullmatch(brand) or any(unicodedata.category(c)[0] == "C" for c in brand):
        yield Verdict("signature", f"{shown} is no plain name: letters, digits, spaces and & ' . ! - only")
    elif mixed_word(brand) or any(c.isdigit() and c not in "0123456789" for c in brand):
        yield Verdict("signature", f"{shown} mixes letters or digits of several scripts that look alike")
    elif OFFER_LIKE.search(brand):
        yield Verdict("signature", f"{shown} reads like an offer")
    elif " " in brand and LINK.search(brand):
        yield Verdict("signature", f"{shown} holds a link")
    elif len(brand) > 60:
        yield Verdict("signature", "the sender is longer than 60 characters")
    elif rule["signed"] == "brackets" and not 2 <= len(brand) <= 16:
        yield Verdict(
            "signature", f"a Chinese SMS is signed with 2 to 16 characters, {shown} has {len(brand)}"
        )


def check_notice(notice: str, channel: str, language: str, country: str) -> Iterator[Verdict]:
    """Yield what makes a brief's own words on how to stop unfit to end a message; nothing if it has none."""
    if not notice or _rule(channel, country) is None:
        return
    ways = {name: "|".join(map(re.escape, words)) for name, words in _rules()["ways"].items()}
    if not re.search(rf"(?<![a-z])(?:{ways['en']})(?![a-z])|{ways['zh']}", notice.casefold()):
        named = "STOP, unsubscribe, opt out, 退订 or 拒收"
        yield Verdict("opt_out", f"'{_printable(notice)[:40]}' names no way to stop, such as {named}")
    if len(notice) > LONGEST_NOTICE:
        yield Verdict("opt_out", f"the notice has {len(notice)} characters, at most {LONGEST_NOTICE}")
    for verdict in (
        *check_characters(notice, "the notice"),
        *check_script(
            re.sub(r"[A-Z]{1,6}(?![a-z])", "", notice) if language == "zh" else notice, "the notice", language
        ),
    ):
        yield Verdict("opt_out", verdict.detail)
    for verdict in listed_words(notice, "claims", country):
        if verdict.rule not in ("link", "personal"):  # "unsubscribe", "your account"
            yield Verdict("opt_out", f"the notice: {verdict.detail}")
    if OFFER_FIGURE.search(notice):
        yield Verdict("opt_out", "the notice states an amount")


def unsigned(parts: Mapping[str, str], brief: Brief, country: str) -> tuple[dict[str, str], list[Verdict]]:
    """Return the parts without signature, opt-out and advertising mark, and what of these is missing."""
    texts = dict(parts)
    verdicts: list[Verdict] = []
    rule = _rule(brief.channel, country)
    if rule is None:
        return texts, verdicts
    brand, own = " ".join(brief.brand.split()), " ".join(brief.opt_out.split())
    body, notices = texts["body"], [own] if own else rule["notices"][brief.language]
    notice = rf"(?<={BEFORE_NOTICE[brief.channel, brief.language]})(?:{'|'.join(map(re.escape, notices))})\Z"
    if not re.search(notice, body):
        verdicts.append(Verdict("opt_out", "the opt-out notice is missing from the end"))
    body = re.sub(notice, "", body)
    if brief.channel == "email" or brief.language == "en":
        body = body.rstrip(" \n")
    name = re.escape(brand)
    colon = ": " if brief.language == "en" else "："
    signed = {"name": rf"\A{name}{colon}", "brackets": rf"\A【{name}】", "below": rf"\n\n{name}\Z"}[
        rule["signed"]
    ]
    if not brand or not re.search(signed, body):
        verdicts.append(Verdict("signature", f"the sender '{_printable(brand)[:40]}' is missing"))
    body = re.sub(signed, "", body)
    if brief.channel == "email" and brand:
        body = re.sub(rf"(?<= from ){name}(?=:\n)|(?<=\n){name}(?=[为為]您[准準])", "", body)
    texts["body"] = body
    if rule.get("mark"):
        mark = re.compile(rf"\A(?:{'|'.join(rule['mark'])}) \| ")
        if not mark.search(texts["subject"]):
            verdicts.append(
                Verdict("advertising_mark", f"the subject does not start with {rule['mark'][0]} or AD")
            )
        texts["subject"] = mark.sub("", texts["subject"])
    return texts, verdicts


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
