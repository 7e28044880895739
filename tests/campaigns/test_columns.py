"""Which column is what: by campaign.toml, by the exports of common tools, by names in any spelling."""

from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from allocator.campaign import read_campaign, schema
from allocator.campaign.columns.exports import Export, exports, recognised
from allocator.campaign.columns.matching import match_header
from allocator.campaign.columns.meanings import Meanings
from allocator.campaign.columns.names import key_of, nearest, words_of
from allocator.campaign.tables import Parsed, clean_text, parse
from allocator.errors import InputError

SCHEMAS = {
    table.name: table
    for table in (schema.USERS, schema.COUPONS, schema.HISTORY, schema.EVENTS, schema.ORDERS)
}


def read(table: str, text: str, meanings: dict[str, Any] | None = None) -> Parsed:
    """Read a file, one line a row, cells between semicolons."""
    header, *rows = [line.split(";") for line in text.strip().splitlines()]
    raw = pl.DataFrame(rows, dict.fromkeys(header, pl.String), orient="row")
    file = f"{table}.csv"
    stated = TypeAdapter(Meanings).validate_python(meanings or {})
    return parse(clean_text(raw, file), SCHEMAS[table], file, stated)


def refused(table: str, text: str, meanings: dict[str, Any] | None = None) -> list[Any]:
    with pytest.raises(InputError) as caught:
        read(table, text, meanings)
    return list(caught.value.findings)


# Names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("HasOptedOutOfEmail", "has opted out of email"),
        ("SMSOptIn", "sms opt in"),
        ("has_opted-out  OF.email", "has opted out of email"),
        ("$consent", "consent"),
        ("Désabonné", "desabonne"),
        ("messages_7d", "messages 7 d"),
    ],
)
def test_names_are_split_into_words_in_every_convention(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words


def test_names_are_one_in_any_case_and_spacing() -> None:
    assert key_of("User ID") == key_of("user_id") == key_of(" USER-Id ") == key_of("userId")
    assert key_of("#") == "#"


def test_a_misspelling_is_no_other_number() -> None:
    assert nearest("mesages_7d", ["messages_7d"]) == "messages_7d"
    assert nearest("messages_30d", ["messages_7d"]) is None


@pytest.mark.parametrize("name", ["User ID", "USERID", "user-id", "userId", "Customer Id", "EXTERNAL_ID"])
def test_ids_are_found_in_any_spelling(name: str) -> None:
    assert read("users", f"{name};age\nu1;3\nu2;4").frame["user_id"].to_list() == ["u1", "u2"]


def test_a_columns_own_name_comes_before_all_others() -> None:
    frame = read("users", "customer_id;user_id\n1;u1\n2;u2").frame
    assert frame["user_id"].to_list() == ["u1", "u2"]
    assert frame["customer_id"].to_list() == [1, 2]


def test_which_of_two_columns_is_asked_for_and_can_be_said() -> None:
    (finding,) = refused("users", "external_id;customer_id\nu1;1\nu2;2")
    assert finding.found == "external_id, customer_id"
    assert '[columns.users] "external_id" = "user_id"' in finding.message
    frame = read("users", "external_id;customer_id\nu1;1\nu2;2", {"customer_id": "user_id"}).frame
    assert frame["user_id"].to_list() == ["1", "2"]
    assert frame["external_id"].to_list() == ["u1", "u2"]


def test_near_misses_are_named_once_for_a_table() -> None:
    (finding,) = refused("coupons", "coupon_id;kind;value;max_discont;kode;foo\nC1;percent;10;5;X;1")
    assert finding.found == "max_discont, kode, foo"
    assert "'max_discont' may be 'max_discount'" in finding.message
    assert "'foo' may be" not in finding.message
    assert '"*" = "ignore"' in finding.message
    (finding,) = refused("users", "user_id;holdot;mesages_7d;age\nu1;0;1;3")
    assert finding.found == "holdot, mesages_7d"


def test_all_other_columns_can_be_ignored() -> None:
    frame = read("coupons", "coupon_id;kind;value;foo;bar\nC1;percent;10;5;X", {"*": "ignore"}).frame
    assert "foo" not in frame.columns
    assert frame["value"].to_list() == [10]


# What campaign.toml says of cells


def test_amounts_in_cents_become_whole_units_and_percentages_stay() -> None:
    text = "coupon_id;kind;value;min_spend\nA;amount;500;2000\nP;percent;15;1000"
    meanings = {"value": {"is": "value", "unit": "cents"}, "min_spend": {"is": "min_spend", "unit": "cents"}}
    frame = read("coupons", text, meanings).frame
    assert frame["value"].to_list() == [5, 15]
    assert frame["min_spend"].to_list() == [20, 10]


def test_one_column_can_be_two() -> None:
    frame = read("coupons", "Name;kind;value\nTEN;percent;10", {"Name": ["coupon_id", "code"]}).frame
    assert frame.select("coupon_id", "code").row(0) == ("TEN", "TEN")


def test_rows_can_be_chosen_and_what_is_left_out_is_said() -> None:
    text = "user_id;at;amount;state\nu1;2026-01-01;5;paid\nu1;2026-01-02;6;void\nu2;2026-01-03;x;PAID"
    meanings = {"state": {"is": "ignore", "only": ["Paid"]}}
    (finding,) = refused("orders", text, meanings)
    assert (finding.row, finding.column) == (4, "amount")  # as in the file, not as in what was kept
    parsed = read("orders", text.replace(";x;", ";7;"), meanings)
    assert parsed.frame["amount"].to_list() == [5, 7]
    assert parsed.notes == ("orders.csv: 1 rows are not read, as 'state' is none of Paid: 'void' (1)",)


def test_that_no_row_is_left_is_an_error() -> None:
    text = "user_id;at;amount;state\nu1;2026-01-01;5;void"
    assert (
        "no row is left" in refused("orders", text, {"state": {"is": "ignore", "only": ["paid"]}})[0].message
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("PERCENT", "percent"), ("percentage", "percent"), ("fixed_cart", "amount"), ("cart_fixed", "amount"),
     ("Fixed amount", "amount"), ("Free Shipping", "free_shipping")],
)  # fmt: skip
def test_kinds_are_read_as_tools_write_them(kind: str, expected: str) -> None:
    assert read("coupons", f"coupon_id;kind;value\nC1;{kind};10").frame["kind"].to_list() == [expected]


