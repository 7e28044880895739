"""Terminal output in one place: where it goes, whether it is coloured, how progress is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import click

from cli.progress_lines import COUNTED, ProgressLines

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from allocator.progress import Progress


@dataclass(frozen=True)
class Terminal:
    """How this call prints: data to standard output, messages to standard error."""

    json: bool
    quiet: bool
    color: bool

    def show(self, renderable: RenderableType) -> None:
        """Print data for a person; nothing with ``--json``."""
        if not self.json:
            self._console(sys.stdout).print(renderable)

    def emit(self, document: Mapping[str, Any]) -> None:
        """Print one JSON document if ``--json`` was given."""
        if self.json:
            from allocator.files import dump_json

            sys.stdout.write(dump_json(document))

    def say(self, text: str) -> None:
        """Print a message to standard error; nothing with ``--quiet``."""
        if not self.quiet:
            self._console(sys.stderr).print(text, style="dim", soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress on standard error: bars on a terminal, lines elsewhere."""
        if self.quiet:
            yield lambda step, done, total: None
        elif sys.stderr.isatty():
            with _bars(self._console(sys.stderr)) as report:
                yield report
        else:
            yield ProgressLines(sys.stderr)

    def _console(self, stream: TextIO) -> Console:
        return open_console(stream, self.color)


def open_console(stream: TextIO, color: bool) -> Console:
    """Return a console that prints text as it is: no markup, no emoji codes, no guessed highlights."""
    from rich.console import Console

    # Off a terminal there is no width to respect; tables get room instead of being cut.
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    if console.no_color or not color:
        console = Console(
            file=stream, width=width, highlight=False, markup=False, emoji=False, color_system=None
        )
    return console


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``, ``--quiet`` and ``--no-color``; the command gets a `Terminal` as `terminal`."""
    import functools

    @functools.wraps(function)
    def with_terminal(*args: Any, as_json: bool, quiet: bool, no_color: bool, **kwargs: Any) -> Any:
        return function(*args, terminal=Terminal(as_json, quiet, not no_color), **kwargs)

    for option in (
        click.option("--no-color", is_flag=True, help="No colours (NO_COLOR works too)."),
        click.option("-q", "--quiet", is_flag=True, help="No messages and no progress."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."),
    ):
        with_terminal = option(with_terminal)
    return with_terminal


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How fast thousands of users go by; nothing for a few steps."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            counted = speed and task.total and task.total >= COUNTED
            return Text(f"{speed:,.0f}/s" if counted else "", style="dim")

    class Left(TimeRemainingColumn):
        """How long a step will still take, once that can be told."""

        def render(self, task: Task) -> Text:
            if task.finished or not task.total or task.time_remaining is None:
                return Text("")
            return super().render(task) + Text(" left", style="dim")

    bars = Progress(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        Rate(),
        Left(),
        console=console,
    )
    tasks: dict[str, TaskID] = {}

    def report(step: str, done: int, total: int) -> None:
        if step not in tasks:
            for task in tasks.values():
                bars.update(task, total=1, completed=1)
            tasks[step] = bars.add_task(step, total=None)
        if total > 0:
            bars.update(tasks[step], total=total, completed=done)

    with bars:
        yield report
        for task in tasks.values():
            bars.update(task, total=1, completed=1)
