"""What a predicted uplift rests on: shares that add up, the right drivers first, words a marketer reads."""

from __future__ import annotations

import dataclasses
import io
import itertools
import math
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.cells import cell_len
from rich.console import Console

from allocator.explain.user import CouponView, Explanation
from allocator.plugins import registry
from allocator.plugins.attribution import Attributions, importance, shown, uplift_view
from allocator.plugins.protocols import AttributingPredictor
from cli.main import run as call
from cli.render.explanation import explanation_page, importance_page
from predictors import BaselinePredictor, TransformerPredictor
from predictors.shapley import shapley_values
from support.paths import DOCS
from support.synthetic_campaigns import make_campaign

PAGE = DOCS / "howto" / "explaining.md"
SEED = 7


@pytest.fixture(scope="module")
def campaign() -> Any:
    """A campaign with known drivers, and a column that drives nothing."""
    campaign = make_campaign()[0]
    noise = np.random.default_rng(1).normal(size=campaign.users.height)
    return dataclasses.replace(campaign, users=campaign.users.with_columns(shoe_size=pl.Series(noise)))


PREDICTORS = (BaselinePredictor(), TransformerPredictor(epochs=6, max_events=4))


@pytest.fixture(scope="module", params=PREDICTORS, ids=lambda predictor: predictor.name)
def fitted(request: Any, campaign: Any) -> Any:
    predictor = request.param
    predictor.fit(campaign, seed=5, device="cpu")
    return predictor


# The estimate


def exact(game: Any, inputs: int, others: int) -> np.ndarray:
    """Return Shapley values by their definition, over all subsets."""
    shares = np.zeros(inputs)
    for i, size in itertools.product(range(inputs), range(inputs)):
        weight = math.factorial(size) * math.factorial(inputs - size - 1) / math.factorial(inputs)
        for subset in itertools.combinations([k for k in range(inputs) if k != i], size):
            keep = np.zeros((others, inputs), dtype=bool)
            keep[:, list(subset)] = True
            without = game(keep, np.arange(others))[:, 0].mean()
            keep[:, i] = True
            shares[i] += weight * (game(keep, np.arange(others))[:, 0].mean() - without)
    return shares


def test_shares_are_shapley_values() -> None:
    rng = np.random.default_rng(3)
    own, crowd = rng.normal(size=5), rng.normal(size=(40, 5))

    def pairs(keep: np.ndarray, other: np.ndarray) -> np.ndarray:
        x = np.where(keep, own, crowd[other])
        return (2.0 * x[:, 0] - x[:, 1] * x[:, 2] + 0.0 * x[:, 4])[:, None]

    def triple(keep: np.ndarray, other: np.ndarray) -> np.ndarray:
        x = np.where(keep, own, crowd[other])
        return pairs(keep, other) + (x[:, 0] * x[:, 1] * x[:, 3])[:, None]

    shares, top, bottom = shapley_values(pairs, 5, 40, np.random.default_rng(1))
    np.testing.assert_allclose(shares[0], exact(pairs, 5, 40), atol=1e-12)
    assert shares[0, 3] == shares[0, 4] == 0
    assert shares.sum() == pytest.approx(top[0] - bottom[0])
    drawn = np.array([shapley_values(triple, 5, 40, np.random.default_rng(s))[0][0] for s in range(200)])
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(axis=0) - exact(triple, 5, 40)) <= 4 * error + 1e-12).all()


@pytest.mark.parametrize("inputs", [0, 1])
def test_few_inputs_share_too(inputs: int) -> None:
    shares, top, bottom = shapley_values(
        lambda keep, other: 1.0 * keep.sum(axis=1)[:, None] + other[:, None],
        inputs,
        3,
        np.random.default_rng(1),
    )
    assert shares.tolist() == [[1.0] * inputs]
    assert top - bottom == inputs


# Predictors


def test_effects_add_up_to_what_the_uplift_is_above_the_usual(fitted: Any, campaign: Any) -> None:
    users = np.array([17, 3, 900])
    found = fitted.attribute(campaign, users, seed=SEED)
    predicted = fitted.predict(campaign)
    np.testing.assert_allclose(found.uplift, predicted.uplift[users], atol=1e-6)
    np.testing.assert_allclose(found.effects.sum(axis=2), found.uplift - found.usual_uplift, atol=1e-6)
    assert found.user_ids.tolist() == ["u17", "u3", "u900"]
    assert found.coupon_ids.tolist() == predicted.coupon_ids.tolist()
    spread = predicted.uplift.std(axis=0) / np.sqrt(len(found.background))
    assert (np.abs(found.usual_uplift - predicted.uplift.mean(axis=0)) < 4 * spread).all()


