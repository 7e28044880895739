"""`allocate init` on one's own files: what it takes them for, what it asks, and that it touches none."""

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.campaign import read_campaign
from allocator.campaign.config import parse_config

SHOPIFY_CUSTOMERS = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address City,"
    "Accepts SMS Marketing,Total Spent,Total Orders,Tags"
)
SHOPIFY_ORDERS = "Name,Email,Financial Status,Currency,Total,Discount Amount,Created at,Lineitem name"


def write(path: Path, header: str, *rows: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A shop's exports: customers with ids and addresses, orders with addresses alone, and discounts."""
    folder = tmp_path / "exports"
    write(
        folder / "customers_export.csv", SHOPIFY_CUSTOMERS,
        *(f"'70{i},Ann,Doe,ann{i}@example.com,{'yes' if i % 2 else 'no'},Berlin,no,{i}.5,{i},vip"
          for i in range(20)),
    )  # fmt: skip
    write(
        folder / "orders_export.csv", SHOPIFY_ORDERS,
        *(f"#{i},ann{i % 20}@example.com,{'voided' if i == 3 else 'paid'},EUR,30.00,0.00,"
          f"2026-04-{i % 28 + 1:02d} 09:00:00 +0200,Tea" for i in range(30)),
        "#1,ann1@example.com,,,,,,Cup",
    )  # fmt: skip
    write(
        folder / "codes.csv", "Code,Voucher Type,Value,Discount Type,Start Date,Expiration Date,Active",
        "FIVE,DISCOUNT_VOUCHER,500,AMOUNT,2026-01-01,2027-01-01,TRUE",
    )  # fmt: skip
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


def test_a_shops_exports_become_a_campaign_that_reads_them_where_they_are(
    exports: Path, tmp_path: Path, allocate: Any
) -> None:
    before = digests(exports)
    shop = tmp_path / "shop"
    done = allocate("init", shop, "--from", *sorted(exports.iterdir()))
    assert done.code == 0
    assert "customers_export.csv -> users, Shopify's customers" in done.out
    assert "user_id: 'Email' of orders_export.csv is 'Email' (100% found)" in done.out
    assert digests(exports) == before
    assert [path.name for path in shop.iterdir()] == ["campaign.toml"]
    text = (shop / "campaign.toml").read_text(encoding="utf-8")
    assert "ann1" not in text  # nobody can be told by it
    assert 'currency = "EUR"' in text
    config = parse_config(text)
    assert config.tables.users == "../exports/customers_export.csv"
    assert config.columns["users"]["Email"].is_ == ("user_id",)
    assert '#? "Value" = { is = "value", unit = "cents" } or { is = "value", unit = "one" }' in text
    asked = allocate("check", shop)
    assert asked.code == 3
    assert 'unit = "cents"' in asked.err
    answered = text.replace(
        '#? "Value" = { is = "value", unit = "cents" } or', '"Value" = { is = "value", unit = "cents" } #'
    )
    (shop / "campaign.toml").write_text(answered, encoding="utf-8")
    campaign = read_campaign(shop)
    assert campaign.coupons.select("coupon_id", "code", "kind", "value").rows() == [
        ("FIVE", "FIVE", "amount", 5.0)
    ]
    assert campaign.users["consent_email"].sum() == 10
    assert campaign.orders is not None
    assert len(campaign.orders) == 29  # paid, each once
    assert campaign.orders["user_id"].is_in(campaign.users["user_id"].implode()).all()


def test_a_german_export_is_read_with_its_marks_and_asks_for_what_is_unsure(
    tmp_path: Path, allocate: Any
) -> None:
    write(
        tmp_path / "Kunden.csv",
        "Kundennummer;Ort;Umsatz;Newsletter abonniert;Abgemeldet am;Status;Bemerkung",
        *(f"{i:05d};Köln;1.234,{i:02d};{'ja' if i % 2 else 'nein'};;Stammkunde;" for i in range(30)),
        "99999;Köln;5,00;ja;03.04.2025;Neukunde;",
        encoding="cp1252",
    )
    write(tmp_path / "sends.csv", "Kundennummer,code,gesendet,converted",
          *(f"{i:05d},FIVE,0{i % 9 + 1}/0{i % 8 + 1}/2026,{i % 2}" for i in range(30)))  # fmt: skip
    found = allocate(
        "init", tmp_path / "laden", "--json", "--from", tmp_path / "Kunden.csv", tmp_path / "sends.csv"
    )
    assert found.code == 0
    tables = found.document["tables"]
    columns = {column["column"]: column for column in tables["users"]["columns"]}
    assert columns["Kundennummer"]["is"] == ["user_id"]
    assert columns["Newsletter abonniert"]["is"] == ["consent_email"]
    assert columns["Status"]["is"] is None
    assert columns["Status"]["choices"] == ['"consent"', '"feature"', '"ignore"']
    assert "dates" in tables["history"]["unsure"]
    sends = {column["column"]: column for column in tables["history"]["columns"]}
    assert sends["gesendet"]["choices"] == ['"sent_at"', '"ignore"']
    text = found.document["campaign.toml"]
    assert (
        '[format.users]           # Kunden.csv\ndecimal = ","\ndelimiter = ";"\nencoding = "windows-1252"'
        in text
    )
    assert '#? dates = "day-first" or "month-first"' in text
    assert parse_config(text).format.users.decimal == ","


def test_tables_that_are_in_the_folder_stay_and_only_campaign_toml_is_written(
    tiny: Any, allocate: Any
) -> None:
    tiny.write(campaign=None)
    before = digests(tiny.path)
    assert allocate("init", tiny.path).code == 0
    after = digests(tiny.path)
    assert set(after) - set(before) == {"campaign.toml"}
    assert before.items() <= after.items()
    assert read_campaign(tiny.path).users["age"].to_list() == [31.0, 45.0, 28.0, 60.0]
    again = allocate("init", tiny.path)
    assert digests(tiny.path) == after
    assert "is already there and is not written over" in again.err


def test_of_the_example_what_is_missing_is_written_again(tmp_path: Path, allocate: Any) -> None:
    folder = tmp_path / "shop"
    assert allocate("init", folder).code == 0
    before = digests(folder)
    (folder / "scores.csv").unlink()
    assert allocate("init", folder, "--json").document["files"] == ["scores.csv"]
    assert digests(folder) == before


def test_every_sheet_of_a_workbook_is_looked_at(tmp_path: Path, allocate: Any) -> None:
    xlsxwriter = pytest.importorskip("xlsxwriter")
    with xlsxwriter.Workbook(tmp_path / "shop.xlsx") as book:
        for name, rows in {
            "People": [["customer_id", "email_opt_in"], ["u1", "yes"], ["u2", "no"]],
            "Codes": [["Coupon", "Discount Type", "Value"], ["C1", "percentage", 10]],
        }.items():
            sheet = book.add_worksheet(name)
            for i, row in enumerate(rows):
                sheet.write_row(i, 0, row)
    found = allocate("init", tmp_path / "shop", "--json", "--from", tmp_path / "shop.xlsx")
    assert set(found.document["tables"]) == {"users", "coupons"}
    assert 'coupons = "../shop.xlsx#Codes"' in found.document["campaign.toml"]
    campaign = read_campaign(tmp_path / "shop")
    assert campaign.users["consent_email"].to_list() == [True, False]


def test_what_a_file_is_can_be_said(tmp_path: Path, allocate: Any) -> None:
    path = write(tmp_path / "dump.csv", "wer,was", "u1,a", "u2,b")
    refused = allocate("init", tmp_path / "shop", "--from", path)
    assert refused.code == 3
    assert "--from users=FILE" in refused.err
    found = allocate("init", tmp_path / "shop", "--json", "--from", f"users={path}")
    assert set(found.document["tables"]) == {"users"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--from", "nowhere.csv"], "there is no table at 'nowhere.csv'"), (["extra.csv"], "follow --from")],
)
def test_misuse_is_explained(tmp_path: Path, allocate: Any, arguments: list[str], words: str) -> None:
    done = allocate("init", tmp_path / "shop", *arguments)
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "shop").exists()


