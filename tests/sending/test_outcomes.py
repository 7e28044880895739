"""Results of each tool become outcomes of the run: what is told, what is not, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from allocator.campaign.schema import HISTORY, OUTCOMES
from allocator.campaign.table_reading import read_file
from allocator.errors import InputError
from allocator.export import outcomes_of_run
from support.command_line import Command, call_here
from support.tool_results import WRITERS, Happened

SENT = "2026-06-02T09:00:00+00:00"
LAST = "2026-06-09T20:00:00+00:00"
EMAILS = ("u1", "u2", "u7")  # u8 of the plan was not sent anything
STORY = [
    *(Happened("sent", who, SENT) for who in EMAILS),
    *(Happened("delivered", who, "2026-06-02T09:00:05+00:00") for who in ("u1", "u7")),
    Happened("failed", "u2", "2026-06-02T09:00:07+00:00"),
    Happened("opened", "u1", "2026-06-02T10:30:00+00:00"),
    Happened("clicked", "u1", "2026-06-02T10:31:00+00:00"),
    Happened("unsubscribed", "u7", "2026-06-03T12:00:00+00:00"),
    Happened("opened", "x9", LAST),  # not a user
    *(Happened("sent", who, SENT, "sms") for who in ("u3", "u4")),
    *(Happened("delivered", who, SENT, "sms") for who in ("u3", "u4")),
    Happened("clicked", "u3", "2026-06-02T11:00:00+00:00", "sms"),
    Happened("ordered", "u1", "2026-06-01T08:00:00+00:00", revenue=99.0),  # before
    Happened("ordered", "u1", "2026-06-03T08:00:00+00:00", revenue=30.0),
    Happened("ordered", "u1", "2026-06-04T08:00:00+00:00", revenue=10.5),
    Happened("ordered", "u5", "2026-06-05T08:00:00+00:00", revenue=12.5),  # held out
    Happened("converted", "u1", "2026-06-03T08:00:00+00:00"),
]
OPTIONS = {"salesforce": {"time_zone": "Etc/GMT+6"}}
WITH_SMS = ("braze", "klaviyo", "customerio")
WITH_ORDERS = ("braze", "klaviyo")
CONVERSIONS = ("salesforce", "customerio")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: call_here(capsys, *arguments)


def written(tool: str, folder: Path, story: list[Happened] | None = None) -> Path:
    """Return a folder with a tool's results."""
    folder.mkdir(parents=True)
    known = [e for e in story or STORY if not (tool == "braze" and e.kind == "converted")]
    WRITERS[tool](folder, known)
    return folder


def by_user(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["user_id"]: row for row in frame.iter_rows(named=True)}


@pytest.mark.parametrize("tool", WRITERS)
def test_results_of_each_tool_become_outcomes(result: Path, tmp_path: Path, tool: str) -> None:
    files = written(tool, tmp_path / "results")
    found = outcomes_of_run(result, tool, [files], **OPTIONS.get(tool, {}))  # type: ignore[arg-type]
    rows = by_user(found.frame)
    of_sms = ("u3", "u4") if tool in WITH_SMS else ()
    assert set(rows) == {*EMAILS, *of_sms, "u5"}
    assert rows["u1"]["coupon_id"] == "C1"
    assert rows["u5"]["coupon_id"] is None
    assert {row["sent_at"] for user, row in rows.items()} <= {"2026-06-02T09:00:00Z", "2026-06-02T09:00:05Z",
                                                              "2026-06-02T09:00:07Z"}  # fmt: skip
    assert [rows[user]["delivered"] for user in EMAILS] == [1, 0, 1]
    assert [rows[user]["opened"] for user in EMAILS] == [1, 0, 0]
    assert [rows[user]["clicked"] for user in EMAILS] == [1, 0, 0]
    assert [rows[user]["unsubscribed"] for user in EMAILS] == [0, 0, 1]
    assert [rows["u5"][name] for name in ("delivered", "opened", "clicked")] == [None] * 3
    if of_sms:
        assert [rows[user]["clicked"] for user in of_sms] == [1, 0]
        assert rows["u3"]["opened"] is None  # text messages have no opens
    ordered = {user: (row["converted"], row["revenue"]) for user, row in rows.items()}
    if tool in WITH_ORDERS:
        assert ordered["u1"] == (1, 40.5)  # not what was bought before
        assert ordered["u2"] == (0, 0)
        assert ordered["u5"] == (1, 12.5)
    elif tool in CONVERSIONS:
        assert ordered["u1"] == (1, None)
        assert ordered["u2"] == (0, None)
        assert ordered["u5"] == (None, None)  # a tool counts conversions after messages alone
        assert any("no uplift can be learnt" in note for note in found.notes)
    else:
        assert set(ordered.values()) == {(None, None)}
        assert any("converted" in note and "left empty" in note for note in found.notes)
    assert {row["redeemed"] for row in rows.values()} == {None}
    assert any("1 event of people who are not among the users" in note for note in found.notes)
    missing = 1 if of_sms else 3
    assert any(f"{missing} user" in note and "without a send in these files" in note for note in found.notes)


