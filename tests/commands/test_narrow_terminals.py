"""Pages with long and wide names, many coupons, many limits, or one user: nothing breaks or runs over."""

import random
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

COUPONS, LIMITS, USERS = 50, 200, 120
NAMES = [
    f"双十一超级会员专享满减优惠券第{j}号（华东地区限定）"
    if j % 2
    else f"a-name-that-no-table-was-made-for-{j:03d}"
    for j in range(COUPONS)
]
HEAD = """\
schema = 1
name = "双十一大促"
currency = "CNY"
as_of = 2026-06-01
[solve]
gap = 1e-2
[copy]
writer = "template"
"""
BUDGET = '[[limits]]\nkind = "budget"\nlabel = "总预算"\nat_most = {}\n'


def campaign(folder: Path, users: int, limits: int, budget: float) -> Path:
    draw = random.Random(1)
    folder.mkdir()
    regions = [f"地区{k} of a rather long name" for k in range(40)]
    text = HEAD + BUDGET.format(budget)
    for k in range(limits):
        text += f'[[limits]]\nkind = "limit"\nlabel = "地区上限 number {k}"\nat_most = {3 + k % 5}\n'
        text += f'users = {{ region = "{regions[k % min(40, users)]}" }}\n'
    (folder / "campaign.toml").write_text(text, encoding="utf-8")
    rows = [f"用户{i},{regions[i % 40]}" for i in range(users)]
    (folder / "users.csv").write_text("\n".join(["user_id,region", *rows]) + "\n", encoding="utf-8")
    rows = [f"{name},amount,{2 + j % 7},{20 + j}" for j, name in enumerate(NAMES)]
    (folder / "coupons.csv").write_text(
        "\n".join(["coupon_id,kind,value,inventory", *rows]) + "\n", encoding="utf-8"
    )
    rows = [
        f"用户{i},{name},{draw.uniform(0.5, 9):.3f},{draw.uniform(0.3, 3):.3f}"
        for i in range(users)
        for name in draw.sample(NAMES, 6)
    ]
    (folder / "scores.csv").write_text(
        "\n".join(["user_id,coupon_id,value,cost", *rows]) + "\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return campaign(tmp_path_factory.mktemp("many") / "shop", USERS, LIMITS, 150)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return campaign(tmp_path_factory.mktemp("alone") / "shop", 1, 1, 1)


def shown(allocate: Any, monkeypatch: pytest.MonkeyPatch, width: int, *arguments: object) -> str:
    """Return a page, after looking that no line is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    outcome = allocate(*arguments)
    assert outcome.code == 0, outcome.err
    wide = [line for line in outcome.out.splitlines() if cell_len(line.rstrip()) > width]
    assert wide == []
    return str(outcome.out)


@pytest.mark.parametrize("width", [60, 80])
def test_a_plan_of_many_long_names(
    allocate: Any, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    run = tmp_path / "run"
    page = shown(allocate, monkeypatch, width, "solve", many, "--out", run)
    assert "总预算" in page
    explained = shown(allocate, monkeypatch, width, "explain", run, "--user", "用户7")
    assert "用户7" in explained
    assert "华东地区限定" in "".join(explained.split())
    shown(allocate, monkeypatch, width, "explain", run, "--segment", "region=地区3 of a rather long name")


def test_what_ifs_of_many_long_names(allocate: Any, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    width = 60
    long = "预算减少三分之一，并且去掉最贵的优惠券，看看会怎么样，再把地区上限提高一点"
    options = ("--scenario", long, "--set", "总预算.at_most=100", "--drop-coupon", NAMES[1])
    page = shown(allocate, monkeypatch, width, "whatif", many, *options, "--details")
    assert "Who moved" in page
    shown(allocate, monkeypatch, width, "whatif", many, "--sensitivity")
    shown(allocate, monkeypatch, width, "whatif", many, "--sweep", "总预算.at_most=100:300:2")
    second = "地区上限 number 3.at_most=1:6:2"
    shown(
        allocate,
        monkeypatch,
        width,
        "whatif",
        many,
        "--sweep",
        "总预算.at_most=100:300:4",
        "--sweep",
        second,
    )


def test_one_user(allocate: Any, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    assert "1 of 1 users" in shown(allocate, monkeypatch, 80, "solve", alone, "--out", run)
    shown(allocate, monkeypatch, 80, "explain", run, "--user", "用户0")
    shown(allocate, monkeypatch, 80, "explain", run, "--segment", "region=地区0 of a rather long name")
    shown(allocate, monkeypatch, 80, "whatif", alone, "--set", "总预算.at_most=0.1")
    shown(allocate, monkeypatch, 80, "whatif", alone, "--sensitivity")
    shown(allocate, monkeypatch, 80, "whatif", alone, "--sweep", "总预算.at_most=0.5:3:3", "--floor", "1")
