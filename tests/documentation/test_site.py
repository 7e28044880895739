"""The documentation site: it builds without a warning, every link leads somewhere, nothing is fetched."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import urllib.parse
from collections import defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cli.commands.copy import COMMANDS as COPY_COMMANDS
from cli.main import COMMANDS
from support.paths import DOCS, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

# Where a browser fetches something by itself; an <a href> it only follows.
FETCHED = {
    ("link", "href"), ("script", "src"), ("img", "src"), ("img", "srcset"), ("source", "src"),
    ("source", "srcset"), ("iframe", "src"), ("embed", "src"), ("object", "data"), ("video", "src"),
    ("audio", "src"), ("track", "src"), ("image", "href"), ("image", "xlink:href"), ("use", "href"),
    ("form", "action"), ("input", "src"),
}  # fmt: skip
NOT_FETCHED = {"canonical", "search", "prev", "next", "index", "author", "copyright"}
OUTSIDE = re.compile(r"^(https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(
    r"url\(\s*['\"]?\s*((?:https?:)?//[^)'\"]*)|@import\s+['\"]((?:https?:)?//[^'\"]*)", re.IGNORECASE
)


@dataclass
class Page(HTMLParser):
    """What a page links to, what it fetches, and the anchors in it."""

    path: Path
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        text = self.path.read_text(encoding="utf-8")
        self.feed(text)
        self.text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and set(given.get("rel", "").split()) <= NOT_FETCHED:
            return
        self.fetched += [given[name] for kind, name in FETCHED if kind == tag and name in given]
        self.fetched += [url for urls in IN_STYLES.findall(given.get("style", "")) for url in urls if url]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it, with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--builder", "html"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, "-d", folder / "trees", DOCS, folder / "html"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


def target(page: Path, link: str) -> tuple[Path, str]:
    """Return the file and the anchor that a link within the site names."""
    address, _, anchor = link.partition("#")
    path = page if not address else page.parent / urllib.parse.unquote(address.partition("?")[0])
    return Path(path).resolve(), urllib.parse.unquote(anchor)


def test_every_link_and_every_anchor_is_there(pages):
    broken = []
    for page in pages.values():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            path, anchor = target(page.path, link)
            if not path.is_file() or (anchor and path in pages and anchor not in pages[path].anchors):
                broken.append(f"{page.path.name}: {link}")
    assert broken == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_every_page_can_be_reached_by_links_from_the_front_page(site, pages):
    reached, ahead = set(), [site / "index.html"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += [path for link in pages[page].links if (path := target(page, link)[0]) in pages]
    unread = {site / name for name in ("search.html", "genindex.html", "py-modindex.html")}
    assert {str(page.relative_to(site)) for page in set(pages) - reached - unread} == set()
    written = {
        page.relative_to(DOCS).with_suffix(".html")
        for page in DOCS.rglob("*.md")
        if "_build" not in page.parts
    }
    assert {page.relative_to(site) for page in reached} >= written


def test_nothing_is_fetched_from_a_network(site, pages):
    outside = defaultdict(set)
    for page in pages.values():
        for url in page.fetched:
            if OUTSIDE.match(url.strip()):
                outside[url].add(page.path.name)
            elif not url.startswith(("data:", "#")) and url:
                path, _ = target(page.path, url)
                assert path.is_file() or path.is_dir(), f"{page.path.name}: {url}"
    for file in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        for urls in IN_STYLES.findall(file.read_text(encoding="utf-8")):
            outside["".join(urls)].add(file.name)
    assert dict(outside) == {}


def test_no_markup_is_left_as_text(pages):
    left = re.compile(
        r"^\s*(?:\.\. [a-z-]+::.*|:::?\{?[a-z-]+\}?.*)$|\{(?:term|ref|doc|py:\w+)\}", re.MULTILINE
    )
    code = re.compile(r"<pre\b.*?</pre>|<code\b.*?</code>", re.DOTALL)
    for path, page in pages.items():
        prose = re.sub(r"<[^>]+>", " ", code.sub(" ", path.read_text(encoding="utf-8")))
        assert left.findall(prose) == [], page.path.name


def test_every_public_name_and_every_command_has_its_place(site, pages):
    anchors = set().union(*(page.anchors for page in pages.values()))
    for package in ("allocator", "allocator.online", "allocator.plugins"):
        names = importlib.import_module(package).__all__
        assert [name for name in names if f"{package}.{name}" not in anchors] == []
    commands = pages[site / "reference" / "cli.html"].anchors
    named = [f"allocate-{name}" for name in COMMANDS] + [f"allocate-copy-{name}" for name in COPY_COMMANDS]
    assert [name for name in named if name not in commands] == []
    assert "cmdoption-allocate-whatif-sweep" in commands


def test_every_file_of_the_program_that_a_page_names_is_there():
    folders = ("allocator", "predictors", "copygen", "cli", "benchmarks", "examples", "tests", "docs")
    there = [
        f"/{path.relative_to(ROOT).as_posix()}" for name in folders for path in (ROOT / name).rglob("*.py")
    ]
    for page in (path for path in DOCS.rglob("*.md") if "_build" not in path.parts):
        for name in re.findall(r"`([a-z_/]+\.py)`", page.read_text(encoding="utf-8")):
            assert any(path.endswith(f"/{name}") for path in there), f"{page.name}: {name}"
