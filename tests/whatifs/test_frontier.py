"""Frontiers: every point is the plan of a campaign that says so, and the curve is read rightly."""

import io
import itertools
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.cells import cell_len

from allocator.campaign import read_campaign
from allocator.campaign.config import Scenario
from allocator.errors import InputError
from allocator.runs.pipeline import run_campaign
from allocator.runs.stages import solve_task
from allocator.whatif.frontier import Frontier, FrontierPoint, Sweep, trace_frontier
from allocator.whatif.frontier_words import frontier_words
from allocator.whatif.verdict import Units

TOTAL = "total.at_most"


def traced(folder: Path, *sweeps: Sweep, **options: Any) -> Frontier:
    campaign = read_campaign(folder)
    return trace_frontier(campaign, None, sweeps, solve_task, **options)


@pytest.fixture(scope="module")
def frontier(shared_starter: Path) -> Frontier:
    return traced(shared_starter, Sweep(TOTAL, (100.0, 300.0, 600.0, 1000.0, 1400.0)), floor=1.2)


def test_a_point_is_the_plan_of_a_campaign_that_says_so(starter: Path, frontier: Frontier) -> None:
    text = (starter / "campaign.toml").read_text()
    (starter / "campaign.toml").write_text(text.replace("at_most = 400", "at_most = 600"))
    alone = run_campaign(starter, copy=False, predict=False).summary
    (point,) = [point for point in frontier.points if point.at == (600.0,)]
    assert point.value is not None
    assert point.bound is not None
    # Two plans of the same problem: neither is worth more than the other's bound.
    assert point.value <= alone["bound"] * (1 + 1e-9)
    assert alone["value"] <= point.bound * (1 + 1e-9)
    assert point.spend <= 600 + 1e-6


def test_more_budget_earns_more_and_each_unit_less(frontier: Frontier) -> None:
    values = [point.value for point in frontier.points]
    prices = [point.marginal for point in frontier.points]
    assert values == sorted(values)
    assert prices == sorted(prices, reverse=True)
    for a, b in itertools.pairwise(frontier.points):
        slope = (b.value - a.value) / (b.at[0] - a.at[0])
        room = (a.bound - a.value + b.bound - b.value) / (b.at[0] - a.at[0])
        assert b.marginal - room - 0.02 <= slope <= a.marginal + room + 0.02


def test_the_floor_is_where_the_price_crosses_it(shared_starter: Path, frontier: Frontier) -> None:
    at = frontier.floor_at
    assert at is not None
    assert 600 < at < 1000
    around = traced(shared_starter, Sweep(TOTAL, (at - 25, at + 25)))
    before, after = (point.marginal for point in around.points)
    assert before >= 1.2 >= after


def test_base_and_words(frontier: Frontier) -> None:
    assert frontier.base == (400.0,)
    words = frontier_words(frontier, Units("USD", "incremental_margin"))
    assert any("less than 1.2 USD from about" in line for line in words)


@pytest.mark.parametrize(
    ("values", "knee"),
    [((0, 80, 95, 97, 98), 1), ((0, 50, 90, 95, 100), 2), ((0, 25, 50, 75, 100), None), ((5, 4, 3, 2), None)],
)
def test_the_knee_is_where_the_curve_bends_most(
    shared_starter: Path, values: tuple[float, ...], knee: int | None
) -> None:
    from allocator.whatif.frontier import _knee

    points = [FrontierPoint((float(i),), float(value)) for i, value in enumerate(values)]
    assert _knee(points) == knee


def test_one_entry_of_a_stock_is_swept_by_itself(shared_starter: Path) -> None:
    frontier = traced(shared_starter, Sweep("stock.at_most.COFFEE15", (20.0, 120.0)))
    assert frontier.base == (120.0,)
    first, last = frontier.points
    assert first.marginal > last.marginal >= 0
    assert first.value < last.value