@pytest.mark.parametrize("kind", ["fixed_product", "by_fixed", "buy_x_get_y", "gift"])
def test_a_kind_that_is_none_of_them_is_refused(kind: str) -> None:
    (finding,) = refused("coupons", f"coupon_id;kind;value\nC1;{kind};10")
    assert (finding.column, finding.found) == ("kind", repr(kind))


def test_percentages_and_amounts_may_have_a_column_each() -> None:
    frame = read("coupons", "coupon_id;percent_off;amount_off\nP;15;\nA;;5\nZ;0;7").frame
    assert frame["kind"].to_list() == ["percent", "amount", "amount"]
    assert frame["value"].to_list() == [15, 5, 7]
    (finding,) = refused("coupons", "coupon_id;percent_off;amount_off\nP;15;\nB;10;5")
    assert (finding.row, finding.found) == (3, "10 and 5")


def test_a_table_that_is_not_there_is_named(tiny: Any) -> None:
    tiny.replace("campaign.toml", "[[limits]]", '[columns.orders]\n"x" = "at"\n[[limits]]')
    with pytest.raises(InputError, match=r"columns\.orders: there is no orders\.csv"):
        read_campaign(tiny.path)


def test_the_resolved_campaign_reads_again(tiny: Any) -> None:
    from allocator.campaign.config import parse_config
    from allocator.runs.saving import resolved_toml

    columns = '[columns.users]\n"region" = { is = "feature", values = { n = "north" } }\n"age" = "feature"\n'
    campaign = read_campaign(tiny.replace("campaign.toml", "[[limits]]", columns + "[[limits]]").path)
    assert parse_config(resolved_toml(campaign)) == campaign.config


# Exports

