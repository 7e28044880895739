"""Results on disk: one JSON document a table, from which docs/benchmarks/benchmarks.md gets its tables."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Columns = Mapping[str, Callable[[Row], str]]
"""How each column of a table is written, by its heading."""

RESULTS = Path(__file__).parent / "results"
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks" / "benchmarks.md"
PACKAGES = (
    "allocate",
    "numpy",
    "scipy",
    "numba",
    "highspy",
    "ortools",
    "cvxpy",
    "clarabel",
    "polars",
    "torch",
    "scikit-learn",
    "lightgbm",
)


def machine() -> dict[str, Any]:
    """Return what the results were measured on."""
    names = re.findall(r"model name\s*:\s*(.*)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.group(1)) / 1e6, 1) if memory else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def record(
    name: str, settings: Mapping[str, Any], rows: Iterator[Row], columns: Columns, folder: Path
) -> None:
    """Print rows as a Markdown table as they come, and keep them all in FOLDER/NAME.json.

    A run that is broken off leaves FOLDER/NAME.unfinished.json, and what the last whole run recorded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document: dict[str, Any] = {
        "benchmark": name,
        "date": dt.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "settings": dict(settings),
        "rows": [],
    }
    unfinished = folder / f"{name}.unfinished.json"
    print("\n".join(_head(columns)), flush=True)
    for row in rows:
        document["rows"].append(row)
        print(_line(row, columns), flush=True)
        unfinished.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if document["rows"]:
        unfinished.replace(folder / f"{name}.json")


def read(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """Return a recorded document, None if there is none."""
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_into(document: Path, name: str, columns: Columns, folder: Path = RESULTS) -> bool:
    """Write a recorded table between its marks in a Markdown document; False if there is no such record, or
    no such document.
    """
    found = read(name, folder)
    if found is None or not document.is_file():
        return False
    start, end = f"<!-- {name} -->\n", "<!-- end -->"
    text = document.read_text(encoding="utf-8")
    before, marked, rest = text.partition(start)
    if not marked or end not in rest:
        raise ValueError(f"{document.name} has no place for '{name}': no line {start.strip()} before {end}")
    table = [_where(found), "", *_head(columns), *(_line(row, columns) for row in found["rows"])]
    document.write_text(before + start + "\n".join(table) + "\n" + rest[rest.index(end) :], encoding="utf-8")
    return True


def _where(found: Mapping[str, Any]) -> str:
    on, used = found["machine"], found["versions"]
    packages = ", ".join(f"{name} {number}" for name, number in used.items() if name != "allocate")
    memory = f", {on['memory_gb']} GB" if on["memory_gb"] else ""
    return (
        f"Recorded on {found['date']}: {on['processor']}, {on['cores']} cores{memory}, {on['system']}, "
        f"Python {on['python']}, {packages}."
    )


def _head(columns: Columns) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]


def _line(row: Row, columns: Columns) -> str:
    return "| " + " | ".join(write(row) for write in columns.values()) + " |"


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
