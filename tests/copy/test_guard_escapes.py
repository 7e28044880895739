"""Wrong messages that once passed the guard, found by the checker of the benchmarks; none may again."""

from __future__ import annotations

import pytest

from allocator.plugins.copy import Brief, Offer
from copygen import TemplateWriter, check

PERCENT = Offer("P", "percent", 15, "USD", "DAIRY15", 10, 50, "2026-12-01", "2026-12-31", "cheese")
AMOUNT = Offer("A", "amount", 20, "CNY", "SAVE-20", 10, 100, None, "2026-11-11", "女装")

ESCAPES = [
    # The discount qualified.
    (PERCENT, "en", "15% off", "up to 15% off"),
    (PERCENT, "en", "15% off", "an extra 15% off"),
    (PERCENT, "en", "15% off", "at least 15% off"),
    (PERCENT, "en", "15% off", "over 15% off"),
    (PERCENT, "en", "15% off", "almost 15% off"),
    (PERCENT, "zh", "8.5折", "最高8.5折"),
    (PERCENT, "zh", "8.5折", "额外8.5折"),
    (PERCENT, "zh", "8.5折", "近8.5折"),
    (AMOUNT, "zh", "立减20元", "至少立减20元"),
    (AMOUNT, "zh", "立减20元", "再享立减20元"),
    # A condition denied.
    (PERCENT, "en", "15% off", "No minimum spend. 15% off"),
    (PERCENT, "en", "15% off", "No code needed. 15% off"),
    (PERCENT, "en", "15% off", "Unlimited! 15% off"),
    (PERCENT, "en", "15% off", "On everything in store. 15% off"),
    (PERCENT, "zh", "满50美元", "无门槛，满50美元"),
    (PERCENT, "zh", "满50美元", "无需优惠码，满50美元"),
    (PERCENT, "zh", "满50美元", "上不封顶，满50美元"),
    (PERCENT, "zh", "满50美元", "全场通用，满50美元"),
    # A condition turned round.
    (PERCENT, "en", "$50 or more", "$50 or less"),
    (PERCENT, "zh", "满50美元", "不满50美元"),
    (PERCENT, "zh", "可用", "不可用"),
    (PERCENT, "zh", "最高减10", "最低减10"),
    (AMOUNT, "en", "until 11 Nov", "after 11 Nov"),
    (AMOUNT, "zh", "有效期至", "有效期自"),
    # Another scale.
    (AMOUNT, "en", "¥20 off", "¥20k off"),
    (PERCENT, "en", "$50 or more", "$50 million or more"),
    (AMOUNT, "zh", "立减20元", "立减20万元"),
    # Another category.
    (PERCENT, "en", "off cheese", "off everything"),
    (PERCENT, "en", "off cheese", "off dairy"),
    (PERCENT, "zh", "奶酪8.5折", "全场8.5折"),
    (AMOUNT, "zh", "女装立减", "童装立减"),
    # An offer in words.
    (PERCENT, "en", "15% off", "Save a third. 15% off"),
    (PERCENT, "en", "15% off", "Twice the discount. 15% off"),
    (PERCENT, "zh", "满50美元", "送好礼，满50美元"),
    (AMOUNT, "zh", "满100元", "满二十元"),
    (AMOUNT, "zh", "满100元", "满三点八元"),
    # A deadline in words, and urgency.
    (AMOUNT, "en", "until 11 Nov 2026", "until midnight tomorrow"),
    (AMOUNT, "zh", "2026年11月11日", "今晚"),
    (AMOUNT, "zh", "满100元", "即将结束，满100元"),
]


def asked(offer, language, channel):
    return Brief(offer, "everyone", channel, language, "Acme", "warm")


@pytest.mark.parametrize("channel", ["sms", "in_app"])
@pytest.mark.parametrize(("offer", "language", "right", "wrong"), ESCAPES)
def test_no_longer_escapes(offer, language, right, wrong, channel):
    brief = asked(offer, language, channel)
    parts = dict(TemplateWriter().write([brief], seed=1)[0].parts)
    assert right in parts["body"]
    parts["body"] = parts["body"].replace(right, wrong)
    assert check(parts, brief)


@pytest.mark.parametrize("title", ["免运奶酪费", "奶酪免运送费", "奶酪邮费我们出"])
def test_a_title_that_garbles_the_offer_is_no_hook(title):
    offer = Offer("S", "free_shipping", 0, "CNY", category="奶酪")
    brief = asked(offer, "zh", "push")
    parts = TemplateWriter().write([brief], seed=1)[0].parts
    assert check(parts, brief) == ()
    assert check({**parts, "title": title}, brief)


@pytest.mark.parametrize("title", ["生活里的小确幸", "松一口气再出发", "饭后来一口甜"])
def test_simplified_words_that_traditional_characters_could_spell_are_no_hook_for_hong_kong(title):
    offer = Offer("S", "free_shipping", 0, "HKD")
    brief = Brief(offer, "everyone", "push", "zh", "Acme", "warm", locale="zh-HK")
    parts = TemplateWriter().write([brief], seed=1)[0].parts
    assert check({**parts, "title": "逛一逛，心情就亮了"}, brief) == ()
    assert "script" in {verdict.rule for verdict in check({**parts, "title": title}, brief)}
