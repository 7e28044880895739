"""Messages in every locale: what a reader there sees, and that the guard reads it as it was meant."""

import datetime as dt
import re
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allocator.errors import InputError
from allocator.plugins.copy import Brief, Offer
from copygen import check
from copygen.guard.marks import known_regions, marks_of
from support.template_texts import written

CHANNELS = ("sms", "push", "email", "in_app")
LOCALES = ["en", "zh", *(f"en-{region}" for region in sorted(known_regions())),
           "zh-CN", "zh-HK", "zh-MO", "zh-TW", "zh-SG", "zh-Hant-HK", "zh-Hans-SG",
           "zh-Hant", "zh-Hans", "zh-Hans-HK"]  # fmt: skip
CURRENCIES = [
    "USD",
    "EUR",
    "GBP",
    "CNY",
    "JPY",
    "HKD",
    "TWD",
    "CAD",
    "AUD",
    "INR",
    "CHF",
    "SEK",
    "DKK",
    "KRW",
]
MONEY = (
    st.integers(1, 99_999_999).map(lambda cents: cents / 100)
    | st.integers(1, 9_999_999).map(float)
    | st.sampled_from([0.5, 1000.0, 1234.5, 1e6, 12_345_678.9, 0.125])
)
DAYS = st.dates(dt.date(2024, 1, 1), dt.date(2035, 12, 31)).map(str)


@st.composite
def offers(draw):
    kind = draw(st.sampled_from(["percent", "amount", "free_shipping"]))
    return Offer(
        coupon_id="C1",
        kind=kind,
        value=draw(st.integers(1, 400)) / 4 if kind == "percent" else draw(MONEY),
        currency=draw(st.sampled_from(CURRENCIES)),
        code=draw(st.none() | st.from_regex(r"[A-Z0-9][A-Z0-9_-]{1,9}", fullmatch=True)),
        max_discount=draw(st.none() | MONEY),
        min_spend=draw(st.none() | MONEY),
        starts_at=draw(st.none() | DAYS),
        ends_at=draw(st.none() | DAYS),
        category=draw(st.sampled_from([None, "DAIRY", "Yoga mats", "女装", "茶具"])),
    )


def brief(offer, locale, channel="sms", **changes):
    return Brief(offer, "everyone", channel, locale[:2], "Acme", "warm", locale=locale, **changes)


EVERYTHING = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EVERYTHING
@given(offers(), st.sampled_from(LOCALES), st.sampled_from(CHANNELS))
def test_what_is_written_anywhere_passes_and_nothing_of_it_can_change(offer, locale, channel):
    asked = brief(offer, locale, channel)
    parts = written(asked)
    assert check(parts, asked) == ()
    for part, text in parts.items():
        for changed in mutations(text, offer.code):
            assert check({**parts, part: changed}, asked), changed


def mutations(text, code):
    """Yield the text with one digit, mark, sign, month or letter of the code changed."""
    for match in re.finditer(r"\d", text):
        place = match.start()
        yield text[:place] + str((int(text[place]) + 1 + place % 8) % 10) + text[place + 1 :]
    for pattern, others in (
        (r"(?<=\d)[.,](?=\d)", ".,"),
        (r"[$€£¥₹₩]", "$€£¥₹₩"),
        (r"(?<![A-Za-z])(?:CHF|SEK|DKK|USD|HKD)(?![A-Za-z])", ("NOK", "SGD")),
        (r"美元|欧元|日元|港元", ("英镑", "韩元")),
        (r"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec", ("Jan", "Jul")),
    ):
        for match in re.finditer(pattern, text):
            for other in others:
                changed = text[: match.start()] + other + text[match.end() :]
                if other != match[0]:
                    yield changed
    if code and code in text:
        yield text.replace(code, code[::-1] + "X")


OFFER = Offer("C1", "amount", 1234.5, "EUR", "SAVE", None, 9.5, "2026-09-05", "2026-12-31")


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "minimum", "period"),
    [
        ("en", "EUR", "€1,234.50", "€9.50", "from 5 Sep 2026 to 31 Dec 2026"),
        ("en", "USD", "$1,234.50", "$9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-US", "EUR", "€1,234.50", "€9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-US", "USD", "$1,234.50", "$9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-US", "CNY", "CN¥1,234.50", "CN¥9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-US", "JPY", "JP¥1,234.50", "JP¥9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-GB", "USD", "US$1,234.50", "US$9.50", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-GB", "GBP", "£1,234.50", "£9.50", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-CA", "CAD", "$1,234.50", "$9.50", "from Sep 5, 2026 to Dec 31, 2026"),
        ("en-AU", "USD", "US$1,234.50", "US$9.50", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-DE", "EUR", "1.234,50 €", "9,50 €", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-DE", "CHF", "1.234,50 CHF", "9,50 CHF", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-NL", "EUR", "€ 1.234,50", "€ 9,50", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-FR", "EUR", "1 234,50 €", "9,50 €", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-CH", "CHF", "CHF 1'234.50", "CHF 9.50", "from 5 Sept 2026 to 31 Dec 2026"),
        ("en-SE", "SEK", "1 234,50 kr", "9,50 kr", "from 5 Sept 2026 to 31 Dec 2026"),
    ],
)
def test_amounts_and_dates_as_english_readers_of_a_region_write_them(
    locale, currency, amount, minimum, period
):
    body = written(brief(Offer(**{**OFFER.__dict__, "currency": currency}), locale))["body"]
    assert body == (
        f"Acme: {amount} off on orders of {minimum} or more. Code: SAVE. Valid {period}. "
        "Reply STOP to opt out"
    )


