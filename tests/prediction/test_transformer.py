"""The transformer on synthetic campaigns whose true uplift is known."""

import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest
import torch

from allocator.campaign.config import parse_config
from allocator.errors import InputError
from allocator.runs.run_folder import RunFolder
from allocator.runs.stages import predict_campaign
from predictors import TransformerPredictor
from support.synthetic_campaigns import COUPONS, SENT, coupon_table, make_campaign

SMALL = {"epochs": 2, "width": 8, "attention_heads": 2, "max_events": 4}
"""A transformer that trains in a second or two."""


@pytest.fixture(scope="module")
def campaign():
    return make_campaign(n=1500)[0]


def uplift(campaign, seed=1, **options):
    predictor = TransformerPredictor(**options)
    predictor.fit(campaign, seed=seed, device="cpu")
    return predictor.predict(campaign).uplift


def send(campaign, truth, base, chance, coupons=COUPONS, propensity=False, seed=1):
    """Return the campaign with new sends: (n, 1 + c) chances of nothing and each coupon."""
    rng = np.random.default_rng(seed)
    n = len(truth)
    arm = (rng.random((n, 1)) > np.cumsum(chance, axis=1)[:, :-1]).sum(axis=1) - 1
    treated, rows = arm >= 0, np.arange(n)
    converted = rng.random(n) < base + np.where(treated, truth[rows, arm], 0.0)
    history = pl.DataFrame(
        {
            "user_id": campaign.users["user_id"],
            "coupon_id": coupons["coupon_id"].gather(np.maximum(arm, 0)).set(pl.Series(~treated), None),
            "treated": treated,
            "sent_at": [SENT] * n,
            "propensity": pl.Series(chance[rows, arm + 1] if propensity else [None] * n, dtype=pl.Float64),
            "converted": converted,
            "redeemed": converted & treated,
            "revenue": np.where(converted, 30.0, 0.0),
            "discount": np.zeros(n),
        }
    )
    return dataclasses.replace(campaign, history=history, coupons=coupons)


def make_confounded(seed, n=3000):
    """Return a campaign that sent its coupons to those who buy anyway, and its true uplift."""
    campaign = make_campaign(n=n, seed=5)[0]
    rng = np.random.default_rng(seed)
    spend, visits = rng.normal(size=(2, n))
    users = campaign.users.with_columns(spend=pl.Series(spend), visits=pl.Series(visits))
    truth = np.repeat((0.02 + 0.2 * (visits > 0))[:, None], 3, axis=1)
    keen = 1 / (1 + np.exp(-1.5 * spend))
    chance = np.column_stack([1 - keen, *[keen / 3] * 3])
    base = 0.05 + 0.6 * (spend > 0.5)
    return send(
        dataclasses.replace(campaign, users=users, events=None), truth, base, chance, seed=seed
    ), truth[:, 0]


@pytest.mark.parametrize("loss", ["factual", "dr"])
def test_users_of_a_confounded_history_are_ranked_by_their_uplift(loss):
    campaign, truth = make_confounded(2)
    found = uplift(campaign, loss=loss).mean(axis=1)
    assert np.corrcoef(found, truth)[0, 1] > 0.25


def test_estimated_propensities_and_their_overlap_are_reported():
    campaign, _ = make_confounded(0, n=1000)
    for loss in ("factual", "dr"):
        report = TransformerPredictor(**SMALL, loss=loss).fit(campaign, seed=1, device="cpu")
        assert any("Propensities were estimated" in note for note in report.notes)


def test_the_events_of_a_user_tell_what_totals_do_not():
    campaign = make_campaign(n=4000, seed=5)[0]
    rng = np.random.default_rng(0)
    amount = rng.choice([5.0, 80.0], 4000)
    last = pl.DataFrame(
        {
            "user_id": campaign.users["user_id"],
            "at": [SENT - dt.timedelta(hours=12)] * 4000,
            "kind": ["cart"] * 4000,
            "item": pl.Series([None] * 4000, dtype=pl.String),
            "category": ["toys"] * 4000,
            "amount": amount,
        }
    )
    truth = np.repeat(np.where(amount > 50, 0.3, 0.02)[:, None], 3, axis=1)
    chance = np.tile([0.4, 0.2, 0.2, 0.2], (4000, 1))
    campaign = send(campaign, truth, np.full(4000, 0.15), chance, propensity=True)
    campaign = dataclasses.replace(campaign, events=pl.concat([campaign.events, last]), as_of=SENT.date())
    gap = {}
    for length in (0, 8):
        found = uplift(campaign, max_events=length, epochs=8, weight_decay=0.2).mean(axis=1)
        gap[length] = found[amount > 50].mean() - found[amount < 50].mean()
    assert abs(gap[0]) < 0.08
    assert gap[8] > 0.15


