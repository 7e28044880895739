"""The guard finds every wrong, missing or foreign fact in a finished message, and lets right ones pass."""

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator.plugins.copy import Brief, Offer
from copygen import TemplateWriter, check, check_hook
from copygen.guard import sms_segments

CHANNELS = ("sms", "push", "email", "in_app")
CENTS = st.integers(1, 999_999).map(lambda cents: cents / 100)
DATES = st.dates(dt.date(2024, 1, 1), dt.date(2035, 12, 31)).map(str)
CATEGORIES = st.sampled_from([None, "DAIRY", "女装", "Yoga mats", "茶具", "50% off!", "Best sellers"])


@st.composite
def offers(draw):
    kind = draw(st.sampled_from(["percent", "amount", "free_shipping"]))
    return Offer(
        coupon_id="C1",
        kind=kind,
        value=draw(st.integers(1, 200)) / 2 if kind == "percent" else draw(CENTS),
        currency=draw(st.sampled_from(["CNY", "USD", "EUR", "GBP", "JPY", "CHF", "KRW"])),
        code=draw(
            st.none()
            | st.sampled_from(["XXXXXXXX", "A__B", "2026-12-3", "FREE", "OFF"])
            | st.from_regex(r"[A-Z0-9][A-Za-z0-9_-]{1,9}", fullmatch=True)
        ),
        max_discount=draw(st.none() | CENTS),
        min_spend=draw(st.none() | st.just(0.0) | CENTS),
        starts_at=draw(st.none() | DATES),
        ends_at=draw(st.none() | DATES),
        category=draw(CATEGORIES),
    )


def brief(offer, channel="sms", language="en", brand="Acme"):
    return Brief(offer, "everyone", channel, language, brand, "warm")


def written(offer, channel="sms", language="en", brand="Acme"):
    return dict(TemplateWriter().write([brief(offer, channel, language, brand)], seed=1)[0].parts)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    offers(), st.sampled_from(CHANNELS), st.sampled_from(["en", "zh"]), st.sampled_from(["Acme", "7-Eleven"])
)
def test_template_passes_and_no_digit_of_it_can_change(offer, channel, language, brand):
    asked = brief(offer, channel, language, brand)
    parts = written(offer, channel, language, brand)
    assert check(parts, asked) == ()
    for part, text in parts.items():
        for place in [match.start() for match in re.finditer(r"\d", text)]:
            other = str((int(text[place]) + 1 + place % 8) % 10)
            if other != text[place]:
                changed = {**parts, part: text[:place] + other + text[place + 1 :]}
                assert check(changed, asked), changed


PERCENT = Offer("P", "percent", 15, "USD", "DAIRY15", 10, 50, "2026-12-01", "2026-12-31", "dairy")
AMOUNT = Offer("A", "amount", 20, "CNY", "SAVE-20", None, 1000.5, None, "2026-11-11", "女装")
SHIPPING = Offer("S", "free_shipping", 6, "EUR", None, None, 30, None, "2026-01-31")

TAMPERED = [
    (PERCENT, "en", "15%", "51%", "percent"),
    (PERCENT, "en", "15% off", "$15 off", "amount"),
    (PERCENT, "en", "$50", "€50", "min_spend"),
    (PERCENT, "en", "orders of $50 or more, up to $10 off", "orders of $10 or more, up to $50 off", "cap"),
    (PERCENT, "en", " on orders of $50 or more", "", "min_spend"),
    (PERCENT, "en", "up to $10 off", "and free returns", "foreign_offer"),
    (PERCENT, "en", "DAIRY15", "DAlRY15", "code"),
    (PERCENT, "en", " Code: DAIRY15.", "", "code"),
    (PERCENT, "en", "Dec 31", "Nov 30", "end"),
    (PERCENT, "en", "from Dec 1, 2026 to Dec 31, 2026", "from Dec 31, 2026 to Dec 1, 2026", "end"),
    (PERCENT, "en", "15% off", "15% off plus a free gift", "foreign_offer"),
    (PERCENT, "en", "15% off", "15% off and fifty off", "foreign_offer"),
    (PERCENT, "en", "15% off", "15% off today only", "false_urgency"),
    (PERCENT, "en", "15% off", "The best 15% off", "absolute_claim"),
    (PERCENT, "en", "15% off", "15% off, buy 2", "number"),
    (PERCENT, "en", "15% off", "15% off and \u0661\u0662", "number"),
    (PERCENT, "zh", "8.5折", "7.5折", "percent"),
    (PERCENT, "zh", "8.5折", "五折", "number"),
    (PERCENT, "zh", "最高减10美元", "最高减10元", "cap"),
    (PERCENT, "zh", "满50美元", "满500美元", "min_spend"),
    (PERCENT, "zh", "8.5折", "8.5折包邮", "foreign_offer"),
    (PERCENT, "zh", "8.5折", "最佳8.5折", "absolute_claim"),
    (PERCENT, "zh", "8.5折", "8.5折手慢无", "false_urgency"),
    (AMOUNT, "en", "¥20 off", "$20 off", "amount"),
    (AMOUNT, "zh", "立减20元", "立减200元", "amount"),
    (AMOUNT, "zh", "立减20元", "2折", "percent"),
    (AMOUNT, "zh", "1,000.50元", "1,000.05元", "min_spend"),
    (AMOUNT, "zh", "11月11日", "11月12日", "end"),
    (AMOUNT, "zh", "SAVE-20", "SAVE_20", "code"),
    (SHIPPING, "en", "Free shipping", "Shipping", "free_shipping"),
    (SHIPPING, "en", "€30", "30 euros", "number"),
    (SHIPPING, "zh", "免运费", "免运费再送礼品", "foreign_offer"),
    (SHIPPING, "zh", "满30欧元", "满30元", "min_spend"),
]