TITLES = [export.title for export in exports()]
WHAT_THEY_ARE = {
    "Shopify's customers": {"user_id": "Customer ID"},
    "Shopify's customers (without ids)": {"user_id": "Email"},
    "Shopify's orders": {
        "user_id": "Email", "at": "Created at", "order_id": "Name", "amount": "Total",
        "discount": "Discount Amount",
    },
    "Shopify's discounts": {
        "coupon_id": "Name", "code": "Name", "kind": "Value Type", "value": "Value", "starts_at": "Start",
        "ends_at": "End", "active": "Status", "per_user_limit": "Applies Once Per Customer",
    },
    "Recharge's discounts": {
        "coupon_id": "code", "code": "code", "kind": "discount_type", "value": "value",
        "min_spend": "prerequisite_subtotal_min",
    },
    "WooCommerce's customers (Analytics)": {"user_id": "Email"},
    "WooCommerce's orders (Analytics)": {"at": "Date", "order_id": "Order #", "amount": "Net Sales"},
    "WooCommerce's orders (REST API fields)": {
        "user_id": "customer_id", "at": "date_created_gmt", "order_id": "number", "amount": "total",
    },
    "WooCommerce's coupons (REST API fields)": {
        "coupon_id": "code", "code": "code", "kind": "discount_type", "value": "amount",
        "ends_at": "date_expires", "min_spend": "minimum_amount", "per_user_limit": "usage_limit_per_user",
    },
    "WooCommerce's coupons (import file of Smart Coupons)": {
        "coupon_id": "post_title", "code": "post_title", "kind": "discount_type", "value": "coupon_amount",
    },
    "Talon.One's coupons": {
        "coupon_id": "value", "code": "value", "starts_at": "startdate", "ends_at": "expirydate",
    },
    "Voucherify's vouchers": {
        "coupon_id": "Code", "code": "Code", "value": "Value", "starts_at": "Start Date",
        "ends_at": "Expiration Date",
    },
    "Voucherify's vouchers (import file)": {
        "coupon_id": "Code", "kind": "Discount Type", "value": "Value", "active": "Active",
    },
    "Magento's coupon codes of a rule": {"coupon_id": "Coupon Code", "code": "Coupon Code"},
    "Magento's cart price rules (table salesrule)": {
        "coupon_id": "rule_id", "kind": "simple_action", "value": "discount_amount", "starts_at": "from_date",
        "ends_at": "to_date", "per_user_limit": "uses_per_customer", "active": "is_active",
    },
    "Magento's customers (main file)": {"user_id": "email"},
    "Magento's orders (grid)": {
        "user_id": "Customer Email", "at": "Purchase Date", "amount": "Grand Total (Base)",
    },
    "Stripe's coupons (API fields)": {
        "coupon_id": "id", "percent_off": "percent_off", "amount_off": "amount_off", "ends_at": "redeem_by",
    },
    "Stripe's customers": {"user_id": "id"},
    "Stripe's payments": {
        "user_id": "Customer ID", "at": "Created (UTC)", "order_id": "id", "amount": "Converted Amount",
    },
    "Klaviyo's profiles": {"user_id": "Klaviyo ID"},
    "Braze's users": {"user_id": "external_id", "locale": "language"},
    "HubSpot's contacts": {"user_id": "Record ID"},
    "Salesforce's contacts": {"user_id": "Id"},
    "Salesforce Marketing Cloud's subscribers (data view _Subscribers)": {
        "user_id": "SubscriberKey", "locale": "Locale",
    },
    "Mailchimp's audience": {"user_id": "Email Address"},
    "Mailchimp's audience (unsubscribed)": {"user_id": "Email Address"},
    "Adobe Campaign's recipients": {"user_id": "Email"},
    "Adobe Campaign's recipients (schema names)": {"user_id": "email"},
}  # fmt: skip
USE_LIMITS = {
    "Shopify's discounts": "Usage Limit Per Code",
    "Recharge's discounts": "usage_limit",
    "WooCommerce's coupons (REST API fields)": "usage_limit",
    "Talon.One's coupons": "limitval",
    "Voucherify's vouchers": "Redemption Limit",
    "Magento's cart price rules (table salesrule)": "uses_per_coupon",
    "Stripe's coupons (API fields)": "max_redemptions",
}


def test_every_export_has_an_expectation_of_its_own() -> None:
    assert set(WHAT_THEY_ARE) == set(TITLES)
    assert len(TITLES) >= 25
    assert all(
        export.sources and all(url.startswith("https://") for url in export.sources) for export in exports()
    )


def wide(name: str) -> str:
    return name.replace(" ", "  ")


@pytest.mark.parametrize("export", exports(), ids=TITLES)
@pytest.mark.parametrize("spelling", [str, str.upper, wide])
def test_the_header_of_an_export_is_understood(export: Export, spelling: Any) -> None:
    header = [spelling(name) for name in export.names()]
    found = match_header(header, SCHEMAS[export.table], "file.csv")
    assert found.export == export
    names = {own: key_of(name) for own, name in found.names.items()}
    wanted = {own: key_of(name) for own, name in WHAT_THEY_ARE[export.title].items()}
    assert {own: names[own] for own in wanted} == wanted
    if export.title in USE_LIMITS:
        assert names["max_redemptions"] == key_of(USE_LIMITS[export.title])
    asked = [finding for finding in found.findings if "cents" not in finding.message]
    assert not asked
    assert bool(found.findings) == bool(export.asks)


