"""Campaign folders that should be read, and every way in which a file can be wrong."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from allocator.campaign import read_campaign
from allocator.errors import Finding, InputError


def findings_of(folder: Any) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        read_campaign(folder.path)
    return caught.value.findings


def one(folder: Any) -> Finding:
    found = findings_of(folder)
    assert len(found) == 1, [str(finding) for finding in found]
    return found[0]


def place(finding: Finding) -> tuple[str | None, int | None, str | None]:
    return finding.file, finding.row, finding.column


def test_a_good_folder_is_read_as_it_is(tiny: Any) -> None:
    campaign = read_campaign(tiny.path)
    assert campaign.user_ids.tolist() == ["u1", "u2", "u3", "u4"]
    assert campaign.users["age"].to_list() == [31.0, 45.0, 28.0, 60.0]
    assert campaign.coupons["ends_at"].to_list() == [dt.date(2026, 12, 31)] * 2
    assert campaign.notes == ()


# Files


@pytest.mark.parametrize("stem", ["campaign", "users", "coupons"])
def test_a_missing_file_is_named(tiny: Any, stem: str) -> None:
    found = one(tiny.write(**{stem: None}))
    assert stem in str(found.file)
    assert "missing" in found.message


def test_a_folder_that_is_not_there_is_named(tiny: Any) -> None:
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        read_campaign(tiny.path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \n"])
def test_an_empty_file_is_said_to_be_empty(tiny: Any, content: bytes) -> None:
    found = one(tiny.write(users=content))
    assert (found.file, found.message) == ("users.csv", "the file is empty")


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n,,\n,,\n"])
def test_a_header_alone_is_not_enough(tiny: Any, ending: str) -> None:
    found = one(tiny.write(users="user_id,region,age" + ending))
    assert (found.file, found.message) == ("users.csv", "the file has a header but no rows")


def test_other_encodings_are_named_with_their_line(tiny: Any) -> None:
    found = one(tiny.write(users="user_id,region\nu1,north\nu2,südlich\n".encode("latin-1")))
    assert (found.file, found.row) == ("users.csv", 3)
    assert "UTF-8" in found.message


def test_csv_and_parquet_of_one_table_are_ambiguous(tiny: Any) -> None:
    pl.read_csv(tiny.path / "users.csv").write_parquet(tiny.path / "users.parquet")
    found = one(tiny)
    assert "more than one file could be this table" in found.message
    assert found.found == "users.csv, users.parquet"


def test_a_file_that_only_says_it_is_parquet_is_named(tiny: Any) -> None:
    (tiny.path / "users.csv").rename(tiny.path / "users.parquet")
    found = one(tiny)
    assert found.file == "users.parquet"
    assert "not a Parquet file" in found.message


# Rows and columns


def test_a_missing_column_is_named_with_those_that_are_there(tiny: Any) -> None:
    found = one(tiny.write(coupons="coupon_id,kind\nC1,percent\nC2,amount\n"))
    assert place(found) == ("coupons.csv", 1, "value")
    assert "coupon_id, kind" in str(found.found)


def test_a_duplicate_column_is_named(tiny: Any) -> None:
    found = one(tiny.write(users="user_id,region,region\nu1,a,b\nu2,a,b\nu3,a,b\nu4,a,b\n"))
    assert place(found) == ("users.csv", 1, "region")
    assert "two columns" in found.message


def test_a_nameless_column_is_named(tiny: Any) -> None:
    found = one(tiny.write(users=",user_id\n0,u1\n1,u2\n2,u3\n3,u4\n"))
    assert "no name" in found.message


def test_two_columns_for_one_thing_are_ambiguous(tiny: Any) -> None:
    found = one(tiny.write(users="external_id,customer_id\nu1,1\nu2,2\nu3,3\nu4,4\n"))
    assert place(found) == ("users.csv", 1, "user_id")
    assert found.found == "external_id, customer_id"


def test_an_unknown_coupon_column_is_named(tiny: Any) -> None:
    found = one(tiny.replace("coupons.csv", "code", "kode"))
    assert place(found) == ("coupons.csv", 1, "kode")


def test_consent_for_a_channel_that_does_not_exist_is_an_error(tiny: Any) -> None:
    found = one(tiny.replace("users.csv", "region", "consent_emial").replace("users.csv", "north", "1")
                .replace("users.csv", "south", "0"))  # fmt: skip
    assert place(found) == ("users.csv", 1, "consent_emial")
    assert "consent_email" in str(found.expected)


@pytest.mark.parametrize(("file", "column"), [("users", "user_id"), ("coupons", "coupon_id")])
def test_a_duplicate_id_is_named_with_its_row(tiny: Any, file: str, column: str) -> None:
    path = tiny.path / f"{file}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    found = one(tiny)
    assert place(found) == (f"{file}.csv", len(lines) + 1, column)
    assert "twice" in found.message


def test_a_pair_with_two_scores_is_named(tiny: Any) -> None:
    found = one(tiny.replace("scores.csv", "u1,C2", "u1,C1"))
    assert (found.file, found.row) == ("scores.csv", 3)
    assert found.found == "u1, C1"


def test_an_id_that_differs_by_spaces_is_the_same_id(tiny: Any) -> None:
    assert one(tiny.replace("users.csv", "u2,", " u1 ,")).row == 3


@pytest.mark.parametrize("rows", ["u1,north\nu2,south,45\n", "u1,north,1\nu2,south,45,7\n"])
def test_rows_of_another_length_are_named(tiny: Any, rows: str) -> None:
    found = one(tiny.write(users="user_id,region,age\n" + rows))
    assert found.file == "users.csv"
    assert found.row == (2 if rows.startswith("u1,north\n") else 3)
    assert (found.found, found.expected) in {("2", "3"), ("4", "3")}


def test_a_short_row_hides_behind_no_quoted_comma(tiny: Any) -> None:
    found = one(tiny.write(users='user_id,region,age\nu1,"a,b",1\nu2,c\nu3,d,3\n'))
    assert place(found) == ("users.csv", 3, None)


@pytest.mark.parametrize("text", ['user_id,region\nu1,"north\nu2,south\n', 'user_id,region\nu1,"no"rth\n'])
def test_quotes_that_do_not_pair_up_are_an_error(tiny: Any, text: str) -> None:
    assert one(tiny.write(users=text)).file == "users.csv"


def test_a_blank_line_inside_is_named(tiny: Any) -> None:
    found = one(tiny.replace("users.csv", "u2,", "\nu2,"))
    assert place(found) == ("users.csv", 3, "user_id")


# Values


@pytest.mark.parametrize("text", ["NaN", "inf", "-inf", "a lot", "1,5,5", "10%", "€3"])
@pytest.mark.parametrize("column", ["value", "cost"])
def test_what_is_no_finite_number_is_named(tiny: Any, column: str, text: str) -> None:
    row = f'u1,C1,"{text}",1' if column == "value" else f'u1,C1,3,"{text}"'
    found = one(tiny.replace("scores.csv", "u1,C1,3,1", row))
    assert place(found) == ("scores.csv", 2, column)
    assert found.found == repr(text)


@pytest.mark.parametrize("column", ["value", "cost"])
def test_an_empty_score_is_named(tiny: Any, column: str) -> None:
    row = "u1,C1,,1" if column == "value" else "u1,C1,3,"
    found = one(tiny.replace("scores.csv", "u1,C1,3,1", row))
    assert place(found) == ("scores.csv", 2, column)
    assert found.found == "an empty cell"


def test_a_negative_cost_is_named(tiny: Any) -> None:
    found = one(tiny.replace("scores.csv", "u3,C2,6,3", "u3,C2,6,-3"))
    assert place(found) == ("scores.csv", 7, "cost")
    assert (found.found, found.expected) == ("'-3'", "at least 0")


@pytest.mark.parametrize("text", ["NaN", "inf", "1e999"])
def test_a_feature_must_be_finite(tiny: Any, text: str) -> None:
    found = one(tiny.replace("users.csv", "45", text))
    assert place(found) == ("users.csv", 3, "age")


def test_stray_text_in_a_feature_of_numbers_is_named(tiny: Any) -> None:
    rows = "".join(f"u{i},north,{20 + i}\n" for i in range(1, 41)).replace("u30,north,50", "u30,north,old")
    found = one(tiny.write(users="user_id,region,age\n" + rows))
    assert place(found) == ("users.csv", 31, "age")
    assert found.found == "'old'"


def test_a_long_list_of_the_same_mistake_is_cut_and_counted(tiny: Any) -> None:
    rows = "".join(f"u{i},C1,x,1\n" for i in range(1, 5)) + "".join(f"u{i},C2,x,1\n" for i in range(1, 5))
    found = findings_of(tiny.write(scores="user_id,coupon_id,value,cost\n" + rows))
    assert len(found) == 6
    assert "3 more rows" in found[-1].message


def test_control_characters_never_reach_a_terminal(tiny: Any) -> None:
    found = one(tiny.replace("users.csv", "u2,", "u\x1b[31m2,"))
    assert place(found) == ("users.csv", 3, "user_id")
    assert "\x1b" not in str(found)
    found = one(tiny.replace("users.csv", "\x1b[31m", "").replace("users.csv", "region", "reg\x1b[31mion"))
    assert "\x1b" not in str(found)


@pytest.mark.parametrize("name", ["messages_push", "count", "=HYPERLINK(1)", "+1", "-1", "@x"])
def test_a_measure_may_not_have_a_name_with_a_meaning_of_its_own(tiny: Any, name: str) -> None:
    found = one(tiny.write(scores=f"user_id,coupon_id,value,cost,{name}\nu1,C1,3,1,2\n"))
    assert place(found) == ("scores.csv", 1, name)


def test_a_feature_may_not_be_named_like_a_formula(tiny: Any) -> None:
    assert place(one(tiny.replace("users.csv", "region", "=region"))) == ("users.csv", 1, "=region")


# References


def test_unknown_ids_in_scores_are_named(tiny: Any) -> None:
    found = findings_of(tiny.replace("scores.csv", "u1,C1", "u1,C9").replace("scores.csv", "u2,C1", "u9,C1"))
    assert {place(finding) for finding in found} == {
        ("scores.csv", 2, "coupon_id"),
        ("scores.csv", 4, "user_id"),
    }


def test_an_unknown_coupon_in_history_is_an_error_and_an_unknown_user_a_note(tiny: Any) -> None:
    rows = "u1,C1,2026-01-01,1\nu1,C9,2026-01-01,0\nu9,,2026-01-01,0\n"
    found = one(tiny.write(history="user_id,coupon_id,sent_at,converted\n" + rows))
    assert place(found) == ("history.csv", 3, "coupon_id")
    assert found.found == "'C9'"
    campaign = read_campaign(tiny.replace("history.csv", "C9", "C2").path)
    assert campaign.history is not None
    assert campaign.history["user_id"].to_list() == ["u1", "u1"]
    assert "1 rows" in campaign.notes[0]


def test_a_treated_row_must_name_its_coupon(tiny: Any) -> None:
    found = one(tiny.write(history="user_id,coupon_id,treated,sent_at,converted\nu1,,1,2026-01-01,1\n"))
    assert place(found) == ("history.csv", 2, "coupon_id")


# Offers


@pytest.mark.parametrize(
    ("old", "new", "column", "words"),
    [
        ("C1,percent,10", "C1,percent,101", "value", "more than 100 percent"),
        ("C1,percent,10", "C1,percent,-1", "value", "cannot be used"),
        ("C1,percent", "C1,gift", "kind", "cannot be used"),
        ("TEN,2026-12-31", "TEN,2026-05-31", "ends_at", "expired"),
        ("TEN,2026-12-31", "TEN,31.12.2026 noon", "ends_at", "cannot be used"),
        ("TEN,2026-12-31", "TEN,2026-12-311", "ends_at", "cannot be used"),
        ("TEN,2026-12-31", "TEN,2026-02-30", "ends_at", "cannot be used"),
    ],
)
def test_an_impossible_offer_is_named(tiny: Any, old: str, new: str, column: str, words: str) -> None:
    found = one(tiny.replace("coupons.csv", old, new))
    assert place(found) == ("coupons.csv", 2, column)
    assert words in found.message


def test_a_coupon_cannot_end_before_it_starts(tiny: Any) -> None:
    rows = "C1,amount,1,2026-08-02,2026-08-01\nC2,amount,1,2026-08-01,2026-08-01\n"
    found = one(tiny.write(coupons="coupon_id,kind,value,starts_at,ends_at\n" + rows))
    assert place(found) == ("coupons.csv", 2, "ends_at")


def test_a_coupon_in_another_currency_is_named(tiny: Any) -> None:
    coupons = "coupon_id,kind,value,currency\nC1,amount,1,USD\nC2,amount,1,EUR\n"
    found = one(tiny.write(coupons=coupons))
    assert place(found) == ("coupons.csv", 3, "currency")
    assert (found.found, found.expected) == ("EUR", "USD")


def test_coupons_that_are_all_inactive_are_an_error(tiny: Any) -> None:
    found = one(tiny.write(coupons="coupon_id,kind,value,active\nC1,amount,1,0\nC2,amount,1,no\n"))
    assert place(found) == ("coupons.csv", None, "active")


# Everything at once


def test_mistakes_in_three_files_are_reported_together(tiny: Any) -> None:
    found = findings_of(
        tiny.replace("users.csv", "u2,", "u1,")
        .replace("users.csv", "u4,", ",")
        .replace("coupons.csv", "percent,10", "percent,ten")
        .replace("scores.csv", "u1,C1,3,1", "u1,C1,3,-1")
        .replace("campaign.toml", "at_most = 6", "at_mots = 6")
        .replace("campaign.toml", 'name = "tiny"', 'name = "tiny"\ncolour = "red"')
    )
    assert {finding.file for finding in found} == {"users.csv", "coupons.csv", "scores.csv", "campaign.toml"}
    assert len(found) >= 5


# What should be read without complaint


def test_windows_files_give_the_same_tables(tiny: Any) -> None:
    plain = read_campaign(tiny.path)
    for name in ("users", "coupons", "scores"):
        text = (tiny.path / f"{name}.csv").read_text()
        tiny.write(**{name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n"})
    assert_same(plain, read_campaign(tiny.path))


def test_old_line_ends_give_the_same_tables(tiny: Any) -> None:
    plain = read_campaign(tiny.path)
    tiny.write(users=(tiny.path / "users.csv").read_text().replace("\n", "\r"))
    assert_same(plain, read_campaign(tiny.path))


def test_parquet_gives_the_same_tables(tiny: Any) -> None:
    plain = read_campaign(tiny.path)
    for name in ("users", "coupons", "scores"):
        frame = pl.read_csv(tiny.path / f"{name}.csv", try_parse_dates=True)
        frame.write_parquet(tiny.path / f"{name}.parquet")
        (tiny.path / f"{name}.csv").unlink()
    assert_same(plain, read_campaign(tiny.path))


def test_parquet_types_are_understood(tiny: Any) -> None:
    tiny.write(users=None)
    frame = pl.DataFrame(
        {
            "user_id": [1, 2, 3, 4],
            "region": pl.Series(["a", "b", "a", "b"], dtype=pl.Categorical),
            "holdout": [True, False, False, False],
            "since": pl.Series([dt.date(2026, 1, 1)] * 4),
            "age": pl.Series([1, None, 3, 4], dtype=pl.Int8),
            "nothing": pl.Series([None] * 4, dtype=pl.Null),
        }
    )
    frame.write_parquet(tiny.path / "users.parquet")
    tiny.write(scores="user_id,coupon_id,value,cost\n1,C1,1,1\n")
    users = read_campaign(tiny.path).users
    assert users["user_id"].to_list() == ["1", "2", "3", "4"]
    assert users["holdout"].to_list() == [True, False, False, False]
    assert users["age"].to_list() == [1, None, 3, 4]
    frame.with_columns(tags=pl.Series([["x"]] * 4)).write_parquet(tiny.path / "users.parquet")
    assert place(one(tiny)) == ("users.parquet", None, "tags")


def test_exports_of_common_tools_need_no_renaming(tiny: Any) -> None:
    tiny.replace("users.csv", "user_id", "external_id").replace("scores.csv", "user_id", "customer_id")
    tiny.write(coupons="Coupon,kind,value,Coupon Code,usageLimit\nC1,percent,10,TEN,2\nC2,amount,5,FIVE,\n")
    campaign = read_campaign(tiny.path)
    assert campaign.user_ids.tolist() == ["u1", "u2", "u3", "u4"]
    assert campaign.coupons["code"].to_list() == ["TEN", "FIVE"]
    assert campaign.coupons["max_redemptions"].to_list() == [2, None]


def test_ids_stay_the_text_that_they_are(tiny: Any) -> None:
    ids = ["007", "1e5", "1.0", "张伟", "NA", "null", "=1+1", 'O\'Brien, "Bob"\nJr.']
    rows = "".join('"{}",north\n'.format(name.replace('"', '""')) for name in ids)
    scores = "user_id,coupon_id,value,cost\n007,C1,1,1\n1e5,C1,1,1\n张伟,C1,1,1\n"
    campaign = read_campaign(tiny.write(users="user_id,region\n" + rows, scores=scores).path)
    assert campaign.user_ids.tolist() == ids


def test_a_region_called_na_is_a_region(tiny: Any) -> None:
    users = read_campaign(tiny.replace("users.csv", "north", "NA").path).users
    assert users["region"].to_list() == ["NA", "south", "NA", "south"]


def test_na_in_a_feature_of_numbers_is_missing(tiny: Any) -> None:
    users = read_campaign(tiny.replace("users.csv", "45", "NA").path).users
    assert users["age"].to_list() == [31.0, None, 28.0, 60.0]


@pytest.mark.parametrize(
    ("text", "expected"), [("TRUE", True), ("yes", True), ("1", True), ("No", False), ("", False)]
)
def test_flags_are_read_as_people_write_them(tiny: Any, text: str, expected: bool) -> None:
    users = f"user_id,holdout\nu1,{text}\nu2,0\nu3,0\nu4,0\n"
    assert read_campaign(tiny.write(users=users).path).users["holdout"].to_list()[0] is expected


def assert_same(one: Any, other: Any) -> None:
    for name in ("users", "coupons", "scores"):
        assert getattr(one, name).equals(getattr(other, name)), name


def history_at(tiny: Any, text: str) -> Any:
    return tiny.write(history=f"user_id,coupon_id,sent_at,converted\nu1,C1,{text},1\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-01", "2026-06-01T00:00:00"),
        ("2026-06-01T18:05", "2026-06-01T18:05:00"),
        ("2026-06-01 18:05:09", "2026-06-01T18:05:09"),
        ("2026-06-01T02:00:00.5", "2026-06-01T02:00:00"),
        ("2026-06-01T02:00:00Z", "2026-06-01T02:00:00"),
        ("2026-06-01 02:00:00 UTC", "2026-06-01T02:00:00"),
        ("2026-06-01T08:00:00+08:00", "2026-06-01T00:00:00"),
        ("2026-06-01T08:00+08", "2026-06-01T00:00:00"),
        ("2026-06-01 00:30:00-0130", "2026-06-01T02:00:00"),
    ],
)
def test_times_are_read_as_utc(tiny: Any, text: str, expected: str) -> None:
    history = read_campaign(history_at(tiny, text).path).history
    assert history is not None
    assert history["sent_at"].to_list() == [dt.datetime.fromisoformat(expected)]


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-30Tjunk",
        "2026-05-30 whatever",
        "2026-05-30T18",
        "2026-05-30T24:00",
        "2026-05-30T18:00:00 o'clock",
        "2026-05-30T18:00:00+8",
        "2026-05-3",
        "2026-02-30",
        "x2026-05-30",
    ],
)
def test_what_is_no_time_is_named(tiny: Any, text: str) -> None:
    assert place(one(history_at(tiny, text))) == ("history.csv", 2, "sent_at")


@pytest.mark.parametrize("text", ["2026-11-30Tjunk", "2026-11-30 whatever", "2026-11-30T"])
def test_junk_after_a_date_is_named(tiny: Any, text: str) -> None:
    found = one(tiny.replace("coupons.csv", "TEN,2026-12-31", f"TEN,{text}"))
    assert place(found) == ("coupons.csv", 2, "ends_at")


def test_a_coupon_that_starts_later_is_noted(tiny: Any) -> None:
    rows = "C1,amount,1,2026-06-02\nC2,amount,1,2026-06-01\n"
    notes = read_campaign(tiny.write(coupons="coupon_id,kind,value,starts_at\n" + rows).path).notes
    assert len(notes) == 1
    assert "'C1' starts on 2026-06-02, after the day of the decision" in notes[0]
