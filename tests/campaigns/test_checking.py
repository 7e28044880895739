"""What a run would stop at is found before its work, and nothing solved is lost."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.errors import AllocateError, InfeasibleError, InputError, PluginError
from allocator.plugins import registry
from allocator.runs.check import check_campaign
from allocator.runs.opening import open_run, verify_run
from allocator.runs.options import Options
from allocator.runs.pipeline import run_campaign

LIMIT = '[[limits]]\nkind = "{}"\nlabel = "{}"\n{}\n'
BUDGET = "at_most = 6\n"


def history(sends: int = 60, *, controls: bool = True, coupon: str = "C1") -> str:
    lines = ["user_id,coupon_id,sent_at,converted,redeemed,revenue,discount"]
    for i in range(sends):
        sent = coupon if not controls or i % 2 else ""
        bought = int(i % 5 == 0)
        lines.append(f"u{i + 1},{sent},2026-05-01,{bought},{int(bought and sent != '')},{20 * bought},0")
    return "\n".join(lines) + "\n"


def users(count: int = 60) -> str:
    return "user_id,region\n" + "".join(f"u{i + 1},{'north' if i % 2 else 'south'}\n" for i in range(count))


@pytest.fixture
def learning(tiny: Any) -> Any:
    """A campaign of 60 users with a history to learn from and no scores."""
    tiny.write(users=users(), history=history(), scores=None)
    tiny.replace("campaign.toml", "[copy]", '[predict]\npredictor = "baseline"\n\n[copy]')
    return tiny.replace("campaign.toml", BUDGET, "at_most = 600\n")


def add_limit(folder: Any, kind: str, label: str, keys: str) -> Any:
    return folder.replace("campaign.toml", "[copy]", LIMIT.format(kind, label, keys) + "[copy]")


class NoWork:
    """Fails if anything is trained, solved for or written."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def __call__(self, step: str, done: int, total: int) -> None:
        self.steps.append(step)


def refused(
    folder: Any, tmp_path: Path, words: str, error: type[AllocateError] = InputError, **asked: Any
) -> str:
    """Return what `check` and `run` both say, of which nothing is said after work began."""
    steps, said = NoWork(), []
    for call in (check_campaign, run_campaign):
        with pytest.raises(error, match=words) as caught:
            call(folder.path, tmp_path / "out", progress=steps, **asked)
        said.append(str(caught.value))
    assert set(steps.steps) <= {"read campaign", "check"}
    assert not (tmp_path / "out").exists()
    assert said[0] == said[1]
    return said[0]


# What can be learnt


def test_a_history_without_controls(learning: Any, tmp_path: Path) -> None:
    learning.write(history=history(controls=False))
    assert "treated" in refused(learning, tmp_path, "no control rows")


def test_a_history_without_coupons(learning: Any, tmp_path: Path) -> None:
    learning.write(history=history(coupon=""))
    refused(learning, tmp_path, "no past send is treated")


def test_a_history_of_strangers_or_of_later_days(learning: Any, tmp_path: Path) -> None:
    learning.write(history=history().replace("2026-05-01", "2026-07-01"))
    refused(learning, tmp_path, "every row is after the day of the decision")


def test_a_history_of_a_few(learning: Any, tmp_path: Path) -> None:
    learning.write(history=history(12))
    said = refused(learning, tmp_path, "too few users who got a coupon")
    assert "too few users who got no coupon" in said


def test_scores_serve_where_the_history_is_too_short(learning: Any, tmp_path: Path) -> None:
    scores = "user_id,coupon_id,value,cost\n" + "".join(f"u{i},C1,{i},1\n" for i in range(1, 30))
    learning.write(history=history(12), scores=scores)
    checked = check_campaign(learning.path)
    assert not checked.trains
    assert "scores.csv is used: history.csv" in checked.campaign.notes[-2]
    result = run_campaign(learning.path, copy=False)
    assert result.evaluation is None
    assert result.summary["notes"] == list(checked.campaign.notes)
    with pytest.raises(InputError, match="too few"):
        run_campaign(learning.path, copy=False, predict=True)
    # Without controls, it is no matter of length.
    learning.write(history=history(12, controls=False))
    refused(learning, tmp_path, "no control rows")


