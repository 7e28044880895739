"""The hook bank: every line may be sent, every cell finds some, and a brand's own is read as strictly."""

from collections import Counter
from itertools import product

import pytest

from allocator.errors import InputError
from allocator.plugins.copy import Brief, Offer
from copygen import LocalWriter
from copygen.bank import approved_hooks, line_problems, load_bank
from copygen.cells import Cell
from copygen.drafts import make_draft
from copygen.guard import check, check_hook
from copygen.guard.hook import LONGEST_HOOK
from copygen.themes import load

BANK = load_bank()
TONES, PERSONAS = load("prompts")["tones"], load("prompts")["personas"]


def cell(theme="bakery", persona="everyone", tone="warm", language="en", channel="sms", category=""):
    return Cell(theme, category or theme, persona, tone, language, channel)


@pytest.mark.parametrize(("theme", "language"), sorted(BANK.lines))
def test_every_line_passes_the_guard_with_every_choice_of_words(theme, language):
    for line in BANK.lines[theme, language]:
        assert line_problems(line.text, language) == [], line.text
        for text in line.texts():  # as push has least room, the same words serve all channels
            assert check_hook(text, "push", language) == (), text


@pytest.mark.parametrize(("channel", "language"), list(product(LONGEST_HOOK, ("en", "zh"))))
def test_every_line_makes_a_message_that_may_be_sent(channel, language):
    offer = Offer("C1", "amount", 20, "CNY", "SAVE-20", None, 100, None, "2026-11-11")
    draft = make_draft(Brief(offer, "everyone", channel, language, "Acme", "warm"))
    for (_, spoken), lines in BANK.lines.items():
        for line in lines if spoken == language else ():
            assert check(draft.with_hook(line.hook), draft.brief) == (), line.hook


def test_the_bank_is_large_and_says_nothing_twice():
    lines = {language: [] for language in ("en", "zh")}
    for (_, language), entries in BANK.lines.items():
        lines[language] += [line.hook.casefold() for line in entries]
    assert len(lines["en"]) >= 220
    assert len(lines["zh"]) >= 180
    for texts in lines.values():
        assert [text for text, count in Counter(texts).items() if count > 1] == []
    openings = Counter(" ".join(text.split()[:2]) for text in lines["en"])
    assert openings.most_common(1)[0][1] <= 12


def test_every_theme_tone_and_persona_finds_lines_in_both_languages():
    for language in ("en", "zh"):
        for theme in load("themes"):
            assert len(BANK.lines[theme, language]) >= 6
            for tone in TONES:
                suits = [line.suits for line in BANK.suited(cell(theme, tone=tone, language=language))]
                assert tone in suits
                assert "any" in suits
        for persona in PERSONAS:
            if persona != "everyone":
                suits = [line.suits for line in BANK.suited(cell(persona=persona, language=language))]
                assert persona in suits


def test_a_line_suits_only_its_tone_and_persona():
    suits = {line.suits for line in BANK.suited(cell("general", "families", "playful"))}
    assert suits == {"any", "playful", "families"}


def test_a_narrow_category_gets_no_line_about_other_goods():
    for tone in TONES:
        texts = " ".join(line.text for line in BANK.suited(cell("dairy", tone=tone, category="milk"))).lower()
        assert "chees" not in texts
        assert "spoon" not in texts
        assert len(BANK.suited(cell("books", tone=tone, category="stationery"))) >= 3
    assert "chees" in " ".join(line.text for line in BANK.suited(cell("dairy"))).lower()


def test_approved_hooks_start_with_the_theme_and_turn_with_the_seed():
    first = {approved_hooks(cell(channel="push"), seed)[0] for seed in range(20)}
    assert len(first) > 3
    assert first <= {line.hook for line in BANK.suited(cell())}
    assert approved_hooks(cell(), 3) == approved_hooks(cell(), 3)


def test_a_bank_of_ones_own_comes_in_place_of_ours(tmp_path):
    path = tmp_path / "hooks.toml"
    path.write_text('[bakery.en]\nany = ["Baked the [slow|old] way"]\n', encoding="utf-8")
    bank = load_bank(path)
    assert [line.hook for line in bank.suited(cell())] == ["Baked the slow way"]
    assert approved_hooks(cell(), 1, bank)[0] == "Baked the slow way"
    assert bank.suited(cell("dairy")) == BANK.suited(cell("dairy"))


def test_a_wrong_line_of_ones_own_bank_is_named_with_its_row_and_rule(tmp_path):
    path = tmp_path / "hooks.toml"
    path.write_text(
        '[bakery.en]\nany = [\n  "Golden loaves",\n  "[Save|Enjoy] bread",\n  "Bread for 5 dollars",\n]\n'
        '[bakery.fr]\nany = ["Du pain"]\n[bakry.en]\nany = ["Golden loaves"]\n[dairy.en]\ncheeky = []\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        load_bank(path)
    found = [str(finding) for finding in caught.value.findings]
    assert any("hooks.toml:4" in line and "'Save' may not be said" in line for line in found)
    assert any("hooks.toml:5" in line and "number" in line for line in found)
    assert any("bakery.fr" in line for line in found)
    assert any("bakry" in line and "unknown theme" in line for line in found)
    assert any("dairy.en.cheeky" in line and "unknown tone or persona" in line for line in found)


def test_a_bank_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "hooks.toml"
    path.write_text("not [toml", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        load_bank(path)
    with pytest.raises(InputError, match="cannot be read"):  # before the work of a run begins
        LocalWriter(bank=str(path)).prepare([])
