"""Measure: ``python -m benchmarks TABLE``, or ``all`` of the solver, or ``report`` to write the document."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import campaign_fuzz, hundred_million, pacing, pacing_plot
from benchmarks.fair_objectives import OBJECTIVES
from benchmarks.growth_plot import STREAMED, draw
from benchmarks.instances import CHANGES, KINDS
from benchmarks.ledger import LEDGERS
from benchmarks.peers import PEERS
from benchmarks.record import DOCUMENT, RESULTS, record, write_into
from benchmarks.stopping import CASES
from benchmarks.tables import TABLES, Table
from benchmarks.uplift import ALL, LEARNERS

TARGET_GAP = 1e-6
ON_REQUEST = (
    "fair",
    "device",
    "uplift",
    "ranks",
    "paired",
    "gpu",
    "winners_curse",
    "learned_plans",
    "pacing",
    "scoring",
    "ledger",
    "commands",
    "service",
    campaign_fuzz.NAME,
    campaign_fuzz.NONSENSE,
    "copy_safety",
    "copy_quality",
    "copy_lora",
    "copy_scale",
)  # `all` leaves these out


FUZZED = (campaign_fuzz.NAME, campaign_fuzz.NONSENSE)  # on a page of their own


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    settings = _parser().parse_args(arguments)
    if settings.table == "report":
        report(settings.document, settings.results)
        return
    for name in (
        [name for name in TABLES if name not in ON_REQUEST] if settings.table == "all" else [settings.table]
    ):
        print(f"\n## {name}: {TABLES[name].about}\n", flush=True)
        _measure(name, TABLES[name], settings)


def report(document: Path, results: Path) -> None:
    """Write the recorded tables into the document, and draw growth and pacing beside it."""
    columns = {name: table.columns for name, table in TABLES.items()} | {STREAMED: hundred_million.TABLE}
    for name in columns:
        place = document.with_name(f"{campaign_fuzz.NAME}.md") if name in FUZZED else document
        if not write_into(place, name, columns[name], results):
            print(f"nothing recorded for {name}")
    write_into(document.parent.parent / "concepts" / "online.md", "pacing", pacing.SHARES, results)
    draw(document.parent / "growth.svg", results)
    pacing_plot.draw(document.parent / "pacing.svg", results)


def _measure(name: str, table: Table, settings: argparse.Namespace) -> None:
    given = {key: value for key, value in vars(settings).items() if value is not None}
    used = (
        {"gap": TARGET_GAP} | table.settings | {k: given[k] for k in ("gap", *table.settings) if k in given}
    )
    if "folder" in used and "experiments" not in used and not used["folder"].is_dir():
        print(f"skipped: there is no folder {used['folder']}")
        return
    shown = {key: str(value) if isinstance(value, Path) else value for key, value in used.items()}
    record(
        name,
        shown,
        table.rows(argparse.Namespace(**used, results=settings.results)),
        table.columns,
        settings.results,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("table", choices=[*TABLES, "all", "report"])
    parser.add_argument("--sizes", type=int, nargs="+", metavar="USERS", help="numbers of users")
    parser.add_argument("--gap", type=float, help=f"relative gap to reach [{TARGET_GAP:g}]")
    parser.add_argument("--limit", type=float, metavar="SECONDS", help="for each row")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--times", type=int, metavar="N", help="runs of each, of which the median counts")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument(
        "--changes", nargs="+", choices=list(CHANGES), metavar="CHANGE", help="before a solve"
    )
    parser.add_argument(
        "--objectives", nargs="+", choices=list(OBJECTIVES), metavar="OBJECTIVE", help=", ".join(OBJECTIVES)
    )
    parser.add_argument("--forms", nargs="+", choices=["csv", "parquet"], metavar="FORM", help="of tables")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--experiments", nargs="+", choices=list(ALL), metavar="EXPERIMENT")
    parser.add_argument("--learners", nargs="+", choices=list(LEARNERS), metavar="LEARNER")
    parser.add_argument("--predictors", nargs="+", metavar="PREDICTOR", help="plugins that score")
    parser.add_argument("--seeds", type=int, metavar="N", help="splits of each experiment")
    parser.add_argument("--ledgers", nargs="+", choices=LEDGERS, metavar="LEDGER", help=", ".join(LEDGERS))
    parser.add_argument("--decisions", type=int, metavar="N", help="to time for each ledger and batch")
    parser.add_argument("--rate", type=float, metavar="N", help="requests a second that the service is asked")
    parser.add_argument("--seconds", type=float, nargs="+", help="how long decisions are asked for")
    parser.add_argument("--clients", type=int, metavar="N", help="that fight for the last units")
    parser.add_argument("--coupons", type=int, metavar="N", help="random coupons to write messages for")
    parser.add_argument("--folders", type=int, metavar="N", help="campaign folders to change at random")
    parser.add_argument(
        "--first", type=int, metavar="N", help="of them to go on with, beside what is recorded"
    )
    parser.add_argument("--texts", type=int, metavar="N", help="wrong messages to make of right ones")
    parser.add_argument("--written", type=int, metavar="N", help="messages whose hook the local model writes")
    parser.add_argument("--epochs", type=int, metavar="N", help="of a training on hooks")
    parser.add_argument("--per-line", type=int, metavar="N", help="texts to learn of a line of the bank")
    parser.add_argument("--themes", type=int, metavar="N", help="of the bank to learn from, at most")
    parser.add_argument("--cells", type=int, metavar="N", help="cells to write hooks for")
    parser.add_argument("--folder", type=Path, help="of the knapsack instances, or of the experiments")
    parser.add_argument("--device", help="torch device, such as cuda")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON documents")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="Markdown document of `report`")
    return parser


if __name__ == "__main__":
    main()
