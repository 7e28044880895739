"""Decisions at request time, one user after another, under limits that are never overspent.

>>> from allocator import Budget, Problem, solve
>>> from allocator.online import Decider, MemoryLedger, OnlinePlan, RequestReader
>>> problem = Problem([[3.0], [4.0]], {"cost": [[2.0], [2.0]]}, coupon_ids=["C1"])
>>> plan = OnlinePlan.from_solution(solve(problem, [Budget(2, label="total")]), "spring")
>>> decider, reader = Decider(plan, MemoryLedger()), RequestReader(plan)
>>> for user in ("ann", "ben"):
...     request = reader.read(f"visit of {user}", {"C1": 5.0}, {"cost": {"C1": 2.0}}, user_id=user)
...     (reservation,) = decider.decide([request])[0]
...     print(user, reservation.coupon_id, reservation.reason)
ann C1 worth 2 after the limits' prices
ben None limit 'total' is used up
"""

from allocator.online.decider import Decider, Standing
from allocator.online.ledger import Entries, Ledger, MemoryLedger
from allocator.online.plan import OnlinePlan
from allocator.online.plan_file import read_online_plan
from allocator.online.plan_rows import PlanRow
from allocator.online.records import DecisionRequest, Outcome, Reservation, State
from allocator.online.request_reader import RequestReader
from allocator.online.settling import Answer, Settlement

__all__ = [
    "Answer",
    "Decider",
    "DecisionRequest",
    "Entries",
    "Ledger",
    "MemoryLedger",
    "OnlinePlan",
    "Outcome",
    "PlanRow",
    "RequestReader",
    "Reservation",
    "Settlement",
    "Standing",
    "State",
    "read_online_plan",
]
