"""Turn the export of the shop's tools into a campaign folder: ``python prepare.py``."""

import polars as pl

customers = pl.read_csv("export/customers.csv")
customers.rename({"email_opt_in": "consent_email", "sms_opt_in": "consent_sms"}).write_csv("shop/users.csv")

codes = pl.read_csv("export/codes.csv")
kinds = {"percentage": "percent", "fixed_amount": "amount"}
codes.with_columns(pl.col("kind").replace(kinds)).write_csv("shop/coupons.csv")

orders = pl.read_csv("export/orders.csv")
orders.filter(financial_status="paid").drop("financial_status").write_csv("shop/orders.csv")

mailings = pl.read_csv("export/mailings.csv").drop("group")
names = {"ordered": "converted", "code_used": "redeemed", "basket": "revenue"}
mailings.rename(names).with_columns(propensity=pl.lit(0.2)).write_csv("shop/history.csv")