def test_a_device_that_is_not_there(learning: Any, tmp_path: Path) -> None:
    refused(learning, tmp_path, "unknown device", options=Options(device="abacus"))


def test_options_of_plugins_are_judged_by_them(learning: Any, tmp_path: Path) -> None:
    learning.replace("campaign.toml", '"baseline"', '"s-learner"\noptions = { trees = 0, leafs = 3 }')
    learning.replace("campaign.toml", 'writer = "template"', 'writer = "template"\noptions = { loud = true }')
    said = refused(learning, tmp_path, "trees")
    assert "leafs" in said
    assert "copy.options.loud" in said


def test_a_model_that_is_not_there(learning: Any, tmp_path: Path) -> None:
    model = 'writer = "local"\noptions = { model = "/no/such/model" }'
    learning.replace("campaign.toml", 'writer = "template"', model)
    refused(learning, tmp_path, "no model in this folder")


def test_caution_needs_errors_that_the_predictor_brings(learning: Any, tmp_path: Path) -> None:
    learning.replace("campaign.toml", "[predict]", '[objective]\nrisk = "pessimistic"\n[predict]')
    refused(learning, tmp_path, "uplift_error")
    learning.replace("campaign.toml", '"baseline"', '"auto"\noptions = { candidates = ["s-logistic"] }')
    assert check_campaign(learning.path).trains


@pytest.mark.parametrize("seed", range(6))
def test_what_check_passes_can_be_trained_on(learning: Any, seed: int) -> None:
    """Histories at the edge of what is enough, in every form that has a name."""
    draw = random.Random(seed)
    own, stated = draw.random() < 0.5, draw.random() < 0.5
    lines = ["user_id,coupon_id,treated,sent_at,converted,redeemed,revenue,propensity"]
    for i in range(40):
        treated, coupon = i % 2, draw.choice(["C1", "C2"])
        bought = int(draw.random() < draw.choice([0.0, 0.5, 1.0]))
        named = coupon if treated or own else ""
        chance = 0.5 if stated else ""
        lines.append(f"u{i + 1},{named},{treated},2026-05-0{i % 9 + 1},{bought},0,{20 * bought},{chance}")
    learning.write(history="\n".join(lines) + "\n")
    campaign = check_campaign(learning.path).campaign
    for name, options in (("baseline", {}), ("dr-learner", {"trees": 2}), ("t-learner", {})):
        predictor = registry.create(registry.PREDICTORS, name, options)
        predictor.fit(campaign, seed=seed)
        assert predictor.predict(campaign).uplift.shape == (60, 2)


# What may be sent


def test_nobody_may_get_anything(tiny: Any, tmp_path: Path) -> None:
    tiny.write(users="user_id,holdout,consent_sms\nu1,1,1\nu2,1,1\nu3,0,0\nu4,0,0\n")
    said = refused(tiny, tmp_path, "nobody may get anything")
    assert "2 in the holdout" in said
    assert "2 no consent" in said


def test_no_score_is_of_a_pair_that_may_be_sent(tiny: Any, tmp_path: Path) -> None:
    tiny.write(
        users="user_id,holdout\nu1,1\nu2,0\nu3,0\nu4,0\n", scores="user_id,coupon_id,value,cost\nu1,C1,3,1\n"
    )
    refused(tiny, tmp_path, "no value for any user and coupon that may be sent")


