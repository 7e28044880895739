"""Training a copy writer on approved hooks, with a model of two layers."""

import hashlib
import json

import polars as pl
import pytest

from allocator.errors import InputError, PluginError
from allocator.plugins.copy import Brief, Offer
from allocator.plugins.protocols import TrainableCopyWriter
from allocator.runs.train_copy import read_approved, train_copy
from copygen import HttpWriter, LocalWriter, TemplateWriter, check_hook
from copygen.bank import load_bank
from support.noise_model import write_noise_model

torch = pytest.importorskip(
    "torch", reason="needs the extra: pip install '.[copy]' in a checkout of Allocate"
)
pytest.importorskip("peft", reason="needs the extra: pip install '.[copy]' in a checkout of Allocate")

LINES = [
    (theme, line.hook)
    for (theme, language), lines in sorted(load_bank().lines.items())
    for line in lines
    if language == "en" and not check_hook(line.hook, "sms", "en")
][:60]

pytestmark = pytest.mark.usefixtures("no_network")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_noise_model(tmp_path_factory.mktemp("noise"))


@pytest.fixture
def hooks(tmp_path):
    return write(tmp_path / "hooks.csv", LINES)


def write(path, lines):
    pl.DataFrame(lines, schema=["category", "hook"], orient="row").write_csv(path)
    return path


def train(data, out, model, **settings):
    return train_copy(data, out, options={"model": str(model)}, **{"epochs": 3, "rank": 8} | settings)


def digest(folder):
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    steps = []
    record = train_copy(
        write(folder / "hooks.csv", LINES),
        folder / "adapter",
        options={"model": str(model)},
        epochs=6,
        rank=8,
        progress=lambda step, done, total: steps.append((step, done, total)),
    )
    return folder / "adapter", record, steps


def test_loss_falls_and_the_record_says_how_it_came_about(adapter, model):
    folder, record, steps = adapter
    assert record["loss"] < record["loss_before"]
    assert record["training_losses"][-1] < record["training_losses"][0]
    assert record["hooks"] + record["held_out"] == len(LINES)
    assert record["held_out"] == len(LINES) // 10
    assert json.loads((folder / "training.json").read_text()) == record
    assert {path.name for path in folder.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "training.json"
    }  # fmt: skip
    assert str(model.parent) not in "".join(path.read_text() for path in folder.glob("*.json"))
    trained = [step for step in steps if step[0] == "train copy"]
    assert trained[-1][1] == trained[-1][2] == 6 * 4


def test_the_adapter_is_used_and_named(adapter, model):
    folder, _, _ = adapter
    brief = Brief(
        Offer("C1", "percent", 15, "USD", category="dairy"), "families", "sms", "en", "Acme", "warm"
    )

    def scores(**options):
        writer = LocalWriter(model=str(model), candidates=2, max_attempts=1, cache=False, **options)
        return writer.write([brief], seed=7)[0]

    plain, adapted = scores(), scores(adapter=str(folder))
    assert adapted.model.startswith(f"{plain.model} with adapter {folder.name} (sha256 ")
    assert adapted.rejected != plain.rejected


def test_same_seed_same_bits(model, hooks, tmp_path):
    before = torch.random.get_rng_state()
    train(hooks, tmp_path / "a", model, seed=3)
    train(hooks, tmp_path / "b", model, seed=3)
    train(hooks, tmp_path / "c", model, seed=4)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")
    assert torch.equal(torch.random.get_rng_state(), before)


BAD = ["Get 50% off today", "free", "Visit www.shop.example now"]


def test_every_bad_hook_is_named_with_its_row(model, tmp_path):
    data = write(tmp_path / "hooks.csv", [*LINES[:25], *[("dairy", hook) for hook in BAD]])
    with pytest.raises(InputError) as caught:
        train(data, tmp_path / "out", model)
    assert {finding.row for finding in caught.value.findings} == {27, 28, 29}
    assert all((f.file, f.column) == ("hooks.csv", "hook") for f in caught.value.findings)
    assert any("hook_fact" in finding.message for finding in caught.value.findings)
    assert not (tmp_path / "out").exists()
    record = train(data, tmp_path / "out", model, skip_bad=True, epochs=1)
    assert record["left_out"] == 3
    assert record["hooks"] + record["held_out"] == 25


