"""Forty messages that nobody selected: ``python -m benchmarks.copy_samples`` writes them into their page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from allocator.plugins.copy import Brief, Copy, Offer
from benchmarks.copy_offers import CHANNELS

SEED = 2026
SAMPLES = 40
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks" / "copy_samples.md"
START, END = "<!-- samples -->\n", "<!-- end -->"
CATEGORIES = (
    "DAIRY", "Bakery", "coffee", "produce", "wine", "pets", "books", "toys", "shoes", "Yoga mats", "女装",
    "母婴用品", "咖啡", "electronics", "garden", None,
)  # fmt: skip
SEGMENTS = ("everyone", "families", "students", "vip", "lapsed")
TONES = ("warm", "playful", "elegant", "direct")
LOCALES = {"en-US": "USD", "en-GB": "GBP", "en-DE": "EUR", "zh-CN": "CNY", "zh-HK": "HKD"}


def main() -> None:
    """Write the messages into the document."""
    from copygen import LocalWriter

    table = "\n".join(_lines(LocalWriter(cache=False).write(_asked(), seed=SEED)))
    text = DOCUMENT.read_text(encoding="utf-8")
    before, marked, rest = text.partition(START)
    if not marked or END not in rest:
        raise ValueError(f"{DOCUMENT.name} has no line {START.strip()} before {END}")
    DOCUMENT.write_text(f"{before}{START}{table}\n{rest[rest.index(END) :]}", encoding="utf-8")


def _asked() -> list[Brief]:
    rng = Random(SEED)
    asked = []
    for i in range(SAMPLES):
        locale = rng.choice(tuple(LOCALES))
        kind = rng.choice(("percent", "amount", "free_shipping"))
        value = {"percent": rng.randrange(5, 45, 5), "amount": rng.randrange(3, 40)}.get(kind, 0)
        offer = Offer(
            f"C{i + 1}", kind, float(value), LOCALES[locale],
            code=rng.choice((None, f"SHOP{value}", f"HELLO-{i + 1}")),
            max_discount=20.0 if kind == "percent" and rng.random() < 0.5 else None,
            min_spend=rng.choice((None, 25.0, 49.5, 1_000.0)),
            ends_at=rng.choice((None, "2026-12-31", "2027-03-05")),
            category=rng.choice(CATEGORIES),
        )  # fmt: skip
        segment, channel, tone = rng.choice(SEGMENTS), rng.choice(CHANNELS), rng.choice(TONES)
        asked.append(Brief(offer, segment, channel, locale[:2], "Acme", tone, audience=1, locale=locale))
    return asked


def _lines(copies: list[Copy]) -> Iterator[str]:
    yield "| | asked for | message | hook |"
    yield "| --- | --- | --- | --- |"
    for i, copy in enumerate(copies, 1):
        brief = copy.brief
        said = (brief.locale, brief.channel, brief.offer.category or "everything", brief.segment, brief.tone)
        text = "<br>".join(f"*{part}:* {_cell(text)}" for part, text in copy.parts.items())
        yield f"| {i} | {', '.join(said)} | {text} | {copy.written_by} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", "<br>")


if __name__ == "__main__":
    main()
