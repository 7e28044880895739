"""The checker of the benchmarks: right messages pass and wrong ones do not, whatever the guard says."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

import benchmarks
from allocator.plugins.copy import Brief, Offer
from benchmarks.copy_checker import faults
from benchmarks.copy_mutations import KINDS, mutate
from benchmarks.copy_offers import briefs

PERCENT = Offer("P", "percent", 15, "USD", "DAIRY15", 10, 1050.5, "2026-12-01", "2026-12-31", "cheese")
EN = {
    "body": "Acme: Good mornings start here. 15% off cheese on orders of $1,050.50 or more, up to $10 off. "
    "Code: DAIRY15. Valid from Dec 1, 2026 to Dec 31, 2026. Reply STOP to opt out"
}
ZH = {
    "body": "【Acme】早餐桌上的浓浓奶香。奶酪8.5折，满1,050.50美元可用，最高减10美元，优惠码：DAIRY15，"
    "有效期2026年12月1日至2026年12月31日。拒收请回复R"
}


def brief(language: str, offer: Offer = PERCENT, locale: str = "", channel: str = "sms") -> Brief:
    return Brief(offer, "everyone", channel, language, "Acme", "warm", locale=locale)


@pytest.mark.parametrize(
    ("right", "same"),
    [
        ("15% off", "fifteen percent off"),
        ("$1,050.50", "US$1050.50"),
        ("$10 ", "10 dollars "),
        ("Dec 31, 2026", "31 December 2026"),
        ("from Dec 1, 2026 to", "until"),
    ],
)
def test_other_words_for_the_same_offer_are_right(right, same):
    assert faults(EN, brief("en")) == []
    assert right in EN["body"]
    assert faults({"body": EN["body"].replace(right, same)}, brief("en")) == []


@pytest.mark.parametrize(("right", "same"), [("8.5折", "85折"), ("8.5折", "八五折"), ("8.5折", "减15%")])
def test_other_chinese_words_for_the_same_offer_are_right(right, same):
    assert faults(ZH, brief("zh")) == []
    assert faults({"body": ZH["body"].replace(right, same)}, brief("zh")) == []


@pytest.mark.parametrize(
    ("locale", "text", "right"),
    [
        ("en-US", "$1,050.50", True),
        ("en-DE", "$1.050,50", True),
        ("en-DE", "$1,050.50", False),
        ("en-US", "$1.050,50", False),
        ("en-AU", "$1,050.50", False),  # an Australian's dollar is another
        ("en-AU", "US$1,050.50", True),
    ],
)
def test_numbers_are_read_as_the_locale_reads_them(locale, text, right):
    found = faults({"body": EN["body"].replace("$1,050.50", text)}, brief("en", locale=locale))
    others = {fault.kind for fault in found if "10 off" not in fault.detail and fault.kind != "no cap"}
    assert (not others - {"not alone", "offer in words"}) == right


@pytest.fixture(scope="module")
def written():
    from copygen import TemplateWriter

    asked = briefs(16, 3, seed=2)
    return list(zip(asked, (copy.parts for copy in TemplateWriter().write(asked, seed=1)), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mutation_makes_some_text_that_is_wrong(kind, written):
    rng = Random(kind)
    for asked, parts in written:
        like = [p for b, p in written if (b.channel, b.locale) == (asked.channel, asked.locale)]
        changed = mutate(kind, parts, asked, rng, rng.choice(like))
        if changed is not None and faults(changed, asked):
            return
    pytest.fail("never wrong")


def test_a_sitewide_claim_and_a_category_of_another_coupon_are_wrong():
    for name in ("everything", "dairy", "wine and cheese"):
        assert faults({"body": EN["body"].replace("cheese", name)}, brief("en"))
    assert faults({"body": ZH["body"].replace("奶酪", "全场")}, brief("zh"))


@pytest.mark.parametrize(
    ("hook", "right"),
    [("总差那么一件", True), ("一人一宠", True), ("买一件", False), ("满二件", False), ("打一折", False)],
)
def test_one_piece_may_be_any_piece_but_numbers_in_words_are_numbers(hook, right):
    parts = {"body": ZH["body"].replace("早餐桌上的浓浓奶香", hook)}
    assert (faults(parts, brief("zh")) == []) == right


def test_the_same_seed_asks_for_the_same_messages():
    assert briefs(3, 2, seed=1) == briefs(3, 2, seed=1) != briefs(3, 2, seed=2)


def test_the_checker_shares_no_code_with_what_it_judges():
    for path in Path(benchmarks.__file__).parent.glob("copy_*.py"):
        if path.stem in ("copy_checker", "copy_renderings", "copy_mutations", "copy_offers"):
            assert not re.search(r"^\s*(from|import) copygen", path.read_text(encoding="utf-8"), re.MULTILINE)
