"""Draw the terminal summary of a run as SVG: ``python docs/picture.py RUN docs/demo.svg``."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import polars as pl
from rich.console import Console

from cli.render.summary import summary_page


def draw(run: Path, picture: Path) -> None:
    """Render what `allocate run` printed for a finished run."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    texts = pl.read_csv(run / "copy.csv") if (run / "copy.csv").is_file() else None
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(summary_page(summary, texts))
    svg = console.export_svg(title=f"allocate run · {summary['name']}")
    # Viewers have monospaced fonts; the picture must not fetch one.
    picture.write_text(re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
