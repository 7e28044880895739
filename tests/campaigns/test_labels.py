"""Group labels are text: spelled as in the file, compared composed, and taken apart where they are sets."""

import json
import unicodedata
from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign import read_campaign
from allocator.campaign.grouping import UserLabels
from allocator.campaign.label_spelling import look_alikes
from allocator.campaign.schema import USERS
from allocator.campaign.table_context import TableContext
from allocator.campaign.tables import parse_frame
from allocator.errors import InputError
from allocator.online import read_online_plan
from allocator.problem.labels import MISSING
from support.command_line import Command

EACH = '[[limits]]\nkind = "floor"\nlabel = "each"\nby = "store"\nat_least = 0\n\n[copy]'
NFC, NFD = "Café", unicodedata.normalize("NFD", "Café")


def stores(tiny: Any, *labels: str) -> Any:
    rows = "".join(f'u{i},"{label}"\n' for i, label in enumerate(labels, start=1))
    return tiny.write(users="user_id,store\n" + rows).replace("campaign.toml", "[copy]", EACH)


def names_of(folder: Any) -> tuple[str, ...]:
    return read_campaign(folder.path).labels.grouping("store").names


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("01234", "1234", "01234", "1234"), ("01234", "1234")),
        (("1E3", "1000", "2E3", "1000"), ("1000", "1E3", "2E3")),
        (("9007199254740992", "9007199254740993", "9007199254740994", "1"), None),
        (("12345678901234567890", "12345678901234567891", "7", "7"), None),
        (("+49", "49", "+1", "1"), None),
        (("12.50", "9.90", "5.00", "12.50"), ("12.50", "5.00", "9.90")),
        (("1.0", "2.0", "1.0", ""), (MISSING, "1", "2")),
        (("1.5", "2.0", "1.5", "2.0"), None),
        (("-1", "0", "1", "-1"), None),
        (("1e-05", "0.5", "1e-05", "0.5"), None),
        (("NA", "EU", "NA", "EU"), ("EU", "NA")),
        (("0012-A", "7", "8", "9"), None),
    ],
)
def test_labels_keep_their_spelling(
    tiny: Any, labels: tuple[str, ...], names: tuple[str, ...] | None
) -> None:
    assert names_of(stores(tiny, *labels)) == (names or tuple(sorted(set(labels))))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.from_regex(r"(0|[1-9]\d{0,17}|0\d{1,5}|\d{1,3}\.\d{1,3}|\d{1,3}E\d|[a-z]{1,3})", fullmatch=True),
        min_size=2,
        max_size=30,
    )
)
def test_no_two_spellings_become_one_group_but_for_a_decimal_point(cells: list[str]) -> None:
    raw = pl.DataFrame({"user_id": [f"u{i}" for i in range(len(cells))], "store": cells})
    context = TableContext()
    try:
        users = parse_frame(raw, USERS, "users.csv", context)
    except InputError:  # almost all cells are numbers, and the others are named
        return
    grouping = UserLabels(users, context.spellings).grouping("store")
    spelled: dict[str, set[str]] = {}
    for cell, code in zip(cells, grouping.codes.tolist(), strict=True):
        spelled.setdefault(grouping.labels[code], set()).add(cell)
    for label, own in spelled.items():
        if own != {label}:  # 5.0 is 5, and 5.0 beside 5 is said
            assert {float(cell) for cell in own} == {float(label)}
            assert len(own) == 1 or any("are one number, and one label" in note for note in context.notes)


def test_codes_are_said_to_be_labels_and_numbers_stay_numbers(tiny: Any) -> None:
    campaign = read_campaign(stores(tiny, "01234", "1234", "7", "8").path)
    assert campaign.users.schema["store"] == pl.String
    assert "users.csv, store: values such as '01234' are read as labels, not as numbers" in campaign.notes
    prices = read_campaign(tiny.write(users="user_id,store\nu1,12.50\nu2,9.90\nu3,12.50\nu4,0\n").path)
    assert prices.users["store"].to_list() == [12.5, 9.9, 12.5, 0.0]
    assert prices.notes == ()


def test_codes_with_letters_among_them_are_no_stray_numbers(tiny: Any) -> None:
    rows = "".join(f"u{i},{i:05d}\n" for i in range(1, 40)) + "u40,X0001\n"
    tiny.write(users="user_id,store\n" + rows).replace("campaign.toml", "[copy]", EACH)
    assert "X0001" in names_of(tiny)


def test_two_spellings_of_one_number_are_said(tiny: Any) -> None:
    campaign = read_campaign(stores(tiny, "1", "1.0", "2", "2").path)
    assert campaign.labels.grouping("store").names == ("1", "2")
    assert "users.csv, store: '1' and '1.0' are one number, and one label" in campaign.notes


