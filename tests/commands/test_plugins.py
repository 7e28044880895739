"""Plugins from another package, installed by pip and used through the real command line."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from support.paths import SUPPORT

PACKAGE = SUPPORT / "plugin_package"
CAMPAIGN = """\
schema = 1
name = "tiny"
as_of = 2026-06-01

[[limits]]
kind = "at_most_each"
label = "fair"
by = "region"
at_most = 1

[predict]
predictor = "average"
options = { shrink = 0.5 }

[copy]
writer = "shout"
options = { mark = "?!" }
"""


def history() -> str:
    """Forty sends of each coupon and of none, converted at a half, a quarter and an eighth."""
    lines = ["user_id,coupon_id,sent_at,converted,redeemed,revenue"]
    for coupon, every in (("", 8), ("C1", 4), ("C2", 2)):
        for i in range(40):
            bought = i % every == 0
            redeemed = int(bought and coupon != "")
            lines.append(f"u{i % 4 + 1},{coupon},2026-0{1 + i % 5}-01,{int(bought)},{redeemed},{40 * bought}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the plugin package is installed."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "package"
    subprocess.run(["cp", "-r", str(PACKAGE), str(source)], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", str(target), str(source)],
        check=True,
    )  # fmt: skip
    return {"PYTHONPATH": os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])}


def add(folder: Path, name: str, module: str, entry_points: str, env: Mapping[str, str]) -> dict[str, str]:
    """Put one more package, as pip leaves it, beside the installed ones."""
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entry_points)
    (folder / f"{name}.py").write_text(module)
    return {"PYTHONPATH": os.pathsep.join([str(folder), env["PYTHONPATH"]])}


@pytest.fixture
def campaign(tiny: Any) -> Path:
    return Path(tiny.write(campaign=CAMPAIGN, history=history()).path)


def test_installed_plugins_are_listed_with_their_package(installed: dict[str, str], command: Any) -> None:
    outcome = command("plugins", "--json", env=installed)
    assert outcome.code == 0
    theirs = {p["name"]: p for p in outcome.document["plugins"] if p["package"] == "corner-plugins"}
    assert set(theirs) == {"average", "at_most_each", "shout"}
    assert all(plugin["version"] == "1.2.3" and plugin["error"] is None for plugin in theirs.values())


def test_a_campaign_uses_all_three(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = command("run", campaign, "--out", out, "--json", env=installed)
    assert outcome.code == 0, outcome.err
    summary = outcome.document
    assert summary["evaluation"]["predictor"] == "average"
    assert {row["label"]: row["used"] for row in summary["limits"]} == {"fair[north]": 1, "fair[south]": 1}
    assert set(pl.read_csv(out / "copy.csv")["body"]) == {"TINY: FIVE?!"}
    predictions = pl.read_parquet(out / "predictions.parquet")
    by_coupon = dict(predictions.group_by("coupon_id").agg(pl.col("uplift").mean()).iter_rows())
    assert by_coupon == pytest.approx({"C1": 0.5 * (0.25 - 0.125), "C2": 0.5 * (0.5 - 0.125)})
    assert command("check", out, env=installed).code == 0


def test_train_and_predict_bring_a_plugin_back_from_disk(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path
) -> None:
    assert command("train", campaign, "--out", tmp_path / "model", env=installed).code == 0
    arguments = ["predict", campaign, "--model", tmp_path / "model", "--out", tmp_path / "p.parquet"]
    assert command(*arguments, env=installed).code == 0
    assert pl.read_parquet(tmp_path / "p.parquet").height == 8
    without = command("solve", campaign)
    assert without.code == 3
    assert "'at_most_each'" in without.err


def test_a_key_that_the_plugin_does_not_know_is_an_error(
    installed: dict[str, str], command: Any, campaign: Path
) -> None:
    toml = campaign / "campaign.toml"
    toml.write_text(toml.read_text().replace("at_most = 1", "at_mots = 1"))
    outcome = command("check", campaign, "--json", env=installed)
    assert outcome.code == 3
    assert outcome.document["findings"][0]["column"] == "limits[1].at_mots"
    toml.write_text(toml.read_text().replace("at_mots = 1", "at_most = 1").replace("shrink", "shirnk"))
    outcome = command("run", campaign, "--out", campaign / "out", env=installed)
    assert outcome.code == 7
    assert "shirnk" in outcome.err


BROKEN = "[allocate.predictors.v1]\nhopeless = broken_plugin:Hopeless\n"


def test_a_broken_plugin_is_named_and_hinders_nobody(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path
) -> None:
    module = "import a_library_that_is_not_there\n"
    env = add(tmp_path / "broken", "broken_plugin", module, BROKEN, installed)
    listed = command("plugins", "--json", env=env)
    assert listed.code == 7
    errors = {p["name"]: p["error"] for p in listed.document["plugins"] if p["error"]}
    assert set(errors) == {"hopeless"}
    assert "broken_plugin" in errors["hopeless"]
    assert "a_library_that_is_not_there" in errors["hopeless"]
    assert command("run", campaign, "--out", tmp_path / "out", "--quiet", env=env).code == 0
    used = command("run", campaign, "--out", tmp_path / "used", "--predictor", "hopeless", env=env)
    assert used.code == 7
    assert "a_library_that_is_not_there" in used.err


FAILING = """
class Hopeless:
    def fit(self, campaign, *, seed, device="auto", progress=None):
        raise RuntimeError("no idea")
    def predict(self, campaign, *, progress=None): ...
    def save(self, folder): ...
