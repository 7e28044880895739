"""Each rule of the guard: what it catches, and that every one is in the documentation."""

import re
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from allocator.errors import InputError
from allocator.plugins.copy import Brief, Offer
from copygen import check, check_hook
from support.paths import DOCS
from support.template_texts import written

OFFER = Offer("P", "percent", 15, "USD", "DAIRY15", 10, 50, "2026-12-01", "2026-12-31", "dairy")


def brief(channel="sms", locale="en", **changes):
    return replace(Brief(OFFER, "everyone", channel, locale[:2], "Acme", "warm", locale=locale), **changes)


def rules(hook, language="en", **words):
    return {verdict.rule for verdict in check_hook(hook, "push", language, **words)}


@pytest.mark.parametrize(
    ("rule", "hooks"),
    {
        "absolute_claim": [
            "The finest teas in town",
            "Unparalleled flavour for you",
            "World class coffee at home",
            "Guaranteed smiles",
        ],
        "health_claim": ["Detox your mornings", "Anti-ageing care for you", "Weight-loss made tasty"],
        "green_claim": ["Eco-friendly finds for home", "Climate neutral comforts"],
        "false_urgency": [
            "Last-chance treats for you",
            "Dont miss these flavours",
            "Selling fast and tasty",
            "While stocks last",
        ],
        "foreign_offer": [
            "Complimentary treats for you",
            "A gift for your kitchen",
            "The treat is on us",
            "Gratis koffie for you",
        ],
        "former_price": ["Now only the good things", "Reduced to the essentials", "Compare at any shop"],
        "hook_fact": [
            "Your parcel is on its way",
            "Straight to your door",
            "A little extra for you",
            "Your reward awaits",
        ],
        "link": [
            "Find it at evil dot com",
            "Tap here for more",
            "Good things at shop.example",
            "Message us on WhatsApp",
        ],
        "personal": [
            "Dear Anna, good things",
            "Hi Tom, tea time",
            "For people like you",
            "Good morning Mary",
        ],
        "language": ["Frische Ideen und Kaffee", "Bonjour avec plaisir"],
        "slot": [
            "Good things for FIRST_NAME",
            "Hello {name}",
            "Hello [[name]]",
            "Hello *|NAME|*",
            "Good things for %s",
        ],
        "chat": ["Sure here are good things", "Assistant: good things", "As an AI I like tea"],
        "lookalike": ["Fr\u0435sh things for you", "\uff26resh things for you"],
        "repetition": ["Tea tea for everyone", "Good things good things"],
        "sense": ["Good things for the", "Good thnggs"],
        "control": ["Good\u200b things for you"],
        "markup": ["<b>Good things</b>", "**Good** things"],
        "formula": ["=Good things", "@Good things", "-Good things"],
    }.items(),
)
def test_hooks_in_english(rule, hooks):
    for hook in hooks:
        assert rule in rules(hook), hook


@pytest.mark.parametrize(
    ("rule", "hooks"),
    {
        "absolute_claim": ["绝对好味道", "絕對好味道", "国家级的好茶", "無與倫比的香", "极品好茶来了"],
        "health_claim": ["喝茶也能减肥", "增强免疫的好茶"],
        "false_urgency": ["手慢无的好茶", "限時好茶等你", "倒计时开始啦"],
        "foreign_offer": ["好茶免费喝", "好茶免費喝", "买茶就送礼品", "抽獎喝好茶"],
        "former_price": ["原价好茶现价喝", "清倉好茶"],
        "hook_fact": ["好茶包裹在路上", "为你送上门的茶", "全场好茶任意选"],
        "personal": ["亲爱的小王来喝茶", "王女士您好喝茶", "小李您好喝茶吧", "您的年龄适合茶"],
        "link": ["加微信喝好茶吧", "扫码喝好茶吧", "點擊喝好茶"],
        "chat": ["以下是好茶文案", "作为人工智能喝茶"],
        "script": ["好茶 for you", "好чай喝起来"],
        "repetition": ["喝好茶喝好茶吧"],
    }.items(),
)
def test_hooks_in_chinese(rule, hooks):
    for hook in hooks:
        assert rule in rules(hook, "zh"), hook


def test_letters_set_apart_or_in_disguise_are_read():
    for hook in (
        "Tea for f r e e",
        "Tea for f.r.e.e today",
        "Tea for \U0001d405\U0001d411\U0001d404\U0001d404",
        "Tea for fr\u00e9e",
    ):
        assert "foreign_offer" in rules(hook), hook
    assert "foreign_offer" in rules("好茶免 费 喝", "zh")


def test_banned_hooks_and_private_words():
    assert "banned" in rules("Good things for tea", banned=frozenset({"good things for tea"}))
    private = frozenset({"Rose", "Smith", "Mary Ann", "王小明"})
    for hook in ("Tea time with Rose", "Rose's tea is here", "A Smith-like tea", "For Mary Ann and tea"):
        assert "personal" in rules(hook, private=private), hook
    assert "personal" in rules("陪王小明喝好茶", "zh", private=private)
    for hook in ("A rose among teas", "Roses and good tea"):
        assert rules(hook, private=private) == set(), hook