@pytest.mark.parametrize("loss", ["factual", "dr"])
def test_a_training_that_was_cut_short_goes_on_to_the_same_model(campaign, tmp_path, loss):
    options = {**SMALL, "epochs": 3, "loss": loss}
    whole = TransformerPredictor(**options)
    whole.fit(campaign, seed=4, device="cpu")
    cut = TransformerPredictor(**options)
    cut.checkpoint = tmp_path / "checkpoint"
    epochs = []

    def interrupt(step, done, total):
        if step == "train":
            epochs.append(done)
            if done > 0.5 * total:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(campaign, seed=4, device="cpu", progress=interrupt)
    again = TransformerPredictor(**options)
    again.checkpoint = cut.checkpoint
    later = []
    again.fit(
        campaign,
        seed=4,
        device="cpu",
        progress=lambda step, done, total: later.append(done) if step == "train" else None,
    )
    assert min(later) > min(epochs)
    np.testing.assert_array_equal(again.predict(campaign).uplift, whole.predict(campaign).uplift)
    assert {path.suffix for path in cut.checkpoint.iterdir()} == {".safetensors"}


def test_a_run_that_died_in_training_goes_on_in_its_folder(tmp_path):
    campaign = make_campaign(n=400)[0]
    config = parse_config(
        'schema = 1\nname = "test"\ncurrency = "EUR"\n[predict]\npredictor = "transformer"\ndevice = "cpu"\n'
        "[predict.options]\nepochs = 3\nwidth = 8\nattention_heads = 2\nmax_events = 0"
    )
    campaign = dataclasses.replace(campaign, config=config)
    _, whole = predict_campaign(campaign, None)
    seen = []

    def interrupt(step, done, total):
        if step == "train" and done > 0.5 * total:
            raise KeyboardInterrupt

    run = RunFolder(tmp_path / "run", {})
    with pytest.raises(KeyboardInterrupt):
        predict_campaign(campaign, run, interrupt)
    assert list(run.checkpoint.iterdir())
    _, again = predict_campaign(campaign, RunFolder(tmp_path / "run", {}), lambda *step: seen.append(step))
    assert min(done for step, done, _ in seen if step == "train") > 0
    np.testing.assert_array_equal(again.uplift, whole.uplift)
    assert not run.checkpoint.exists()


def test_a_checkpoint_of_another_training_is_left_alone(campaign, tmp_path):
    for seed in (4, 5):
        predictor = TransformerPredictor(**SMALL)
        predictor.checkpoint = tmp_path
        predictor.fit(campaign, seed=seed, device="cpu")
    assert len(list(tmp_path.iterdir())) == 2
    plain = TransformerPredictor(**SMALL)
    plain.fit(campaign, seed=5, device="cpu")
    np.testing.assert_array_equal(plain.predict(campaign).uplift, predictor.predict(campaign).uplift)


def test_accumulated_batches_make_the_step_of_a_larger_one():
    campaign = make_campaign(n=3000)[0]
    whole = uplift(campaign, **SMALL, dropout=0.0, batch_size=64)
    parts = uplift(campaign, **SMALL, dropout=0.0, batch_size=16, accumulate=4)
    np.testing.assert_allclose(parts, whole, atol=2e-4)


WORDS = ("free garden seeds", "garden tools sale", "seeds for the garden", "winter gloves", "warm winter hat")


@pytest.mark.parametrize("description", ["hash", "model"])
def test_a_new_coupon_is_scored_by_its_description(description, tmp_path):
    campaign = make_campaign(n=4000, seed=6)[0]
    coupons = coupon_table(*((f"C{i}", "percent", 10, None) for i in range(5)))
    coupons = coupons.with_columns(description=pl.Series(WORDS))
    truth = np.tile([0.35, 0.35, 0.35, 0.02, 0.02], (4000, 1))
    chance = np.tile([0.25, *[0.15] * 5], (4000, 1))
    campaign = send(campaign, truth, np.full(4000, 0.15), chance, coupons, propensity=True)
    option = make_language_model(tmp_path / "words") if description == "model" else description
    predictor = TransformerPredictor(description=option, max_events=0, coupon_dropout=0.5)
    predictor.fit(campaign, seed=2, device="cpu")
    new = coupon_table(("GARDEN", "percent", 10, None), ("WINTER", "percent", 10, None))
    new = new.with_columns(description=pl.Series(["garden seeds", "winter hat gloves"]))
    (tmp_path / "saved").mkdir()
    predictor.save(tmp_path / "saved")
    found = [
        one.predict(dataclasses.replace(campaign, coupons=new)).uplift
        for one in (predictor, TransformerPredictor.load(tmp_path / "saved", device="cpu"))
    ]
    garden, winter = found[0].mean(axis=0)
    assert garden - winter > 0.1
    np.testing.assert_array_equal(found[0], found[1])


def make_language_model(folder):
    """Write a tiny language model with random weights, and a tokeniser that knows the words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = sorted({word for text in WORDS for word in text.split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
        )
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


def test_a_missing_language_model_is_named(tmp_path):
    with pytest.raises(InputError, match="no language model for coupon descriptions"):
        TransformerPredictor(description=str(tmp_path / "nowhere"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="cannot be read"):
        TransformerPredictor(description=str(tmp_path))