"""
SHAPELESS = """
from corner_plugins.predictor import AveragePredictor
from dataclasses import replace
class Hopeless(AveragePredictor):
    def predict(self, campaign, **options):
        predictions = super().predict(campaign, **options)
        return replace(predictions, uplift=predictions.uplift[:, :1])
"""
NAN = SHAPELESS.replace("predictions.uplift[:, :1]", "predictions.uplift * float('nan')")


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (FAILING, "no idea"),
        (SHAPELESS, "'uplift': it must be"),
        (NAN, "'uplift': it must be"),
        ("Hopeless = 3", "not a class"),
    ],
)
def test_a_predictor_that_fails_is_blamed_by_name(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path, module: str, words: str
) -> None:
    env = add(tmp_path / "broken", "broken_plugin", module, BROKEN, installed)
    toml = campaign / "campaign.toml"
    toml.write_text(toml.read_text().replace("options = { shrink = 0.5 }\n", ""))
    outcome = command(
        "run", campaign, "--out", tmp_path / "out", "--predictor", "hopeless", "--json", env=env
    )
    assert outcome.code == 7
    assert "'hopeless'" in outcome.document["message"]
    assert words in outcome.document["message"]
    assert not (tmp_path / "out").exists()


WRITER = "[allocate.copywriters.v1]\nlazy = broken_plugin:Lazy\n"


@pytest.mark.parametrize("answer", ["[]", "None", "list(reversed(ShoutWriter().write(briefs, seed=seed)))"])
def test_a_writer_that_answers_something_else_is_blamed(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path, answer: str
) -> None:
    module = (
        "from corner_plugins.writer import ShoutWriter\n"
        "class Lazy:\n"
        "    def write(self, briefs, *, seed, progress=None):\n"
        f"        return {answer}\n"
    )
    env = add(tmp_path / "broken", "broken_plugin", module, WRITER, installed)
    toml = campaign / "campaign.toml"
    toml.write_text(
        toml.read_text()
        .replace('options = { mark = "?!" }', 'segment_by = "region"')
        .replace('writer = "shout"', 'writer = "lazy"')
    )
    outcome = command("run", campaign, "--out", tmp_path / "out", env=env)
    assert outcome.code == 7
    assert "'lazy'" in outcome.err


LIMIT = "[allocate.limits.v1]\nodd = broken_plugin:Odd\n"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("class Odd:\n    label = 'x'\n    def rows(self, problem): raise KeyError('lost')\n", "lost"),
        ("class Odd:\n    def rows(self, problem): return []\n", "label"),
        ("class Odd:\n    label = 'x'\n    def rows(self, problem): return [3]\n", "Row"),
        ("import nothing_like_it\n", "nothing_like_it"),
    ],
)
def test_a_limit_that_fails_is_named_in_the_campaign(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path, module: str, words: str
) -> None:
    env = add(tmp_path / "broken", "broken_plugin", module, LIMIT, installed)
    toml = campaign / "campaign.toml"
    toml.write_text(toml.read_text() + '\n[[limits]]\nkind = "odd"\n')
    outcome = command("check", campaign, env=env)
    assert outcome.code == 3
    assert "limits[2]" in outcome.err
    assert words in outcome.err


def test_two_packages_with_one_name_are_both_named(
    installed: dict[str, str], command: Any, campaign: Path, tmp_path: Path
) -> None:
    points = "[allocate.copywriters.v1]\nshout = broken_plugin:Shout\n"
    env = add(tmp_path / "broken", "broken_plugin", "class Shout: ...\n", points, installed)
    outcome = command("run", campaign, "--out", tmp_path / "out", env=env)
    assert outcome.code == 7
    assert "broken_plugin and corner-plugins" in outcome.err
