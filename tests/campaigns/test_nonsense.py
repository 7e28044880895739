"""`allocate check` answers whatever folder it is given, and accepts nothing in silence that cannot be meant.

The same as `python -m benchmarks campaign_fuzz` and `campaign_nonsense`, with fewer folders.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.campaign_forms import FORMS, OF_TEXT
from benchmarks.campaign_fuzz import ask_of, mutated, said_of_nothing_wrong
from benchmarks.nonsense import KINDS

FEWEST_KINDS = 60
FEW_FORMS = ("plain CSV", "Parquet", "SQLite")
PARTS = 4
FOLDERS = 2 * len(FORMS)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, frozenset[str]]:
    """What is said of folders with which nothing is wrong, by form."""
    place = tmp_path_factory.mktemp("usual")
    return {form: said_of_nothing_wrong(form, place) for form in FEW_FORMS}


@pytest.mark.parametrize("part", range(PARTS))
def test_no_kind_of_nonsense_is_accepted_in_silence(
    tmp_path: Path, usual: dict[str, frozenset[str]], part: int
) -> None:
    assert len(KINDS) >= FEWEST_KINDS
    assert set(FEW_FORMS) <= set(OF_TEXT)
    silent = {}
    form = FEW_FORMS[part % len(FEW_FORMS)]
    for kind in list(KINDS.values())[part::PARTS]:
        used = FEW_FORMS[0] if kind.text_only else form
        asked = ask_of(kind, used, usual[used], tmp_path)
        if asked.silent:
            silent[kind.name] = asked.answer
    assert silent == {}


def test_whatever_is_changed_at_random_there_is_an_answer() -> None:
    tallies, _ = mutated(0, FOLDERS)
    assert sum(tally.folders for tally in tallies.values()) == FOLDERS
    assert set(tallies) == set(FORMS)
    assert [seed for tally in tallies.values() for seed in tally.seeds] == []
    assert sum(tally.accepted for tally in tallies.values()) > 0