def test_outcomes_can_be_added_to_the_history(result: Path, tmp_path: Path, call: Command) -> None:
    files = written("braze", tmp_path / "results")
    out = tmp_path / "outcomes.csv"
    done = call("outcomes", result, files, "--from", "braze", "--out", out, "--json")
    assert done.code == 0, done.err
    assert (done.document["rows"], done.document["with_a_coupon"], done.document["converted"]) == (6, 5, 2)
    assert done.document["observed_until"] == LAST.replace("+00:00", "Z")
    assert "example.com" not in out.read_text().lower()
    header = out.read_text().splitlines()[0].split(",")
    assert header == [
        "user_id", "coupon_id", "sent_at", "delivered", "opened", "clicked", "converted", "redeemed",
        "revenue", "discount", "unsubscribed", "observed_until",
    ]  # fmt: skip
    history = out.rename(tmp_path / "history.csv")
    frame = read_file(history, HISTORY).frame
    assert frame["converted"].sum() == 2
    shop = result.with_name("shop")
    (shop / "history.csv").write_text(history.read_text())
    checked = call("check", shop, "--no-predict", "--no-copy")
    assert checked.code == 0, checked.err
    again = call("outcomes", result, files, "--from", "braze", "--out", history)
    assert again.code == 3  # never written over


def test_outcomes_that_were_filled_in_are_checked_against_the_run(result: Path, tmp_path: Path) -> None:
    good = tmp_path / "filled.csv"
    good.write_text(
        "user_id,coupon_id,sent_at,converted,revenue,note\nu1,C1,2026-06-02 11:00,1,30,called\n"
        "u5,,2026-06-02,0,0,\n"
    )
    found = outcomes_of_run(result, "csv", [good], time_zone="Europe/Berlin")
    rows = by_user(found.frame)
    assert rows["u1"]["sent_at"] == "2026-06-02T09:00:00Z"
    assert (rows["u1"]["converted"], rows["u1"]["revenue"], rows["u1"]["opened"]) == (1, 30.0, None)

    bad = tmp_path / "bad.csv"
    bad.write_text(
        "user_id,coupon_id,sent_at\nu1,C2,2026-06-02\nzoe,C1,2026-06-02\nu2,C1,2026-06-02\nu2,C1,2026-06-02\n"
    )
    with pytest.raises(InputError) as caught:
        outcomes_of_run(result, "csv", [bad])
    assert [str(finding) for finding in caught.value.findings] == [
        "bad.csv:3, user_id: the campaign has no such user (found user zoe, coupon C1)",
        "bad.csv:2, coupon_id: this is not what the run gave the user (found user u1, coupon C2)",
        f"{bad}: a user and coupon stand there twice (found user u2, coupon C1)",
    ]