def test_the_same_seed_says_the_same_whoever_else_is_asked_about(fitted: Any, campaign: Any) -> None:
    both = fitted.attribute(campaign, np.array([40, 8]), seed=SEED)
    alone = fitted.attribute(campaign, np.array([8]), seed=SEED)
    np.testing.assert_allclose(both.effects[1], alone.effects[0], rtol=0, atol=1e-9)
    assert both.values[1] == alone.values[0]
    assert both.background == alone.background
    again = fitted.attribute(campaign, np.array([8]), seed=SEED)
    np.testing.assert_array_equal(again.effects, alone.effects)
    other = fitted.attribute(campaign, np.array([8]), seed=SEED + 1)
    assert other.background != alone.background


def test_the_true_driver_of_each_coupon_comes_first(fitted: Any, campaign: Any) -> None:
    found = fitted.attribute(campaign, np.arange(0, 400, 10), seed=SEED, compared_with=32)
    rows = importance(found)
    assert isinstance(fitted, AttributingPredictor)
    first = {
        coupon: max(rows, key=lambda row: row.coupons[coupon]).input for coupon in found.coupon_ids.tolist()
    }
    assert first["TEN"] == "spend"
    assert first["FIVE"] == "segment"
    # All events of a user are about tea or all about toys, so that either interest tells.
    assert first["SHIP"] in ("interest in tea", "interest in toys")
    noise = next(row for row in rows if row.input == "shoe_size")
    for coupon, effect in noise.coupons.items():
        assert effect < 0.35 * max(row.coupons[coupon] for row in rows)
    assert [row.effect for row in rows] == sorted((row.effect for row in rows), reverse=True)


def test_the_driver_of_one_user_has_its_sign_and_value(fitted: Any, campaign: Any) -> None:
    spend = campaign.users["spend"]
    rich, poor = int(spend.arg_max()), int(spend.arg_min())
    found = fitted.attribute(campaign, np.array([rich, poor]), seed=SEED)
    for i, (row, level, sign) in enumerate([(rich, "high", 1), (poor, "low", -1)]):
        driver = uplift_view(found, found.user_ids[i], "TEN").drivers[0]
        assert (driver.input, driver.level) == ("spend", level)
        assert driver.effect * sign > 0.03
        assert driver.value == spend[row]
        assert abs(driver.usual) < 0.5


def test_values_are_what_the_tables_say(campaign: Any) -> None:
    predictor = BaselinePredictor()
    predictor.fit(campaign, seed=5, device="cpu")
    row = int(campaign.users["spend"].is_null().arg_max())
    user = campaign.users["user_id"][row]
    found = predictor.attribute(campaign, np.array([row]), seed=SEED)
    values = dict(zip(found.inputs, found.values[0], strict=True))
    mine = campaign.events.filter(pl.col("user_id") == user).sort("at")
    assert values["spend"] is None
    assert values["segment"] == campaign.users["segment"][row]
    assert values["number of purchases in 180 days"] == (mine["kind"] == "purchase").sum()
    paid = mine.filter(pl.col("kind") == "purchase")["amount"].round(2).sum()
    assert values["spend in 180 days"] == pytest.approx(paid, abs=0.02)
    assert values["interest in tea"] == (mine["category"] == "tea").sum()
    assert dict(zip(found.inputs, found.units, strict=True))["spend in 180 days"] == "EUR"


