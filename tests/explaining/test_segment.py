"""Why a group of users gets what it gets: sums that add up to the plan's, and words that fit them."""

from pathlib import Path
from typing import Any

import pytest

from allocator.campaign import read_campaign
from allocator.campaign.summary import assigned_by_user
from allocator.campaign.task import build_task
from allocator.errors import InputError
from allocator.explain.segment import explain_segment
from allocator.runs.stages import solve_task


@pytest.fixture(scope="module")
def plan(shared_starter: Path) -> Any:
    campaign = read_campaign(shared_starter)
    task = build_task(campaign, None)
    return campaign, task, solve_task(campaign, task)


def explained(plan: Any, column: str, label: str) -> Any:
    campaign, task, solution = plan
    return explain_segment(campaign, task, solution.prices, assigned_by_user(solution), column, label)


def regions(plan: Any) -> list[Any]:
    return [explained(plan, "region", region) for region in ("east", "north", "south", "west")]


def test_groups_add_up_to_the_plan(plan: Any) -> None:
    campaign, _, solution = plan
    found = regions(plan)
    assert sum(one.users for one in found) == campaign.users.height
    assert sum(one.assigned for one in found) == (solution.choice >= 0).sum()
    assert sum(one.value_per_user * one.users for one in found) == pytest.approx(solution.objective)
    for one in found:
        assert one.assigned + sum(one.nothing.values()) == one.users
        assert sum(coupon.users for coupon in one.coupons) == one.assigned
        assert one.rate == pytest.approx(one.assigned / one.users)


def test_prices_add_up_to_price_times_usage(plan: Any) -> None:
    paid: dict[str, float] = {}
    for one in regions(plan):
        for price in one.prices:
            paid[price.label] = paid.get(price.label, 0.0) + price.paid
        assert sum(price.paid for price in one.prices) == pytest.approx(
            sum(coupon.users * coupon.price_paid for coupon in one.coupons)
        )
    prices = plan[2].prices
    usage = {row.label: prices[row.label] * row.used for row in plan[2].usage if row.price}
    parity = {label: bound for label, bound in usage.items() if "fairness" not in label}
    for label, expected in parity.items():
        assert paid.get(label, 0.0) == pytest.approx(expected, abs=1e-9)


def test_others_are_everyone_else(plan: Any) -> None:
    campaign, _, solution = plan
    north = explained(plan, "region", "north")
    others = (campaign.users["region"] != "north").to_numpy()
    given = solution.choice >= 0
    assert north.rate_elsewhere == pytest.approx(given[others].mean())
    assert north.value_elsewhere == pytest.approx(
        (solution.objective - north.value_per_user * north.users) / others.sum()
    )


def test_words_name_what_decides(plan: Any) -> None:
    north = explained(plan, "region", "north")
    words = " ".join(north.words)
    assert f"{north.assigned} of {north.users} users with region north" in words
    assert "given more than it earns because of" in words
    assert "'every region[north]'" in words
    held = next(iter(north.nothing))
    assert held in words


def test_any_column_of_users_will_do(plan: Any) -> None:
    held = explained(plan, "holdout", "true")
    assert held.assigned == 0
    assert held.nothing == {"in the holdout (control group)": held.users}
    assert held.coupons == held.prices == ()
    for column, label, says in (("regio", "north", "no such column"), ("region", "nort", "no user has this")):
        with pytest.raises(InputError, match=says):
            explained(plan, column, label)


def test_the_command_says_it(command: Any, shared_starter: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert command("solve", shared_starter, "--out", run).code == 0
    page = command("explain", run, "--segment", "region=north")
    assert page.code == 0
    assert "users with region north get a coupon" in " ".join(page.out.split())
    document = command("explain", run, "--segment", "region=north", "--json").document
    assert document["users"] == (read_campaign(shared_starter).users["region"] == "north").sum()
    assert command("explain", run, "--segment", "north").code == 2
    assert command("explain", run, "--segment", "region=north", "--user", "u0001").code == 2
