"""`allocate check` answers whatever folder it is given, and accepts nothing in silence that cannot be meant.

The same as `python -m benchmarks campaign_fuzz` and `campaign_nonsense`, with fewer folders.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.campaign_forms import FORMS, OF_TEXT
from benchmarks.campaign_fuzz import ask_of, mutated, said_of_nothing_wrong
from benchmarks.nonsense import KINDS

FEWEST_KINDS = 60
FEW_FORMS = ("plain CSV", "Parquet", "SQLite")
FOLDERS = 4 * len(FORMS)


def test_no_kind_of_nonsense_is_accepted_in_silence(tmp_path: Path) -> None:
    assert len(KINDS) >= FEWEST_KINDS
    assert set(FEW_FORMS) <= set(OF_TEXT)
    usual = {form: said_of_nothing_wrong(form, tmp_path) for form in FEW_FORMS}
    asked = {}
    for i, kind in enumerate(KINDS.values()):
        form = FEW_FORMS[i % len(FEW_FORMS)]
        asked[kind.name] = ask_of(kind, form, usual[form], tmp_path)
    assert {name: found.answer for name, found in asked.items() if found.silent} == {}


def test_whatever_is_changed_at_random_there_is_an_answer() -> None:
    tallies, _ = mutated(0, FOLDERS)
    assert sum(tally.folders for tally in tallies.values()) == FOLDERS
    assert set(tallies) == set(FORMS)
    assert [seed for tally in tallies.values() for seed in tally.seeds] == []
    assert sum(tally.accepted for tally in tallies.values()) > 0
