"""Scenarios of the command line beside the base plan: as data, as a table, and on narrow terminals."""

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.cells import cell_len

LESS = ["--scenario", "less", "--set", "total.at_most=360"]
BOTH = ["--scenario", "both", "--with", "less", "--drop-coupon", "BEAUTY20"]
NORTH = ["--scenario", "north", "--add-limit", 'kind=floor label="the north" users.region=north at_least=30']
WORSE = ["--scenario", "worse", "--scale", "value=0.5", "--drop-limit", "sms capacity"]


@pytest.fixture(scope="module")
def rows(command: Any, shared_starter: Path) -> dict[str, dict[str, Any]]:
    outcome = command("whatif", shared_starter, "--only", *LESS, *BOTH, *NORTH, *WORSE, "--json")
    assert outcome.code == 0, outcome.err
    return {row["name"]: row for row in outcome.document["scenarios"]}


def test_each_scenario_gets_the_changes_after_its_name(rows: dict[str, Any]) -> None:
    assert list(rows) == ["base", "less", "both", "north", "worse"]
    assert rows["less"]["spend"] <= 360 < rows["north"]["spend"]
    assert rows["both"]["spend"] <= 360
    assert "BEAUTY20" in {entry["label"] for entry in rows["less"]["by_coupon"]}
    assert "BEAUTY20" not in {entry["label"] for entry in rows["both"]["by_coupon"]}
    (floor,) = [limit for limit in rows["north"]["limits"] if limit["label"] == "the north"]
    assert floor["used"] >= floor["at_least"] == 30
    assert "sms capacity" not in {limit["label"] for limit in rows["worse"]["limits"]}
    assert [limit["label"] for limit in rows["worse"]["limits_gone"]] == ["sms capacity"]


def test_a_scenario_that_builds_on_another_holds_its_changes_too(
    allocate: Any, shared_starter: Path, rows: dict[str, Any]
) -> None:
    spelt_out = allocate(
        "whatif",
        shared_starter,
        "--only",
        "--set",
        "total.at_most=360",
        "--drop-coupon",
        "BEAUTY20",
        "--json",
    ).document["scenarios"][1]
    assert {**spelt_out, "name": "both"} == rows["both"]


def test_differences_are_those_between_the_plans(rows: dict[str, Any]) -> None:
    base = rows["base"]
    for name in ("less", "both", "north", "worse"):
        row = rows[name]
        for figure in ("value", "spend", "return", "assigned", "gap"):
            assert row["difference"][figure] == pytest.approx(row[figure] - base[figure])
        for key, figure in (("limits", "used"), ("limits", "price"), ("by_coupon", "assigned")):
            before = {entry["label"]: entry[figure] for entry in base[key]}
            for entry in row[key]:
                if entry["label"] in before:
                    expected = entry[figure] - before[entry["label"]]
                    assert entry["difference"][figure] == pytest.approx(expected)
                else:
                    assert entry["difference"] is None
        rates = [entry["rate"] for entry in row["by_group"]["region"]]
        assert row["spread"]["region"]["rate"] == pytest.approx(max(rates) - min(rates))


def test_moves_add_up_to_what_each_coupon_gains_and_loses(rows: dict[str, Any]) -> None:
    before = {entry["label"]: entry["assigned"] for entry in rows["base"]["by_coupon"]}
    for name in ("less", "both", "north", "worse"):
        row = rows[name]
        assert row["moved"] == sum(move["users"] for move in row["moves"]) > 0
        assert all(move["from"] != move["to"] and move["users"] > 0 for move in row["moves"])
        after = {entry["label"]: entry["assigned"] for entry in row["by_coupon"]}
        for coupon, count in before.items():
            came = sum(move["users"] for move in row["moves"] if move["to"] == coupon)
            went = sum(move["users"] for move in row["moves"] if move["from"] == coupon)
            assert came - went == after.get(coupon, 0) - count


def test_the_proven_range_holds_the_difference_of_the_best_plans(
    allocate: Any, shared_starter: Path, rows: dict[str, Any]
) -> None:
    arguments = ["whatif", shared_starter, "--only", *LESS, "--gap", "0.02", "--seed", "3", "--json"]
    low, high = rows["less"]["value_range"]
    other_low, other_high = allocate(*arguments).document["scenarios"][1]["value_range"]
    assert low <= rows["less"]["difference"]["value"] <= high
    assert max(low, other_low) <= min(high, other_high), "both ranges hold one and the same difference"


def test_the_verdict_is_three_lines_that_say_what_the_figures_say(rows: dict[str, Any]) -> None:
    row, base = rows["less"], rows["base"]
    earns, takes, held = row["verdict"]
    assert earns.startswith(f"Loses {base['value'] - row['value']:.2f} USD")
    assert "(proven)" in earns
    assert f"reaches {row['assigned']} users" in takes
    assert f"for {row['moved']} the coupon changes" in takes
    assert "'total'" in held
    assert "newly by 'the north'" in rows["north"]["verdict"][2]


