"""What a frontier says, in plain language."""

from __future__ import annotations

from allocator.whatif.frontier import FEWEST_POINTS, Frontier, FrontierPoint
from allocator.whatif.verdict import Units
from allocator.wording import number


def frontier_words(frontier: Frontier, units: Units) -> list[str]:
    """Return where more begins to earn less, in plain language."""
    points, words = frontier.points, []
    path = frontier.sweeps[0].path
    if frontier.knee is not None:
        knee = points[frontier.knee]
        known = [point for point in points if point.value is not None]
        first, last = known[0], known[-1]
        gained = _worth(knee) - _worth(first)
        share = gained / (_worth(last) - _worth(first))
        way = (knee.at[0] - first.at[0]) / (last.at[0] - first.at[0])
        words.append(
            f"Knee at {path} = {number(knee.at[0])}: {way:.0%} of the way up brings {share:.0%} of what "
            "the whole range earns; beyond it, more earns clearly less."
        )
    elif len(points) >= FEWEST_POINTS:
        words.append("There is no clear knee: what more earns falls little by little.")
    if frontier.floor is not None:
        words.append(_floor_words(frontier, path, units))
    return words


def _floor_words(frontier: Frontier, path: str, units: Units) -> str:
    floor = f"{frontier.floor:g} {units.value}"
    if frontier.floor_at is not None:
        return f"One more unit of {path} earns less than {floor} from about {number(frontier.floor_at)} on."
    known = [point.marginal for point in frontier.points if point.marginal is not None]
    if not known:
        return f"The bounds of {path} have a price each, so there is no one marginal return to compare."
    side = "at least" if known[-1] >= (frontier.floor or 0.0) else "less than"
    return f"One more unit of {path} earns {side} {floor} over the whole range."


def _worth(point: FrontierPoint) -> float:
    return 0.0 if point.value is None else point.value