def test_a_finished_message_with_a_banned_or_private_hook_fails():
    asked = brief()
    body = written(asked)["body"].replace("Acme: ", "Acme: Tea time with Rose. ")
    assert check({"body": body}, asked) == ()
    assert "banned" in {
        v.rule for v in check({"body": body}, replace(asked, banned=frozenset({"tea time with rose"})))
    }
    assert "personal" in {v.rule for v in check({"body": body}, replace(asked, private=frozenset({"Rose"})))}


# Sender and notice


@pytest.mark.parametrize(
    ("channel", "locale", "part", "start", "end"),
    [
        ("sms", "en", "body", "Acme: ", " Reply STOP to opt out"),
        ("sms", "en-US", "body", "Acme: ", " Reply STOP to opt out"),
        ("sms", "en-CN", "body", "【Acme】", " Reply R to opt out"),
        ("sms", "zh", "body", "【Acme】", "。拒收请回复R"),
        ("sms", "zh-SG", "body", "Acme\uff1a", "。回复STOP退订"),
        ("sms", "zh-TW", "body", "Acme\uff1a", "。回覆STOP取消訂閱"),
        ("email", "zh-CN", "subject", "广告 | ", ""),
        ("email", "en-CN", "subject", "AD | ", ""),
        ("email", "en-GB", "body", "Hello,", "\nYou can unsubscribe from these e-mails at any time."),
    ],
)
def test_sender_and_notice_of_each_country(channel, locale, part, start, end):
    asked = brief(channel, locale)
    parts = written(asked)
    assert parts[part].startswith(start)
    assert parts[part].endswith(end)
    for damaged in (parts[part].removeprefix(start), parts[part].removesuffix(end) if end else "x"):
        assert check({**parts, part: damaged}, asked)


def test_a_subject_outside_china_carries_no_mark():
    for locale in ("en-US", "zh-HK", "zh-SG"):
        assert "|" not in written(brief("email", locale))["subject"]


@pytest.mark.parametrize(
    ("locale", "notice"),
    [
        ("en-US", "Text STOP to 36111 to end messages"),
        ("en-GB", "Unsubscribe in your account"),
        ("zh-CN", "回T退订"),
        ("zh-CN", "拒收请回复TD"),
    ],
)
def test_a_notice_of_ones_own_ends_the_message(locale, notice):
    for channel in ("sms", "email"):
        asked = brief(channel, locale, opt_out=notice)
        body = written(asked)["body"]
        assert body.endswith(notice)
        assert "opt_out" in {
            verdict.rule for verdict in check({**written(asked), "body": body[: -len(notice)]}, asked)
        }


@pytest.mark.parametrize(
    "notice",
    [
        "Thank you",
        "STOP or https://evil.example",
        "Reply STOP at evil.com",
        "Reply STOP or get 50% off",
        "Reply STOP or win a prize",
        "Reply STOP for a free gift",
        "<b>Reply STOP</b>",
        "Reply {stop} STOP",
        "Reply STOP\u202e",
        "回复STOP退订",
        "Reply STOP " + "please " * 30,
    ],
)
def test_a_notice_that_is_none_or_more_than_one_is_refused(notice):
    with pytest.raises(InputError, match="opt_out"):
        written(brief("sms", "en-US", opt_out=notice))


@pytest.mark.parametrize(
    "brand", ["\u0410cme", "Acme\u0660", "Acme evil.com now", "Free Acme", "Acme\nSTOP", "A\u202ecme"]
)
def test_a_sender_that_poses_as_another_is_refused(brand):
    with pytest.raises(InputError, match="signature"):
        written(brief(brand=brand))


def test_traditional_characters_are_asked_for_where_they_are_written():
    for locale, hook in (("zh-HK", "把这份好茶带回家"), ("zh-CN", "把這份好茶帶回家")):
        asked = brief(locale=locale)
        body = re.sub(r"(?<=】|\uff1a)", hook + "。", written(asked)["body"], count=1)
        assert {verdict.rule for verdict in check({"body": body}, asked)} == {"script"}


# Documentation


def test_every_rule_and_every_source_is_documented():
    page = (DOCS / "reference" / "copy_rules.md").read_text(encoding="utf-8")
    guard = files("copygen.guard")
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in guard.iterdir() if path.name.endswith(".py")
    )
    named = set(re.findall(r'Verdict\(\s*"(\w+)"', code)) | set(
        re.findall(r'^\s+\("(\w+)", [A-Z]+\),$', code, re.MULTILINE)
    )
    lists = [
        entry
        for name in ("claims", "hook")
        for entry in tomllib.loads(guard.joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))["list"]
    ]
    named |= {entry["rule"] for entry in lists}
    assert len(named) > 25
    assert {rule for rule in named if f"`{rule}`" not in page} == set()
    assert all(entry["source"] for entry in lists)