def test_coupons_that_nobody_may_get_are_named(tiny: Any) -> None:
    tiny.write(
        coupons="coupon_id,kind,value,channel,inventory\nC1,percent,10,sms,\nC2,amount,5,email,\n"
        "C3,amount,5,sms,\nC4,amount,5,sms,0\n",
        users="user_id,consent_sms\nu1,1\nu2,1\nu3,1\nu4,1\n",
        scores="user_id,coupon_id,value,cost\nu1,C1,3,1\nu2,C1,3,1\nu1,C4,3,1\n",
    )
    notes = "\n".join(check_campaign(tiny.path, copy=False).campaign.notes)
    assert "coupon 'C2': who could has used it up, or nobody agreed to its channel" in notes
    assert "coupon 'C3': scores.csv has no value of it" in notes
    assert "coupon 'C4': the limits ('inventory') allow none" in notes


def test_exclusions_that_leave_users_nothing(tiny: Any, tmp_path: Path) -> None:
    add_limit(tiny, "exclude", "no south", 'users = { region = "south" }')
    notes = check_campaign(tiny.path, copy=False).campaign.notes
    assert notes[-1] == "the limits ('no south') leave 2 of 4 eligible users no coupon"
    add_limit(tiny, "exclude", "no north", 'users = { region = "north" }')
    refused(tiny, tmp_path, "leave nobody a coupon")


@pytest.mark.parametrize(
    ("old", "new", "words", "place"),
    [
        ("[copy]", '[copy]\nbrand = "50% off"', "signature", "copy.brand"),
        ('name = "tiny"', 'name = "tiny_campaign"', "no plain name", "copy.brand"),
        ("[copy]", '[copy]\nopt_out = { en = "bye" }', "names no way to stop", "copy.opt_out"),
        ("[copy]", '[copy]\nlanguages = ["en-QQ"]', "writes numbers is not known", "copy.languages"),
    ],
)
def test_what_no_message_may_say(
    tiny: Any, tmp_path: Path, old: str, new: str, words: str, place: str
) -> None:
    said = refused(tiny.replace("campaign.toml", old, new), tmp_path, words)
    assert said.count(place) == 1, "once, not for every coupon"
    assert check_campaign(tiny.path, copy=False).task is not None


def test_coupons_that_no_message_can_state(tiny: Any, tmp_path: Path) -> None:
    tiny.write(coupons="coupon_id,kind,value,max_discount,code\nC1,percent,10,0,TEN\nC2,amount,5,,A B\n")
    said = refused(tiny, tmp_path, "cannot state this cap")
    assert "cannot be printed" in said


def test_messages_that_nobody_may_get_need_not_be_written(tiny: Any) -> None:
    """Only a Chinese SMS wants a short sender, and nobody here reads Chinese."""
    long = '[copy]\nbrand = "A house of many rooms"\nlanguages = ["en", "zh-CN"]'
    tiny.replace("campaign.toml", "[copy]", long)
    assert check_campaign(tiny.path).task is not None
    tiny.write(users="user_id,region,locale\nu1,north,zh-CN\nu2,south,\nu3,north,\nu4,south,\n")
    with pytest.raises(InputError, match="2 to 16 characters"):
        check_campaign(tiny.path)


# What limits can be


def test_limits_that_count_what_will_not_be_there(learning: Any, tmp_path: Path) -> None:
    """A measure of scores.csv is none of the predictions that are used instead."""
    add_limit(learning, "limit", "points", 'measure = "points"\nat_most = 3')
    learning.write(scores="user_id,coupon_id,value,cost,points\nu1,C1,1,1,1\n")
    refused(learning, tmp_path, "unknown measure")
    assert check_campaign(learning.path, predict=False).task is not None


def test_limits_that_count_what_scores_lack(tiny: Any, tmp_path: Path) -> None:
    refused(
        add_limit(tiny, "floor", "sold", 'measure = "conversions"\nat_least = 1'), tmp_path, "unknown measure"
    )


def test_limits_with_one_label_for_two_rows(learning: Any, tmp_path: Path) -> None:
    add_limit(learning, "floor", "each", 'by = "region"\nat_least = 1')
    add_limit(learning, "floor", "each[north]", "at_least = 1")
    refused(learning, tmp_path, "two limits have this label")