def test_accents_are_compared_composed(tiny: Any) -> None:
    stores(tiny, NFC, NFD, "Bar", "Bar")
    tiny.replace("campaign.toml", 'by = "store"', f'users = {{ store = "{NFD}" }}')
    campaign = read_campaign(tiny.path)
    assert campaign.labels.grouping("store").names == ("Bar", NFC)
    assert any(f"'{NFC}' has composed accents in some cells only: one label" in n for n in campaign.notes)


@pytest.mark.parametrize(
    ("one", "other"), [("North", "north"), ("New  York", "New York"), ("ＶＩＰ", "VIP"), ("01", "1")]
)
def test_labels_that_look_alike_are_two_and_said(tiny: Any, one: str, other: str) -> None:
    campaign = read_campaign(stores(tiny, one, other, "x", "x").path)
    assert len(campaign.labels.grouping("store").names) == 3
    assert any("look alike, and are two labels" in note for note in campaign.notes)
    assert look_alikes(["a", "b", "A b", "10", "1"]) == []


# Several labels in a cell

TAGS = 'user_id,tags\nu1,staff\nu2,"staff, VIP"\nu3,loyal\nu4,"VIP,loyal"\n'
NO_STAFF = '[[limits]]\nkind = "exclude"\nlabel = "no staff"\nusers = { tags = "staff" }\n\n'


def tagged(tiny: Any, sets: str = '[sets]\ntags = ","\n') -> Any:
    return tiny.write(users=TAGS).replace("campaign.toml", "[copy]", f"{NO_STAFF}{sets}[copy]")


def test_a_label_that_stands_inside_others_is_pointed_out(tiny: Any) -> None:
    (note,) = read_campaign(tagged(tiny, sets="").path).notes
    assert (
        "limit 'no staff': 'staff' also stands inside 1 other label of 'tags', such as 'staff, VIP'" in note
    )
    assert '[sets] tags = ","' in note


def test_a_declared_set_is_taken_apart_everywhere(tiny: Any, tmp_path: Any, allocate: Command) -> None:
    tagged(tiny).replace("campaign.toml", "[copy]", '[copy]\nbrand = "x"\n').replace(
        "campaign.toml",
        "[sets]",
        '[[limits]]\nkind = "floor"\nlabel = "each"\nby = "tags"\nat_least = 0\n[sets]',
    )
    assert read_campaign(tiny.path).notes == ()
    done = allocate("solve", tiny.path, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    plan = pl.read_csv(tmp_path / "out" / "assignments.csv")
    assert set(plan["user_id"]) <= {"u3", "u4"}
    rows = {row["label"]: row["used"] for row in done.document["limits"]}
    assert set(rows) == {"total", "no staff", "each[VIP]", "each[loyal]", "each[staff]"}
    assert rows["each[VIP]"] == (plan["user_id"] == "u4").sum()
    groups = {row["label"]: (row["users"], row["assigned"]) for row in done.document["by_group"]["tags"]}
    assert groups == {"VIP": (2, rows["each[VIP]"]), "loyal": (2, len(plan)), "staff": (2, 0)}
    assert allocate("check", tmp_path / "out").code == 0
    explained = allocate("explain", tmp_path / "out", "--segment", "tags=VIP", "--json")
    assert explained.code == 0, explained.err
    assert explained.document["users"] == 2
    online = read_online_plan(tmp_path / "out")
    assert online.groups["tags"] == ("VIP", "loyal", "staff")
    assert json.loads(online.to_json())["separators"] == {"tags": ","}


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("[copy]", '[copy]\nsegment_by = "tags"', "copy.segment_by"),
        ("[copy]", '[objective]\nfairness = "max_min"\nby = "tags"\n[copy]', "objective.by"),
        ('tags = ","', 'tagz = ","', "sets.tagz"),
        ('tags = ","', 'tags = ""', "sets.tags"),
        ('"staff" }', '"stuff" }', "limits[2].tags"),
    ],
)
def test_what_needs_one_group_a_user_refuses_a_set(tiny: Any, old: str, new: str, column: str) -> None:
    with pytest.raises(InputError) as caught:
        read_campaign(tagged(tiny).replace("campaign.toml", old, new).path)
    assert column in [finding.column for finding in caught.value.findings]


def test_too_many_sets_are_refused(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allocator.campaign.grouping.MOST_SETS", 3)
    with pytest.raises(InputError, match="4 different sets of labels"):
        read_campaign(tagged(tiny).path)


def test_labels_of_the_starter_campaign_are_counted_as_before(shared_starter: Any) -> None:
    campaign = read_campaign(shared_starter)
    raw = pl.read_csv(shared_starter / "users.csv", infer_schema=False)
    for column in ("region", "age_band"):
        grouping = campaign.labels.grouping(column)
        assert dict(zip(grouping.labels, grouping.sizes().tolist(), strict=True)) == Counter(raw[column])
