"""Who sends the message and how to stop it: found where they must stand, then taken out of the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from allocator.protocols import Verdict

# CTIA messaging principles 5.1.3 and TCPA (sms, en); MIIT order 31 (sms, zh); CAN-SPAM 15 USC 7704(a)
# and MIIT order 38, art. 13 (e-mail).
OPT_OUT = {
    ("sms", "en"): re.compile(r" Reply STOP to opt out\Z"),
    ("sms", "zh"): re.compile(r"。拒收请回复R\Z"),
    ("email", "en"): re.compile(r"\nYou can unsubscribe from these e-mails at any time\.\Z"),
    ("email", "zh"): re.compile(r"\n如不想再收到此类邮件，可随时退订。\Z"),
}
BRAND = re.compile(r"[^\W_](?:[^\W_]|[ &'’.!·・-])*")
OFFER_LIKE = re.compile(
    r"\d\s*(?:折|元|块|off|percent|dollars?)|免费|满减|立减|(?<![A-Za-z])free(?![A-Za-z])", re.IGNORECASE
)


def check_brand(brand: str, channel: str, language: str) -> Iterator[Verdict]:
    """Yield what makes a brand name unfit to sign this message; nothing if it is not signed."""
    if (channel, language) not in OPT_OUT:
        return
    if not brand:
        yield Verdict("signature", "the sender is empty; set `brand` under [copy] in campaign.toml")
    elif not BRAND.fullmatch(brand) or any(unicodedata.category(c)[0] == "C" for c in brand):
        yield Verdict(
            "signature", f"'{brand[:40]}' is no plain name: letters, digits, spaces and & ' . ! - only"
        )
    elif OFFER_LIKE.search(brand):
        yield Verdict("signature", f"'{brand[:40]}' reads like an offer")
    elif len(brand) > 60:
        yield Verdict("signature", "the sender is longer than 60 characters")
    elif (channel, language) == ("sms", "zh") and not 2 <= len(brand) <= 16:
        yield Verdict(
            "signature", f"a Chinese SMS is signed with 2 to 16 characters, '{brand[:40]}' has {len(brand)}"
        )


def unsigned(
    parts: Mapping[str, str], brand: str, channel: str, language: str
) -> tuple[dict[str, str], list[Verdict]]:
    """Return the parts without signature, opt-out and advertising mark, and what of these is missing."""
    texts, verdicts = dict(parts), []
    body = texts.get("body", "")
    opt_out = OPT_OUT.get((channel, language))
    if opt_out is not None:
        if not opt_out.search(body):
            verdicts.append(Verdict("opt_out", "the opt-out notice is missing from the end"))
        body = opt_out.sub("", body)
        name = re.escape(brand)
        signed = {
            ("sms", "en"): rf"\A{name}: ",
            ("sms", "zh"): rf"\A【{name}】",
            ("email", "en"): rf"\n{name}\Z",
            ("email", "zh"): rf"\n{name}\Z",
        }[channel, language]
        if not brand or not re.search(signed, body):
            verdicts.append(Verdict("signature", f"the sender '{brand[:40]}' is missing"))
        body = re.sub(signed, "", body)
        if channel == "email" and brand:
            body = re.sub(rf"(?<= from ){name}(?=:\n)|(?<=\n){name}(?=为您准备)", "", body)
        texts["body"] = body
    if (channel, language) == ("email", "zh"):
        mark = re.compile(r"\A(?:广告|AD) \| ")
        if not mark.search(texts.get("subject", "")):
            verdicts.append(Verdict("advertising_mark", "the subject does not start with 广告 or AD"))
        texts["subject"] = mark.sub("", texts.get("subject", ""))
    return texts, verdicts