def test_a_change_within_the_gaps_is_too_close_to_call(allocate: Any, shared_starter: Path) -> None:
    outcome = allocate("whatif", shared_starter, "--only", "--set", "total.at_most=399.9", "--gap", "0.02")
    assert "too close to call" in outcome.out


def test_csv_holds_the_figures_of_the_json(allocate: Any, shared_starter: Path, rows: dict[str, Any]) -> None:
    outcome = allocate("whatif", shared_starter, "--only", *LESS, *NORTH, *WORSE, "--csv")
    table = pl.read_csv(io.StringIO(outcome.out), infer_schema_length=None)
    assert table.columns == ["scenario", "about", "item", "figure", "base", "value", "difference"]

    def line(**where: str) -> dict[str, Any]:
        return table.row(by_predicate=pl.all_horizontal(pl.col(k) == v for k, v in where.items()), named=True)

    value = line(scenario="less", about="plan", figure="value")
    assert value["value"] == pytest.approx(rows["less"]["value"])
    assert value["base"] == pytest.approx(rows["base"]["value"])
    assert value["difference"] == pytest.approx(rows["less"]["difference"]["value"])
    move = rows["less"]["moves"][0]
    item = f"{move['from'] or 'nothing'} -> {move['to'] or 'nothing'}"
    assert line(scenario="less", about="move", item=item)["value"] == move["users"]
    assert line(scenario="worse", about="limit", item="sms capacity", figure="used")["value"] is None
    assert line(scenario="north", about="by region", item="north", figure="assigned")["value"] >= 30


def test_a_scenario_without_a_plan_is_a_line_of_the_csv(allocate: Any, shared_starter: Path) -> None:
    impossible = "kind=floor label=everyone users.region=north at_least=600"
    outcome = allocate("whatif", shared_starter, "--only", "--add-limit", impossible, "--csv")
    assert outcome.code == 0
    error = pl.read_csv(io.StringIO(outcome.out)).filter(pl.col("about") == "error")
    assert "'everyone'" in error["item"].item()


def test_stock_is_set_by_coupon(allocate: Any, shared_starter: Path) -> None:
    outcome = allocate("whatif", shared_starter, "--only", "--set", "stock.at_most.COFFEE15=7", "--json")
    base, changed = outcome.document["scenarios"]
    stock = {limit["label"]: limit["at_most"] for limit in changed["limits"] if "stock" in limit["label"]}
    before = {limit["label"]: limit["at_most"] for limit in base["limits"] if "stock" in limit["label"]}
    assert stock == {**before, "stock[COFFEE15]": 7}


def test_costs_scale_too(allocate: Any, tiny: Any) -> None:
    arguments = ["--scale", "cost=2", "--scenario", "six", "--set", "total.at_most=3"]
    _, doubled, halved = allocate("whatif", tiny.path, *arguments, "--json").document["scenarios"]
    assert doubled["value"] == halved["value"], "at twice the cost, a budget of 6 buys what 3 bought"
    assert doubled["spend"] == 2 * halved["spend"]


def test_scenarios_of_the_file_can_do_what_those_of_the_command_line_can(allocate: Any, tiny: Any) -> None:
    text = (
        '\n[[scenarios]]\nname = "open"\ndrop_limits = ["total"]\n'
        'add_limits = [{ kind = "capacity", label = "few", coupons = ["C1", "C2"], at_most = 2 }]\n'
    )
    tiny.replace("campaign.toml", '[copy]\nwriter = "template"\n', '[copy]\nwriter = "template"\n' + text)
    changed = allocate("whatif", tiny.path, "--json").document["scenarios"][1]
    assert changed["value"] == 11, "the two most valuable coupons, whatever they cost"
    assert allocate("check", tiny.path).code == 0
    tiny.replace("campaign.toml", "at_most = 2", 'at_most = "2"')
    outcome = allocate("check", tiny.path)
    assert outcome.code == 3
    assert "add_limits[1].at_most" in outcome.err
    assert "'open'" in outcome.err


def test_a_fair_plan_says_what_its_worst_off_get(allocate: Any, tiny: Any) -> None:
    fair = '[objective]\nfairness = "max_min"\nby = "region"\n\n[[limits]]'
    tiny.replace("campaign.toml", "[[limits]]", fair)
    outcome = allocate("whatif", tiny.path, "--set", "total.at_most=3", "--json")
    base, changed = outcome.document["scenarios"]
    assert changed["difference"]["utility"] == pytest.approx(changed["utility"] - base["utility"])
    assert changed["value_range"] is None, "the sum of values is not what such a plan is best at"
    assert changed["verdict"][0].startswith("Reaches a fair utility of")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--scenario", "a"], 2, "changes nothing"),
        (["--scenario", "a", "--with", "b"], 2, "no scenario 'b'"),
        (["--scenario", "a", "--drop-coupon", "C1", "--scenario", "a", "--drop-coupon", "C2"], 2, "already"),
        (["--scenario", "base", "--drop-coupon", "C1"], 2, "already"),
        (["--scenario"], 2, "requires an argument"),
        (["--sett", "total.at_most=5"], 2, "--set"),
        (["--set", "total.at_most=5", "--set", "total.at_most=4"], 2, "given twice"),
        (["--set", "total.at_most.C1=5"], 3, "no table of entries"),
        (["--drop-limit", "totl"], 3, "total"),
        (["--add-limit", "floor"], 2, "KEY=VALUE"),
        (["--add-limit", "kind=floor kind=floor"], 2, "given twice"),
        (["--add-limit", "kind=floor label=[x"], 2, "[x"),
        (["--add-limit", "kind=flor"], 3, "floor"),
        (["--add-limit", "kind=floor label=f"], 3, "at_least"),
        (["--add-limit", "kind=floor label=f at_least=1 users.town=x"], 3, "no such column"),
        (["--add-limit", "kind=budget label=total at_most=5"], 3, "already used"),
        (["--add-limit", "kind=floor label=f at_least=many"], 3, "add_limits[1].at_least"),
        (["--drop-coupon", "C1", "--csv", "--json"], 2, "exclude each other"),
    ],
)
def test_mistakes_are_named(allocate: Any, tiny: Any, arguments: list[str], code: int, words: str) -> None:
    outcome = allocate("whatif", tiny.path, *arguments)
    assert outcome.code == code
    assert words in " ".join(outcome.err.split())
    assert "This is a bug" not in outcome.err


