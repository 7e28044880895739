"""The evaluation of a predictor and of plans."""

from __future__ import annotations

import math
from functools import partial

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from allocator.plugins.evaluation import CONVERSIONS, Estimate, Evaluation, Stakes
from allocator.wording import UNKNOWN, figure, figure_within, percentage, percentage_within
from cli.render.format import bar
from cli.render.plot import plot

SHOWN = 5
"""Features whose balance is listed."""


def evaluation_page(evaluation: Evaluation) -> RenderableType:
    """Return every part that the evaluation has, and its notes last."""
    style = "dim" if evaluation.held_out else "bold yellow"
    parts: list[RenderableType] = [Text(judged(evaluation), style=style), _arms(evaluation)]
    if evaluation.curves:
        parts.append(_curves(evaluation))
    if evaluation.candidates:
        parts.append(_candidates(evaluation))
    if evaluation.calibration:
        parts.append(_calibration(evaluation))
    if evaluation.metrics:
        figures = (f"{name.replace('_', ' ')} {figure(value)}" for name, value in evaluation.metrics.items())
        parts.append(Text(" · ".join(figures)))
    if evaluation.policies:
        if evaluation.stakes is not None:
            parts.append(_values(evaluation, evaluation.stakes))
        parts += [_conversions(evaluation), _revenue(evaluation)]
    if evaluation.outcomes:
        parts.append(_outcomes(evaluation))
    if evaluation.subgroups:
        parts.append(_subgroups(evaluation))
    if evaluation.overlap:
        parts.append(_overlap(evaluation))
    if evaluation.balance:
        parts.append(_balance(evaluation))
    if evaluation.power:
        parts.append(_power(evaluation))
    parts += [Text(f"Note: {note}", style="yellow") for note in evaluation.notes]
    title = Text(f"predictor {evaluation.predictor}", style="bold")
    spaced = [part for each in parts for part in (each, Text(""))] if evaluation.policies else [*parts, None]
    content = [part for part in spaced[:-1] if part is not None]
    return Panel(Group(*content), title=title, title_align="left", border_style="magenta", expand=False)


def judged(evaluation: Evaluation) -> str:
    """Say which rows the figures are from."""
    if not evaluation.held_out:
        return f"judged on {evaluation.rows_test:,} past sends, which the model may have learnt from"
    if not evaluation.rows_train:
        return f"judged on {evaluation.rows_test:,} past sends that it did not see"
    if evaluation.candidates:
        return f"cross-fitted: each of {evaluation.rows_test:,} rows judged by models that did not see it"
    return f"trained on {evaluation.rows_train:,} rows, judged on {evaluation.rows_test:,} rows held out"


def _titled(title: str, *parts: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), *parts)


def _table(*columns: str, left: int = 1) -> Table:
    """Return an empty table whose first `left` columns hold words."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for position, name in enumerate(columns):
        words = position < left
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    return table


def _arms(evaluation: Evaluation) -> RenderableType:
    columns = ["coupon", "sent", "control", "Qini", "AUUC", "top 30%", "predicted", "observed uplift"]
    table = _table(*columns)
    for arm in evaluation.arms:
        table.add_row(
            Text(arm.coupon_id), f"{arm.treated:,}", f"{arm.control:,}", figure(arm.qini), figure(arm.auuc),
            percentage(arm.uplift_at_30, sign=True), percentage(arm.uplift_predicted, sign=True),
            percentage_within(arm.uplift_observed, arm.observed_low, arm.observed_high),
        )  # fmt: skip
    return table


def _curves(evaluation: Evaluation) -> RenderableType:
    """Return the curves two by two; the uplift curve is in the report as a page and as JSON."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    shown = [plot(curve) for curve in evaluation.curves if curve.name != "uplift"]
    for start in range(0, len(shown), 2):
        grid.add_row(*shown[start : start + 2])
    return grid


def _candidates(evaluation: Evaluation) -> RenderableType:
    table = _table("candidate", "error", "weight")
    for score in evaluation.candidates:
        half = f" ±{percentage(score.gain_error, digits=2)}"
        change = percentage(-score.gain, sign=True, digits=2) + half if score.gain_error > 0 else UNKNOWN
        table.add_row(Text(score.candidate), change, percentage(score.weight, digits=0))
    note = Text("error: squared error against doubly robust scores, over that of the constant", style="dim")
    return _titled("What the blend chose from, on rows not trained on", table, note)


def _calibration(evaluation: Evaluation) -> RenderableType:
    table = _table("predicted", "observed", "rows", "", left=0)
    table.columns[-1].justify = "left"
    known = [abs(value) for row in evaluation.calibration for value in row[:2] if math.isfinite(value)]
    most = max(known, default=1.0) or 1.0
    below = all(row[1] < 0 for row in evaluation.calibration if math.isfinite(row[1]))
    for predicted, observed, rows in evaluation.calibration:
        table.add_row(
            percentage(predicted, sign=True),
            percentage(observed, sign=True),
            f"{rows:,}",
            bar(max(-observed if below else observed, 0.0) / most if math.isfinite(observed) else 0.0),
        )
    title = "Calibration, users by predicted uplift"
    return _titled(f"{title} (bars: how far below 0)" if below else title, table)