def test_a_bound_of_many_rows_has_no_single_price(shared_starter: Path) -> None:
    frontier = traced(shared_starter, Sweep("every region.at_least", (0.05, 0.2)), floor=1.0)
    assert [point.marginal for point in frontier.points] == [None, None]
    assert "a price each" in frontier_words(frontier, Units("USD", "incremental_margin"))[-1]


def test_changes_hold_at_every_point(shared_starter: Path) -> None:
    scenario = Scenario(name="less", drop_coupons=["BEAUTY20"], scale={"value": 0.5})
    plain = traced(shared_starter, Sweep(TOTAL, (300.0, 500.0)))
    changed = traced(shared_starter, Sweep(TOTAL, (300.0, 500.0)), scenario=scenario)
    for before, after in zip(plain.points, changed.points, strict=True):
        assert after.value < 0.55 * before.value


def test_what_is_wrong_with_a_sweep_is_said_before_anything_is_solved(shared_starter: Path) -> None:
    with pytest.raises(InputError, match="rise"):
        traced(shared_starter, Sweep(TOTAL, (5.0, 1.0)))
    with pytest.raises(InputError, match="unknown limit"):
        traced(shared_starter, Sweep("totl.at_most", (1.0, 5.0)))
    with pytest.raises(InputError, match="too many points"):
        traced(shared_starter, Sweep(TOTAL, tuple(float(i) for i in range(500))))
    with pytest.raises(InputError, match="one bound, or over two"):
        traced(shared_starter, Sweep(TOTAL, (1.0, 2.0)), Sweep(TOTAL, (1.0, 2.0)))


def test_points_without_a_plan_do_not_hide_the_others(command: Any, shared_starter: Path) -> None:
    floors = "every region.at_least=0.05:0.95:2"
    outcome = command(
        "whatif", shared_starter, "--sweep", "total.at_most=100:800:3", "--sweep", floors, "--json"
    )
    assert outcome.code == 0
    points = outcome.document["points"]
    assert [point["at"] for point in points[:2]] == [[100.0, 0.05], [100.0, 0.95]]
    assert all((point["value"] is None) == (point["error"] is not None) for point in points)
    assert {point["at"][1] for point in points if point["error"]} == {0.95}


@pytest.mark.parametrize(
    "sweeps", [["total.at_most=100:800:4"], ["total.at_most=100:800:12", "sms capacity.at_most=50,280"]]
)
def test_the_page_fits_a_narrow_terminal_and_prices_are_in_the_table(
    allocate: Any, shared_starter: Path, sweeps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    options = [part for sweep in sweeps for part in ("--sweep", sweep)]
    outcome = allocate("whatif", shared_starter, *options)
    assert outcome.code == 0
    assert max(cell_len(line.rstrip()) for line in outcome.out.splitlines()) <= 80
    assert "total.at_most" in outcome.out


def test_csv_has_a_row_a_point(allocate: Any, shared_starter: Path) -> None:
    outcome = allocate("whatif", shared_starter, "--sweep", "total.at_most=300,400", "--csv")
    table = pl.read_csv(io.StringIO(outcome.out))
    assert table["total.at_most"].to_list() == [300.0, 400.0]
    assert table["value"].is_sorted()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sweep", "total.at_most=1:x"], "cannot read 'total.at_most=1:x'"),
        (["--sweep", "total.at_most"], "LABEL.KEY=FROM:TO[:POINTS]"),
        (["--sweep", "total.at_most=1:5:1"], "2 to 200 points"),
        (["--floor", "1", "--set", "total.at_most=5"], "--floor is found along one --sweep"),
    ],
)
def test_a_sweep_that_cannot_be_read_is_a_usage_error(
    allocate: Any, shared_starter: Path, arguments: list[str], says: str
) -> None:
    outcome = allocate("whatif", shared_starter, *arguments)
    assert outcome.code == 2
    assert says in outcome.err
