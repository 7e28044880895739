"""Who may be reached, on every surface: check, solve, run folder, what-ifs, explanations, pages, HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT

OPTED_OUT = """\
user_id,region,Accepts Email Marketing,HasOptedOutOfEmail
u1,north,no,1
u2,south,no,1
u3,north,no,1
u4,south,no,1
"""
EMAIL = '[copy]\nwriter = "template"\nchannels = ["email"]\nbrand = "Shop"'
NOBODY_SAYS = "no column of the users says who may be written to: everyone counts as consenting to email"


@pytest.fixture
def shop(tiny: Any) -> Any:
    """The tiny campaign, sent by e-mail."""
    return tiny.replace("campaign.toml", '[copy]\nwriter = "template"', EMAIL)


def test_users_who_opted_out_in_a_shops_own_words_get_nothing(
    shop: Any, allocate: Any, tmp_path: Path
) -> None:
    shop.write(users=OPTED_OUT.replace("u4,south,no,1", "u4,south,yes,0"))
    checked = allocate("check", shop.path)
    assert checked.code == 0
    assert "without consent" in checked.out
    assert "'HasOptedOutOfEmail': '1' (3) may not" in checked.out
    solved = allocate("solve", shop.path, "--json", "--out", tmp_path / "run").document
    assert solved["assigned"] == 1
    assert solved["reach"]["channels"]["email"]["consent"] == 1
    assert solved["reach"]["without_consent"] == 3
    saved = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert saved["reach"] == solved["reach"]


def test_where_all_opted_out_there_is_nothing_to_decide(shop: Any, allocate: Any) -> None:
    shop.write(users=OPTED_OUT)
    for command in ("check", "solve"):
        refused = allocate(command, shop.path)
        assert refused.code == 3
        assert "nobody may get anything" in refused.err
        assert "4 no consent for any channel" in refused.err
        assert "'HasOptedOutOfEmail': '1' (4) may not" in refused.err


def test_that_nobody_said_who_consents_is_said_on_every_surface(
    shop: Any, allocate: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert NOBODY_SAYS in " ".join(allocate("check", shop.path).out.split())
    assert allocate("check", shop.path, "--json").document["reach"]["cautions"][0].startswith(NOBODY_SAYS)
    solved = allocate("solve", shop.path, "--out", run)
    assert "caution" in solved.out
    assert "everyone counts as" in " ".join(solved.out.replace("│", " ").split())
    assert NOBODY_SAYS in (run / "report.html").read_text(encoding="utf-8")
    changed = ("--set", "total.at_most=3")
    page = tmp_path / "whatif.html"
    assert "Caution: " + NOBODY_SAYS[:40] in allocate("whatif", shop.path, *changed, "--html", page).out
    assert NOBODY_SAYS in page.read_text(encoding="utf-8")
    assert allocate("whatif", shop.path, *changed, "--json").document["cautions"][0].startswith(NOBODY_SAYS)
    sweep = ("--sweep", "total.at_most=2:4:3", "--json")
    assert allocate("whatif", shop.path, *sweep).document["cautions"]
    assert "Caution: " in allocate("explain", run, "--user", "u1").out
    assert allocate("explain", run, "--segment", "region=north", "--json").document["cautions"]


def test_with_consent_stated_there_is_nothing_to_caution(shop: Any, allocate: Any) -> None:
    shop.write(users="user_id,email_opt_in\nu1,1\nu2,0\nu3,1\nu4,\n")
    found = allocate("solve", shop.path, "--json").document
    assert found["reach"]["cautions"] == []
    assert found["reach"]["channels"]["email"] == {
        "consent": 2,
        "eligible": 2,
        "coupons": 2,
        "said_by": [
            "'email_opt_in': '1' (2) may be written to; '0' (1) may not; empty cells (1) are no consent"
        ],
    }
    assert found["reach"]["reasons"] == {"no consent for any channel of this campaign": 2}


def test_a_channel_of_which_no_column_speaks_is_named(shop: Any, allocate: Any) -> None:
    shop.write(users="user_id,email_opt_in\nu1,1\nu2,0\nu3,1\nu4,1\n")
    shop.replace("coupons.csv", "ends_at\n", "ends_at,channel\n").replace(
        "coupons.csv", "TEN,2026-12-31", "TEN,2026-12-31,sms"
    )
    shop.replace("coupons.csv", "FIVE,2026-12-31", "FIVE,2026-12-31,email")
    reach = allocate("check", shop.path, "--json").document["reach"]
    assert "no column of the users says who consents to sms: nobody gets anything on it" in reach["cautions"]
    assert reach["channels"]["sms"]["eligible"] == 0
    assert reach["channels"]["email"]["eligible"] == 3


def test_a_status_without_a_channel_is_said_to_be_about_texting_too(shop: Any, allocate: Any) -> None:
    shop.write(users="user_id,Status\nu1,Active\nu2,Unsubscribed\nu3,Active\nu4,Active\n")
    shop.replace("campaign.toml", 'channels = ["email"]', 'channels = ["email", "sms"]')
    cautions = allocate("check", shop.path, "--json").document["reach"]["cautions"]
    assert "'Status' names no channel, and was taken to be about sms, too" in cautions


def test_a_control_group_in_other_words_is_held_out_and_counted(shop: Any, allocate: Any) -> None:
    shop.write(users="user_id,Control Group,email_opt_in\nu1,Y,1\nu2,N,1\nu3,N,1\nu4,,1\n")
    reach = allocate("check", shop.path, "--json").document["reach"]
    assert (reach["held_out"], reach["eligible"]) == (1, 3)
    assert reach["held_out_by"] == [
        "'Control Group': 'Y' (1) in it; 'N' (2) not; empty cells (1) are not in it"
    ]


def test_a_declared_feature_is_one_and_what_speaks_of_consent_is_none(tiny: Any) -> None:
    from allocator.campaign import read_campaign
    from predictors.features.encoder import _is_feature

    tiny.write(users="user_id,consent_source,email_opt_in\nu1,web,1\nu2,shop,0\nu3,web,1\nu4,shop,1\n")
    tiny.replace("campaign.toml", "[[limits]]", '[columns.users]\n"consent_source" = "feature"\n[[limits]]')
    columns = [name for name in read_campaign(tiny.path).users.columns if _is_feature(name)]
    assert columns == ["messages_7d", "locale", "consent_source"]


def test_a_request_over_http_is_understood_alike() -> None:
    pytest.importorskip("fastapi")
    from allocator.service.inline import campaign_of
    from allocator.service.schemas.solve import InlineProblem

    pairs = {"user_id": ["a", "b", "c"], "coupon_id": ["X"] * 3, "value": [1, 2, 3], "cost": [1, 1, 1]}
    users = {
        "user_id": ["a", "b", "c"],
        "Accepts SMS Marketing": ["yes", "no", None],
        "flag": ["x", "y", "y"],
    }
    body: dict[str, Any] = {"pairs": pairs, "users": users}
    campaign = campaign_of(InlineProblem.model_validate(body), b"")
    assert campaign.users["consent_sms"].to_list() == [True, False, False]
    body["columns"] = {"users": {"flag": {"is": "holdout", "values": {"x": "yes", "y": "no"}}}}
    campaign = campaign_of(InlineProblem.model_validate(body), b"")
    assert campaign.users["holdout"].to_list() == [True, False, False]


CASE = ROOT.parent / "shared" / "cases" / "optout-columns"


@pytest.mark.skipif(not CASE.is_dir(), reason="the cases are not here")
def test_the_case_of_opt_outs_under_other_names(allocate: Any) -> None:
    refused = allocate("solve", CASE)
    assert refused.code == 3
    assert "12 no consent for any channel" in refused.err