def test_a_saved_predictor_explains_alike(fitted: Any, campaign: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = type(fitted).load(tmp_path, device="cpu")
    before, after = (p.attribute(campaign, np.array([5]), seed=SEED) for p in (fitted, loaded))
    np.testing.assert_array_equal(before.effects, after.effects)


# Words


def attributions(
    effects: list[float], values: list[Any], *, usual: float = 0.05, background: Any = None, units: Any = None
) -> Attributions:
    names = tuple(f"input{k}" for k in range(len(effects)))
    return Attributions(
        user_ids=np.array(["u1"]),
        coupon_ids=np.array(["C"]),
        inputs=names,
        units=units or ("",) * len(names),
        uplift=np.array([[usual + sum(effects)]]),
        usual_uplift=np.array([usual]),
        effects=np.array([[effects]]),
        values=(tuple(values),),
        background=background or tuple(tuple(float(n) for _ in effects) for n in range(10)),
    )


ADDS, USUAL = "points to u1's chance of buying", "than for the usual customer"


@pytest.mark.parametrize(
    ("effects", "usual", "values", "words"),
    [
        (
            [0.03, 0.012, -0.001], 0.05, [99, None, 1],
            f"C adds 9.1 {ADDS}, 4.1 more {USUAL}, mostly because input0 is high (+3.0) and "
            "input1 is missing (+1.2).",
        ),
        (
            [-0.02, 0.001], 0.05, [-1, 3],
            f"C adds 3.1 {ADDS}, 1.9 less {USUAL}, mostly because input0 is low (-2.0).",
        ),
        (
            [-0.08, 0.01], 0.05, [-1, 3],
            "C takes 2.0 points off u1's chance of buying, against +5.0 for the usual customer, mostly "
            "because input0 is low (-8.0).",
        ),
        (
            [0.03, -0.03], 0.05, ["north", True],
            f"C adds 5.0 {ADDS}, about as for the usual customer: input0 is north (+3.0), but input1 is yes "
            "(-3.0).",
        ),
        ([0.0, 0.0], 0.05, [1, 2], f"C adds 5.0 {ADDS}, about as for the usual customer."),
        ([0.0001], 0.0, [5], "C changes nothing in u1's chance of buying, about as for the usual customer."),
        (
            [0.01] * 5, 0.01, [4.0] * 5,
            f"C adds 6.0 {ADDS}, 5.0 more {USUAL}, in part because input0 is 4 (+1.0) and "
            "input1 is 4 (+1.0).",
        ),
    ],
)  # fmt: skip
def test_one_sentence_says_it(effects: list[float], usual: float, values: list[Any], words: str) -> None:
    assert uplift_view(attributions(effects, values, usual=usual), "u1", "C").words == words


def test_what_is_usual_is_the_median_the_commonest_text_or_missing() -> None:
    crowd = tuple((n, "north" if n < 4 else f"x{n}", f"name{n}", None if n < 8 else 1.0) for n in range(10))
    found = attributions([0.04, 0.03, 0.02, 0.01], [1, "x", "y", 2.0], background=crowd)
    usual = {driver.input: driver.usual for driver in uplift_view(found, "u1", "C").drivers}
    assert usual == {"input0": 4.5, "input1": "north", "input2": "varies", "input3": None}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "EUR", "missing"), (True, "", "yes"), (False, "", "no"), ("north", "", "north"),
        (1234.5, "EUR", "1,234 EUR"), (12.5, "EUR", "12.50 EUR"), (0.0, "events", "0 events"),
        (1.0, "events", "1 event"), (1.0, "days", "1 day"), (21.6, "days", "22 days"), (40.0, "%", "40 %"),
    ],
)  # fmt: skip
def test_values_read_well(value: Any, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_pages_fit_eighty_columns_with_wide_characters() -> None:
    found = dataclasses.replace(
        attributions([0.03, 0.02, -0.01, 0.004, 0.003, 0.002], ["华东地区" * 6, None, True, 3.5, 2, 1]),
        inputs=("地区和城市的名称" * 3, "b" * 50, "c", "d", "e", "f"),
    )
    view = CouponView("C", True, 1.0, 0.5, 0.2, 0.8, True)
    page = explanation_page(
        Explanation("u1", {}, (view,), ("Gets C.",), (uplift_view(found, "u1", "C"),), "A note.")
    )
    for renderable in (page, importance_page(importance(found), "auto")):
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(renderable)
        lines = console.export_text().splitlines()
        assert max(cell_len(line) for line in lines) <= 80
        assert "…" not in "".join(lines)


# The command


@pytest.fixture(scope="module")
def result(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trained a predictor."""
    out = tmp_path_factory.mktemp("explained") / "result"
    options = ["--predictor", "baseline", "--writer", "template", "--quiet", "--json"]
    assert call(["run", str(shared_starter), "--out", str(out), *options]) == 0
    return out


@pytest.fixture(scope="module")
def model(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained predictor alone."""
    out = tmp_path_factory.mktemp("explained") / "model"
    options = ["--predictor", "baseline", "--out", str(out), "--quiet", "--json"]
    assert call(["train", str(shared_starter), *options]) == 0
    return out


def test_a_decision_comes_with_what_drives_its_uplift(allocate: Any, result: Path) -> None:
    plan = pl.read_csv(result / "assignments.csv")
    user, coupon = plan.select("user_id", "coupon_id").row(0)
    document = allocate("explain", result, "--user", user, "--json").document
    (view,) = document["uplift"]
    assert view["coupon_id"] == coupon
    predicted = pl.read_parquet(result / "predictions.parquet").filter(
        (pl.col("user_id") == user) & (pl.col("coupon_id") == coupon)
    )
    assert view["uplift"] == pytest.approx(predicted["uplift"][0], abs=1e-6)
    total = view["usual_uplift"] + sum(driver["effect"] for driver in view["drivers"])
    assert total == pytest.approx(view["uplift"], abs=1e-9)
    drawn = " ".join(allocate("explain", result, "--user", user).out.replace("│", " ").split())
    assert view["words"] in drawn
    assert f"Gets {coupon}: worth" in drawn
    for driver in view["drivers"][:5]:
        assert driver["input"] in drawn
    held = pl.read_csv(result / "skipped.csv").filter(pl.col("reason").str.contains("holdout"))["user_id"][0]
    assert allocate("explain", result, "--user", held, "--json").document["uplift"] == []


def test_importance_is_told_of_a_run_and_of_a_model(
    allocate: Any, result: Path, model: Path, shared_starter: Path
) -> None:
    rows = allocate("explain", result, "--importance", "--json").document["inputs"]
    assert {"age_band", "spend in 180 days", "interest in coffee"} <= {row["input"] for row in rows}
    page = allocate("explain", result, "--importance").out
    assert rows[0]["input"] in page
    assert all(coupon in page for coupon in rows[0]["coupons"])
    told = allocate("explain", model, "--importance", "--campaign", shared_starter, "--json").document
    assert told == {"predictor": "baseline", "inputs": rows}
    assert allocate("explain", model, "--importance").code == 2


def test_a_run_from_scores_says_that_the_drivers_are_not_known(
    allocate: Any, model: Path, shared_starter: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan"
    assert allocate("solve", shared_starter, "--out", plan).code == 0
    outcome = allocate("explain", plan, "--user", "u0001")
    assert outcome.code == 0
    assert "made from ready scores or predictions" in " ".join(outcome.out.replace("│", " ").split())
    assert allocate("explain", plan, "--importance").code == 3
    document = allocate("explain", plan, "--user", "u0001", "--model", model, "--json").document
    assert len(document["uplift"]) == 1
    assert document["uplift_note"] == ""


class Silent:
    """A predictor of another package that only predicts."""

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Silent:
        return cls()


def test_a_predictor_that_cannot_say_still_leaves_the_decision(
    allocate: Any, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = registry.load
    monkeypatch.setattr(
        registry, "load", lambda group, name: Silent if group == registry.PREDICTORS else load(group, name)
    )
    outcome = allocate("explain", result, "--user", "u0002")
    assert outcome.code == 0
    assert "worth" in outcome.out
    assert "does not say what its uplift rests on" in " ".join(outcome.out.replace("│", " ").split())
    assert allocate("explain", result, "--importance").code == 7


def test_one_question_at_a_time(allocate: Any) -> None:
    assert allocate("explain", "x", "--user", "u1", "--importance").code == 2


def test_the_commands_of_the_docs_run(
    allocate: Any, result: Path, shared_starter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("result").symlink_to(result)
    Path("shop").symlink_to(shared_starter)
    lines = re.findall(r"^\$ allocate (.*?)(?:\s{2,}#.*)?$", PAGE.read_text(encoding="utf-8"), flags=re.M)
    assert len(lines) >= 4
    for line in lines:
        outcome = allocate(*shlex.split(line))
        assert outcome.code == 0, f"{line}: {outcome.err}"