def test_what_was_asked_is_answered_first_on_one_screen(
    allocate: Any, shared_starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = allocate("whatif", shared_starter, "--set", "total.at_most=-10%").out
    lines = shown.splitlines()
    assert lines[0].startswith("Loses")
    assert len(lines) <= 24, "with the prompt below it, a terminal shows it all"
    assert "no beauty coupon" not in shown, "nobody asked for the scenarios of campaign.toml"
    every = allocate("whatif", shared_starter, "--set", "total.at_most=-10%", "--details").out
    assert "no beauty coupon" in every
    assert "Who moved" in every
    own = allocate("whatif", shared_starter).out
    assert "no beauty coupon: Loses" in " ".join(own.split())


def test_percent_is_of_what_campaign_toml_says(allocate: Any, shared_starter: Path) -> None:
    def spend(*arguments: str) -> list[float]:
        scenarios = allocate("whatif", shared_starter, "--only", *arguments, "--json").document["scenarios"]
        return [row["limits"][0]["at_most"] for row in scenarios]

    assert spend("--set", "total.at_most=-10%") == spend("--set", "total.at_most=360") == [400, 360]
    swept = allocate("whatif", shared_starter, "--sweep", "total.at_most=-50%:+50%:3", "--json").document
    assert [point["at"] for point in swept["points"]] == [[200], [400], [600]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--set", "total.at_most=10%"], 3, "+10% or -10%"),
        (["--set", "sms capacity.channel=-10%"], 3, "states no number there"),
        (["--sweep", "total.at_most=10%,20%"], 2, "write -50%, 0%, +20%"),
        (["--sweep", "total.nothing=-10%:+10%"], 3, "of which to take shares"),
    ],
)
def test_percent_that_can_mean_two_things_is_asked_for(
    allocate: Any, shared_starter: Path, arguments: list[str], code: int, words: str
) -> None:
    outcome = allocate("whatif", shared_starter, *arguments)
    assert outcome.code == code
    assert words in outcome.err


def test_a_price_has_one_sign_wherever_it_is_shown(allocate: Any, shared_starter: Path) -> None:
    """One more unit of room earns so much: also where a row must be reached, whose dual price is negative."""
    asked = ["--add-limit", 'kind=floor label="the north" users.region=north at_least=100 measure=count']
    solved = allocate("whatif", shared_starter, "--only", *asked, "--json").document["scenarios"][1]
    found = allocate("whatif", shared_starter, *asked, "--sensitivity", "--json").document["limits"]
    shown = {row["label"]: row["price"] for row in solved["limits"] if row["binding"]}
    assert shown["the north"] > 0
    assert all(price > 0 for price in shown.values())
    assert {row["label"]: row["price"] for row in found if row["binding"]} == pytest.approx(shown, rel=1e-3)


def test_wide_characters_stay_aligned_within_80_columns(command: Any, starter: Path) -> None:
    for file in ("coupons.csv", "scores.csv", "history.csv", "campaign.toml"):
        text = (starter / file).read_text(encoding="utf-8")
        text = text.replace("COFFEE15", "咖啡八五折优惠券").replace("BEAUTY20", "美妆满减券")
        (starter / file).write_text(text, encoding="utf-8")
    arguments = ["--scenario", "没有美妆券会怎样", "--drop-coupon", "美妆满减券"]
    outcome = command("whatif", starter, "--only", "--details", *arguments, env={"COLUMNS": "80"})
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    moves = lines[lines.index(next(line for line in lines if line.startswith("Who moved"))) + 2 :]
    starts = {cell_len(line[: line.index("━")]) for line in moves if "━" in line}
    assert len(starts) == 1, "bars begin in one column whatever the names before them"
    assert any("咖啡八五折优惠券" in line for line in moves)
    assert "…" not in outcome.out
    assert "-" in outcome.out, "differences carry their sign without colour"
    assert "\x1b" not in outcome.out