def test_too_few_hooks_are_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"too few different hooks .*found 5, expected at least 20"):
        train(write(tmp_path / "hooks.csv", LINES[:5] * 9), tmp_path / "out", model)


def test_a_language_that_the_model_does_not_write_is_refused(tmp_path):
    frame = pl.DataFrame({"hook": ["慢慢享受每一天的早晨"], "language": ["zh-CN"]})
    frame.write_parquet(tmp_path / "hooks.parquet")
    with pytest.raises(InputError, match=r"hooks.parquet:2, language: this model writes en"):
        train_copy(tmp_path / "hooks.parquet", tmp_path / "out")


def test_a_training_that_is_stopped_leaves_nothing(model, hooks, tmp_path):
    def stop(step, done, total):
        if step == "train copy" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(hooks, tmp_path / "new" / "out", model, progress=stop)
    assert list((tmp_path / "new").iterdir()) == []


def test_an_adapter_of_another_model_is_refused(adapter, tmp_path):
    other = write_noise_model(tmp_path)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    brief = Brief(Offer("C1", "percent", 15, "USD"), "families", "sms", "en", "Acme", "warm")
    with pytest.raises(PluginError, match=r"adapter in .* cannot be used: it was trained for noise"):
        LocalWriter(model=str(other), adapter=str(adapter[0])).write([brief], seed=7)


def test_a_folder_without_adapter_is_a_wrong_option(tmp_path):
    with pytest.raises(InputError, match=r"copy\.options\.adapter: no adapter in this folder"):
        LocalWriter(adapter=str(tmp_path))


def test_only_what_stands_approved_is_learned(tmp_path):
    rows = {
        "hook": ["Slow mornings, good coffee", "Fresh bread for breakfast", "SLOW mornings, good coffee"],
        "decision": ["approved", "edited", "banned"],
        "segment": ["families", None, None],
        "notes": ["fine", "", "no"],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "hooks.csv")
    (hook,) = read_approved(tmp_path / "hooks.csv")
    assert (hook.hook, hook.persona, hook.tone, hook.row) == (
        "Fresh bread for breakfast",
        "everyone",
        "warm",
        3,
    )


def test_a_campaign_teaches_what_was_reviewed(tiny):
    reviewed = (
        "coupon_id,segment,channel,language,variant,hook,decision\n"
        "C1,north,sms,en-GB,A,Slow mornings together,approved\n"
        ",,,,,Fresh bread for breakfast,banned\n"
    )
    campaign = tiny.write()
    (campaign.path / "reviewed_copy.csv").write_text(reviewed)
    (hook,) = read_approved(campaign.path)
    assert (hook.hook, hook.persona, hook.language, hook.channel) == (
        "Slow mornings together", "north", "en", "sms"
    )  # fmt: skip
    assert hook.file == "reviewed_copy.csv"


def test_without_reviewed_copy_a_campaign_teaches_nothing(tiny):
    with pytest.raises(InputError, match="allocate copy review"):
        read_approved(tiny.write().path)


def test_who_can_be_trained():
    assert isinstance(LocalWriter(), TrainableCopyWriter)
    assert not isinstance(TemplateWriter(), TrainableCopyWriter)
    assert not isinstance(HttpWriter(base_url="http://localhost/v1", model="m"), TrainableCopyWriter)


def test_the_command_trains(allocate, model, hooks, tmp_path):
    arguments = ["copy", "train", hooks, "--out", tmp_path / "ours", "--model", model, "--epochs", "2"]
    outcome = allocate(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.document["epoch"] >= 1
    assert "Held-out loss" in outcome.err
    assert allocate(*arguments).code == 3  # the folder is there