@pytest.mark.parametrize("tool", [tool for tool in WRITERS if tool != "klaviyo"])
def test_of_several_sends_the_runs_own_are_asked_for(result: Path, tmp_path: Path, tool: str) -> None:
    story = [*STORY, Happened("sent", "u8", SENT, send="news"), Happened("opened", "u8", LAST, send="news")]
    files = written(tool, tmp_path / "results", story)
    options = OPTIONS.get(tool, {})
    with pytest.raises(InputError, match="several sends") as caught:
        outcomes_of_run(result, tool, [files], **options)  # type: ignore[arg-type]
    names = {"customerio": ("broadcast june", "broadcast news")}.get(tool, ("june", "news"))
    assert all(name in str(caught.value) for name in names)
    ours = outcomes_of_run(result, tool, [files], sends=[names[0]], **options)  # type: ignore[arg-type]
    assert "u8" not in ours.frame["user_id"]
    assert any("other sends left out" in note for note in ours.notes)
    every = outcomes_of_run(result, tool, [files], sends=["all"], **options)  # type: ignore[arg-type]
    assert "u8" in every.frame["user_id"]
    with pytest.raises(InputError, match="no such send"):
        outcomes_of_run(result, tool, [files], sends=["july"], **options)  # type: ignore[arg-type]


def test_a_message_on_another_channel_is_not_the_plans(result: Path, tmp_path: Path) -> None:
    story = [*STORY, Happened("sent", "u1", SENT, "sms"), Happened("clicked", "u2", LAST, "sms")]
    found = outcomes_of_run(result, "braze", [written("braze", tmp_path / "results", story)])
    assert by_user(found.frame)["u2"]["clicked"] == 0
    assert any("2 events on another channel" in note for note in found.notes)


def test_messages_to_the_control_group_are_pointed_out(result: Path, tmp_path: Path) -> None:
    story = [*STORY, Happened("sent", "u5", SENT)]
    found = outcomes_of_run(result, "braze", [written("braze", tmp_path / "results", story)])
    assert any("1 user of the control group had a send" in note for note in found.notes)
    assert by_user(found.frame)["u5"]["coupon_id"] is None


