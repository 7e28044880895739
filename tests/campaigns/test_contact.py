"""Who may be contacted, as columns of exports and of people say it, and what is asked for."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from allocator.campaign import read_campaign
from allocator.campaign.columns.meanings import Meanings
from allocator.campaign.consent.speech import speech_of
from allocator.campaign.schema import CHANNELS, USERS
from allocator.campaign.tables import Parsed, clean_text, parse
from allocator.errors import InputError


def read(columns: dict[str, list[str]], meanings: dict[str, Any] | None = None) -> Parsed:
    """Read users with these columns, one cell a user."""
    size = len(next(iter(columns.values())))
    cells = {"user_id": [f"u{i}" for i in range(size)], **columns}
    raw = pl.DataFrame({name: pl.Series(texts, dtype=pl.String) for name, texts in cells.items()})
    stated = TypeAdapter(Meanings).validate_python(meanings or {})
    return parse(clean_text(raw, "users.csv"), USERS, "users.csv", stated)


def allowed(channel: str, columns: dict[str, list[str]], meanings: dict[str, Any] | None = None) -> str:
    """Return who may be written to on a channel, as 1 and 0."""
    frame = read(columns, meanings).frame
    return "".join(str(int(cell)) for cell in frame[f"consent_{channel}"])


def refused(columns: dict[str, list[str]], meanings: dict[str, Any] | None = None) -> list[Any]:
    with pytest.raises(InputError) as caught:
        read(columns, meanings)
    return list(caught.value.findings)


# Spellings of exports

UNDERSTOOD = [
    # Shopify
    ("Accepts Email Marketing", ["yes", "no", ""], "email", "100"),
    ("Accepts SMS Marketing", ["no", "yes", "no"], "sms", "010"),
    ("accepts_marketing", ["TRUE", "FALSE", ""], "email", "100"),
    ("email_marketing_consent", ["SUBSCRIBED", "NOT_SUBSCRIBED", "PENDING"], "email", "100"),
    # Klaviyo
    ("Email Marketing Consent", ["SUBSCRIBED", "NEVER_SUBSCRIBED", "UNSUBSCRIBED"], "email", "100"),
    ("SMS Marketing Consent", ["subscribed", "", "unsubscribed"], "sms", "100"),
    ("$consent", ['["email", "sms"]', "email", ""], "sms", "100"),
    ("$consent", ['["email", "mobile"]', "sms", ""], "push", "100"),
    ("Email Suppressions", ["UNSUBSCRIBE", "", "HARD_BOUNCE"], "email", "010"),
    # Braze
    ("email_subscribe", ["opted_in", "subscribed", "unsubscribed"], "email", "110"),
    ("push_subscribe", ["unsubscribed", "opted_in", ""], "push", "010"),
    # HubSpot
    ("Unsubscribed from all email", ["true", "", ""], "email", "011"),
    ("Opted out of email: Marketing Information", ["Yes", "No", "No"], "email", "011"),
    # Salesforce
    ("HasOptedOutOfEmail", ["1", "0", "0"], "email", "011"),
    ("Email Opt Out", ["TRUE", "FALSE", "TRUE"], "email", "010"),
    ("et4ae5__HasOptedOutOfMobile__c", ["true", "false", "false"], "sms", "011"),
    # Salesforce Marketing Cloud, Mailchimp
    ("Status", ["Active", "Held", "Unsubscribed"], "email", "100"),
    ("Email Marketing Status", ["Subscribed", "Unsubscribed", "Cleaned"], "email", "100"),
    ("status", ["subscribed", "transactional", "pending"], "email", "100"),
    ("OPTIN_TIME", ["2020-01-02 03:04:05", "", ""], "email", "100"),
    ("UNSUB_TIME", ["2020-01-02 03:04:05", "", ""], "email", "011"),
    # Adobe
    ("Blacklist", ["0", "1", "0"], "sms", "101"),
    ("No longer contact (by email)", ["No", "Yes", "No"], "email", "101"),
    ("blackListMobile", ["0", "1", "0"], "sms", "101"),
    ("denylist", ["true", "false", "false"], "push", "011"),
    # Others, in all conventions
    ("emailOptIn", ["true", "false", ""], "email", "100"),
    ("email-opt-in", ["Y", "N", "N"], "email", "100"),
    ("EMAIL_OPT_OUT_FLAG", ["Y", "N", "N"], "email", "011"),
    ("hasoptedoutofemail", ["1.0", "0.0", "0.0"], "email", "011"),
    ("  Sms   OPT  in ", ["1", "0", "1"], "sms", "101"),
    ("do_not_email", ["1", "0", "0"], "email", "011"),
    ("push_enabled", ["1", "0", "1"], "push", "101"),
    ("In-App opt in", ["1", "0", "1"], "in_app", "101"),
    ("Receive Marketing Emails", ["yes", "no", "yes"], "email", "101"),
    ("wantsNewsletter", ["yes", "no", ""], "email", "100"),
    ("Newsletter abonniert", ["ja", "nein", ""], "email", "100"),
    ("consentement_marketing", ["oui", "non", "non"], "email", "100"),
    ("no_consent", ["1", "0", "0"], "email", None),
    ("not_unsubscribed", ["1", "0", "1"], "email", "101"),
    ("consent_withdrawn_at", ["2024-05-01", "", ""], "email", None),
    ("邮件订阅", ["是", "否", "是"], "email", "101"),
    ("短信退订", ["1", "0", "0"], "sms", "011"),
    ("unsubscribed", ["x", "", ""], "email", "011"),
    ("opted out", ["✓", "", ""], "email", "011"),
    ("mailing_list", ["1", "0", ""], "email", "100"),
    ("isEmailable", ["true", "false", "true"], "email", "101"),
    ("Contactable via SMS?", ["Y", "N", "Y"], "sms", "101"),
    ("Marketing Permissions", ["Email|SMS", "", "Email"], "sms", "100"),
    ("optOutDate", ["2024-01-01", "", ""], "email", "011"),
    ("exclude_from_campaigns", ["1", "0", "0"], "email", "011"),
    ("some column", ["subscribed", "unsubscribed", ""], "email", "100"),
]


@pytest.mark.parametrize(("name", "cells", "channel", "expected"), UNDERSTOOD)
def test_a_column_that_speaks_of_consent_is_understood(
    name: str, cells: list[str], channel: str, expected: str | None
) -> None:
    parsed = read({name: cells})
    if expected is not None:
        assert allowed(channel, {name: cells}) == expected
    assert name.strip() not in parsed.frame.columns  # nobody learns from it
    assert [source.column for source in parsed.contact.consent] == [name]


def test_who_is_ruled_out_by_one_column_is_not_written_to_whatever_another_says() -> None:
    columns = {"Accepts Email Marketing": ["yes", "yes", "no"], "HasOptedOutOfEmail": ["0", "1", "0"]}
    assert allowed("email", columns) == "100"
    assert any("1 users be written to on email" in note for note in read(columns).notes)


@pytest.mark.parametrize(
    ("cells", "expected", "how"),
    [
        (["1", "", ""], "011", "not opted out"),
        (["1", "0", ""], "010", "unknown"),
        (["0", "0", ""], "110", "unknown"),
    ],
)
def test_empty_cells_of_an_opt_out_are_nobody_who_did_only_where_marks_stand_alone(
    cells: list[str], expected: str, how: str
) -> None:
    assert allowed("email", {"email_opt_out": cells}) == expected
    assert how in str(read({"email_opt_out": cells}).contact.consent[0])


def test_empty_cells_of_consent_are_no_consent_and_said() -> None:
    parsed = read({"email_opt_in": ["1", "", ""]})
    assert parsed.frame["consent_email"].to_list() == [True, False, False]
    assert "empty cells (2) are no consent" in str(parsed.contact.consent[0])


def test_when_somebody_opted_in_does_not_count_where_a_column_says_whether() -> None:
    columns = {"email_opt_in": ["1", "0", "1"], "email_opt_in_at": ["2024-01-01", "2024-01-01", ""]}
    assert allowed("email", columns) == "101"
    assert any("'email_opt_in_at'" in note for note in read(columns).notes)


def test_dates_that_are_none_are_empty_cells() -> None:
    assert allowed("email", {"unsubscribed_at": ["0000-00-00 00:00:00", "2020-01-01 00:00:00"]}) == "10"


def test_other_columns_about_consent_are_no_features() -> None:
    parsed = read(
        {"$consent": ["email", ""], "$consent_method": ["form", ""], "$consent_timestamp": ["2024-01-01", ""]}
    )
    assert not [name for name in parsed.frame.columns if "consent" in name and "consent_" not in name]
    assert any("'$consent_method', '$consent_timestamp'" in note for note in parsed.notes)


def test_a_hard_bounce_rules_out_and_lets_nobody_be_written_to() -> None:
    parsed = read({"hard_bounced": ["1", "0"], "sms_opt_in": ["1", "1"]})
    assert parsed.frame["consent_sms"].to_list() == [False, True]
    assert parsed.frame["consent_email"].to_list() == [False, False]


def test_do_not_call_rules_out_texting_and_grants_nothing() -> None:
    parsed = read({"DoNotCall": ["1", "0"], "email_opt_in": ["1", "1"]})
    assert parsed.frame["consent_sms"].to_list() == [False, False]
    assert parsed.frame["consent_email"].to_list() == [True, True]


def test_a_channel_that_is_not_sent_on_is_said_not_to_be_used() -> None:
    parsed = read({"whatsapp_opt_in": ["1", "0"]})
    assert not parsed.frame["consent_email"].any()
    assert "'whatsapp_opt_in'" in parsed.notes[0]


def test_what_braze_calls_subscribed_is_pointed_out() -> None:
    parsed = read({"email_subscribe": ["opted_in", "subscribed", "subscribed"]})
    assert "subscribed (2) is who has neither opted in nor out" in parsed.notes[0]
    meaning = {"email_subscribe": {"is": "consent_email", "values": {"subscribed": "no"}}}
    assert allowed("email", {"email_subscribe": ["opted_in", "subscribed", "unsubscribed"]}, meaning) == "100"


# Control groups


@pytest.mark.parametrize(
    ("name", "cells", "held"),
    [
        ("control_group", ["Y", "N", ""], [True, False, False]),
        ("is_control", ["1", "0", "0"], [True, False, False]),
        ("Global Control Group", ["true", "false", "false"], [True, False, False]),
        ("holdoutGroup", ["holdout", "treatment", "treatment"], [True, False, False]),
        ("holdout", ["control", "test", ""], [True, False, False]),
        ("Holdout", ["1", "0", "0"], [True, False, False]),
    ],
)
def test_a_column_that_names_a_control_group_holds_out(name: str, cells: list[str], held: list[bool]) -> None:
    assert read({name: cells}).frame["holdout"].to_list() == held


def test_two_control_groups_add_up() -> None:
    assert read({"holdout": ["1", "0", "0"], "ucg": ["0", "1", "0"]}).frame["holdout"].to_list() == [
        True,
        True,
        False,
    ]


# What is asked for

ASKED = [
    ("legacy_optout", ["maybe", "later", "1"], ("'maybe' (1)",), "opt_out"),
    ("opt_out", ["accepted", "declined"], ("'accepted' (1)",), "opt_out"),
    ("email_opt_out", ["", ""], ("2 empty cells",), "opt_out_email"),
    ("email_status", ["1", "0"], ("'0' (1)",), "consent_email"),
    ("Status", ["Active", "Active"], ("'Active' (2)",), "consent"),
    ("account_status", ["gold", "silver"], ("'gold' (1)",), "consent"),
    ("subscription_plan", ["monthly", "yearly"], ("'monthly' (1)",), "consent"),
    ("subscriber_since", ["2024-01-01", ""], ("'2024-01-01' (1)",), "consent"),
    ("accepts_partner_marketing", ["1", "0"], ("'0' (1)",), "consent"),
    ("permission", ["yes", "no"], ("'no' (1)",), "consent"),
    ("subscription", ["1", "0"], ("'0' (1)",), "consent"),
    ("n_unsubscribes", ["1", "0"], ("'0' (1)",), "opt_out"),
    ("days_since_optin", ["12", "400"], ("'12' (1)",), "consent"),
    ("suppressed_until", ["2026-01-01", ""], ("'2026-01-01' (1)",), "opt_out"),
    ("cookie_consent", ["1", "0"], ("'0' (1)",), "consent"),
    ("third_party_email_opt_in", ["1", "0"], ("'0' (1)",), "consent_email"),
    ("mobile_opt_in", ["1", "0"], ("'0' (1)",), "consent"),
    ("opt_in_out", ["1", "0"], ("'0' (1)",), "consent"),
    ("email_opt_in", ["yes", "2024-01-01"], ("'2024-01-01' (1)",), "consent_email"),
    ("sms", ["1", "0"], ("'0' (1)",), "consent_sms"),
    ("tags", ["vip, unsubscribed", "vip"], ("'vip, unsubscribed' (1)",), "consent"),
    ("note", ["do not contact!", "nice"], ("'do not contact!' (1)",), "consent"),
    ("group", ["control", "treatment"], ("'control' (1)",), "holdout"),
    ("control_group", ["A", "B"], ("'A' (1)",), "holdout"),
    ("not_in_holdout", ["1", "0"], ("'0' (1)",), "holdout"),
    ("conset_email", ["1", "0"], ("'0' (1)",), "consent_email"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cells", "shown", "guess"), ASKED)
def test_a_column_that_may_speak_of_contact_is_asked_for_with_its_values(
    name: str, cells: list[str], shown: tuple[str, ...], guess: str
) -> None:
    (finding,) = refused({name: cells})
    assert (finding.file, finding.column) == ("users.csv", name)
    assert all(text in str(finding.found) for text in shown)
    assert f'[columns.users] "{name}" = "{guess}", "feature" or "ignore"' == finding.expected
    assert name in read({name: cells}, {name: "feature"}).frame.columns  # and campaign.toml can answer
    assert name not in read({name: cells}, {name: "ignore"}).frame.columns


@pytest.mark.parametrize("name", ["consent_timestamp", "optin_source", "UNSUB_REASON", "consent_updated_at"])
def test_what_is_only_about_consent_is_not_enough(name: str) -> None:
    cells = ["2024-01-01", "2024-02-01"] if "source" not in name and "REASON" not in name else ["web", "shop"]
    (finding,) = refused({name: cells})
    assert "does not say who may be contacted" in finding.message


@pytest.mark.parametrize(
    "name",
    [
        "marital_status", "employment_status", "orders_90d", "avg_basket", "description", "birth_control",
        "adopted_pet", "preferred_channel", "AcceptedCmp1", "Complain", "emails_opened_90d", "region",
        "optional", "target_marketing_segment", "customer_since", "email_verified", "prescription",
    ],
)  # fmt: skip
def test_ordinary_features_are_left_alone(name: str) -> None:
    frame = read({name: ["a", "b"]}).frame
    assert frame[name].to_list() == ["a", "b"]
    assert not [column for column in frame.columns if column.startswith("consent_")]


def test_an_email_address_is_no_answer() -> None:
    frame = read({"email": ["ann@example.com", "bob@unsubscribe.example"]}).frame
    assert "email" in frame.columns


# What campaign.toml says


def test_campaign_toml_may_not_turn_a_name_around_by_mistake() -> None:
    (finding,) = refused({"HasOptedOutOfEmail": ["1", "0"]}, {"HasOptedOutOfEmail": "consent_email"})
    assert "the opposite" in finding.message
    assert '"opt_out_email"' in str(finding.expected)
    assert (
        allowed("email", {"HasOptedOutOfEmail": ["1", "0"]}, {"hasoptedoutofemail": "opt_out_email"}) == "01"
    )


def test_campaign_toml_can_say_what_values_mean() -> None:
    meaning = {"Status": {"is": "consent_email", "values": {"active": "yes", "DEAD": "no", "": "no"}}}
    assert allowed("email", {"Status": ["Active", "Dead", ""]}, meaning) == "100"
    (finding,) = refused({"Status": ["Active", "Lost"]}, meaning)
    assert "'Lost' (1)" in str(finding.found)


def test_a_wrong_word_in_campaign_toml_is_named_with_the_nearest(tiny: Any) -> None:
    tiny.write(users="user_id,flag\nu1,1\nu2,0\nu3,1\nu4,1\n")
    tiny.replace(
        "campaign.toml",
        "[[limits]]",
        '[columns.users]\n"flag" = "consent_emial"\n"flagg" = "ignore"\n[[limits]]',
    )
    with pytest.raises(InputError) as caught:
        read_campaign(tiny.path)
    words = [str(finding) for finding in caught.value.findings]
    assert len(words) == 2
    assert any("is it 'consent_email'?" in text for text in words)
    assert any("is it 'flag'?" in text for text in words)


# Properties

names = st.sampled_from([name for name, *_ in UNDERSTOOD] + [name for name, *_ in ASKED])
cells = st.lists(
    st.sampled_from(
        ["1", "0", "yes", "no", "", "subscribed", "unsubscribed", "maybe", "2024-01-01", "control", "9.5"]
    ),
    min_size=3, max_size=6,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(name=names, texts=cells, shout=st.booleans())
def test_whatever_stands_in_it_such_a_column_never_becomes_a_feature(
    name: str, texts: list[str], shout: bool
) -> None:
    """Either it is understood and gone, or it is asked for; case and spacing make no difference."""
    speech = speech_of(name)
    if not speech.about or not speech.strong:
        return
    written = name.upper() if shout and name.islower() else name
    try:
        columns = read({written: texts}).frame.columns
    except InputError as error:
        columns = [f"asked for {finding.column}" for finding in error.findings]
    assert written not in columns or written == "holdout"
    assert all(name == f"asked for {written}" for name in columns if name.startswith("asked for"))


@settings(deadline=None, max_examples=60)
@given(texts=cells, channel=st.sampled_from(CHANNELS))
def test_an_opt_out_never_lets_anybody_be_written_to_who_is_marked(texts: list[str], channel: str) -> None:
    try:
        frame = read({f"{channel}_opt_out": texts}).frame
    except InputError:
        return
    out = {"1", "yes", "unsubscribed", "2024-01-01"}
    for text, may in zip(texts, frame[f"consent_{channel}"], strict=True):
        assert not (may and text in out)
