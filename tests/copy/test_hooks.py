"""Hooks of a run: what is sifted out, who is named as their writer, and how they are ranked."""

import re
from collections import Counter
from itertools import pairwise

import pytest

from allocator.errors import PluginError
from allocator.progress import no_progress
from copygen import relevance
from copygen.bank import load_bank
from copygen.cells import Cell, Hook
from copygen.hooks import CHOSEN, write_hooks
from copygen.options import ModelOptions
from copygen.relevance import Relevance

needs_embedding = pytest.mark.skipif(
    relevance.model_folder() is None, reason=f"the embedding model is not installed; run: {relevance.INSTALL}"
)
OPTIONS = ModelOptions(candidates=4, max_attempts=2)


class Author:
    """A backend that proposes the same lines for every cell, round by round, and finds all equally likely."""

    name, model, unanswered = "test", "author", {}

    def __init__(self, *rounds, least_score=-4.5):
        self.rounds, self.least_score = rounds, least_score

    def prompt_digest(self, cell):
        return "digest"

    def propose(self, cells, candidates, seed, progress):
        return [[Hook(text, -2.0) for text in self.rounds[seed[1]]] for _ in cells]


def cell(theme="dairy", category="", variant="A", channel="sms"):
    return Cell(theme, category or theme, "everyone", "warm", "en", channel, variant)


def written(author, *cells):
    return write_hooks(author, cells, OPTIONS, 7, no_progress)


def test_a_cell_without_a_good_hook_is_asked_for_again_and_the_record_says_so():
    found = written(Author(["Save on milk", "Milk for 2 dollars"], ["Cool milk for slow mornings"]), cell())
    (hook,) = found[cell()].ranked
    assert (hook.text, hook.written_by) == ("Cool milk for slow mornings", "model (rewritten)")
    assert found[cell()].failures == 2
    assert "hook_fact" in {verdict.rule for verdict in found[cell()].rejected}


def test_a_line_of_the_bank_is_not_the_models_own():
    line = load_bank().suited(cell())[0].hook
    found = written(Author([line, "Cool milk for slow mornings"], []), cell())
    assert {hook.text: hook.written_by for hook in found[cell()].ranked} == {
        line: CHOSEN, "Cool milk for slow mornings": "model",
    }  # fmt: skip


def test_a_hook_about_other_goods_than_the_coupons_is_refused():
    milk = cell(category="milk")
    found = written(Author(["Creamy cheeses for lazy brunches", "Cool milk for slow mornings"], []), milk)
    assert [hook.text for hook in found[milk].ranked] == ["Cool milk for slow mornings"]
    assert any("chees" in verdict.detail for verdict in found[milk].rejected)


def test_an_echo_of_the_question_is_no_hook():
    found = written(Author(["Dairy, everyone, warm", "Cool milk for slow mornings"], []), cell())
    assert [hook.text for hook in found[cell()].ranked] == ["Cool milk for slow mornings"]


def test_variants_and_channels_of_a_message_open_differently():
    lines = ["Cool milk for slow mornings", "Creamy spoonfuls for snack time", "Breakfast in good company"]
    cells = [cell(variant=v, channel=c) for v in "AB" for c in ("sms",)] + [cell(channel="email")]
    found = written(Author(lines, []), *cells)
    assert len({found[each].ranked[0].text for each in cells}) == 3


def test_fifty_cells_repeat_few_pairs_of_words():
    cells = [cell(theme) for theme, language in load_bank().lines if language == "en"]
    lines = [line.hook for each in cells for line in load_bank().suited(each)]
    found = written(Author(lines, [], least_score=float("-inf")), *cells)
    texts = [found[each].ranked[0].text.casefold() for each in cells]
    pairs = Counter(pair for text in texts for pair in pairwise(re.findall(r"[a-z]+", text)))
    assert len(pairs) / pairs.total() >= 0.7


@needs_embedding
def test_relevant_hooks_come_first_and_foreign_ones_of_a_free_writer_are_refused():
    found = written(
        Author(["Grand pianos and violins", "Lunch in the park", "Cold milk for cereal bowls"], []), cell()
    )
    ranked = found[cell()].ranked
    assert ranked[0].text == "Cold milk for cereal bowls"
    assert "relevance" in ranked[0].scores
    assert "Grand pianos and violins" not in {hook.text for hook in ranked}


def test_without_the_embedding_model_hooks_are_ranked_and_carry_no_relevance(monkeypatch):
    Relevance.find.cache_clear()
    monkeypatch.setattr(relevance, "find_spec", lambda name: None)
    found = written(Author(["Cold milk for cereal bowls"], []), cell())
    Relevance.find.cache_clear()
    assert found[cell()].ranked[0].scores == {"likelihood": -2.0}


def test_a_damaged_embedding_model_is_refused(monkeypatch, tmp_path):
    for name in relevance.SHA256:
        (tmp_path / name).write_bytes(b"not the model")
    Relevance.find.cache_clear()
    monkeypatch.setattr(relevance, "model_folder", lambda: tmp_path)
    monkeypatch.setattr(relevance, "find_spec", lambda name: object())
    with pytest.raises(PluginError, match=r"model\.safetensors is damaged"):
        Relevance.find()
    Relevance.find.cache_clear()


@needs_embedding
def test_relevance_depends_on_the_text_and_its_topic_alone():
    judge = Relevance.find()
    near, far = "Creamy yogurts for breakfast", "Boots for muddy trails"
    assert judge.score(cell(), near) > judge.score(cell(), far) + 0.2
    assert judge.score(cell("shoes"), far) > judge.score(cell("shoes"), near)
    zh = Cell("dairy", "乳制品", "everyone", "warm", "zh", "sms")
    assert judge.score(zh, near) is None
