"""What makes predictions doubtful goes with them: into every plan, page and document that rests on them."""

from pathlib import Path
from typing import Any

import pytest

from allocator.plugins.evaluation import NO_BETTER, ArmEvaluation, Evaluation
from support.campaign_folders import copy_starter

SHORT = 400  # rows of a history from which nothing personal can be learnt


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_starter(tmp_path_factory.mktemp("doubtful") / "shop")
    history = (folder / "history.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "history.csv").write_text("".join(history[:SHORT]), encoding="utf-8")
    settings = (
        (folder / "campaign.toml")
        .read_text(encoding="utf-8")
        .replace("[copy]\n", '[copy]\nwriter = "template"\n')
    )
    (folder / "campaign.toml").write_text(settings + '[predict]\npredictor = "baseline"\n', encoding="utf-8")
    return folder


def evaluated(qini: float, *doubts: str) -> Evaluation:
    arm = ArmEvaluation("all", 100, 100, qini, 0.1, 0.1)
    return Evaluation("any", 100, 100, (arm,), (), {"qini_noise": 0.02}, doubts=doubts)


def test_a_ranking_within_twice_the_noise_is_no_better_than_chance() -> None:
    assert evaluated(0.05).cautions == ()
    assert evaluated(0.04).cautions == (NO_BETTER,)
    assert evaluated(-0.3, "Treated and control users differ.").cautions == (
        NO_BETTER,
        "Treated and control users differ",
    )


def test_every_surface_says_what_the_run_says(allocate: Any, shop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = allocate("run", shop, "--out", run, "--json").document
    (caution,) = said["predictor_cautions"]
    assert caution == NO_BETTER
    less = ["whatif", shop, "--predictions", run, "--set", "total.at_most=-10%"]
    for arguments in (
        ["solve", shop, "--predictions", run],
        less,
        [*less, "--sensitivity"],
        ["whatif", shop, "--predictions", run, "--sweep", "total.at_most=-10%:+10%:2"],
        ["explain", run, "--user", "u0001"],
        ["explain", run, "--segment", "region=north"],
    ):
        document = allocate(*arguments, "--json").document
        assert caution in document.get("cautions", document.get("predictor_cautions")), arguments
        shown = " ".join(allocate(*arguments).out.replace("│", " ").split())
        assert caution in shown, arguments
    page, answer = tmp_path / "plan.html", tmp_path / "whatif.html"
    assert allocate("report", run, "--out", page).code == 0
    assert allocate(*less, "--html", answer).code == 0
    for file in (run / "report.html", page, answer):
        assert caution in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_predictions_in_a_file_keep_what_their_model_is_doubted_for(
    allocate: Any, shop: Path, tmp_path: Path, ending: str
) -> None:
    model, file = tmp_path / "model", tmp_path / f"p.{ending}"
    assert allocate("train", shop, "--out", model).code == 0
    assert (
        NO_BETTER in allocate("predict", shop, "--model", model, "--out", file, "--json").document["cautions"]
    )
    solved = allocate("solve", shop, "--predictions", file, "--json").document
    if ending == "parquet":
        assert solved["predictor_cautions"] == [NO_BETTER]
    else:  # a CSV has no place for it
        assert solved["predictor_cautions"] == []
