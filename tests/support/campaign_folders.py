"""Campaign folders that a test may spoil: the starter campaign, and one of four users and two coupons."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from support.paths import STARTER

FILES = ("campaign.toml", "users.csv", "coupons.csv", "history.csv", "events.csv", "scores.csv")
CAMPAIGN = """\
schema = 1
name = "tiny"
currency = "USD"
as_of = 2026-06-01

[[limits]]
kind = "budget"
label = "total"
at_most = 6

[copy]
writer = "template"
"""
USERS = "user_id,region,age\nu1,north,31\nu2,south,45\nu3,north,28\nu4,south,60\n"
ROWS = [line.split(",") for line in USERS.splitlines()]
COUPONS = "coupon_id,kind,value,code,ends_at\nC1,percent,10,TEN,2026-12-31\nC2,amount,5,FIVE,2026-12-31\n"
SCORES = """\
user_id,coupon_id,value,cost
u1,C1,3,1
u1,C2,5,3
u2,C1,2,1
u2,C2,4,2
u3,C1,1,1
u3,C2,6,3
u4,C1,2,2
u4,C2,1,1
"""


def copy_starter(target: Path) -> Path:
    """Copy what is in the starter campaign's folder for a run, and nothing of what else lies there."""
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(STARTER / name, target / name)
    return target


def replace_in(file: Path, old: str, new: str) -> None:
    """Replace text that must be in a file."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class Folder:
    """A small campaign folder, spoilt by writing files anew or replacing text in them."""

    path: Path

    def write(self, **files: str | bytes | None) -> Folder:
        for stem, content in files.items():
            path = self.path / f"{stem}.{'toml' if stem == 'campaign' else 'csv'}"
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def replace(self, file: str, old: str, new: str) -> Folder:
        replace_in(self.path / file, old, new)
        return self


def write_tiny(path: Path) -> Folder:
    """Write the campaign of four users and two coupons with scores; its best plan is worth 13."""
    path.mkdir()
    return Folder(path).write(campaign=CAMPAIGN, users=USERS, coupons=COUPONS, scores=SCORES)
