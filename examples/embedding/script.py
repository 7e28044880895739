"""A script: tables in, a plan out, in the caller's own kind of table.

python examples/embedding/script.py [plan.parquet]
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from allocator import Budget, InfeasibleError, Inventory, Parity, Problem, Solution, solve


def load() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return users and scores as a warehouse would: here they are made up."""
    rng = np.random.default_rng(7)
    users = pd.DataFrame(
        {"user_id": np.arange(1_000, 3_000), "region": rng.choice(["north", "south"], 2_000)}
    )
    offers = pd.DataFrame({"coupon_id": ["TEN", "SHIP"]})
    scores = users[["user_id"]].merge(offers, how="cross")
    scores["value"] = rng.gamma(2.0, 1.0, len(scores)).round(2)
    scores["cost"] = rng.uniform(0.5, 5.0, len(scores)).round(2)
    # What is not there, or has no value, is not eligible.
    return users, scores[rng.random(len(scores)) < 0.9]


def decide(users: pd.DataFrame, scores: pd.DataFrame, budget: float) -> Solution:
    """Return the best plan within the budget, 300 free shipments, and equal shares of both regions."""
    problem = Problem.from_scores(scores, measures=["cost"], users=users, groups=["region"])
    return solve(problem, [Budget(budget, label="total"), Inventory({"SHIP": 300}), Parity("region", 0.02)])


def main() -> int:
    """Decide, and save or show the plan."""
    users, scores = load()
    try:
        solution = decide(users, scores, budget=1_500)
    except InfeasibleError as clash:  # says which limits clash, and the least change that would do
        print(clash, file=sys.stderr)
        return 4
    print(f"{solution.status}: worth {solution.objective:,.0f}, at most {solution.gap:.1e} from the best")
    for limit in solution.usage:
        print(f"  {limit.label}: {limit.used:,.0f} used, one more would earn {limit.price:.3f}")
    plan = solution.assignments(to="pandas")  # user_id as whole numbers, as they came
    print(plan.head(3).to_string(index=False))
    if len(sys.argv) > 1:
        solution.write_assignments(sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