OF_CUSTOMERS = [export for export in exports() if export.table == "users"]


@pytest.mark.parametrize("export", OF_CUSTOMERS, ids=[export.title for export in OF_CUSTOMERS])
def test_an_export_of_customers_that_says_nothing_lets_nobody_be_written_to_in_silence(
    export: Export,
) -> None:
    """With nothing in its cells but ids: no consent, or it is asked for, or nothing is stated at all."""
    header = export.names()
    own = match_header(header, schema.USERS, "users.csv").names["user_id"]
    cells = {name: ["c1", "c2"] if name == own else [None, None] for name in header}
    frame = pl.DataFrame(cells, dict.fromkeys(header, pl.String))
    try:
        parsed = parse(frame, schema.USERS, "users.csv")
    except InputError as error:
        asked = [finding.message for finding in error.findings]
        parsed = None
    if parsed is None:
        assert all("all cells are empty" in message for message in asked)
    elif parsed.contact.is_stated:
        assert not parsed.frame["consent_email"].any()
    else:
        assert not any(source.grants for source in parsed.contact.consent)


def test_a_campaigns_own_file_is_no_export() -> None:
    assert recognised(["Coupon", "Coupon Code", "kind", "value"]) is None
    header = ["coupon_id", "kind", "value", "startdate", "expirydate", "limitval", "recipientintegrationid"]
    match = match_header(header, schema.COUPONS, "coupons.csv")
    assert match.export is None
    assert match.names["value"] == "value"


def test_a_code_that_talon_one_calls_value_is_never_an_amount() -> None:
    header = "value;expirydate;startdate;recipientintegrationid;limitval\n10;2026-12-31;2026-01-01;;0"
    found = refused("coupons", header)
    assert {finding.column for finding in found} == {"kind", "value"}
    assert all("the rules of the campaign" in finding.message for finding in found)


def test_an_order_of_several_lines_counts_once_and_only_if_it_was_paid() -> None:
    header = "Name;Email;Financial Status;Total;Discount Amount;Created at;Lineitem quantity;Lineitem name"
    rows = "#1;a@x.de;paid;30;5;2026-05-01;1;Tea\n#1;a@x.de;;;;;2;Cup\n#2;b@x.de;voided;9;0;2026-05-02;1;Tea"
    parsed = read("orders", f"{header}\n{rows}")
    assert parsed.frame.select("user_id", "order_id", "amount", "discount").rows() == [
        ("a@x.de", "#1", 30.0, 5.0)
    ]
    assert any("1 rows without 'Total'" in note for note in parsed.notes)
    assert any("'voided' (1)" in note for note in parsed.notes)


def test_a_discount_export_of_shopify_is_read_as_it_is() -> None:
    header = "Name;Value;Value Type;Times Used In Total;Applies Once Per Customer;Usage Limit Per Code;Status"
    rows = "TEN;-10.0;percentage;3;true;;Active\nFIVE;-5.0;fixed_amount;0;false;100;Expired"
    frame = read("coupons", f"{header}\n{rows}").frame
    assert frame.select("coupon_id", "code", "kind", "value", "active").rows() == [
        ("TEN", "TEN", "percent", 10.0, True),
        ("FIVE", "FIVE", "amount", 5.0, False),
    ]
    assert frame["per_user_limit"].to_list() == [1, None]


def test_a_unit_that_an_export_does_not_state_is_asked_for() -> None:
    text = (
        "Code;Voucher Type;Value;Discount Type\nA;DISCOUNT_VOUCHER;500;AMOUNT\nP;DISCOUNT_VOUCHER;15;PERCENT"
    )
    (finding,) = refused("coupons", text)
    assert 'unit = "cents"' in finding.message
    assert read("coupons", text, {"Value": {"is": "value", "unit": "cents"}}).frame["value"].to_list() == [
        5,
        15,
    ]
    assert read("coupons", text, {"Value": {"is": "value", "unit": "one"}}).frame["value"].to_list() == [
        500,
        15,
    ]
