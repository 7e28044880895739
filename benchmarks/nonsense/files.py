"""Files that are not there, are there twice, or are none."""

from __future__ import annotations

import gzip

from benchmarks.nonsense.draft import Draft, nonsense


@nonsense(r"users")
def no_users(draft: Draft) -> None:
    del draft.tables["users"]


@nonsense(r"users.*(empty|no )")
def users_without_a_byte(draft: Draft) -> None:
    del draft.tables["users"]
    draft.bytes["users.csv"] = b""


@nonsense(r"users.*(row|empty|nobody)|no users")
def users_that_are_a_header(draft: Draft) -> None:
    del draft.tables["users"][1:]
    del draft.tables["scores"][1:]


@nonsense(r"users.*(two|several|both|one of)|could be")
def users_in_two_files(draft: Draft) -> None:
    draft.bytes["users.txt"] = b"user_id,consent_email\nu1,1\n"
    draft.bytes["users.tsv"] = b"user_id\tconsent_email\nu1\t1\n"


@nonsense(r"Users\.CSV")
def users_in_other_letters(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    draft.bytes["Users.CSV"] = "\n".join(map(",".join, rows)).encode()


@nonsense(r"users")
def web_page_in_place_of_users(draft: Draft) -> None:
    del draft.tables["users"]
    draft.bytes["users.csv"] = b"<!DOCTYPE html><html><body>Please sign in</body></html>\n"


@nonsense(r"users")
def text_in_place_of_a_workbook(draft: Draft) -> None:
    del draft.tables["users"]
    draft.bytes["users.xlsx"] = b"user_id,region\nu1,north\n"


@nonsense(r"users")
def cut_archive(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    draft.bytes["users.csv.gz"] = gzip.compress("\n".join(map(",".join, rows)).encode())[:-9]


@nonsense(r"users.*encoding|encoding")
def letters_of_no_named_encoding(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    rows[1][1] = "Süd"
    draft.bytes["users.csv"] = "\n".join(map(",".join, rows)).encode("latin-1")


@nonsense(r"users")
def row_that_is_too_long(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    rows[3].append("north")
    draft.bytes["users.csv"] = "\n".join(map(",".join, rows)).encode()


@nonsense(r"users")
def row_that_is_too_short(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    del rows[3][2:]
    draft.bytes["users.csv"] = "\n".join(map(",".join, rows)).encode()


@nonsense(r"users")
def quote_that_never_ends(draft: Draft) -> None:
    rows = draft.tables.pop("users")
    rows[3][1] = '"north'
    draft.bytes["users.csv"] = "\n".join(map(",".join, rows)).encode()


@nonsense(r"campaign\.toml")
def no_settings(draft: Draft) -> None:
    draft.toml = ""


@nonsense(r"campaign\.toml")
def settings_cut_in_the_middle(draft: Draft) -> None:
    draft.toml = draft.toml[:150]


@nonsense(r"scores|history")
def nothing_to_decide_by(draft: Draft) -> None:
    del draft.tables["scores"]


@nonsense(r"password")
def password_in_the_settings(draft: Draft) -> None:
    draft.toml += '[tables]\nusers = "postgresql://crm:hunter2@db.example.com/shop#users"\n'
    del draft.tables["users"]


@nonsense(r"nowhere\.csv")
def table_that_is_named_and_not_there(draft: Draft) -> None:
    draft.toml += '[tables]\nusers = "nowhere.csv"\n'


@nonsense(r"[Cc]oupon.csv|no such|coupons")
def file_with_nearly_the_name(draft: Draft) -> None:
    rows = draft.tables.pop("coupons")
    draft.bytes["coupon.csv"] = "\n".join(map(",".join, rows)).encode()
