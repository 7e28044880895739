"""The files that tools import: who is in them, by what key, with which words, and what is refused."""

from __future__ import annotations

import csv
import stat
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from allocator.campaign.formats import Place
from allocator.errors import InputError
from allocator.export import TOOLS, export_run
from allocator.export.batches import batches
from allocator.export.keys import Keys
from allocator.export.tools import braze
from cli.export_options import TOOLS as CHOICES
from support.command_line import Command, call_here
from support.sent_runs import COUPONS, SCORES, USERS, make_run

KEYS = {
    "braze": ("external_id", "u1", "u3"),
    "klaviyo": ("Email", "u1@example.com", "u3@example.com"),
    "salesforce": ("SubscriberKey", "u1", "u3"),
    "customerio": ("id", "u1", "u3"),
    "mailchimp": ("Email Address", "u1@example.com", "u3@example.com"),
    "hubspot": ("Email", "u1@example.com", "u3@example.com"),
    "csv": ("user_id", "u1", "u3"),
}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: call_here(capsys, *arguments)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_line_names_every_tool() -> None:
    assert tuple(TOOLS) == CHOICES == tuple(KEYS)


@pytest.mark.parametrize("tool", KEYS)
def test_each_channel_has_a_file_by_the_tools_key(result: Path, call: Command, tool: str) -> None:
    done = call("export", result, "--for", tool)
    assert done.code == 0, done.err
    out = result.with_name(f"result-{tool}")
    key, first, of_sms = KEYS[tool]
    emails, texts, barred = (rows(out / f"{name}.csv") for name in ("email", "sms", "suppression"))
    assert [row[key] for row in emails] == [first.replace("u1", user) for user in ("u1", "u2", "u7", "u8")]
    assert [row[key] for row in texts] == [of_sms, of_sms.replace("u3", "u4")]
    assert next(iter(emails[0])) == key
    assert [row[key] for row in barred] == [first.replace("u1", user) for user in ("u5", "u6")]
    prefix = "" if tool == "csv" else "allocate_email_"
    assert {row[f"{prefix}code"] for row in emails} == {"TEN"}
    assert emails[0][f"{prefix}ends_at"] == "2026-06-30"
    sent = {row["user_id"]: row for row in rows(result / "messages.csv")}
    assert emails[0][f"{prefix}subject"] == sent["u1"]["subject"] != ""
    assert emails[0][f"{prefix}body"] == sent["u1"]["body"]
    assert f"{prefix}title" not in emails[0]
    reason = barred[0]["reason" if tool == "csv" else "allocate_reason"]
    assert reason == "in the holdout (control group)"


def test_a_run_folder_never_holds_addresses(result: Path, call: Command) -> None:
    before = {path: path.read_bytes() for path in result.rglob("*") if path.is_file()}
    for tool in TOOLS:
        assert call("export", result, "--for", tool).code == 0
    assert {path: path.read_bytes() for path in result.rglob("*") if path.is_file()} == before
    for content in before.values():
        assert b"example.com" not in content
        assert b"151 00000" not in content
    inside = call("export", result, "--for", "klaviyo", "--out", result / "klaviyo")
    assert inside.code == 3
    assert "which the run's folder never does" in inside.err


