"""The prompt of `allocate whatif --interactive`: one change a line, the new plan after each."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from cli import failures
from cli.console import Terminal
from cli.scenario_options import CHANGES, read_scenario
from cli.sweep_options import parse_sweep

if TYPE_CHECKING:
    from rich.console import RenderableType

    from allocator.campaign.config import Scenario
    from allocator.whatif.session import WhatIfSession
    from allocator.whatif.verdict import Units

PROMPT = "whatif> "
STEP = re.compile(r"(?P<path>.+?)\s+(?P<size>[+-]?\d+(?:\.\d+)?)(?P<share>%?)")
# Options of the command line that change something, without their dashes.
CHANGING = {
    name: key for key, option in CHANGES.items() for name in [option.opts[0].lstrip("-")] if key != "name"
}
HELP = """\
A change, as on the command line without the dashes; the plan follows:
  set total.at_most=360            drop-limit sms capacity     scale uplift=0.5
  coupon C3.value=10               drop-coupon C3              add-coupon coupon_id=C9 kind=percent value=12
  add-limit kind=floor by=region at_least=30                   objective margin=0.3    risk pessimistic
  step total.at_most 5%            then + or - to step again

  undo, redo, reset                go back, forward, or to the base plan
  show                             everything that changed against the base plan
  changes, scenarios               what is changed now; the scenarios of campaign.toml
  load NAME, save NAME             take a scenario up, or add the changes to campaign.toml
  sweep total.at_most=200:800      what a range of a bound earns, under the changes
  sensitivity                      how far prices hold, what coupons may cost
  why USER, why region=north       why a user, or a group, gets what they get
  quit                             or Ctrl-D; Ctrl-C stops a solve"""


@dataclass
class Prompt:
    """Reads commands, one a line, and answers each.

    Parameters
    ----------
    session
        What is changed.
    terminal
        Where the answers go.
    units
        Of value and spend.
    """

    session: WhatIfSession
    terminal: Terminal
    units: Units
    _step: tuple[str, float] | None = field(default=None, repr=False)
    """The number that + and - step, and by how much."""

    def run(self) -> int:
        """Answer until the end of input; return the exit code: of the first failure, if no person types."""
        typing = sys.stdin.isatty()
        if typing:
            self._edit_lines()
            self.terminal.say("Type a change, or help; Ctrl-D ends.")
        self._answer("plan", "")
        for line in self._lines(typing):
            code = self._take(line)
            if code is None:
                return 0
            if code and not typing:
                return code
        return 0

    def _lines(self, typing: bool) -> Iterator[str]:
        while True:
            try:
                line = input(PROMPT) if typing else sys.stdin.readline()
            except EOFError:
                self.terminal.say("")
                return
            except KeyboardInterrupt:
                self.terminal.say("")
                continue
            if not typing and not line:
                return
            if line.strip() and not line.lstrip().startswith("#"):
                if not typing:
                    click.echo(f"{PROMPT}{line.strip()}")
                yield line.strip()

    def _take(self, line: str) -> int | None:
        """Answer one line; return its exit code, None to leave."""
        word, _, rest = line.partition(" ")
        try:
            self._answer(word, rest.strip())
        except EOFError:
            return None
        except KeyboardInterrupt:
            self.terminal.say("\nStopped; nothing changed.")
            return failures.INTERRUPTED
        except click.ClickException as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            return error.exit_code
        except Exception as error:
            return failures.report(error, [] if self.terminal.color else ["--no-color"])
        return 0

    def _answer(self, word: str, rest: str) -> None:
        commands: dict[str, Callable[[str], None]] = {
            "plan": self._plan, "show": self._show, "undo": self._undo, "redo": self._redo,
            "reset": self._reset, "changes": self._changes, "scenarios": self._scenarios, "load": self._load,
            "save": self._save, "sweep": self._sweep, "sensitivity": self._sensitivity, "why": self._why,
            "step": self._begin_step, "+": self._up, "-": self._down, "help": self._help, "quit": self._quit,
            "exit": self._quit,
        }  # fmt: skip
        if word in CHANGING or word.startswith("--"):
            self._change(self._arguments(word, rest))
        elif word in commands:
            commands[word](rest)
        else:
            import difflib

            close = difflib.get_close_matches(word, [*CHANGING, *commands], n=1)
            hint = f"did you mean '{close[0]}'?" if close else "see help"
            raise click.UsageError(f"there is no command '{word}'; {hint}")

    def _arguments(self, word: str, rest: str) -> list[str]:
        """Return the options of a line: all of the rest belongs to a word without dashes."""
        if not word.startswith("--"):
            return [f"--{word}", rest]
        try:
            return shlex.split(f"{word} {rest}")
        except ValueError as error:
            raise click.UsageError(f"cannot read the line: {error}") from error

    def _change(self, arguments: list[str]) -> None:
        """Add a change to those made so far."""
        from allocator.whatif.session import NOW

        change = read_scenario([*arguments, "--with", NOW], [self.session.scenario])
        self._solve(change.model_copy(update={"name": NOW}))

    def _solve(self, scenario: Scenario) -> None:
        with self.terminal.progress():
            self.session.apply(scenario)
        self._plan("")

    def _plan(self, _: str) -> None:
        from cli.render.comparison import short_page

        self.terminal.show(short_page(self.session.rows(), self.units))

    def _show(self, _: str) -> None:
        from cli.render.comparison import comparison_page

        self.terminal.show(comparison_page(self.session.rows(), self.units))

    def _undo(self, _: str) -> None:
        if not self.session.undo():
            raise click.UsageError("there is nothing to undo")
        self._plan("")

    def _redo(self, _: str) -> None:
        if not self.session.redo():
            raise click.UsageError("there is nothing to redo")
        self._plan("")

    def _reset(self, _: str) -> None:
        self.session.reset()
        self._plan("")

    def _changes(self, _: str) -> None:
        from cli.render.scenario import described

        self._lines_of(described(self.session.scenario) or ["Nothing is changed."])

    def _scenarios(self, _: str) -> None:
        from cli.render.scenario import described

        scenarios = self.session.campaign.config.scenarios
        lines = [f"{scenario.name}: {', '.join(described(scenario))}" for scenario in scenarios]
        self._lines_of(lines or ["There are no scenarios in campaign.toml yet."])

    def _load(self, name: str) -> None:
        from allocator.whatif.session import NOW

        by_name = {scenario.name: scenario for scenario in self.session.campaign.config.scenarios}
        if name not in by_name:
            known = ", ".join(by_name) or "there are none"
            raise click.UsageError(f"there is no scenario '{name}' ({known})")
        self._solve(by_name[name].model_copy(update={"name": NOW}))

    def _save(self, name: str) -> None:
        self.session.save(name)
        self.terminal.say(f"Saved as '{name}' in {self.session.campaign.folder / 'campaign.toml'}.")

    def _sweep(self, text: str) -> None:
        from allocator.whatif.frontier import trace_frontier
        from cli.render.frontier import frontier_page

        session = self.session
        with self.terminal.progress() as progress:
            frontier = trace_frontier(
                session.campaign, session.predictions, [parse_sweep(text)], session.solve_task,
                scenario=session.scenario, progress=progress, predict=session.predict, task=session.now.task,
            )  # fmt: skip
        self.terminal.show(frontier_page(frontier, self.units))

    def _sensitivity(self, _: str) -> None:
        from allocator.whatif.sensitivity import sensitivity
        from cli.render.sensitivity import sensitivity_page

        if self.session.now.solution is None:
            raise click.UsageError("there is no plan under these changes")
        self.terminal.show(sensitivity_page(sensitivity(self.session.now.solution), self.units))

    def _why(self, whom: str) -> None:
        from allocator.campaign.summary import assigned_by_user
        from allocator.explain.segment import explain_segment
        from allocator.explain.user import explain_user
        from cli.render.explanation import explanation_page, segment_page

        now, (column, equals, label) = self.session.now, whom.partition("=")
        if now.solution is None or now.task is None:
            raise click.UsageError("there is no plan under these changes")
        prices, assigned = now.solution.prices, assigned_by_user(now.solution)
        if equals:
            found = explain_segment(self.session.campaign, now.task, prices, assigned, column, label)
            self.terminal.show(segment_page(found))
        else:
            self.terminal.show(explanation_page(explain_user(now.task, prices, assigned, whom)))

    def _begin_step(self, text: str) -> None:
        match = STEP.fullmatch(text)
        if match is None:
            raise click.UsageError("write step LABEL.KEY SIZE, as in: step total.at_most 5%")
        size = float(match["size"])
        self._step = match["path"], size / 100 * self._number(match["path"]) if match["share"] else size
        self._take_step(1.0)

    def _up(self, _: str) -> None:
        self._take_step(1.0)

    def _down(self, _: str) -> None:
        self._take_step(-1.0)

    def _take_step(self, sign: float) -> None:
        if self._step is None:
            raise click.UsageError("nothing to step yet; begin with step LABEL.KEY SIZE")
        path, size = self._step
        self._change(["--set", f"{path}={self._number(path) + sign * size:.10g}"])

    def _number(self, path: str) -> float:
        number = self.session.number(path)
        if number is None:
            raise click.UsageError(f"no limit has a number at '{path}'")
        return number

    def _help(self, _: str) -> None:
        self._lines_of(HELP.splitlines())

    def _quit(self, _: str) -> None:
        raise EOFError

    def _lines_of(self, lines: Sequence[str]) -> None:
        from rich.text import Text

        page: RenderableType = Text("\n".join(lines))
        self.terminal.show(page)

    def _edit_lines(self) -> None:
        """Give the line a history and completion where Python has them."""
        try:
            import readline
        except ImportError:
            return
        campaign = self.session.campaign
        paths = [f"{table.get('label')}.at_most" for table in campaign.config.limits if table.get("label")]
        words = sorted([*CHANGING, *HELP_WORDS, *paths, *campaign.active_coupons["coupon_id"].to_list()])

        def complete(text: str, state: int) -> str | None:
            fits = [word for word in words if word.startswith(text)]
            return fits[state] if state < len(fits) else None

        readline.set_completer_delims(" ")
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")


HELP_WORDS = (
    "plan", "show", "undo", "redo", "reset", "changes", "scenarios", "load", "save", "sweep", "sensitivity",
    "why", "step", "help", "quit",
)  # fmt: skip
