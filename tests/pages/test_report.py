"""Pages of plans and what-ifs: right figures, charts that draw, nothing fetched or run, and they print."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from allocator.report.drawing import LABEL_CELLS, can_draw, short
from allocator.report.page import at
from allocator.runs.options import Options
from allocator.runs.pipeline import run_campaign
from allocator.runs.report import report_run
from allocator.wording import number

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
HAS_CHARTS = all(find_spec(name) is not None for name in ("altair", "vl_convert"))
needs_charts = pytest.mark.skipif(not HAS_CHARTS, reason="the libraries that draw are not installed")


@pytest.fixture(autouse=True, scope="module")
def drawn_pages(plain_pages: None) -> Iterator[None]:
    """Draw charts here, where the libraries for it are installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "vl_convert")
        yield


class Page(HTMLParser):
    """What a reader and a browser find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.figures: list[tuple[str, str]] = []
        self.shown: dict[str, str] = {}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._figure: str | None = None
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        found = dict(attrs)
        self._figure = found.get("data-figure") if tag == "data" else None
        if self._figure is not None:
            self.figures.append((self._figure, str(found["value"])))

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._figure is not None:
            self.shown[self._figure] = data
            self._figure = None


def assert_right(page: Page, document: dict[str, Any]) -> None:
    """Check every figure of a page against the document it is of."""
    assert page.figures
    for pointer, value in page.figures:
        assert json.loads(value) == at(document, pointer), pointer


def assert_alone(text: str) -> None:
    """Check that a page fetches nothing, runs nothing, and says so to the browser."""
    page = Page(text)
    assert not {"script", "iframe", "img", "object", "embed", "form"} & set(page.tags)
    links = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert links == ["data:,"]
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    (policy,) = [value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value]
    style = text[text.index("<style>") + 7 : text.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


@pytest.fixture(scope="module")
def starter_run(shared_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("starter") / "run"
    config = shared_starter / "campaign.toml"
    config.write_text(config.read_text().replace("[copy]", '[copy]\nwriter = "template"', 1))
    run_campaign(shared_starter, out, predict=False)
    return out


@pytest.fixture(scope="module")
def full(starter_run: Path) -> tuple[str, dict[str, Any]]:
    """The page of a run with scenarios and a frontier, and its figures."""
    from allocator.whatif.frontier import Sweep

    out = starter_run.parent / "full.html"
    sweep = Sweep("total.at_most", (100.0, 250.0, 400.0, 700.0))
    document = report_run(starter_run, out, scenarios=True, sweeps=[[sweep]], floor=2.0)
    return out.read_text(encoding="utf-8"), document


AWKWARD = """
schema = 1
name = "双十一 <i>大促</i> 面向所有会员的年度最大活动"
currency = "CNY"
as_of = 2026-06-01
[solve]
gap = 0.05
[[limits]]
kind = "budget"
label = "总预算 <u>不可超</u>"
at_most = 30000000
[[limits]]
kind = "inventory"
label = "库存"
[[limits]]
kind = "floor"
label = "every city"
by = "city"
at_least = 0.5
per_head = true
[[limits]]
kind = "parity"
label = "公平"
by = "region"
tolerance = 0.1
"""


def awkward_campaign(folder: Path) -> Path:
    """Fifty coupons with long Chinese names or mark-up in them, 200 limits, and a city each for 120 users."""
    folder.mkdir()
    coupons = [f"满{30 * i + 99}减{i}超级会员限时优惠券·第{i:02d}号" for i in range(47)]
    coupons += ["<b>bold</b> & 'q'", "A" * 70, "双十一 券"]
    regions = ["华东大区 —— 上海、江苏、浙江、安徽、福建、江西、山东", "<script>alert(1)</script>", "north"]
    lines = [f'"{coupon}",percent,10,CODE{i},{i + 3}' for i, coupon in enumerate(coupons)]
    (folder / "coupons.csv").write_text("coupon_id,kind,value,code,inventory\n" + "\n".join(lines))
    users = [f"u{u},{regions[u % 3]},城市{u}" for u in range(120)]
    (folder / "users.csv").write_text("user_id,region,city\n" + "\n".join(users))
    scores = [
        f'u{u},"{coupon}",{1e6 * (1 + (7 * u + 13 * i) % 29)},{1e5 * (1 + (5 * u + 3 * i) % 11)}'
        for u in range(120)
        for i, coupon in enumerate(coupons)
    ]
    (folder / "scores.csv").write_text("user_id,coupon_id,value,cost\n" + "\n".join(scores))
    (folder / "campaign.toml").write_text(AWKWARD)
    return folder


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("awkward")
    run_campaign(awkward_campaign(folder / "campaign"), folder / "run", predict=False, copy=False)
    return folder / "run"


def test_every_figure_of_a_run_is_that_of_its_summary(starter_run: Path) -> None:
    summary = json.loads((starter_run / "summary.json").read_text())
    page = Page((starter_run / "report.html").read_text())
    assert_right(page, summary)
    expected = {"/value", "/spend", "/return", "/assigned", "/users", "/gap", "/budget", "/bound", "/seed"}
    expected |= {f"/limits/{i}/used" for i in range(len(summary["limits"]))}
    expected |= {f"/limits/{i}/price" for i, row in enumerate(summary["limits"]) if row["binding"]}
    expected |= {f"/by_coupon/{i}/{name}" for i in range(6) for name in ("assigned", "value", "spend")}
    expected |= {f"/by_group/region/{i}/rate" for i in range(4)}
    expected |= {f"/price_of_fairness/{i}/lost_at_most" for i in range(2)}
    expected |= {f"/skipped/{reason}" for reason in summary["skipped"]}
    assert expected <= {pointer for pointer, _ in page.figures}
    assert page.shown["/value"] == number(summary["value"])
    assert page.shown["/by_group/region/0/rate"] == f"{summary['by_group']['region'][0]['rate']:.1%}"
    words = " ".join(page.words)
    assert summary["status"] in words
    for part in (*summary["versions"].values(), *summary["digests"].values()):
        assert part in words
    assert words.count("written by template") >= 3


def test_a_page_can_show_no_figure_but_those_of_its_document() -> None:
    assert at({"a/b": [{"~": 1.5}]}, "/a~1b/0/~0") == 1.5
    with pytest.raises(KeyError):
        at({"value": 1.0}, "/spend")


def test_a_full_report_holds_scenarios_frontier_and_sensitivity(
    full: tuple[str, dict[str, Any]], starter_run: Path
) -> None:
    text, document = full
    summary = json.loads((starter_run / "summary.json").read_text())
    assert {name: document[name] for name in summary} == summary
    base = document["scenarios"][0]
    for name in ("value", "spend", "assigned", "gap"):
        assert base[name] == pytest.approx(summary[name], rel=1e-12), name
    assert [row["used"] for row in base["limits"]] == pytest.approx([r["used"] for r in summary["limits"]])
    page = Page(text)
    assert_right(page, document)
    pointers = {pointer for pointer, _ in page.figures}
    assert {"/scenarios/1/difference/spend", "/frontiers/0/points/3/marginal"} <= pointers
    assert "/sensitivity/coupons/0/break_even_cost" in pointers
    assert document["frontiers"][0]["points"][2]["value"] == pytest.approx(summary["value"], rel=1e-3)
    words = " ".join(page.words)
    for line in document["scenarios"][1]["verdict"]:
        assert line in words


@needs_charts
def test_charts_are_drawn_and_described_in_words(full: tuple[str, dict[str, Any]]) -> None:
    text, document = full
    page = Page(text)
    described = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert len(described) == page.tags.count("svg") == page.tags.count("figure") >= 8
    figures = r"COFFEE15: value \(USD\) [\d.,]+, spend \(USD\) [\d.,]+, users \d+"
    assert any(re.search(figures, words) for words in described)
    curve = next(words for words in described if words.startswith("Value by total.at_most"))
    assert number(document["frontiers"][0]["points"][0]["value"]) in curve
    drawing = re.search(r"<svg.*?</svg>", text[text.index("Value by total.at_most") :], flags=re.DOTALL)
    assert drawing is not None
    assert "base 400" in drawing[0]
    assert text.count("<path") > 60


def test_a_page_fetches_nothing_and_runs_nothing(
    full: tuple[str, dict[str, Any]], starter_run: Path, awkward: Path
) -> None:
    for text in (full[0], (starter_run / "report.html").read_text(), (awkward / "report.html").read_text()):
        assert_alone(text)
    with pytest.raises(AssertionError):
        assert_alone(full[0].replace("</body>", '<img src="https://example.invalid/x.png"></body>'))


def test_the_same_run_is_the_same_page(tiny: Any, tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        run_campaign(tiny.path, tmp_path / name, predict=False, copy=False)
        report_run(tmp_path / name, tmp_path / f"{name}.html")
        pages += [(tmp_path / name / "report.html").read_bytes(), (tmp_path / f"{name}.html").read_bytes()]
    assert pages[:2] == pages[2:]


@needs_charts
def test_a_drawing_does_not_depend_on_the_fonts_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from allocator.report import drawing

    def draw() -> str:
        bars = [
            drawing.Bars("value", [3.0, -1.0], ["3", "-1"]),
            drawing.Bars("users", [1, 2], ["1", "2"], mark=1.5),
        ]
        return drawing.draw_bars(
            "Title", ["满100减20", "a name that is far too long to stand there"], bars
        ).svg

    first = draw()
    monkeypatch.setitem(drawing.CONFIG, "font", "monospace")
    assert draw().replace("monospace", "inherit") == first
    assert "…" in first


def test_names_with_mark_up_and_long_ones_break_nothing(awkward: Path) -> None:
    summary = json.loads((awkward / "summary.json").read_text())
    assert len(summary["by_coupon"]) == 50
    assert len(summary["limits"]) > 170
    text = (awkward / "report.html").read_text()
    page = Page(text)
    assert_right(page, summary)
    words = " ".join(page.words)
    for name in (
        "<b>bold</b> & 'q'",
        "A" * 70,
        "<script>alert(1)</script>",
        "双十一 <i>大促</i>",
        "总预算 <u>",
    ):
        assert name in words
    for tag in ("<b>bold", "<script>alert", "<i>大促", "<u>"):
        assert tag not in text
    if can_draw():
        assert "The 20 first of 50" in words
        assert len(text) < 400_000


def test_a_label_keeps_its_beginning_and_its_end() -> None:
    from rich.cells import cell_len

    assert short("a  b") == "a b"
    name = "库存[满535减85超级无敌限时优惠券·第03号]"
    assert cell_len(short(name)) <= LABEL_CELLS
    assert short(name).startswith("库存[满")
    assert short(name).endswith("03号]")


def test_a_single_user_has_a_report(tiny: Any, tmp_path: Path) -> None:
    tiny.write(
        users="user_id,region\nu1,north\n", scores="user_id,coupon_id,value,cost\nu1,C1,3,1\nu1,C2,5,3\n"
    )
    run_campaign(tiny.path, tmp_path / "run", predict=False, copy=False)
    document = report_run(tmp_path / "run", tmp_path / "page.html")
    assert_right(Page((tmp_path / "page.html").read_text()), document)


def test_a_plan_that_gives_nothing_has_a_report(tiny: Any, tmp_path: Path) -> None:
    tiny.replace("campaign.toml", "at_most = 6", "at_most = 0.1")
    summary = run_campaign(tiny.path, tmp_path / "run", predict=False, copy=False).summary
    assert summary["return"] is None
    assert_right(Page((tmp_path / "run" / "report.html").read_text()), summary)


def test_without_the_libraries_the_page_has_tables_and_says_what_to_install(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    summary = run_campaign(tiny.path, tmp_path / "run", predict=False, copy=False).summary
    page = Page((tmp_path / "run" / "report.html").read_text())
    assert_right(page, summary)
    assert "svg" not in page.tags
    assert "pip install 'allocate[report]'" in " ".join(page.words)


def test_charts_can_be_left_out(tiny: Any, tmp_path: Path) -> None:
    run_campaign(tiny.path, tmp_path / "run", options=Options(charts=False), predict=False, copy=False)
    page = Page((tmp_path / "run" / "report.html").read_text())
    assert "svg" not in page.tags
    assert "pip install" not in " ".join(page.words)


def test_the_command_writes_a_new_page_and_writes_over_none(tiny: Any, tmp_path: Path, allocate: Any) -> None:
    run_campaign(tiny.path, tmp_path / "run", predict=False, copy=False)
    page = tmp_path / "page.html"
    sweep = ("--sweep", "total.at_most=2:8:4", "--floor", "1")
    done = allocate("report", tmp_path / "run", "--out", page, *sweep, "--json")
    assert done.code == 0, done.err
    assert_right(Page(page.read_text()), done.document)
    assert [point["at"] for point in done.document["frontiers"][0]["points"]] == [[2], [4], [6], [8]]
    again = allocate("report", tmp_path / "run", "--out", page)
    assert again.code == 3
    assert "already there" in again.err
    assert allocate("report", tmp_path / "nothing", "--out", tmp_path / "b.html").code == 3
    nowhere = allocate("report", tmp_path / "run", "--out", tmp_path / "no" / "b.html")
    assert nowhere.code == 3
    assert "no such folder" in nowhere.err
    wrong = allocate(
        "report", tmp_path / "run", "--out", tmp_path / "b.html", "--sweep", "totl.at_most=2:8:4"
    )
    assert wrong.code == 3
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        (["--set", "total.at_most=4", "--drop-coupon", "C2"], "/scenarios/1/difference/spend"),
        (["--sweep", "total.at_most=2:8:4"], "/points/3/value"),
        (["--sweep", "total.at_most=2:8:3", "--sweep", "stock.at_most=1:3:2"], "/points/5/at/1"),
        (["--sensitivity"], "/limits/0/price"),
    ],
)
def test_what_ifs_are_pages_too(
    tiny: Any, tmp_path: Path, allocate: Any, asked: list[str], pointer: str
) -> None:

    capacity = '[[limits]]\nkind = "limit"\nlabel = "stock"\nmeasure = "count"\nat_most = 3\n'

    tiny.replace("campaign.toml", "[copy]", f"{capacity}[copy]")
    page = tmp_path / "page.html"
    done = allocate("whatif", tiny.path, *asked, "--html", page, "--json")
    assert done.code == 0, done.err
    found = Page(page.read_text())
    assert_right(found, done.document)
    assert pointer in {place for place, _ in found.figures}
    assert_alone(page.read_text())
    if can_draw():
        assert "svg" in found.tags
    again = allocate("whatif", tiny.path, *asked, "--html", page)
    assert again.code == 3
    assert "--html" in again.err


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    profile = page.with_suffix(".profile")
    common = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--disable-dev-shm-usage",
    ]
    arguments = [BROWSER, *common, "--no-first-run", f"--user-data-dir={profile}", *options, page.as_uri()]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the page wrote to the browser's console: errors, and what the policy refused."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_browser
@needs_charts
def test_a_browser_shows_the_page_and_finds_nothing_wrong(
    full: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    text, document = full
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    done = browse(file, "--dump-dom")
    assert complaints(done) == []
    page = Page(done.stdout)
    assert_right(page, document)
    assert page.figures == Page(text).figures
    assert page.tags.count("svg") >= 8
    assert page.tags.count("path") > 60
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(text.replace("</body>", '<img src="https://example.invalid/x.png"></body>'))
    assert any("Content Security Policy" in line for line in complaints(browse(spoilt, "--dump-dom")))


@needs_browser
def test_the_page_prints(full: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    file, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(full[0], encoding="utf-8")
    browse(file, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    printed = paper.read_bytes()
    assert printed.startswith(b"%PDF")
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 20