def _values(evaluation: Evaluation, stakes: Stakes) -> RenderableType:
    """Return what each plan is worth in the campaign's objective, what it spends, and the verdicts."""
    write = _money if stakes.in_currency else partial(_share, sign=True)
    columns = ["plan", "sends", "value", "over nothing", "over one for all", "spend"]
    limited = math.isfinite(stakes.budget)
    table = _table(*columns, *(["of budget"] if limited else []))
    for plan in evaluation.policies:
        used = [percentage(stakes.budget_used(plan.spend.value), digits=0)] if limited else []
        table.add_row(
            Text(plan.plan), percentage(plan.sent, digits=0), write(plan.value.dr), write(plan.value_gain),
            write(plan.value_over_single), _money(plan.spend), *used,
        )  # fmt: skip
    verdicts = (Text(verdict, style="bold") for verdict in evaluation.verdicts)
    return _titled(f"What plans would have earned a head: {stakes.of_values}", table, *verdicts)


def _conversions(evaluation: Evaluation) -> RenderableType:
    table = _table("plan", "sends", "DR", "SNIPS", "IPS", "over nothing", "rows")
    for plan in evaluation.policies:
        table.add_row(
            Text(plan.plan), percentage(plan.sent, digits=0),
            *(_share(one) for one in (plan.conversions.dr, plan.conversions.snips, plan.conversions.ips)),
            _share(plan.gain, sign=True), f"{plan.effective_rows:,.0f}",
        )  # fmt: skip
    return _titled("Conversions a head", table)


def _revenue(evaluation: Evaluation) -> RenderableType:
    table = _table("plan", "DR", "SNIPS", "IPS", "over nothing")
    for plan in evaluation.policies:
        values = (plan.revenue.dr, plan.revenue.snips, plan.revenue.ips, plan.revenue_gain)
        table.add_row(Text(plan.plan), *map(_money, values))
    return _titled("Revenue a head, in currency", table)


def _outcomes(evaluation: Evaluation) -> RenderableType:
    table = _table("outcome", "coupon", "without it", "with it", "uplift", left=2)
    for one in evaluation.outcomes:
        shares = one.unit == CONVERSIONS
        means = (percentage(mean) if shares else figure(mean, 2) for mean in (one.alone, one.sent))
        gain = _share(one.uplift, sign=True) if shares else _money(one.uplift)
        table.add_row(Text(one.outcome), Text(one.coupon_id), *means, gain)
    return _titled("Observed uplift of each outcome, a head", table)


def _subgroups(evaluation: Evaluation) -> RenderableType:
    table = _table("column", "value", "sent", "control", "predicted", "observed", "p", left=2)
    for group in evaluation.subgroups:
        table.add_row(
            Text(group.column), Text(group.value), f"{group.treated:,}", f"{group.control:,}",
            percentage(group.predicted, sign=True), _share(group.observed, sign=True), figure(group.p_value),
        )  # fmt: skip
    note = Text("p: that a group differs from all others by chance (Holm)", style="dim")
    return _titled("Uplift by group of users", table, note)


def _overlap(evaluation: Evaluation) -> RenderableType:
    table = _table(
        "arm",
        "rows",
        "least",
        "5%",
        "median",
        "95%",
        "most",
        "comparable",
    )
    for arm in evaluation.overlap:
        least, low, _, median, _, high, most = arm.quantiles
        table.add_row(
            Text(arm.arm), f"{arm.rows:,}", *(figure(one) for one in (least, low, median, high, most)),
            percentage(arm.comparable, digits=0),
        )  # fmt: skip
    return _titled("Propensity of what was sent, by arm", table)


def _balance(evaluation: Evaluation) -> RenderableType:
    table = _table("feature", "as they are", "weighted")
    for one in evaluation.balance[:SHOWN]:
        table.add_row(Text(one.feature), f"{one.difference:+.2f}", f"{one.weighted:+.2f}")
    if len(evaluation.balance) > SHOWN:
        table.add_row(Text(f"{len(evaluation.balance) - SHOWN} more, closer", style="dim"), "", "")
    return _titled("Treated less control users, in standard deviations", table)


def _power(evaluation: Evaluation) -> RenderableType:
    table = _table("coupon", "sent", "control", "without it", "uplift", "least shown", "sends needed")
    for one in evaluation.power:
        table.add_row(
            Text(one.coupon_id), f"{one.treated:,}", f"{one.control:,}", percentage(one.control_rate),
            percentage(one.uplift, sign=True), percentage(one.detectable, sign=True),
            figure(one.treated_needed, 0),
        )  # fmt: skip
    return _titled("What so many sends can show (80% power)", table)


def _money(one: Estimate) -> str:
    return figure_within(one.value, one.low, one.high)


def _share(one: Estimate, *, sign: bool = False) -> str:
    return percentage_within(one.value, one.low, one.high, sign=sign)
