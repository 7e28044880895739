"""Finished runs of eight users: e-mails and text messages, one held out, one without consent."""

from __future__ import annotations

from pathlib import Path

from cli.main import run

CAMPAIGN = """\
schema = 1
name = "june"
currency = "USD"
as_of = 2026-06-01

[[limits]]
kind = "budget"
label = "total"
at_most = 100

[copy]
channels = ["email", "sms"]
brand = "Finch"
writer = "template"
"""
USERS = """\
user_id,region,E-mail,Phone,holdout,consent_email,consent_sms
u1,north,u1@example.com,+49 151 00000-001,0,1,1
u2,south,u2@example.com,+49 151 00000-002,0,1,1
u3,north,u3@example.com,+49 151 00000-003,0,0,1
u4,south,u4@example.com,+49 151 00000-004,0,0,1
u5,north,u5@example.com,+49 151 00000-005,1,1,1
u6,south,u6@example.com,+49 151 00000-006,0,0,0
u7,north,u7@example.com,+49 151 00000-007,0,1,1
u8,south,u8@example.com,+49 151 00000-008,0,1,1
"""
COUPONS = """\
coupon_id,kind,value,code,ends_at
C1,percent,10,TEN,2026-06-30
C2,amount,5,FIVE,2026-06-30
"""
SCORES = "user_id,coupon_id,value,cost\n" + "".join(
    f"u{user},C{coupon},{value},1\n" for user in range(1, 9) for coupon, value in ((1, 3), (2, 2))
)


def write_campaign(folder: Path, **files: str) -> Path:
    """Write the campaign's files, some of them others."""
    folder.mkdir(parents=True)
    whole = {"campaign.toml": CAMPAIGN, "users.csv": USERS, "coupons.csv": COUPONS, "scores.csv": SCORES}
    for name, text in whole.items():
        (folder / name).write_text(files.get(name.partition(".")[0], text), encoding="utf-8")
    return folder


def make_run(folder: Path, **files: str) -> Path:
    """Return a finished run of the campaign beside it."""
    write_campaign(folder / "shop", **files)
    options = ["--no-predict", "--no-charts", "--quiet"]
    assert run(["run", str(folder / "shop"), "--out", str(folder / "result"), *options]) == 0
    return folder / "result"