@pytest.mark.parametrize(
    "keys",
    [
        'risk = "mean"\nfairness = "max_min"\nby = "region"\nweights = { north = 1 }',
        'fairness = "max_min"\nby = "region"\nweights = { north = 1, south = 0 }',
    ],
)
def test_weights_that_fit_no_group(learning: Any, tmp_path: Path, keys: str) -> None:
    learning.replace("campaign.toml", "[predict]", f"[objective]\n{keys}\n[predict]")
    refused(learning, tmp_path, "one weight above 0 for each group")


def test_a_fair_objective_for_a_group_in_the_holdout(learning: Any, tmp_path: Path) -> None:
    learning.replace(
        "campaign.toml", "[predict]", '[objective]\nfairness = "max_min"\nby = "region"\n[predict]'
    )
    learning.write(
        users=users()
        .replace("region\n", "region,holdout\n")
        .replace("south\n", "south,1\n")
        .replace("north\n", "north,0\n")
    )
    refused(learning, tmp_path, "no coupon that may be sent to group 'south'")


@pytest.mark.parametrize(
    ("objective", "limit", "method", "words"),
    [
        ('fairness = "max_min"\nby = "region"', "", "exact", "concave objective"),
        ('fairness = "max_min"\nby = "region"', "confidence = 0.9", "auto", "cannot be solved together"),
        ("", "confidence = 0.9", "exact", "needs a cone"),
    ],
)
def test_methods_that_cannot_do_it(
    learning: Any, tmp_path: Path, objective: str, limit: str, method: str, words: str
) -> None:
    learning.replace(
        "campaign.toml", "[predict]", f'[objective]\n{objective}\n[solve]\nmethod = "{method}"\n[predict]'
    )
    learning.replace("campaign.toml", "at_most = 600\n", f"at_most = 600\n{limit}\n")
    refused(learning, tmp_path, words)


@pytest.mark.parametrize(
    ("limits", "labels"),
    [
        ([("floor", "many", "at_least = 61")], ("many",)),
        ([("floor", "sold", 'measure = "conversions"\nat_least = 61')], ("sold",)),
        ([("floor", "north", 'at_least = 31\nusers = { region = "north" }')], ("north",)),
        ([("floor", "each", 'by = "region"\nat_least = 0.9\nper_head = true'),
          ("capacity", "sms", "at_most = 50")], ("each[north]", "each[south]", "sms")),
        ([("floor", "of C1", 'coupons = ["C1"]\nat_least = 3'),
          ("inventory", "stock", "at_most = { C1 = 2 }")], ("of C1", "stock[C1]")),
        ([("floor", "north", 'at_least = 1\nusers = { region = "north" }'),
          ("exclude", "no north", 'users = { region = "north" }')], ("north", "no north")),
        ([("capacity", "few", 'at_most = 4\nchannel = "sms"'),
          ("limit", "some", 'measure = "messages_sms"\nat_least = 5')], ("few", "some")),
    ],
)  # fmt: skip
def test_limits_that_clash_whatever_is_predicted(
    learning: Any, tmp_path: Path, limits: list[tuple[str, str, str]], labels: tuple[str, ...]
) -> None:
    for limit in limits:
        add_limit(learning, *limit)
    steps = NoWork()
    for call in (check_campaign, run_campaign):
        with pytest.raises(InfeasibleError) as caught:
            call(learning.path, tmp_path / "out", progress=steps)
        assert set(caught.value.labels) == set(labels)
    assert set(steps.steps) <= {"read campaign", "check"}
    assert check_campaign(learning.path, options=Options(least_violation=True)).trains


def test_limits_that_can_hold_pass(learning: Any) -> None:
    add_limit(learning, "floor", "many", "at_least = 60")
    add_limit(learning, "parity", "regions", 'by = "region"\ntolerance = 0.0')
    add_limit(learning, "floor", "dear", 'measure = "cost"\nat_least = 1e9\npenalty = 1')
    assert check_campaign(learning.path).trains


