"""The users who may choose otherwise in a better plan, as classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from allocator.solver.contested import assign
from allocator.solver.convex.relaxation import everyone
from allocator.solver.convex.standing import Standing
from allocator.solver.convex.task import Choice
from allocator.solver.rounding.recovery import Recovery
from allocator.solver.watch import Watch

Array = NDArray[np.float64]

MOST_PAIRS = 400_000  # of a problem, all of whose users are looked at; of more, those nearest to a change


class Near:
    """Contested users at the prices of the best bound; all others take what they choose there.

    Parameters
    ----------
    standing
        Prices, slopes and best plan.

    Attributes
    ----------
    prices
        (n_rows,) of limits and groups' values.
    contested
        The users.
    beyond
        What any change to another user loses at least.
    """

    def __init__(self, standing: Standing) -> None:
        task = standing.task
        self.model, self.n_groups = task.model, len(task.groups)
        self.prices = np.concatenate([standing.prices, -standing.slopes])
        self.choice: Choice = np.full((task.fitting.n_users, task.model.step.width), -1, np.int16)
        self.beyond = np.inf
        if task.fitting.n_pairs <= MOST_PAIRS:
            self.contested = everyone(task)
            return
        chosen = task.engine.price(self.prices, self.choice)
        run = task.run
        recovery = Recovery(
            task.engine, self.prices, self.choice, chosen, run.gap, 0.0, run.deadline, run.seed, run.report,
            Watch(run.began),
        )  # fmt: skip
        recovery.loss = standing.dual - standing.total
        self.contested, self.beyond = recovery.nearest()

    def groups(self) -> NDArray[np.int64]:
        """Return the group of each class, (n_classes,)."""
        group = np.zeros(self.model.n_cells, np.int64)
        for k in range(self.n_groups):
            group[self.model.touched(np.array([self.model.n_rows - self.n_groups + k]))] = k
        return group[self.model.cell[self.contested.users][self.contested.starts[:-1]]]

    def choice_of(self, count: NDArray[np.int64]) -> Choice:
        """Return the plan of whole counts of the contested pairs, (n_pairs,)."""
        choice = self.choice.copy()
        assign(self.contested, count, choice)
        return choice