def test_only_its_owner_can_open_the_folder(result: Path, tmp_path: Path) -> None:
    export_run(result, "klaviyo", tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_salesforce_has_an_address_beside_the_key(result: Path, tmp_path: Path) -> None:
    export_run(result, "salesforce", tmp_path / "out")
    assert rows(tmp_path / "out" / "email.csv")[0]["EmailAddress"] == "u1@example.com"
    assert rows(tmp_path / "out" / "sms.csv")[0]["MobileNumber"] == "4915100000003"  # without a plus sign
    assert list(rows(tmp_path / "out" / "suppression.csv")[0]) == [
        "SubscriberKey", "allocate_suppressed_run", "allocate_reason"
    ]  # fmt: skip


def test_phone_numbers_are_a_key_in_one_form(result: Path, tmp_path: Path) -> None:
    done = export_run(result, "klaviyo", tmp_path / "out", named={"phone": "Phone"})
    assert (done.document["key"], done.document["column"]) == ("Phone Number", "Phone")
    assert [row["Phone Number"] for row in rows(tmp_path / "out" / "sms.csv")] == [
        "+4915100000003", "+4915100000004"
    ]  # fmt: skip


SPOILT = {
    "u1@example.com": "",
    "u2@example.com": "not an address",
    "u7@example.com": "U8@Example.com",
    "u8@example.com": "u8@example.com",
}


def spoilt(users: str = USERS) -> str:
    for good, bad in SPOILT.items():
        users = users.replace(f",{good},", f",{bad},")
    return users


def test_users_whom_the_tool_cannot_know_are_named_all_at_once(tmp_path: Path, call: Command) -> None:
    result = make_run(tmp_path, users=spoilt())
    assert call("export", result, "--for", "klaviyo").code == 3
    with pytest.raises(InputError) as caught:
        export_run(result, "klaviyo", tmp_path / "out")
    assert not result.with_name("result-klaviyo").exists()
    *found, advice = map(str, caught.value.findings)
    expected = "expected an address such as ann@example.com)"
    assert found == [
        f"users.csv:2, E-mail: no key for the tool (user u1) (found nothing, {expected}",
        f"users.csv:3, E-mail: no key for the tool (user u2) (found 'not an address', {expected}",
        "users.csv:8, E-mail: the key of several users, whom the tool takes for one (user u7) "
        "(found 'U8@Example.com')",
        "users.csv:9, E-mail: the key of several users, whom the tool takes for one (user u8) "
        "(found 'u8@example.com')",
    ]
    assert "--leave-out" in advice

    done = call("export", result, "--for", "klaviyo", "--leave-out", "--json")
    assert done.code == 0, done.err
    out = result.with_name("result-klaviyo")
    assert done.document["left_out"] == 4
    assert [row["user_id"] for row in rows(out / "left_out.csv")] == ["u1", "u2", "u7", "u8"]
    assert [file["file"] for file in done.document["files"]] == ["sms.csv"]


def test_a_user_who_shares_an_address_with_one_held_out_is_not_written_to(tmp_path: Path) -> None:
    result = make_run(tmp_path, users=USERS.replace("u5@example.com", "u1@example.com"))
    done = export_run(result, "klaviyo", tmp_path / "out", leave_out=True)
    assert done.document["left_out"] == 1
    assert "u1@example.com" not in (tmp_path / "out" / "email.csv").read_text()
    assert "u1@example.com" in (tmp_path / "out" / "suppression.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--for", "klaviyo", "--email", "Email"), "did you mean 'E-mail'?"),
        (("--for", "mailchimp", "--id", "user_id"), "Mailchimp does not know people by this; name --email"),
        (("--for", "hubspot", "--phone", "Phone"), "HubSpot does not know people by this"),
        (("--for", "braze", "--copy", "nowhere"), "there are no messages here"),
    ],
)
def test_what_cannot_be_a_key_is_refused(
    result: Path, call: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = call("export", result, *arguments)
    assert done.code == 3
    assert said in done.err


def test_a_column_that_is_not_sure_to_hold_the_key_is_asked_for(tmp_path: Path, call: Command) -> None:
    two = "\n".join(
        f"{line},{'Email Address' if i == 0 else f'w{i}@work.example'}"
        for i, line in enumerate(USERS.splitlines())
    )
    result = make_run(tmp_path, users=two + "\n")
    done = call("export", result, "--for", "klaviyo")
    assert done.code == 3
    assert "several columns could hold e-mail addresses: E-mail, Email Address" in " ".join(done.err.split())
    assert call("export", result, "--for", "klaviyo", "--email", "Email Address").code == 0
    assert rows(result.with_name("result-klaviyo") / "email.csv")[0]["Email"] == "w1@work.example"
    hubspot = call("export", result, "--for", "hubspot")  # a shop's ids are no HubSpot record ids
    assert hubspot.code == 3
    assert call("export", result, "--for", "hubspot", "--id", "user_id").code == 0


def test_ids_that_are_addresses_are_keys(tmp_path: Path) -> None:
    ids = {f"u{i}": f"person{i}@example.com" for i in range(1, 9)}
    users = "user_id,holdout\n" + "".join(f"{address},0\n" for address in ids.values())
    scores = SCORES
    for user, address in ids.items():
        scores = scores.replace(f"{user},", f"{address},")
    result = make_run(tmp_path, users=users, scores=scores)
    assert export_run(result, "mailchimp", tmp_path / "out").document["column"] == "user_id"


def test_cells_that_a_spreadsheet_would_run_are_not_altered_but_refused(
    tmp_path: Path, call: Command
) -> None:
    result = make_run(tmp_path, coupons=COUPONS.replace("C1", "@C1"), scores=SCORES.replace("C1", "@C1"))
    assert call("export", result, "--for", "braze").code == 3
    with pytest.raises(InputError) as caught:
        export_run(result, "braze", tmp_path / "out")
    said = [str(finding) for finding in caught.value.findings]
    assert any(
        "email.csv, allocate_email_coupon_id: a spreadsheet would run 4 cells of this column" in each
        for each in said
    )
    assert call("export", result, "--for", "braze", "--as-is").code == 0
    assert rows(result.with_name("result-braze") / "email.csv")[0]["allocate_email_coupon_id"] == "@C1"


def test_texts_that_the_tool_would_cut_are_left_out_with_a_word(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TOOLS["mailchimp"].cell_bytes == 255
    monkeypatch.setitem(TOOLS, "mailchimp", replace(TOOLS["mailchimp"], cell_bytes=100))
    done = export_run(result, "mailchimp", tmp_path / "out")
    assert any("Mailchimp cuts texts at 100 bytes" in note for note in done.notes)
    header = (tmp_path / "out" / "email.csv").read_text().splitlines()[0]
    assert "allocate_email_subject" in header
    assert "allocate_email_body" not in header


def test_files_are_no_larger_than_the_tool_takes(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(result, "braze", tmp_path / "whole")
    size = (tmp_path / "whole" / "email.csv").stat().st_size
    monkeypatch.setitem(TOOLS, "braze", replace(braze.TOOL, file_bytes=size - 1))
    done = export_run(result, "braze", tmp_path / "parts")
    names = [file["file"] for file in done.document["files"] if file["channel"] == "email"]
    assert names == ["email-1.csv", "email-2.csv"]
    parts = [rows(tmp_path / "parts" / name) for name in names]
    assert [*parts[0], *parts[1]] == rows(tmp_path / "whole" / "email.csv")
    assert all((tmp_path / "parts" / name).stat().st_size < size for name in names)


def test_a_plan_that_was_changed_is_not_exported(result: Path, call: Command) -> None:
    plan = result / "assignments.csv"
    plan.write_text(plan.read_text().replace("u1,C1", "u1,C2"))
    done = call("export", result, "--for", "braze")
    assert done.code == 3
    assert "this is not the file that the run wrote" in done.err


def sent(**columns: list[str]) -> pl.DataFrame:
    """Return coupons of users by e-mail."""
    return pl.DataFrame({**columns, "channel": ["email"] * len(columns["user"])})


def keys_of(*ids: str) -> Keys:
    """Return ids that are keys."""
    return Keys(pl.DataFrame({"user": ids, "id": ids}), {"id": "user_id"}, Place(), pl.DataFrame(), ())


def test_several_coupons_of_a_user_have_columns_of_their_own() -> None:
    plan = sent(user=["a", "b", "a"], code=["X", "Y", "Z"])
    (wide,) = batches(plan, keys_of("a", "b"), "id", braze.TOOL)
    assert wide.frame.rows(named=True) == [
        {"external_id": "a", "allocate_email_code": "X", "allocate_email_code_2": "Z"},
        {"external_id": "b", "allocate_email_code": "Y", "allocate_email_code_2": None},
    ]
    (long,) = batches(plan, keys_of("a", "b"), "id", TOOLS["csv"])
    assert long.frame.select("user_id", "code").rows() == [("a", "X"), ("b", "Y"), ("a", "Z")]


def test_waves_have_files_of_their_own() -> None:
    plan = sent(user=["a", "b", "c"], wave=["week 1", "week 2", "week 2"], code=["X", "Y", "Z"])
    found = batches(plan, keys_of("a", "b", "c"), "id", braze.TOOL)
    assert {batch.name: batch.frame["external_id"].to_list() for batch in found} == {
        "week-1-email": ["a"], "week-2-email": ["b", "c"]
    }  # fmt: skip


def test_nothing_is_left_where_writing_fails(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pl.DataFrame, "write_csv", fail)
    with pytest.raises(OSError, match="no space left"):
        export_run(result, "csv", tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "work"]


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_says_where_its_formats_are_documented(tool: str) -> None:
    known = TOOLS[tool]
    if tool != "csv":
        assert known.imports
        assert known.results
        assert all(address.startswith("https://") for address in (*known.imports, *known.results))
