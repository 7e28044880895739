"""Ids are text: those of two files that match but for their spelling, and one id in two spellings."""

import unicodedata
from typing import Any

import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.campaign.ids import find_mismatch
from allocator.errors import Finding, InputError
from support.command_line import Command

HEAD = "user_id,coupon_id,sent_at,converted\n"


def history(*ids: str) -> str:
    return HEAD + "".join(
        f'"{name}",{"C1" if i % 2 else ""},2026-01-{i % 28 + 1:02},0\n' for i, name in enumerate(ids)
    )


def users(*ids: str) -> str:
    return "user_id,region\n" + "".join(f'"{name}",north\n' for name in ids)


def findings_of(folder: Any) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        read_campaign(folder.path)
    return caught.value.findings


CAUSES = [
    (("0.0", "1.0", "2.00", "3.0"), ("0", "1", "2", "3"), "a decimal point"),
    (("7", "8", "9", "10"), ("0007", "0008", "0009", "0010"), "leading zeros"),
    (("Ann@x.com", "BOB@x.com"), ("ann@x.com", "bob@x.com"), "another case"),
    (("1,001", "1,002"), ("1001", "1002"), "thousands"),
    ((unicodedata.normalize("NFD", "Zoé"), unicodedata.normalize("NFD", "Noël")), ("Zoé", "Noël"), "accents"),
    (("u\u200b1", "'u2"), ("u1", "u2"), "invisible"),
    (("7.0", "8.0", "9.0"), ("007", "008", "009"), "a decimal point (.0) is added, and leading zeros"),
    (("A7.0", "a8"), ("a7", "A8"), "another case, and a decimal point"),
]


@pytest.mark.parametrize(("here", "there", "cause"), CAUSES)
def test_the_cause_of_a_mismatch_is_named_with_an_id_of_each_side(
    tiny: Any, here: tuple[str, ...], there: tuple[str, ...], cause: str
) -> None:
    (found,) = findings_of(tiny.write(users=users(*there), history=history(*here), scores=None))
    assert (found.file, found.column) == ("history.csv", "user_id")
    assert cause in found.message
    assert (found.found, found.expected) == (repr(here[0]), repr(there[0]))


@pytest.mark.parametrize(("here", "there", "cause"), CAUSES)
def test_ids_that_match_are_never_said_to_differ(here: Any, there: Any, cause: str) -> None:
    assert find_mismatch(pl.Series(["x1", "x2"]), pl.Series(there)) is None
    found = find_mismatch(pl.Series(here), pl.Series(there))
    assert found is not None
    assert found.ids.to_list() == list(here)


@pytest.mark.parametrize(
    ("name", "tail"),
    [("history", ",,2026-01-01,0"), ("events", ",2026-01-01,view"), ("orders", ",2026-01-01,9")],
)
def test_hardly_any_match_is_an_error(tiny: Any, name: str, tail: str) -> None:
    head = {
        "history": "user_id,coupon_id,sent_at,converted",
        "events": "user_id,at,kind",
        "orders": "user_id,at,amount",
    }
    rows = "".join(f"customer{i}{tail}\n" for i in range(40))
    tiny.write(users=users(*(f"u{i}" for i in range(60))), scores=None, **{name: f"{head[name]}\n{rows}"})
    (found,) = findings_of(tiny)
    assert (found.file, found.column) == (f"{name}.csv", "user_id")
    assert "hardly any row is of a user of users.csv: 40 rows of 40 are not" in found.message
    assert (found.found, found.expected) == ("'customer0'", "ids such as 'u0'")


def test_ids_that_a_spreadsheet_rounded_are_recognised(tiny: Any) -> None:
    tiny.write(
        users=users("1234567890123", "1234567890124"),
        history=history("1.23457E+12", "1.23457E+12"),
        scores=None,
    )
    (found,) = findings_of(tiny)
    assert "'1.23457E+12' were rounded by a spreadsheet" in found.message


def test_a_history_of_all_customers_serves_a_campaign_of_some(tiny: Any) -> None:
    some = [f"u{i}" for i in range(10)]
    everyone = [f"u{i}" for i in range(1000)]
    campaign = read_campaign(tiny.write(users=users(*some), history=history(*everyone), scores=None).path)
    assert campaign.notes == ("history.csv: 990 rows of users that are not in users.csv are left out",)


def test_a_few_ids_in_another_spelling_are_left_out_and_named(tiny: Any) -> None:
    names = [f"u{i}" for i in range(100)]
    tiny.write(users=users(*names), history=history(*names[:99], "U99"), scores=None)
    (note,) = read_campaign(tiny.path).notes
    assert (
        "1 row of 100 name users that users.csv does not have; 1 would match, but letters are in another case"
        in note
    )
    assert "'U99' here, 'u99' there; they are left out" in note


def test_unknown_ids_of_scores_and_coupons_are_told_apart_from_other_spellings(tiny: Any) -> None:
    found = findings_of(tiny.replace("scores.csv", "u1,", "U1,").replace("scores.csv", ",C2", ",c2"))
    causes = {(one.column, one.found, one.expected) for one in found if "another case" in one.message}
    assert causes == {("user_id", "'U1'", "'u1'"), ("coupon_id", "'c2'", "'C2'")}
    found = findings_of(tiny.replace("scores.csv", "U1,", "nobody,").replace("scores.csv", ",c2", ",C2"))
    assert not any("would match" in one.message for one in found)


# One id in two spellings


def test_ids_that_differ_only_in_case_are_pointed_out(tiny: Any, allocate: Command) -> None:
    tiny.write(
        users="user_id,holdout\nann@x.com,0\nAnn@X.com,0\nbob@x.com,0\nBOB@x.com,1\n",
        scores="user_id,coupon_id,value,cost\nann@x.com,C1,1,1\nAnn@X.com,C1,1,1\nbob@x.com,C1,1,1\n",
    )
    done = allocate("check", tiny.path, "--json")
    assert done.code == 0, done.err
    (note,) = [
        note for note in done.document["notes"] if note.startswith("users.csv, user_id: one in several")
    ]
    assert "2 times: 'ann@x.com' and 'Ann@X.com'; each row is a user of its own (1 of them disagree" in note


def test_one_email_in_two_rows_is_pointed_out_whatever_its_spelling(tiny: Any) -> None:
    rows = "u1,ann@x.com\nu2,Ann@x.com\nu3,bob@x.com\nu4,\n"
    (note,) = read_campaign(tiny.write(users="user_id,email\n" + rows).path).notes
    assert "users.csv, email: one in several rows, in spellings that differ at most in case, once" in note
    assert read_campaign(tiny.replace("users.csv", "Ann@x.com", "eve@x.com").path).notes == ()


def test_coupons_that_differ_only_in_case_are_pointed_out(tiny: Any) -> None:
    tiny.write(coupons="coupon_id,kind,value\nC1,percent,10\nC2,amount,5\nc2,amount,6\n")
    (note,) = read_campaign(tiny.path).notes
    assert "coupons.csv, coupon_id: one in several rows" in note
    assert "'C2' and 'c2'; each row is a coupon of its own" in note
