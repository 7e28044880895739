"""Template texts: what a customer reads, and the errors for offers that no text may state."""

import re
import subprocess
import sys

import pytest

from allocator.errors import InputError
from allocator.plugins.copy import Brief, Offer
from allocator.plugins.protocols import CopyWriter
from copygen import LocalWriter, TemplateWriter

OFFER = Offer("C1", "percent", 15, "USD", "DAIRY15", 10, 1000, "2026-12-01", "2026-12-31", "DAIRY")


def write(offer, channel, language, brand="Acme", category=None):
    return TemplateWriter().write([Brief(offer, "everyone", channel, language, brand, "warm")], seed=1)[0]


def test_sms_in_english_and_chinese():
    copy = write(OFFER, "sms", "en")
    assert copy.written_by == "template"
    assert copy.parts["body"] == (
        "Acme: 15% off dairy on orders of $1,000 or more, up to $10 off. Code: DAIRY15. "
        "Valid from Dec 1, 2026 to Dec 31, 2026. Reply STOP to opt out"
    )
    assert write(OFFER, "sms", "zh").parts["body"] == (
        "【Acme】乳制品8.5折\uff0c满1,000美元可用\uff0c最高减10美元\uff0c优惠码\uff1aDAIRY15\uff0c"
        "有效期2026年12月1日至2026年12月31日。拒收请回复R"
    )


@pytest.mark.parametrize(
    ("value", "currency", "en", "zh"),
    [
        (1000, "USD", "$1,000", "1,000美元"),
        (9.5, "EUR", "€9.50", "9.50欧元"),
        (20, "GBP", "£20", "20英镑"),
        (100, "CNY", "¥100", "100元"),
        (2000, "JPY", "¥2,000", "2,000日元"),
        (12.25, "CHF", "CHF 12.25", "CHF 12.25"),
    ],
)
def test_amounts_as_each_language_writes_them(value, currency, en, zh):
    offer = Offer("C1", "amount", value, currency)
    assert f"{en} off" in write(offer, "push", "en").parts["body"]
    assert f"立减{zh}" in write(offer, "push", "zh").parts["body"]


def test_every_part_of_an_email():
    parts = write(OFFER, "email", "en").parts
    assert list(parts) == ["subject", "preheader", "body"]
    assert "Minimum spend: $1,000\nMaximum discount: $10\nCode: DAIRY15\n" in parts["body"]
    assert write(OFFER, "email", "zh").parts["subject"].startswith("广告")


def test_chinese_text_has_chinese_punctuation():
    for channel in ("sms", "push", "email", "in_app"):
        for text in write(OFFER, channel, "zh").parts.values():
            assert not re.search("[\u4e00-\u9fff][,:]|[,:][\u4e00-\u9fff]", text)


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_message_without_a_sender_is_refused(channel):
    with pytest.raises(InputError, match=r"copy.brand.*signature.*set `brand` under \[copy\]"):
        write(OFFER, channel, "en", brand="")


def test_everything_that_cannot_be_stated_is_named_at_once():
    bad = [
        Offer("B1", "percent", 120, "USD"),
        Offer("B2", "amount", float("nan"), "USD", code="<script>"),
        Offer("B3", "amount", 5, "usd", ends_at="31/12/2026"),
        Offer("B4", "bogo", 5, "USD"),
    ]
    with pytest.raises(InputError) as caught:
        TemplateWriter().write([Brief(o, "everyone", "sms", "en", "Acme", "warm") for o in bad], seed=1)
    assert {finding.column for finding in caught.value.findings} == {
        "value",
        "code",
        "currency",
        "ends_at",
        "kind",
    }
    assert all(f"B{i}" in str(caught.value) for i in range(1, 5))


def test_text_too_long_for_the_channel_names_coupon_channel_and_rule():
    offer = Offer("LONG", "percent", 5, "USD", "X" * 40, 1e40, 1e40, "2026-01-01", "2026-12-31")
    briefs = [Brief(offer, "everyone", channel, "en", "Acme", "warm") for channel in ("push", "sms")]
    with pytest.raises(InputError, match=r"'LONG', push.*length"):
        TemplateWriter().write(briefs, seed=1)


def test_unknown_channel_or_language():
    with pytest.raises(InputError, match="sms/fr"):
        write(OFFER, "sms", "fr")


@pytest.mark.parametrize(
    ("writer", "accepted"), [(TemplateWriter, "no options"), (LocalWriter, "model, device")]
)
def test_unknown_option_names_what_is_accepted(writer, accepted):
    with pytest.raises(InputError, match=accepted):
        writer(modle="x")


def test_wrong_options_are_named_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        LocalWriter(model=str(tmp_path / "nowhere"), device="tpu", candidates=0)
    assert len(caught.value.findings) == 3


def test_writers_keep_the_protocol():
    assert isinstance(TemplateWriter(), CopyWriter)
    assert isinstance(LocalWriter(), CopyWriter)


def test_importing_the_package_loads_no_model_library():
    code = (
        "import sys, copygen; copygen.TemplateWriter(); print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