def test_orders_after_the_observation_do_not_count(result: Path, tmp_path: Path, call: Command) -> None:
    files = written("klaviyo", tmp_path / "results")
    done = call(
        "outcomes", result, files, "--from", "klaviyo", "--out", tmp_path / "o.csv", "--observed-until",
        "2026-06-03T10:00:00+02:00", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (done.document["converted"], done.document["revenue"]) == (1, 30.0)
    assert done.document["observed_until"] == "2026-06-03T08:00:00Z"


def test_the_report_of_a_campaign_says_when_it_was_sent(result: Path, tmp_path: Path, call: Command) -> None:
    files = written("mailchimp", tmp_path / "results")
    (files / "june-report.json").unlink()
    options = ("outcomes", result, files, "--from", "mailchimp", "--out", tmp_path / "o.csv")
    done = call(*options)
    assert done.code == 3
    assert "do not tell when it was sent" in done.err
    assert call(*options, "--sent-at", "2026-06-02T11:00").code == 2  # of which time zone?
    assert call(*options, "--sent-at", "2026-06-02T11:00+02:00").code == 0
    assert by_user(pl.read_csv(tmp_path / "o.csv"))["u1"]["sent_at"] == "2026-06-02T09:00:00Z"


def test_times_without_a_zone_are_asked_for(result: Path, tmp_path: Path, call: Command) -> None:
    files = written("salesforce", tmp_path / "results")
    options = ("outcomes", result, files, "--from", "salesforce", "--out", tmp_path / "o.csv")
    done = call(*options)
    assert done.code == 3
    assert "--time-zone Etc/GMT+6" in done.err
    assert call(*options, "--time-zone", "Mars/Base").code == 3
    assert call(*options, "--time-zone", "Etc/GMT+6").code == 0


EVENT = {"attributes": {"datetime": SENT, "event_properties": {}}, "relationships": {}}
KLAVIYO = {"data": [EVENT], "included": []}
BAD = [
    ("klaviyo", "a.json", "{", "a.json:1: this is not JSON"),
    ("klaviyo", "a.json", '{"data": []}\n{oops}', "a.json:2: this line is not JSON"),
    ("klaviyo", "a.json", "[1, 2]", "not an answer of Klaviyo's Events API"),
    ("klaviyo", "a.json", json.dumps(KLAVIYO), "include=metric,profile"),
    ("klaviyo", "a.json", "[" * 100_000, "too deep"),
    ("customerio", "a.json", '{"metric": "sent"}', "not an event of Customer.io's"),
    ("customerio", "a.json", '{"metric": "sent", "object_type": "email", "timestamp": "soon", "data": {}}',
     "timestamp is no time"),
    ("customerio", "a.json", '{"metric": "sent", "object_type": "email", "timestamp": 1e400, "data": {}}',
     "timestamp is no time"),
    ("hubspot", "a.json", '{"events": [{"type": "SENT", "created": true, "recipient": "u1@example.com"}]}',
     "created is no time"),
    ("hubspot", "a.json", '{"results": []}', "not an answer of HubSpot's"),
    ("hubspot", "a.json", '{"events": [7]}', "no e-mail event"),
    ("mailchimp", "a.json", '{"members": []}', "not an answer of Mailchimp's"),
    ("mailchimp", "a.json", '{"sent_to": [{}]}', "names no email_address"),
    ("mailchimp", "a.json", '{"emails": [{"email_address": "u1@example.com"}]}', "has no activity"),
    ("salesforce", "Rows.csv", "SubscriberKey,EventDate\nu1,6/2/2026 3:00:00 AM\n",
     "does not say what it tells of"),
    ("salesforce", "Sent.csv", "SubscriberKey,Date\nu1,6/2/2026\n", "EventDate: this column is missing"),
    ("salesforce", "Sent.csv", "SubscriberKey,EventDate\nu1,2.6.2026\n", "Sent.csv:2, EventDate: this cell"),
    ("braze", "events.csv", "external_user_id,time\nu1,1\n", "no file is of events that Allocate knows"),
    ("braze", "users.messages.email.Send.csv", "external_user_id,time\nu1,soon\n", "time: this cell"),
    ("braze", "users.messages.email.Send.csv", "id,time\nu1,1\n", "external_user_id: this column is missing"),
    ("braze", "users.messages.email.Send.avro", "no avro", "this Avro file cannot be read"),
    ("braze", "users.behaviors.Purchase.csv", "external_user_id,time,price\nu1,1780390800,free\n",
     "price: this cell"),
    ("csv", "a.csv", "user_id,coupon_id\nu1,C1\n", "sent_at"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "name", "content", "said"), BAD)
def test_what_is_no_result_of_the_tool_is_refused(
    result: Path, tmp_path: Path, tool: str, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        outcomes_of_run(result, tool, [tmp_path / name], time_zone="UTC")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ([Happened("opened", "u1", LAST)], "do not tell who of this run was sent something"),
        ([Happened("sent", "x9", SENT)], "none of the events is of a user"),
    ],
)
def test_results_that_tell_nothing_of_the_run_are_refused(
    result: Path, tmp_path: Path, story: list[Happened], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        outcomes_of_run(result, "braze", [written("braze", tmp_path / "results", story)])


def test_files_that_are_not_there_are_named(result: Path, tmp_path: Path, call: Command) -> None:
    done = call("outcomes", result, tmp_path / "no", "--from", "csv", "--out", tmp_path / "o.csv")
    assert done.code == 3
    assert "there is no such file or folder" in done.err


def test_the_columns_of_outcomes_are_columns_of_the_history() -> None:
    known = {column.name for column in HISTORY.columns}
    assert {column.name for column in OUTCOMES.columns} <= known