def test_chinese_of_the_mainland_hong_kong_and_singapore():
    def body(locale, currency):
        return written(brief(Offer(**{**OFFER.__dict__, "currency": currency}), locale))["body"]

    period = "有效期2026年9月5日至2026年12月31日。"
    same = "【Acme】立减1,234.50元\uff0c满9.50元可用\uff0c优惠码\uff1aSAVE\uff0c" + period + "拒收请回复R"
    assert body("zh-CN", "CNY") == body("zh", "CNY") == same
    assert body("zh-HK", "HKD") == (
        "Acme\uff1a立減HK$1,234.50\uff0c滿HK$9.50可用\uff0c優惠碼\uff1aSAVE\uff0c"
        + period
        + "回覆STOP取消訂閱"
    )
    assert "立减CN¥1,234.50\uff0c满CN¥9.50可用" in body("zh-SG", "CNY")


def test_lakhs_and_percents():
    lakhs = Offer("C1", "percent", 12.5, "INR", None, 1_234_567.0)
    assert "12.5% off, up to ₹12,34,567 off" in written(brief(lakhs, "en-IN"))["body"]
    assert "12,5 % off, up to INR" not in written(brief(lakhs, "en-DE"))["body"]
    assert "12,5 % off, up to 1.234.567 ₹ off" in written(brief(lakhs, "en-DE"))["body"]


def test_a_sign_that_two_currencies_share_is_wrong_where_the_region_is_known():
    yuan = brief(Offer("C1", "amount", 20, "CNY"), "en-US", "push")
    parts = written(yuan)
    for sign in ("¥", "$", "JP¥", "HK$"):
        wrong = {part: text.replace("CN¥", sign) for part, text in parts.items()}
        assert "amount" in {verdict.rule for verdict in check(wrong, yuan)}


@pytest.mark.parametrize(
    ("locale", "right", "wrong"),
    [
        ("en-DE", "1.234,50", "1,234.50"),
        ("en-US", "1,234.50", "1.234,50"),
        ("en-US", "1,234.50", "12,34.50"),
        ("en-FR", "1 234,50", "1234.50"),
        ("en-CH", "1'234.50", "1.234.50"),
        ("en-GB", "1,234.50", "1,2345"),
    ],
)
def test_marks_of_another_region_are_no_number(locale, right, wrong):
    asked = brief(OFFER, locale, "push")
    parts = written(asked)
    assert right in parts["body"]
    changed = {**parts, "body": parts["body"].replace(right, wrong)}
    assert {"amount", "number"} & {verdict.rule for verdict in check(changed, asked)}


def test_every_digit_of_an_amount_is_stated():
    offer = Offer("C1", "amount", 0.1 + 0.2, "USD", None, None, 123456789012.25)
    assert (
        "$0.30000000000000004 off on orders of $123,456,789,012.25 or more"
        in written(brief(offer, "en-US"))["body"]
    )


@pytest.mark.parametrize("region", sorted(known_regions()))
def test_the_guards_table_of_regions_agrees_with_babel(region):
    from babel import Locale, UnknownLocaleError
    from babel.numbers import format_decimal, get_territory_currencies

    row = known_regions()[region]
    assert row["currency"] in get_territory_currencies(region)
    try:
        locale = Locale("en", region)
    except UnknownLocaleError:
        locale = Locale("en")
    text = re.sub("[\u00a0\u202f]", " ", format_decimal(Decimal("1234567.5"), locale=locale)).replace(
        "’", "'"
    )
    assert marks_of(region, "en").number(text) == Decimal("1234567.5")


@pytest.mark.parametrize("locale", ["en-XX", "en-BR"])
def test_a_region_whose_numbers_are_not_known_is_refused(locale):
    with pytest.raises(InputError, match=f"locale.*{locale}.*known are AE, AT"):
        written(brief(OFFER, locale))