@pytest.mark.parametrize(("offer", "language", "right", "wrong", "rule"), TAMPERED)
def test_tampered_offer_is_named_by_rule(offer, language, right, wrong, rule):
    parts = written(offer, "sms", language)
    assert right in parts["body"]
    parts["body"] = parts["body"].replace(right, wrong)
    assert rule in {verdict.rule for verdict in check(parts, brief(offer, "sms", language))}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("offer", [PERCENT, AMOUNT, SHIPPING], ids=lambda offer: offer.kind)
def test_message_of_one_coupon_fails_for_any_other(offer, channel, language):
    parts = written(offer, channel, language)
    for other in (PERCENT, AMOUNT, SHIPPING):
        assert bool(check(parts, brief(other, channel, language))) == (other is not offer)


@pytest.mark.parametrize(
    ("channel", "language", "part", "right", "wrong", "rule"),
    [
        ("sms", "en", "body", " Reply STOP to opt out", "", "opt_out"),
        ("sms", "en", "body", "Acme: ", "", "signature"),
        ("sms", "zh", "body", "【Acme】", "【Acne】", "signature"),
        ("sms", "zh", "body", "拒收请回复R", "", "opt_out"),
        ("email", "en", "body", "\nAcme\n", "\n", "signature"),
        ("email", "en", "body", "You can unsubscribe from these e-mails at any time.", "", "opt_out"),
        ("email", "zh", "subject", "广告 | ", "", "advertising_mark"),
        ("push", "en", "title", "15% off", "{offer}", "slot"),
        ("push", "en", "title", "15% off", "<b>15% off</b>", "markup"),
        ("push", "en", "body", "15% off", "15% off at bit.ly", "link"),
        ("push", "en", "body", "15% off", "15% off \u202e", "control"),
        ("push", "en", "body", "15% off", "15% off сегодня", "script"),
        ("push", "zh", "body", "8.5折", "8.5折 for you", "script"),
        ("push", "en", "title", "15% off", "yes yes yes yes yes 15% off", "repetition"),
        (
            "in_app",
            "en",
            "title",
            "15% off",
            "A very long line that no banner has the room to show 15% off",
            "length",
        ),
        ("in_app", "en", "title", "15% off", "=15% off", "formula"),
    ],
)
def test_form_of_the_message(channel, language, part, right, wrong, rule):
    parts = written(PERCENT, channel, language)
    assert right in parts[part]
    parts[part] = parts[part].replace(right, wrong)
    assert rule in {verdict.rule for verdict in check(parts, brief(PERCENT, channel, language))}


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the euro is not split between segments
        ("é" * 160, 1),
        ("á" + "a" * 69, 1),  # á is not in GSM-7
        ("á" + "a" * 70, 2),
        ("优" * 70, 1),
        ("优" * 134, 2),
        ("优" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_sms_segments(text, segments):
    assert sms_segments(text) == segments


@pytest.mark.parametrize(
    ("hook", "language", "rule"),
    [
        ("Save big this week", "en", "hook_fact"),
        ("Half the price of joy", "en", "hook_fact"),
        ("Your gift is here", "en", "foreign_offer"),
        ("Fresh picks on the way", "en", "hook_fact"),
        ("Fresh picks 4 you", "en", "hook_fact"),
        ("Hurry to fresh picks", "en", "false_urgency"),
        ("The best picks in town", "en", "absolute_claim"),
        ("Fresh picks for fresh people", "en", "repetition"),
        ("Fresh picks for the", "en", "sense"),
        ("Fresh pxkdq for dinner", "en", "sense"),
        ("Fresh picks for your age", "en", "personal"),
        ("Fresh picks {name}", "en", "slot"),
        ("Fresh", "en", "length"),
        ("新鲜好物半价", "zh", "former_price"),
        ("新鲜好物五折带走", "zh", "hook_fact"),
        ("Fresh picks", "zh", "script"),
        ("今天就来挑选", "zh", "hook_fact"),
    ],
)
def test_hook_that_says_too_much(hook, language, rule):
    assert rule in {verdict.rule for verdict in check_hook(hook, "sms", language)}


def test_hook_that_only_speaks_of_the_goods():
    assert check_hook("Crisp greens for easy suppers", "push", "en") == ()
    assert check_hook("把缤纷果蔬带回家", "push", "zh") == ()


def test_guard_shares_no_code_with_what_it_checks():
    import copygen.guard

    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in Path(copygen.guard.__path__[0]).glob("*.py")
    )
    imported = set(re.findall(r"^(?:from|import) (copygen[.\w]*)", sources, re.MULTILINE))
    assert imported
    assert all(module.startswith("copygen.guard") for module in imported)
