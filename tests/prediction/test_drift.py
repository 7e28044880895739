"""Users who are others than those of the past sends are told, with what that does to predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from predictors import SLearner
from predictors.features.drift import moves, stability
from predictors.features.encoder import Encoder
from support.synthetic_campaigns import make_campaign


@pytest.fixture(scope="module")
def fitted():
    campaign = make_campaign(n=4000)[0]
    predictor = SLearner(test_share=0.05)
    predictor.fit(campaign, seed=1)
    return predictor, campaign


def told(predictor, campaign):
    return [note for note in predictor.predict(campaign).notes if "differs from the training data" in note]


def test_the_same_users_have_not_moved(fitted):
    predictor, campaign = fitted
    assert told(predictor, campaign) == []
    few = dataclasses.replace(campaign, users=campaign.users.head(40))
    assert told(predictor, few) == []  # forty users scatter, and chance is no drift


def test_what_moved_is_named_with_what_it_does(fitted):
    predictor, campaign = fitted
    users = campaign.users.with_columns(pl.col("spend") + 1.5)
    (note,) = told(predictor, dataclasses.replace(campaign, users=users))
    assert "spend (index" in note
    assert "segment" not in note
    usual = predictor.predict(campaign).uplift.mean()
    change = predictor.predict(dataclasses.replace(campaign, users=users)).uplift.mean() - usual
    said = float(note.split("mean uplift ")[1].split(" points")[0]) / 100
    assert said == pytest.approx(change, abs=0.4 * abs(change))
    assert change > 0.02
    users = campaign.users.with_columns(segment=pl.lit("b"))
    (note,) = told(predictor, dataclasses.replace(campaign, users=users))
    assert "segment (index" in note
    assert "spend" not in note


def test_a_model_saved_without_shares_says_nothing(fitted):
    predictor, campaign = fitted
    data = predictor._encoder.to_json()
    for entry in (*data["numeric"], *data["categorical"]):
        del entry["shares"]
    old = Encoder.from_json(data)
    assert moves(old, campaign.users.with_columns(pl.col("spend") + 9)) == []
    again = Encoder.from_json(predictor._encoder.to_json())
    assert again == predictor._encoder


def test_the_index_is_that_of_the_formula():
    then, now = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    assert stability(then, now, 10_000) == pytest.approx(0.4 * np.log(1.8) + 0.4 * np.log(5))
    assert stability(then, now, 5) == 0.0
    assert stability(then, np.array([0.55, 0.45]), 10_000) == 0.0
