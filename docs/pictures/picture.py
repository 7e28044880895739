"""Draw terminal pages as SVG.

In this folder ``python picture.py RUN demo.svg`` draws the summary of a run;
``python picture.py --screen "allocate whatif ..." sweep.svg`` what a command shows in a terminal of tmux, 88
characters wide.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from rich.console import Console, RenderableType
from rich.text import Text

from cli.render.summary import summary_page


def draw(run: Path, picture: Path) -> None:
    """Render what `allocate run` printed for a finished run."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    texts = pl.read_csv(run / "copy.csv") if (run / "copy.csv").is_file() else None
    _save(summary_page(summary, texts), f"allocate run · {summary['name']}", picture, 100)


def screen(command: str, picture: Path, width: int = 88, lines: int = 200) -> None:
    """Run a command in a terminal and render what it shows, colours and all."""
    tmux = ["tmux", "-L", "picture"]
    size = ["-x", str(width), "-y", str(lines)]
    waiting = f"{command} 2>/dev/null; tmux -L picture wait-for -S done; sleep 60"
    subprocess.run([*tmux, "new-session", "-d", *size, "sh", "-c", waiting], check=True)
    try:
        subprocess.run([*tmux, "wait-for", "done"], check=True, timeout=300)
        time.sleep(0.5)  # the last lines are still being drawn
        shown = subprocess.run(
            [*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
        )
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    _save(Text.from_ansi(shown.stdout.rstrip()), shlex.join(shlex.split(command)), picture, width)


def _save(page: RenderableType, title: str, picture: Path, width: int) -> None:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(page)
    svg = console.export_svg(title=title)
    # Viewers have monospaced fonts; the picture must not fetch one.
    picture.write_text(re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--screen":
        screen(sys.argv[2], Path(sys.argv[3]))
    else:
        draw(Path(sys.argv[1]), Path(sys.argv[2]))
