"""Write a made-up export of a tea and coffee shop, as its tools would: ``python make_export.py export``.

2,000 customers, half a year of orders, and three mailings in which chance decided who got which code.
"""

from __future__ import annotations

import csv
import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

CUSTOMERS = 2_000
CATEGORIES = ("coffee", "tea", "equipment")
CODES = {"COFFEE15": "coffee", "TEA15": "tea", "FIVER": "", "FREESHIP": ""}
MAILINGS = (dt.date(2026, 2, 10), dt.date(2026, 3, 17), dt.date(2026, 4, 21))


def write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


def main(folder: Path) -> None:
    """Write the four files of the export."""
    rng = np.random.default_rng(2026)
    folder.mkdir(parents=True, exist_ok=True)
    ids = [f"K{1000 + i}" for i in range(CUSTOMERS)]
    region = rng.choice(["north", "south", "islands"], CUSTOMERS, p=[0.4, 0.4, 0.2])
    tier = rng.choice(["basic", "plus", "gold"], CUSTOMERS, p=[0.6, 0.28, 0.12])
    taste = rng.dirichlet([1.2, 1.2, 0.5], CUSTOMERS)  # of each category
    active = rng.gamma(2.0, 0.5, CUSTOMERS)  # orders a month
    opted = rng.random((CUSTOMERS, 2)) < [0.9, 0.6]
    write(
        folder / "customers.csv",
        ["customer_id", "region", "member_tier", "email_opt_in", "sms_opt_in", "language"],
        [
            (ids[i], region[i], tier[i], *("yes" if opt else "no" for opt in opted[i]), "en")
            for i in range(CUSTOMERS)
        ],
    )

    orders = []
    for i in range(CUSTOMERS):
        for day in np.sort(rng.choice(180, min(rng.poisson(active[i] * 6), 40), replace=False)):
            at = dt.date(2025, 11, 20) + dt.timedelta(days=int(day))
            category = CATEGORIES[rng.choice(3, p=taste[i])]
            paid = round(float(rng.lognormal(3.4, 0.5)), 2)
            orders.append((at, f"#{len(orders) + 20001}", ids[i], category, paid, 0, "paid"))
    orders.sort(key=lambda row: row[0])
    head = "created_at,order_id,customer_id,category,total,total_discounts,financial_status"
    write(folder / "orders.csv", head.split(","), orders)

    sends = []
    for day in MAILINGS:
        for i in np.flatnonzero(opted[:, 0]).tolist():
            code = ["", *CODES][rng.integers(len(CODES) + 1)]
            usual = 0.04 + 0.08 * min(active[i], 2.0)
            lift, off, enough = 0.0, 0.0, 0.0
            if code in ("COFFEE15", "TEA15"):  # works where the taste is
                lift = 0.35 * taste[i, CATEGORIES.index(CODES[code])]
            elif code == "FIVER":  # works with those who buy seldom
                lift, off, enough = 0.24 if active[i] < 0.6 else 0.02, 5.0, 25.0
            elif code == "FREESHIP":  # works far away
                lift, off = 0.26 if region[i] == "islands" else 0.01, 4.5
            ordered = rng.random() < usual + lift
            basket = max(float(rng.lognormal(3.4, 0.5)), enough) if ordered else 0.0
            used = ordered and code != "" and rng.random() < 0.85
            if code in ("COFFEE15", "TEA15"):
                off = min(0.15 * basket, 8.0)
            sends.append(
                (ids[i], code, day, "test" if code else "control", int(ordered), int(used), round(basket, 2),
                 round(off, 2) if used else 0)
            )  # fmt: skip
    head = "external_id,Coupon,sent_at,group,ordered,code_used,basket,discount"
    write(folder / "mailings.csv", head.split(","), sends)

    head = (
        "Coupon,kind,value,max_discount,minimumRequirement,expirydate,inventory,channel,category,Coupon Code"
    )
    write(
        folder / "codes.csv",
        head.split(","),
        [
            ("COFFEE15", "percentage", 15, 8, "", "2026-06-30", 300, "email", "coffee", "COFFEE15"),
            ("TEA15", "percentage", 15, 8, "", "2026-06-30", 300, "email", "tea", "TEA15"),
            ("FIVER", "fixed_amount", 5, "", 25, "2026-06-30", "", "email", "", "FIVER"),
            ("FREESHIP", "free_shipping", 4.5, "", "", "2026-06-30", "", "sms", "", "FREESHIP"),
        ],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "export"))
