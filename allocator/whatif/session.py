"""A what-if session: a campaign kept in memory, changed step by step, each plan from the one before it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE, Scenario
from allocator.campaign.task import Task, build_task
from allocator.errors import AllocateError, Finding, InputError
from allocator.plugins.predictions import Predictions
from allocator.whatif.comparison import compare
from allocator.whatif.limit_changes import number_at
from allocator.whatif.scenario import (
    Predict,
    ScenarioResult,
    Solve,
    build_scenario,
    change_campaign,
    check_scenarios,
)

NOW = "now"
NOTHING = Scenario(name=NOW)


@dataclass
class WhatIfSession:
    """The base plan, the changes made so far, and the plan under them.

    Parameters
    ----------
    campaign, predictions, solve_task, predict
        As for `allocator.whatif.scenario.solve_scenarios`.

    Attributes
    ----------
    base, now
        The campaign's own plan, and the plan under the changes.
    scenario
        The changes.
    """

    campaign: Campaign
    predictions: Predictions | None
    solve_task: Solve
    predict: Predict | None = None
    scenario: Scenario = NOTHING
    base: ScenarioResult = field(init=False)
    now: ScenarioResult = field(init=False)
    _before: list[tuple[Scenario, ScenarioResult]] = field(default_factory=list, repr=False)
    _after: list[tuple[Scenario, ScenarioResult]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        task = build_task(self.campaign, self.predictions)
        plan = self.solve_task(self.campaign, task, None)
        self.base = ScenarioResult("base", task, plan, None, self.campaign.config.objective)
        self.now = replace(self.base, name=NOW)

    def apply(self, scenario: Scenario) -> ScenarioResult:
        """Solve under a scenario instead of the changes so far; nothing changes if it cannot be.

        Raises
        ------
        InputError
            With everything that is wrong in it.
        """
        check_scenarios(self.campaign, [scenario])
        assert self.base.task is not None
        task = build_scenario(self.campaign, self.predictions, scenario, self.base.task, self.predict)
        found = self._solved(task, scenario)
        self._remember(scenario, found)
        return found

    def reset(self) -> None:
        """Go back to the base plan; it can be undone."""
        self._remember(NOTHING, replace(self.base, name=NOW))

    def _remember(self, scenario: Scenario, found: ScenarioResult) -> None:
        self._before.append((self.scenario, self.now))
        self._after.clear()
        self.scenario, self.now = scenario, found

    def _solved(self, task: Task, scenario: Scenario) -> ScenarioResult:
        own = change_campaign(self.campaign, scenario)
        start = self.now.solution or self.base.solution
        try:
            plan = self.solve_task(own, task, start)
        except InputError:
            raise
        except AllocateError as error:
            return ScenarioResult(scenario.name, task, None, str(error), own.config.objective)
        return ScenarioResult(scenario.name, task, plan, None, own.config.objective)

    def undo(self) -> bool:
        """Go back by one change; False if there is none."""
        return self._move(self._before, self._after)

    def redo(self) -> bool:
        """Make the change that was undone last again; False if there is none."""
        return self._move(self._after, self._before)

    def _move(
        self,
        source: list[tuple[Scenario, ScenarioResult]],
        target: list[tuple[Scenario, ScenarioResult]],
    ) -> bool:
        if not source:
            return False
        target.append((self.scenario, self.now))
        self.scenario, self.now = source.pop()
        return True

    def rows(self) -> list[dict[str, Any]]:
        """Return the base plan and the plan now, side by side, as `compare` does."""
        results = [self.base] if self.scenario == NOTHING else [self.base, self.now]
        return compare(self.campaign, results)

    def number(self, path: str) -> float | None:
        """Return the number of a limit as it is now, by its path; None if there is none."""
        return number_at(change_campaign(self.campaign, self.scenario), path)

    def save(self, name: str) -> None:
        """Add the changes to campaign.toml as a scenario; its comments and layout stay as they are.

        Raises
        ------
        InputError
            If there are no changes, or the name is taken.
        """
        names = {scenario.name for scenario in self.campaign.config.scenarios} | {"base", NOW}
        if self.scenario == NOTHING:
            raise InputError(Finding("there are no changes to save", FILE))
        if name in names or not name.strip():
            message = "there is already a scenario of this name, or it is a word of its own"
            raise InputError(Finding(message, FILE, column="scenarios.name", found=repr(name)))
        named = self.scenario.model_copy(update={"name": name})
        append_scenario(self.campaign.folder / FILE, named)
        config = self.campaign.config
        self.campaign = replace(
            self.campaign, config=config.model_copy(update={"scenarios": [*config.scenarios, named]})
        )


def append_scenario(path: Path, scenario: Scenario) -> None:
    """Append a ``[[scenarios]]`` table to a campaign.toml, in one piece or not at all."""
    import tomlkit

    from allocator.files import write_text

    table = tomlkit.table()
    for key, value in scenario.model_dump(mode="json", exclude_defaults=True).items():
        table.add(key, _inline(value))
    text = path.read_text(encoding="utf-8")
    block = tomlkit.document()
    tables = tomlkit.aot()
    tables.append(table)
    block.add("scenarios", tables)
    write_text(path, text.rstrip("\n") + "\n\n" + tomlkit.dumps(block).rstrip("\n") + "\n")


def _inline(value: Any) -> Any:
    """Return tables within a scenario on one line each, as people write them."""
    import tomlkit

    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for key, inner in value.items():
            inline.append(key, _inline(inner))
        return inline
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(_inline(inner))
        return array
    return value
