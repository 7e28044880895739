"""Public randomised experiments as campaigns: who got what, and what came of it.

The files are not part of this repository. Two come from a folder (``hillstrom``, the MineThatData
e-mail challenge of 2008; ``karlan_list``, Karlan and List, "Does Price Matter in Charitable Giving?",
American Economic Review 2007); the others are in the PyPI package ``causaldata`` (Thornton, "The Demand
for, and Impact of, Learning HIV Status", American Economic Review 2008; Broockman, "Black Politicians
Are More Intrinsically Motivated to Advance Blacks' Interests", American Journal of Political Science
2013; Cai, de Janvry and Sadoulet, "Social Networks and the Decision to Insure", American Economic
Journal: Applied Economics 2015).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import parse_config

SENT = dt.datetime(2026, 5, 1)
AS_OF = dt.date(2026, 6, 1)
MISSING = -999.0
PERIOD_SHARE = 0.8

KARLAN_LIST_FEATURES = (
    "hpa", "ltmedmra", "freq", "years", "year5", "mrm2", "dormant", "female", "couple", "nonlit", "cases",
    "perbush", "close25", "red0", "blue0", "redcty", "bluecty", "pwhite", "pblack", "page18_39", "ave_hh_sz",
    "median_hhincome", "powner", "psch_atlstba", "pop_propurban",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A randomised experiment with one row a user.

    Parameters
    ----------
    name
        Of the experiment and its outcome.
    users
        Features, n rows.
    arm
        (n,) position in `coupons`, -1 for the control.
    outcome
        (n,) what the treatment is meant to bring about.
    coupons
        (coupon_id, kind, value) of each arm.
    truth
        (n, c) the uplift, where it is known.
    later
        (n,) whether a row is of a second period, on which what was learnt in the first is judged.
    """

    name: str
    users: pl.DataFrame
    arm: NDArray[np.int64]
    outcome: NDArray[np.bool_]
    coupons: Sequence[tuple[str, str, float]]
    truth: NDArray[np.float64] | None = None
    later: NDArray[np.bool_] | None = None

    @property
    def arms(self) -> range:
        """Every value of `arm`, the control first."""
        return range(-1, len(self.coupons))

    def halves(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of two random halves, stratified by arm and outcome.

        Where there are two periods: four fifths of each, drawn at random.
        """
        if self.later is not None:
            drawn = np.random.default_rng(seed).random(len(self.arm)) < PERIOD_SHARE
            return np.flatnonzero(~self.later & drawn), np.flatnonzero(self.later & drawn)
        order = np.lexsort((np.random.default_rng(seed).random(len(self.arm)), self.outcome, self.arm))
        second = np.zeros(len(order), dtype=bool)
        second[order[1::2]] = True
        return np.flatnonzero(~second), np.flatnonzero(second)

    def campaign(self, rows: NDArray[np.int64]) -> Campaign:
        """Return a campaign whose users and history are some of the rows."""
        ids = pl.Series("user_id", [f"u{row}" for row in rows])
        arm, outcome = self.arm[rows], self.outcome[rows]
        shares = np.bincount(self.arm + 1, minlength=len(self.coupons) + 1) / len(self.arm)
        names = pl.Series("coupon_id", [name for name, _, _ in self.coupons])
        history = pl.DataFrame(
            {
                "user_id": ids,
                "coupon_id": names.gather(np.maximum(arm, 0)).set(pl.Series(arm < 0), None),
                "treated": arm >= 0,
                "sent_at": [SENT] * len(rows),
                "propensity": shares[arm + 1],
                "converted": outcome,
                "redeemed": outcome & (arm >= 0),
                "revenue": outcome.astype(np.float64),
                "discount": np.zeros(len(rows)),
            }
        )
        users = self.users[rows].with_columns(ids, holdout=pl.lit(False))
        config = parse_config('schema = 1\nname = "experiment"\ncurrency = "USD"')
        return Campaign(Path(), config, AS_OF, users, self._coupon_table(), history, None, None, {})

    def _coupon_table(self) -> pl.DataFrame:
        table = pl.DataFrame(list(self.coupons), schema=["coupon_id", "kind", "value"], orient="row")
        empty = {
            "max_discount": pl.Float64, "min_spend": pl.Float64, "starts_at": pl.Date, "ends_at": pl.Date,
            "inventory": pl.Int64, "per_user_limit": pl.Int64, "category": pl.String, "code": pl.String,
            "description": pl.String,
        }  # fmt: skip
        columns = [pl.lit(None, kind).alias(name) for name, kind in empty.items()]
        return table.with_columns(
            pl.col("value").cast(pl.Float64),
            *columns,
            currency=pl.lit("USD"),
            channel=pl.lit("email"),
            active=pl.lit(True),
        )


def hillstrom(folder: Path, outcome: str) -> Experiment | None:
    """Return 64,000 customers with two e-mails against none; `outcome` is visit or conversion."""
    path = folder / "hillstrom" / "hillstrom.csv.gz"
    if not path.exists():
        return None
    table = pl.read_csv(path)
    arms = {"No E-Mail": -1, "Mens E-Mail": 0, "Womens E-Mail": 1}
    arm = table["segment"].replace_strict(arms, return_dtype=pl.Int64).to_numpy()
    users = table.drop("segment", "visit", "conversion", "spend")
    coupons = [("mens", "percent", 10.0), ("womens", "percent", 10.0)]
    return Experiment(f"Hillstrom {outcome}", users, arm, table[outcome].to_numpy() > 0, coupons)


def karlan_list(folder: Path) -> Experiment | None:
    """Return 50,083 donors, asked with a matching gift of 1:1, 2:1 or 3:1, or with none."""
    path = folder / "karlan_list" / "charitable.csv.gz"
    if not path.exists():
        return None
    table = pl.read_csv(path, infer_schema_length=None)
    arm = (table["treatment"] - 1 + table["treat_ratio2"] + 2 * table["treat_ratio3"]).cast(pl.Int64)
    features = table.select(pl.col(KARLAN_LIST_FEATURES).cast(pl.Float64))
    users = features.with_columns(pl.when(pl.all() != MISSING).then(pl.all()))
    coupons = [(f"match {ratio}:1", "amount", float(ratio)) for ratio in (1, 2, 3)]
    return Experiment("Karlan-List gave", users, arm.to_numpy(), table["out_gavedum"].to_numpy() > 0, coupons)


def thornton(_: Path) -> Experiment | None:
    """Return 2,900 people offered a small, medium or large incentive, or none, to fetch a test result."""
    table = _causaldata("thornton_hiv")
    if table is None:
        return None
    table = table.drop_nulls(["got", "tinc"])
    amount = table["tinc"].to_numpy()
    arm = np.where(amount == 0, -1, np.digitize(amount, [1.0, 2.0]))
    users = table.select("villnum", "distvct", "age", "hiv2004")
    coupons = [("small", "amount", 0.5), ("medium", "amount", 1.5), ("large", "amount", 2.5)]
    return Experiment("Thornton result", users, arm, table["got"].to_numpy() > 0, coupons)


def broockman(_: Path) -> Experiment | None:
    """Return 5,593 legislators, written to from inside or outside their district."""
    table = _causaldata("black_politicians")
    if table is None:
        return None
    arm = table["treat_out"].cast(pl.Int64).to_numpy() - 1
    users = table.drop("treat_out", "responded")
    return Experiment(
        "Broockman reply", users, arm, table["responded"].to_numpy() > 0, [("out", "amount", 1.0)]
    )


def cai(_: Path) -> Experiment | None:
    """Return 1,400 farmers, offered insurance after a simple or an intensive information session."""
    table = _causaldata("social_insure")
    if table is None:
        return None
    table = table.drop_nulls(["intensive", "takeup_survey"])
    arm = table["intensive"].cast(pl.Int64).to_numpy() - 1
    users = table.drop("address", "village", "takeup_survey", "intensive", "default")
    took = table["takeup_survey"].to_numpy() > 0
    return Experiment("Cai take-up", users, arm, took, [("intensive", "amount", 1.0)])


EXPERIMENTS: dict[str, Callable[[Path], Experiment | None]] = {
    "hillstrom-visit": lambda folder: hillstrom(folder, "visit"),
    "hillstrom-conversion": lambda folder: hillstrom(folder, "conversion"),
    "karlan-list": karlan_list,
    "thornton": thornton,
    "broockman": broockman,
    "cai": cai,
}


def _causaldata(name: str) -> pl.DataFrame | None:
    """Return a table of the package ``causaldata``; None if it is not installed."""
    package = find_spec("causaldata")  # not imported: that would ask for statsmodels
    if package is None or not package.submodule_search_locations:
        return None
    import pandas

    for path in sorted(Path(package.submodule_search_locations[0], name).glob("*.*")):
        if path.suffix == ".dta":
            return pl.from_pandas(pandas.read_stata(path))
        if path.suffix == ".csv":
            return pl.read_csv(path, null_values=["NA", ""], infer_schema_length=None)
    return None