def test_a_second_file_of_a_table_is_not_used_in_silence(
    exports: Path, tmp_path: Path, allocate: Any
) -> None:
    write(exports / "more_orders.csv", "user_id,order_date,amount", "ann1@example.com,2026-01-01,5")
    done = allocate("init", tmp_path / "shop", "--from", exports)
    assert "more_orders.csv is not used: another file is orders" in done.out


WORDS = [
    "Email",
    "user_id",
    "Status",
    "opt out",
    "Created at",
    "Total",
    "kind",
    "value",
    "consent_email",
    "x",
    "Ä",
    "=1",
    "*",
]
CELLS = [
    "",
    "a",
    "1",
    "1,5",
    "2026-01-01",
    "03/04/2026",
    "yes",
    "unsubscribed",
    "control",
    "€5",
    "a@b.de",
    '"',
    "10%",
]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), header=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6, unique=True)
)
def test_whatever_a_file_holds_it_is_read_or_refused_and_what_is_written_reads(
    tmp_path_factory: pytest.TempPathFactory, seed: int, header: list[str]
) -> None:
    from allocator.campaign.guess import campaign_toml, guess_campaign
    from allocator.errors import InputError

    folder = tmp_path_factory.mktemp("any")
    rng = random.Random(seed)
    mark = rng.choice([",", ";", "\t"])
    rows = [
        mark.join('"' + rng.choice(CELLS).replace('"', '""') + '"' for _ in header)
        for _ in range(rng.randint(0, 6))
    ]
    path = write(folder / f"{rng.choice(['users', 'orders', 'dump'])}.csv", mark.join(header), *rows)
    try:
        text = campaign_toml(guess_campaign([path]), folder)
    except InputError as error:
        text = f'schema = 1\nname = "{len(error.findings)}"'
    assert parse_config(text).name
