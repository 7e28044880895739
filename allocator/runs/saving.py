"""What a run leaves in its folder: the plan as soon as it is made, then the messages and the pages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.experimenting import BY_LOT, with_arms
from allocator.campaign.messages import message_table
from allocator.campaign.schema import MESSAGE_MEASURES
from allocator.campaign.summary import skip_reasons
from allocator.campaign.task import Task
from allocator.files import dump_json, write_table, write_text
from allocator.online.plan import OnlinePlan
from allocator.online.plan_file import PLAN_FILE
from allocator.report.plan import render_plan
from allocator.runs.options import Options
from allocator.solution import Solution


def save_plan(
    path: Path,
    campaign: Campaign,
    task: Task,
    solution: Solution,
    sent: pl.DataFrame,
    arms: pl.DataFrame | None,
    summary: dict[str, Any],
    ending: str,
) -> None:
    """Write who gets what, who gets nothing and why, prices and figures; `ending` is that of tables.

    With `arms`, as of `arm_table`, who was held out has a row, too, and a plan to decide by at request time
    is not written: it would know nothing of them.
    """
    counted = [name for name in task.problem.measures if name in MESSAGE_MEASURES]  # channel says it
    assignments = solution.assignments().drop(counted)
    assignments = assignments.with_columns(sent["channel", "segment", "variant"])
    if arms is not None:
        assignments = with_arms(assignments, arms)
    write_table(assignments, path / f"assignments.{ending}")
    reasons = pl.Series(skip_reasons(task, solution), dtype=pl.String)
    left_out = pl.DataFrame({"user_id": campaign.users["user_id"], "reason": reasons})
    if arms is not None:
        held = arms.filter(pl.col("arm") == "holdout")["user_id"]
        by_lot = pl.when(pl.col("user_id").is_in(held.implode())).then(pl.lit(BY_LOT))
        left_out = left_out.with_columns(by_lot.otherwise("reason").alias("reason"))
    write_table(left_out.filter(pl.col("reason") != ""), path / "skipped.csv")
    write_text(path / "prices.json", dump_json(solution.prices))
    if solution.utility is None and arms is None:
        arrivals = campaign.config.online
        plan = OnlinePlan.from_solution(
            solution,
            _plan_id(campaign, solution),
            **arrivals.times(campaign.config.campaign.time_zone),
            profile=arrivals.profile,
        )
        write_text(path / PLAN_FILE, plan.to_json())
    write_text(path / "campaign.toml", resolved_toml(campaign))
    write_text(path / "summary.json", dump_json(summary))


def save_messages(
    path: Path,
    campaign: Campaign,
    sent: pl.DataFrame,
    texts: pl.DataFrame | None,
    arms: pl.DataFrame | None,
    summary: dict[str, Any],
    options: Options,
) -> None:
    """Write the messages, where there are any, and all that counts them."""
    if texts is not None:
        write_table(texts, path / "copy.csv")
        write_table(message_table(sent, texts, arms), path / f"messages.{options.format}")
    write_text(path / "campaign.toml", resolved_toml(campaign))
    write_text(path / "report.html", render_plan(summary, texts, charts=options.charts))
    write_text(path / "summary.json", dump_json(summary))


def resolved_toml(campaign: Campaign) -> str:
    """Return campaign.toml with every default and override written out."""
    import tomlkit

    settings = campaign.config.model_dump(mode="json", by_alias=True, exclude_none=True)
    settings["as_of"] = campaign.as_of
    return tomlkit.dumps(settings)


def _plan_id(campaign: Campaign, solution: Solution) -> str:
    """Return an id for the online plan: the campaign's name, and a digest of the plan's choices."""
    digest = hashlib.sha256(solution.choice.tobytes())
    digest.update(json.dumps([campaign.digests, dict(solution.prices)], sort_keys=True).encode())
    return f"{campaign.config.name}-{digest.hexdigest()[:12]}"
