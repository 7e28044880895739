"""A blind read of hooks: a sheet of shuffled lines, the reader's verdicts, the page that publishes them.

``python -m benchmarks.copy_reading sheet FOLDER`` writes sheet.csv, for the reader, and key.json, which says
where each line is from and stays closed. The reader puts y or n in the column ``keep``;
``python -m benchmarks.copy_reading unblind FOLDER`` then writes copy_reading.json and
docs/benchmarks/copy_reading.md.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from allocator.plugins.copy import Brief
from allocator.progress import no_progress
from benchmarks.copy_quality import BY_MODEL, CANDIDATES, READING, SEED, cells

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "copy_reading.md"
WRITTEN, PEOPLE, ALONE = "written by the model", "written by people", "the model left to itself"
SIZES = {WRITTEN: 100, PEOPLE: 30, ALONE: 30}
CELLS = 700
SHOWN = ("number", "category", "persona", "tone", "line")
START, END = "<!-- reading -->\n", "<!-- end -->"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copy_reading", description=__doc__)
    parser.add_argument("step", choices=["sheet", "unblind"])
    parser.add_argument("folder", type=Path)
    settings = parser.parse_args(arguments)
    {"sheet": sheet, "unblind": unblind}[settings.step](settings.folder)


def sheet(folder: Path) -> None:
    """Write the shuffled lines and, apart from them, where each is from."""
    # Cells whose hooks the model wrote, then others for the lines of people.
    briefs = cells(CELLS + 10 * SIZES[PEOPLE])
    lines = [*_by_model(briefs[:CELLS]), *_by_people(briefs[CELLS:]), *_alone(briefs[: SIZES[ALONE]])]
    Random(SEED).shuffle(lines)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sheet.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*SHOWN, "keep"))
        writer.writerows((i, *(line[name] for name in SHOWN[1:]), "") for i, line in enumerate(lines, 1))
    (folder / "key.json").write_text(json.dumps([line["source"] for line in lines]), encoding="utf-8")


def unblind(folder: Path) -> None:
    """Join the verdicts with the sources, and publish every line."""
    sources = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    with (folder / "sheet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if unread := [row["number"] for row in rows if row["keep"] not in ("y", "n")]:
        raise SystemExit(f"no verdict yet, y or n, on {', '.join(unread)}")
    lines = [
        {name: row[name] for name in SHOWN[1:]} | {"source": source, "keep": row["keep"] == "y"}
        for row, source in zip(rows, sources, strict=True)
    ]
    document = json.dumps({"lines": lines}, ensure_ascii=False, indent=1)
    READING.write_text(document + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    table = "\n".join(_tables(lines))
    PAGE.write_text(f"{before}{START}{table}\n{rest[rest.index(END) :]}", encoding="utf-8")


def _tables(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield from ("| source | lines | kept | share |", "| --- | --- | --- | --- |")
    for source in SIZES:
        kept = [line["keep"] for line in lines if line["source"] == source]
        yield f"| {source} | {len(kept)} | {sum(kept)} | {sum(kept) / len(kept):.0%} |"
    yield from ("", "| | category | persona | tone | line | source | kept |", "| --- " * 7 + "|")
    for i, line in enumerate(lines, 1):
        said = (*(line[name] for name in SHOWN[1:]), line["source"], "yes" if line["keep"] else "no")
        yield f"| {i} | {' | '.join(said)} |"


def _line(brief: Brief, text: str, source: str) -> dict[str, str]:
    category = brief.offer.category or ""
    return {
        "category": category, "persona": brief.segment, "tone": brief.tone, "line": text, "source": source,
    }  # fmt: skip


def _by_model(briefs: Sequence[Brief]) -> list[dict[str, str]]:
    """Return the first hooks that the model wrote itself, of a run over all the cells that are measured."""
    from copygen import LocalWriter

    copies = LocalWriter(candidates=CANDIDATES, cache=False).write(briefs, seed=SEED)
    written = [copy for copy in copies if copy.written_by in BY_MODEL[:2]]
    return [_line(copy.brief, copy.hook, WRITTEN) for copy in written[: SIZES[WRITTEN]]]


def _by_people(briefs: Sequence[Brief]) -> list[dict[str, str]]:
    """Return a line of the bank for each of some cells, no line twice."""
    from copygen.bank import approved_hooks

    found: dict[str, dict[str, str]] = {}
    for brief, cell in zip(briefs, _cells(briefs), strict=True):
        hook = next(iter(approved_hooks(cell, SEED)))
        found.setdefault(hook, _line(brief, hook, PEOPLE))
    return list(found.values())[: SIZES[PEOPLE]]


def _alone(briefs: Sequence[Brief]) -> list[dict[str, str]]:
    """Return what the embedded model writes with neither phrases of ours nor filters."""
    from copygen.backends import embedded
    from copygen.backends.local import LocalModel
    from copygen.options import LocalOptions

    folder = embedded.prepare(no_progress)
    model = LocalModel.load(folder, LocalOptions(model=folder), bank=None)
    hooks = model.propose(_cells(briefs), 1, (SEED, 0), no_progress)
    return [_line(brief, row[0].text, ALONE) for brief, row in zip(briefs, hooks, strict=True)]


def _cells(briefs: Sequence[Brief]) -> list[Any]:
    from copygen.drafts import make_draft

    return [make_draft(brief).cell for brief in briefs]


if __name__ == "__main__":
    main()
