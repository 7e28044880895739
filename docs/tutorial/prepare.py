"""Turn the export of the shop's tools into a campaign folder: ``python prepare.py``."""

import polars as pl

orders = pl.read_csv("export/orders.csv")
orders.filter(financial_status="paid").drop("financial_status").write_csv("shop/orders.csv")

mailings = pl.read_csv("export/mailings.csv").drop("group")
names = {"ordered": "converted", "code_used": "redeemed", "basket": "revenue"}
mailings.rename(names).with_columns(propensity=pl.lit(0.2)).write_csv("shop/history.csv")
