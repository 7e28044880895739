"""What-ifs: each changes what it says it changes, and nothing else."""

from typing import Any

import numpy as np
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.config import Scenario
from allocator.campaign.task import build_task
from allocator.errors import InputError
from allocator.runs.options import Options
from allocator.runs.pipeline import run_campaign
from allocator.runs.stages import predict_campaign, solve_task
from allocator.whatif.comparison import compare
from allocator.whatif.scenario import build_scenario, change_campaign, check_scenarios, solve_scenarios


def solved(campaign: Any, *scenarios: Scenario, predictions: Any = None) -> list[dict[str, Any]]:
    check_scenarios(campaign, scenarios)
    results = solve_scenarios(campaign, predictions, scenarios, solve_task)
    return compare(campaign, results)


def with_limits(tiny: Any, *tables: str) -> Any:
    text = (tiny.path / "campaign.toml").read_text()
    return tiny.write(campaign=text + "".join(f"\n[[limits]]\n{table}\n" for table in tables))


def test_a_scenario_gives_the_plan_of_a_campaign_that_says_so(tiny: Any) -> None:
    base, less = solved(read_campaign(tiny.path), Scenario(name="less", set={"total.at_most": 3.0}))
    tiny.replace("campaign.toml", "at_most = 6", "at_most = 3")
    alone = run_campaign(tiny.path, copy=False)
    assert less["value"] == pytest.approx(alone.summary["value"])
    assert less["value"] < base["value"]
    assert less["difference"]["value"] == pytest.approx(less["value"] - base["value"])


def test_the_base_is_not_changed_by_its_scenarios(tiny: Any) -> None:
    campaign = read_campaign(tiny.path)
    scenarios = (
        Scenario(name="a", set={"total.at_most": 3.0}, drop_coupons=["C1"], scale={"uplift": 0.5}),
        Scenario(name="same"),
    )
    base, _, same = solved(campaign, *scenarios)
    assert same["value"] == base["value"]
    assert same["moved"] == 0
    assert campaign.config.limits[0]["at_most"] == 6


def test_a_dropped_coupon_is_given_to_nobody(tiny: Any) -> None:
    _, dropped = solved(read_campaign(tiny.path), Scenario(name="a", drop_coupons=["C2"]))
    assert [row["label"] for row in dropped["by_coupon"]] == ["C1"]


def test_a_task_made_from_the_base_is_the_one_built_anew(tiny: Any) -> None:
    campaign = read_campaign(
        with_limits(tiny, 'kind = "floor"\nlabel = "n"\nby = "region"\nat_least = 1').path
    )
    base = build_task(campaign, None)
    for scenario in (
        Scenario(name="scaled", scale={"value": 0.5}),
        Scenario(name="dropped", drop_coupons=["C1"], set={"total.at_most": 3.0}),
        Scenario(name="both", scale={"value": 2.0}, drop_coupons=["C2"]),
    ):
        quick, anew = (build_scenario(campaign, None, scenario, start) for start in (base, None))
        assert np.array_equal(quick.problem.value, anew.problem.value, equal_nan=True)
        assert np.array_equal(quick.problem.measures["cost"], anew.problem.measures["cost"])
        assert quick.problem.coupon_ids.tolist() == anew.problem.coupon_ids.tolist()
        assert np.array_equal(quick.eligibility.channel, anew.eligibility.channel)
        assert quick.limits == anew.limits


def test_uplift_scales_value_and_leaves_spend(tiny: Any) -> None:
    base, half = solved(read_campaign(tiny.path), Scenario(name="half", scale={"uplift": 0.5}))
    assert half["value"] == pytest.approx(base["value"] / 2)
    assert half["spend"] == base["spend"]


@pytest.mark.parametrize(
    "limit",
    [
        'kind = "inventory"\nat_most = { C1 = 1, C2 = 1 }',
        'kind = "floor"\nat_least = 1\ncoupons = ["C2"]',
        'kind = "floor"\nat_least = 1\ncoupons = { category = "tea" }',
        'kind = "floor"\nat_least = 1\ncoupons = { category = ["tea", "nuts"] }',
        'kind = "capacity"\nat_most = 1\nchannel = "email"',
        'kind = "inventory"',
    ],
)
def test_limits_on_a_dropped_coupon_go_with_it(tiny: Any, limit: str) -> None:
    tiny.write(
        coupons="coupon_id,kind,value,channel,category,inventory\n"
        "C1,percent,10,sms,nuts,\nC2,amount,5,email,tea,1\n"
    )
    campaign = read_campaign(with_limits(tiny, limit).path)
    base, dropped = solved(campaign, Scenario(name="a", drop_coupons=["C2"]))
    assert base["error"] is None
    assert dropped["error"] is None


def test_a_limit_can_be_changed_by_its_default_label(tiny: Any) -> None:
    campaign = read_campaign(with_limits(tiny, 'kind = "return_floor"\nat_least = 1').path)
    changed = change_campaign(campaign, Scenario(name="a", set={"return floor.at_least": 2.0}))
    assert changed.config.limits[1]["at_least"] == 2


def test_a_key_that_is_not_stated_can_be_set(tiny: Any) -> None:
    _, floor = solved(read_campaign(tiny.path), Scenario(name="a", set={"total.at_least": 5.5}))
    assert floor["spend"] >= 5.5


def test_everything_wrong_in_every_scenario_is_reported(tiny: Any) -> None:
    scenarios = (
        Scenario(name="one", set={"nothing.at_most": 1.0}, drop_coupons=["C8"]),
        Scenario(name="two", drop_coupons=["C9"], scale={"uplift": -1.0}),
    )
    with pytest.raises(InputError) as caught:
        check_scenarios(read_campaign(tiny.path), scenarios)
    text = str(caught.value)
    assert len(caught.value.findings) == 4
    assert all(word in text for word in ("nothing.at_most", "C8", "C9", "negative", "'one'", "'two'"))


def test_scaled_predictions_stay_probabilities(shared_starter: Any) -> None:
    campaign = Options(predictor="baseline").apply(read_campaign(shared_starter))
    _, predictions = predict_campaign(campaign, None)
    before = {name: getattr(predictions, name).copy() for name in ("uplift", "redemption", "expected_cost")}
    names = ("uplift", "redemption", "revenue", "conversion")
    scenarios = [Scenario(name=name, scale={name: 1.5}) for name in names]
    base, *rows = solved(campaign, *scenarios, predictions=predictions)
    by_name = dict(zip(names, rows, strict=True))
    assert by_name["uplift"]["value"] > base["value"]
    assert by_name["revenue"]["value"] > base["value"]
    assert by_name["redemption"]["value"] < base["value"], "redeemed more often, a coupon costs more"
    # Who orders anyway is worth only what the coupon adds to the basket.
    assert by_name["conversion"]["value"] == pytest.approx(base["value"], rel=0.05)
    assert all(np.array_equal(getattr(predictions, name), array) for name, array in before.items())
