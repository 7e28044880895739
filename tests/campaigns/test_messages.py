"""Who gets which text: languages, variants, what is held back, and what people decided before."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator import read_campaign
from allocator.campaign.languages import best_tag
from allocator.campaign.messages import KEY, briefs, recipients, with_variants
from allocator.campaign.private import private_words
from allocator.campaign.task import build_task
from allocator.errors import InputError
from support.campaign_folders import replace_in

TAGS = ("en", "en-GB", "zh-CN", "zh-HK")


@pytest.mark.parametrize(
    ("locale", "tags", "best"),
    [
        ("en-GB", TAGS, "en-GB"),
        ("en_gb.UTF-8", TAGS, "en-GB"),
        ("en-US", TAGS, "en"),
        ("EN", TAGS, "en"),
        ("zh-Hans-CN", TAGS, "zh-CN"),
        ("zh-Hant-HK", TAGS, "zh-HK"),
        ("zh", TAGS, "zh-CN"),
        ("zh-TW", TAGS, "zh-CN"),
        ("de-DE", TAGS, "en"),
        ("en-US", ("zh-CN", "en-GB"), "en-GB"),
        ("", ("zh-CN", "en-GB"), "zh-CN"),
    ],
)
def test_a_locale_picks_the_same_tag_then_the_language_then_the_first(
    locale: str, tags: tuple[str, ...], best: str
) -> None:
    assert best_tag(locale, tags) == best


# Variants


def sent_to(users: list[str], coupons: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"user_id": users, "coupon_id": coupons}).with_columns(
        segment=pl.lit("everyone"), channel=pl.lit("sms"), language=pl.lit("en")
    )


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.text("abc1\0=é王", min_size=1, max_size=4), st.sampled_from("XYZ")),
        min_size=1, max_size=60, unique=True,
    ),
    variants=st.integers(1, 26),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_variants_are_even_in_every_message_and_do_not_depend_on_the_order(
    pairs: list[tuple[str, str]], variants: int, seed: int
) -> None:
    sent = sent_to([user for user, _ in pairs], [coupon for _, coupon in pairs])
    given_out = with_variants(sent, variants, seed)
    for _, group in given_out.group_by(KEY[:-1]):
        counts = Counter(group["variant"])
        assert len(counts) == min(variants, group.height)
        assert max(counts.values()) - min(counts.values()) <= 1
    backwards = with_variants(sent.reverse(), variants, seed).reverse()
    assert backwards.equals(given_out)


def test_variants_look_random_and_depend_on_the_seed_and_on_the_coupon() -> None:
    users = [f"u{i:05}" for i in range(4000)]
    sent = sent_to(users * 2, ["X"] * 4000 + ["Y"] * 4000)
    variant = with_variants(sent, 2, seed=1)["variant"].to_list()
    first, second = variant[:4000], variant[4000:]
    again = with_variants(sent, 2, seed=2)["variant"].to_list()
    # 2,000 of 4,000 agree by chance, give or take 5 standard deviations.
    for other in (second, again[:4000], first[1:] + first[:1], ["A", "B"] * 2000):
        assert abs(sum(a == b for a, b in zip(first, other, strict=True)) - 2000) < 160


def test_every_variant_gets_a_text_and_every_user_one_of_them(allocate: Any, shop: Path) -> None:
    replace_in(shop / "campaign.toml", "[copy]", "[copy]\nvariants = 3")
    assert allocate("run", shop, "--no-predict", "--out", shop / "out").code == 0
    texts, messages = (pl.read_csv(shop / "out" / name) for name in ("copy.csv", "messages.csv"))
    assert set(texts["variant"]) == {"A", "B", "C"}
    assert texts["audience"].sum() == messages.height
    assert messages["body"].null_count() == 0
    spread = messages.group_by(KEY[:-1]).agg(pl.col("variant").value_counts())["variant"].to_list()
    for counts in spread:
        sizes = [count["count"] for count in counts]
        assert max(sizes) - (min(sizes) if len(sizes) == 3 else 0) <= 1
    assigned = pl.read_csv(shop / "out" / "assignments.csv")
    assert assigned.select("user_id", "variant").equals(messages.select("user_id", "variant"))


# What is held back, and what was decided


def asked(folder: Path) -> list[Any]:
    campaign = read_campaign(folder)
    task = build_task(campaign, None)
    pairs = campaign.scores.select("user_id", "coupon_id")  # type: ignore[union-attr]
    return briefs(campaign, recipients(campaign, task, pairs))


def test_words_of_customers_are_held_back_and_those_that_many_share_are_not(tiny: Any) -> None:
    rows = "".join(
        f"u{i},north,31,{name},{hobby},{city}\n"
        for i, (name, hobby, city) in enumerate(
            [("Rosalind O'Brien", "the lute", "Springfield"), ("王小明", "Tea", "Springfield")]
            + [("mary ann", "tea", "Springfield")] * 30,
            start=1,
        )
    )
    tiny.write(users="user_id,region,age,full_name,hobby,city\n" + rows)
    words = private_words(read_campaign(tiny.path))
    assert {"Rosalind", "Brien", "王小明", "mary", "Mary", "Ann", "lute", "Lute"} <= words
    assert not {"tea", "Tea", "the", "The", "Springfield", "north", "North", "O"} & words - {"Tea"}
    tiny.replace("campaign.toml", "[copy]", '[copy]\nmay_mention = ["full_name"]')
    assert "Rosalind" not in private_words(read_campaign(tiny.path))


def test_a_category_is_no_secret_and_neither_is_the_column_of_segments(tiny: Any) -> None:
    tiny.write(
        users="user_id,region,likes,tier\n" + "".join(f"u{i},north,Dairy,Gold\n" for i in range(1, 5)),
        coupons="coupon_id,kind,value,category\nC1,percent,10,DAIRY\nC2,amount,5,\n",
    )
    tiny.replace("campaign.toml", "[copy]", '[copy]\nsegment_by = "tier"')
    words = private_words(read_campaign(tiny.path))
    assert not {"Dairy", "dairy", "Gold"} & words
    assert "North" in words  # four customers are few


def test_briefs_hold_what_was_decided_where_the_latest_counts(tiny: Any) -> None:
    (tiny.path / "reviewed_copy.csv").write_text(
        "coupon_id,segment,channel,language,variant,hook,decision,at\n"
        "C1,everyone,sms,en,A,Good days ahead,approved,2026-06-01T10:00:00\n"
        "C1,everyone,sms,en,A,Better days ahead,edited,2026-06-01T10:01:00\n"
        ",,,,,Good days ahead,banned,2026-06-01T10:02:00\n"
        ",,,,,Fine Days Ahead,banned,2026-06-01T10:03:00\n"
        "C2,everyone,sms,en,A,Fine Days Ahead,approved,2026-06-01T10:04:00\n"
    )
    one, two = asked(tiny.path)
    assert (one.offer.coupon_id, one.approved, one.locale) == ("C1", ("Better days ahead",), "en")
    assert (two.offer.coupon_id, two.approved) == ("C2", ("Fine Days Ahead",))
    assert one.banned == two.banned == {"good days ahead"}


def test_a_decision_that_names_no_message_is_a_finding(tiny: Any) -> None:
    (tiny.path / "reviewed_copy.csv").write_text(
        "coupon_id,segment,channel,language,variant,hook,decision\n"
        "C1,,sms,en,A,Good days ahead,approved\n"
        "C1,everyone,fax,en,A,Good days ahead,approved\n"
    )
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.path)
    assert {(finding.row, finding.column) for finding in caught.value.findings} == {(3, "channel")}
    text = (tiny.path / "reviewed_copy.csv").read_text().replace("fax", "sms")
    (tiny.path / "reviewed_copy.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.path)
    assert [(finding.row, finding.column) for finding in caught.value.findings] == [(2, "segment")]


def test_an_approved_hook_is_used_first_and_the_manifest_names_its_file(allocate: Any, tiny: Any) -> None:
    (tiny.path / "reviewed_copy.csv").write_text(
        "coupon_id,segment,channel,language,variant,hook,decision\n"
        "C2,everyone,sms,en,A,A little joy for your week,approved\n"
    )
    assert allocate("run", tiny.path, "--out", tiny.path / "out").code == 0
    texts = pl.read_csv(tiny.path / "out" / "copy.csv")
    row = texts.row(by_predicate=pl.col("coupon_id") == "C2", named=True)
    assert "A little joy for your week" in row["body"]
    assert (row["written_by"], row["note"]) == ("approved hook", "approved by a person")
    assert "reviewed_copy.csv" in (tiny.path / "out" / "manifest.json").read_text()
    (tiny.path / "reviewed_copy.csv").unlink()
    assert allocate("check", tiny.path / "out").code == 0  # what people decide later changes no plan


def test_a_run_of_another_campaign_is_named(tiny: Any) -> None:
    campaign = read_campaign(tiny.path)
    strangers = pl.DataFrame({"user_id": ["nobody"], "coupon_id": ["C1"]})
    with pytest.raises(InputError, match="user that the campaign does not have"):
        recipients(campaign, build_task(campaign, None), strangers)


@pytest.fixture
def shop(allocate: Any, tmp_path: Path) -> Path:
    assert allocate("init", tmp_path / "shop").code == 0
    return tmp_path / "shop"