def test_check_says_which_limits_clash_over_scores(tiny: Any, allocate: Any) -> None:
    add_limit(tiny, "floor", "spend", 'measure = "cost"\nat_least = 100')
    outcome = allocate("check", tiny.path)
    assert outcome.code == 4
    assert "'spend'" in outcome.err


# Where it is written


@pytest.mark.parametrize("name", ["file/out", "x" * 300, "file"])
def test_a_place_that_cannot_be_written(learning: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("text")
    steps = NoWork()
    for call in (check_campaign, run_campaign):
        with pytest.raises(InputError, match="--out"):
            call(learning.path, tmp_path / name, progress=steps)
    assert "predict" not in steps.steps
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(learning: Any, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(InputError, match="nothing can be written here"):
        check_campaign(learning.path, tmp_path / "locked" / "out")


def test_check_leaves_nothing_behind(learning: Any, allocate: Any) -> None:
    before = sorted(learning.path.rglob("*"))
    assert allocate("check", learning.path).code == 0
    assert sorted(learning.path.rglob("*")) == before


def test_everything_at_once(learning: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").write_bytes(b"sea")
    learning.write(history=history(controls=False))
    learning.replace("campaign.toml", "[copy]", '[copy]\nbrand = "50% off"')
    add_limit(learning, "limit", "points", 'measure = "cost"\nat_least = 3\nat_most = 4')
    with pytest.raises(InputError) as caught:
        check_campaign(learning.path, tmp_path / "out")
    said = str(caught.value)
    for words in ("no control rows", "not empty", "signature"):
        assert words in said


def test_a_folder_that_cannot_be_read_still_has_its_plugins_checked(tiny: Any) -> None:
    tiny.write(users="user_id\nu1\nu1\n").replace("campaign.toml", '"template"', '"templat"')
    with pytest.raises(InputError) as caught:
        check_campaign(tiny.path)
    assert {finding.column for finding in caught.value.findings} == {"user_id", "copy.writer"}


def test_the_command_takes_what_run_takes(learning: Any, allocate: Any) -> None:
    learning.write(history=history(controls=False), scores="user_id,coupon_id,value,cost\nu1,C1,1,1\n")
    assert allocate("check", learning.path).code == 3
    passed = allocate("check", learning.path, "--no-predict")
    assert passed.code == 0
    assert "allocate solve" in passed.err
    assert allocate("check", learning.path, "--no-predict", "--writer", "nobody").code == 7
    assert allocate("check", learning.path, "--no-predict", "--predictions", "nowhere").code == 3


def test_options_of_a_campaign_do_not_go_with_a_run(tiny: Any, tmp_path: Path, allocate: Any) -> None:
    run_campaign(tiny.path, tmp_path / "run", copy=False)
    assert allocate("check", tmp_path / "run").code == 0
    assert allocate("check", tmp_path / "run", "--no-copy").code == 2


# Nothing solved is lost


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[AllocateError]], None]:
    """Let the template writer fail while it writes."""
    from copygen.writers import TemplateWriter

    def fail_with(error: type[AllocateError]) -> None:
        def write(*_: object, **__: object) -> None:
            raise error("the endpoint went away")

        monkeypatch.setattr(TemplateWriter, "write", write)

    return fail_with


@pytest.mark.parametrize("error", [PluginError, InputError])
def test_a_plan_outlives_its_messages(
    tiny: Any, tmp_path: Path, failing: Any, error: type[AllocateError], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, out = tmp_path / "straight", tmp_path / "out"
    run_campaign(tiny.path, straight)
    failing(error)
    with pytest.raises(error, match="The plan is made and saved"):
        run_campaign(tiny.path, out)
    monkeypatch.undo()
    assert (out / "assignments.csv").read_bytes() == (straight / "assignments.csv").read_bytes()
    assert json.loads((out / "state.json").read_text())["failed"]["why"] == "the endpoint went away"
    with pytest.raises(InputError, match=r"only its messages are missing, which failed: the endpoint"):
        open_run(out)

    steps = NoWork()
    run_campaign(tiny.path, out, progress=steps)
    assert not {"prices", "exact", "integer plan"} & set(steps.steps), "the plan is not made again"
    for path in straight.iterdir():
        if path.name != "manifest.json":
            assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    assert verify_run(out)[0].problems == ()
    assert not (out / "state.json").exists()


def test_messages_may_be_written_otherwise_but_not_for_another_plan(
    tiny: Any, tmp_path: Path, failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    failing(PluginError)
    with pytest.raises(PluginError):
        run_campaign(tiny.path, out)
    monkeypatch.undo()
    with pytest.raises(InputError, match="other inputs"):
        run_campaign(tiny.path, out, options=Options(seed=8))
    tiny.replace("campaign.toml", "[copy]", '[copy]\nbrand = "Corner Shop"')
    run_campaign(tiny.path, out)
    assert open_run(out).campaign.config.copy_.brand == "Corner Shop"
    assert "Corner Shop" in (out / "messages.csv").read_text()


def test_a_run_without_messages_may_follow_where_they_failed(tiny: Any, tmp_path: Path, failing: Any) -> None:
    failing(PluginError)
    with pytest.raises(PluginError):
        run_campaign(tiny.path, tmp_path / "out")
    run_campaign(tiny.path, tmp_path / "out", copy=False)
    assert verify_run(tmp_path / "out")[1] == []


def test_a_state_that_someone_spoilt_is_named(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"state\.json"):
        run_campaign(tiny.path, tmp_path / "out")
    with pytest.raises(InputError, match=r"state\.json"):
        open_run(tmp_path / "out")


# Other commands


def test_scenarios_that_cannot_be_solved_are_refused_before_the_base_is(tiny: Any, allocate: Any) -> None:
    tiny.replace(
        "campaign.toml",
        "[copy]",
        '[[scenarios]]\nname = "fine"\nset = { "total.at_most" = 3 }\n'
        '[[scenarios]]\nname = "dearer"\ncoupons = { C1 = { value = 20 } }\n'
        '[[scenarios]]\nname = "profit"\nobjective = { maximize = "net_profit" }\n'
        '[[scenarios]]\nname = "baskets"\nscale = { revenue = 2 }\n[copy]',
    )
    outcome = allocate("whatif", tiny.path)
    assert outcome.code == 3
    for name in ("dearer", "profit", "baskets"):
        assert f"scenario '{name}'" in outcome.err
    assert "prices ..." not in outcome.err


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_nothing_is_trained_in_vain(learning: Any, tmp_path: Path, allocate: Any, command: str) -> None:
    (tmp_path / "file").write_text("text")
    option = "--out" if command == "train" else "--html"
    outcome = allocate(command, learning.path, option, tmp_path / "file" / "page")
    assert outcome.code == 3
    assert "train ..." not in outcome.err


def test_predictions_of_another_tool_cannot_cost_less_than_nothing(
    tiny: Any, allocate: Any, tmp_path: Path
) -> None:
    rows = [
        (f"u{i}", c, 0.1, 0.1, 0.1, 20.0, -1.0 if i == 2 else 1.0) for i in range(1, 5) for c in ("C1", "C2")
    ]
    names = ["user_id", "coupon_id", "conversion", "uplift", "redemption", "revenue", "expected_cost"]
    pl.DataFrame(rows, schema=names, orient="row").write_csv(tmp_path / "p.csv")
    outcome = allocate("solve", tiny.path, "--predictions", tmp_path / "p.csv")
    assert outcome.code == 3
    assert "p.csv:4, expected_cost" in outcome.err


def test_reading_alone_stays_as_it_was(learning: Any) -> None:
    learning.write(history=history(controls=False))
    assert read_campaign(learning.path).history is not None
