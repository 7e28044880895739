"""Predicting in parts: the same numbers, bounded memory, a file that is whole or not there."""

import dataclasses
import datetime as dt
import threading
import tracemalloc

import numpy as np
import polars as pl
import pytest

from allocator.campaign.prediction_parts import write_prediction_parts
from allocator.campaign.predictions import read_predictions, write_predictions
from allocator.errors import PluginError
from allocator.plugins.predictions import Predictions
from allocator.runs.stages import predict_in_parts, predict_with
from cli.render.predictions import PredictionFacts
from predictors import BaselinePredictor, TransformerPredictor, history_predictor
from predictors.parts import in_order
from support.synthetic_campaigns import COUPONS, SENT, make_campaign

ARRAYS = ("conversion", "uplift", "redemption", "revenue", "expected_cost")
PREDICTORS = {
    "baseline": BaselinePredictor,
    "transformer": lambda: TransformerPredictor(epochs=1, width=8, attention_heads=2, max_events=4),
}


@pytest.fixture(scope="module", params=PREDICTORS)
def fitted(request):
    predictor = PREDICTORS[request.param]()
    campaign = make_campaign(n=1500)[0]
    predictor.fit(campaign, seed=3, device="cpu")
    return predictor, campaign


def fake(n, start=0):
    """Return predictions of n users against the three coupons."""
    rng = np.random.default_rng(start)
    return Predictions(
        np.array([f"u{i}" for i in range(start, start + n)]),
        np.array(COUPONS["coupon_id"].to_list()),
        *(rng.random((n, 3)) for _ in range(5)),
    )


def test_parts_and_cores_change_no_number(fitted, monkeypatch):
    predictor, campaign = fitted
    whole = predictor.predict(campaign)
    found = []
    for workers in (1, 2, 3):
        monkeypatch.setattr(history_predictor, "USERS_AT_ONCE", 256)
        monkeypatch.setattr(history_predictor, "cores", lambda workers=workers: workers)
        parts = list(predictor.predict_parts(campaign))
        assert [len(part.user_ids) for part in parts] == [256] * 5 + [220]
        found.append(Predictions.join(parts))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found[0], name), getattr(whole, name), rtol=1e-5, atol=1e-7)
        for other in found[1:]:
            np.testing.assert_array_equal(getattr(found[0], name), getattr(other, name))
    assert found[0].user_ids.tolist() == campaign.users["user_id"].to_list()


def test_progress_counts_users_and_cancels(fitted, monkeypatch):
    predictor, campaign = fitted
    monkeypatch.setattr(history_predictor, "USERS_AT_ONCE", 500)
    seen = []
    list(predictor.predict_parts(campaign, progress=lambda *step: seen.append(step)))
    assert seen == [("predict", done, 1500) for done in (0, 500, 1000, 1500)]

    def stop(step, done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predictor.predict_parts(campaign, progress=stop))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def test_a_changed_table_is_noted_once(fitted, monkeypatch):
    predictor, campaign = fitted
    monkeypatch.setattr(history_predictor, "USERS_AT_ONCE", 500)
    other = dataclasses.replace(campaign, users=campaign.users.with_columns(segment=pl.lit("new")))
    notes = predictor.predict(other).notes
    unknown, moved = notes  # each once, however many parts there are
    assert "segment: 100% of the values were not in the training data" in unknown
    assert "differ" in moved or "segment" in moved


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_parts_make_the_file_that_the_whole_makes(tmp_path, ending):
    parts = [fake(700, 0), fake(1, 700), fake(299, 701)]
    whole, by_parts = tmp_path / f"whole.{ending}", tmp_path / f"parts.{ending}"
    write_predictions(Predictions.join(parts), whole)
    write_prediction_parts(iter(parts), by_parts)
    one, two = read_predictions(whole), read_predictions(by_parts)
    for name in ("user_ids", "coupon_ids", *ARRAYS):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([whole.name, by_parts.name])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, ending, error):
    def parts():
        yield fake(100)
        yield fake(100, 100)
        raise error

    path = tmp_path / f"out.{ending}"
    with pytest.raises(error):
        write_prediction_parts(parts(), path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(error):
        write_prediction_parts(parts(), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_a_failing_disk_is_the_error_that_is_seen(tmp_path, monkeypatch):
    def full(self, path, metadata=None):
        raise OSError("no space left")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", full)
    with pytest.raises(OSError, match="no space left"):
        write_prediction_parts((fake(50, 50 * i) for i in range(20)), tmp_path / "out.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_without_parts_works_and_one_with_bad_parts_is_named():
    class Whole:
        def predict(self, campaign, *, progress):
            return fake(10)

    class Bad(Whole):
        def fit(self, campaign, *, seed, device, progress):
            raise NotImplementedError

        def save(self, folder):
            raise NotImplementedError

        @classmethod
        def load(cls, folder, *, device):
            raise NotImplementedError

        def predict_parts(self, campaign, *, progress):
            yield fake(10)
            yield dataclasses.replace(fake(10, 10), uplift=np.full((10, 3), np.nan))

    assert len(predict_with(Whole(), None, "whole").user_ids) == 10
    parts = predict_in_parts(Bad(), None, "bad")
    assert len(next(parts).user_ids) == 10
    with pytest.raises(PluginError, match="'bad' returned bad predictions: 'uplift'"):
        next(parts)


def test_facts_of_parts_are_those_of_the_whole():
    parts, found = [fake(400), fake(20, 400)], PredictionFacts()
    assert list(found.watch(parts)) == parts
    whole = Predictions.join(parts)
    for j, row in enumerate(found.rows()):
        assert row["uplift"] == pytest.approx(whole.uplift[:, j].mean())
        assert row["uplift_high"] == pytest.approx(np.quantile(whole.uplift[:, j], 0.9), abs=1e-6)


def test_work_is_in_order_and_bounded():
    running, most, lock = [0], [0], threading.Lock()
    made = []

    def work(item):
        with lock:
            made.append(item)
            most[0] = max(most[0], len(made) - running[0])
        return item * item

    for i, result in enumerate(in_order(work, range(50), 3)):
        assert result == i * i
        running[0] = i + 1
    assert most[0] <= 5


def test_memory_does_not_grow_with_users(monkeypatch):
    campaign, _ = make_campaign(n=1000)
    predictor = BaselinePredictor()
    predictor.fit(campaign, seed=1, device="cpu")
    monkeypatch.setattr(history_predictor, "USERS_AT_ONCE", 500)
    peaks = []
    for n in (4_000, 16_000):
        ids = [f"u{i}" for i in range(n)]
        users = campaign.users[np.arange(n) % 1000].with_columns(user_id=pl.Series(ids))
        events = pl.DataFrame({"user_id": ids, "at": [SENT - dt.timedelta(days=3)] * n}).with_columns(
            kind=pl.lit("view"), item=pl.lit(None, pl.String), category=pl.lit("tea"), amount=pl.lit(1.0)
        )
        larger = dataclasses.replace(campaign, users=users, events=events)
        tracemalloc.start()
        for _ in predictor.predict_parts(larger):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Predictions alone take 120 bytes a user; the order of the log, which must be held, about 20.
    assert peaks[1] - peaks[0] < 60 * 12_000
