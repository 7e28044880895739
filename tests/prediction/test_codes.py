"""Columns of few whole numbers: codes or amounts, read as both unless campaign.toml says which."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest

from allocator.campaign.config import parse_config
from allocator.campaign.reading import read_campaign
from allocator.errors import InputError
from predictors import SLearner
from predictors.features.encoder import Encoder
from predictors.features.log import Log
from support.synthetic_campaigns import make_campaign

REACTS = (1, 3)


def with_codes(codes: pl.Series, settings: str = "", n: int = 4000):
    """Return a campaign in which a coupon works for codes 1 and 3 only, and the codes of its users."""
    campaign, _ = make_campaign(n=n)
    number = codes.cast(pl.Int64).to_numpy()
    rng, treated = np.random.default_rng(2), campaign.history["treated"].to_numpy()
    works = np.isin(number, REACTS) & treated
    history = campaign.history.with_columns(converted=rng.random(n) < 0.1 + 0.25 * works, redeemed=treated)
    config = parse_config(f'schema = 1\nname = "shop"\ncurrency = "EUR"\n{settings}')
    users = campaign.users.with_columns(codes.alias("tier"))
    return dataclasses.replace(campaign, users=users, history=history, config=config), number


def encoder_of(campaign) -> Encoder:
    user = np.arange(campaign.users.height)
    now = np.full(len(user), 2**31)
    return Encoder.fit(campaign, Log.of(campaign).behaviour(), user, now, campaign.coupons, 0)


@pytest.fixture
def codes() -> pl.Series:
    return pl.Series(np.random.default_rng(1).integers(1, 5, 4000))


def test_codes_are_found_as_well_as_if_they_were_text(codes):
    uplift = {}
    for kind in (pl.Int64, pl.String):
        campaign, number = with_codes(codes.cast(kind))
        predictor = SLearner(test_share=0.05)
        report = predictor.fit(campaign, seed=1)
        found = predictor.predict(campaign).uplift.mean(axis=1)
        uplift[kind] = [found[number == code].mean() for code in range(1, 5)]
        said = [note for note in report.notes if "tier" in note]
        assert len(said) == (kind == pl.Int64)
    one, two, three, four = uplift[pl.Int64]
    assert min(one, three) > 0.15 > 0.08 > max(two, four)
    np.testing.assert_allclose(uplift[pl.Int64], uplift[pl.String], atol=0.03)


@pytest.mark.parametrize(("word", "readings"), [(None, (1, 1)), ("number", (1, 0)), ("category", (0, 1))])
def test_campaign_toml_may_say_which_it_is(codes, word, readings):
    settings = "" if word is None else f'[columns.users]\n"Tier" = "{word}"\n'
    encoder = encoder_of(with_codes(codes, settings)[0])
    found = [sum(one.name == "tier" for one in kind) for kind in (encoder.numeric, encoder.categorical)]
    assert tuple(found) == readings
    assert len(encoder.assumptions()) == (word is None)


@pytest.mark.parametrize(
    "values", [np.arange(4000) % 2, np.arange(4000) % 30, np.random.default_rng(0).normal(size=4000)]
)
def test_other_numbers_are_amounts(values):
    campaign = make_campaign(n=4000)[0]
    campaign = dataclasses.replace(campaign, users=campaign.users.with_columns(x=pl.Series(values)))
    encoder = encoder_of(campaign)
    assert "x" in {one.name for one in encoder.numeric}
    assert "x" not in {one.name for one in encoder.categorical}


def test_a_code_is_the_same_as_a_whole_number_with_nulls_and_as_one_with_a_point(codes):
    encoder = encoder_of(with_codes(codes)[0])
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    (vocabulary,) = [one for one in again.categorical if one.name == "tier"]
    index = vocabulary.encode(pl.Series([1, 2, 4]))
    np.testing.assert_array_equal(vocabulary.encode(pl.Series([1.0, 2.0, 4.0])), index)
    assert vocabulary.encode(pl.Series([None, 9.0, 1.5, float("nan")])).tolist() == [0, 1, 1, 0]
    old = encoder.to_json()
    old["categorical"] = [{"name": one["name"], "values": one["values"]} for one in old["categorical"]]
    assert not any(one.codes for one in Encoder.from_json(old).categorical)


def test_text_cannot_be_an_amount(tmp_path):
    config = 'schema = 1\nname = "x"\ncurrency = "EUR"\n[columns.users]\n"plan" = "number"\n'
    (tmp_path / "campaign.toml").write_text(config)
    (tmp_path / "users.csv").write_text("user_id,plan\nu1,gold\nu2,3\n")
    (tmp_path / "coupons.csv").write_text("coupon_id,kind,value\nTEN,percent,10\n")
    with pytest.raises(InputError, match="holds text") as raised:
        read_campaign(tmp_path)
    (finding,) = raised.value.findings
    assert (finding.file, finding.found) == ("campaign.toml", "'gold'")
