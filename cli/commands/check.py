"""`allocate check`: check a campaign folder, or the certificate of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.console import Terminal, output_options
from cli.options import FOLDER, campaign_argument, plugin_options

EPILOG = """\b
Examples:
  allocate check shop                  all that `allocate run shop` would need
  allocate check shop --no-predict --no-copy     what `allocate solve shop` needs
  allocate check result                a finished run: its files and its certificate
"""


@click.command("check", epilog=EPILOG)
@campaign_argument
@click.option("--campaign", type=FOLDER, help="Campaign folder of a run [default: the one it was made from].")
@click.option("--out", type=FOLDER, help="Run folder that is to be written [default: DIR/runs/...].")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="Check with these ready predictions: a file of `allocate predict`, or a run folder.",
)
@plugin_options
@output_options
def command(
    folder: Path,
    campaign: Path | None,
    out: Path | None,
    predictions: Path | None,
    predict: bool | None,
    copy: bool,
    terminal: Terminal,
    **settings: Any,
) -> None:
    """Check a campaign folder DIR, or a finished run.

    For a campaign: every file, column, limit, scenario, plugin and message, all problems at once, and all
    that `allocate run` with the same options would stop at. For a run: that no file was changed, and that
    the assignments keep every limit and are worth what summary.json says.
    """
    from allocator.runs.opening import is_run

    if not is_run(folder):
        _check_campaign(folder, out, predictions, predict, copy, settings, terminal)
    elif out or predictions or predict is not None or not copy or any(settings.values()):
        raise click.UsageError("Only --campaign goes with a run; the other options are about a campaign.")
    else:
        _check_run(folder, campaign, terminal)


def _check_campaign(
    folder: Path,
    out: Path | None,
    predictions: Path | None,
    predict: bool | None,
    copy: bool,
    settings: dict[str, Any],
    terminal: Terminal,
) -> None:
    from allocator.campaign.eligibility import eligibility
    from allocator.campaign.reach import reach_of
    from allocator.runs.check import check_campaign
    from allocator.runs.options import Options
    from cli.commands.run import new_run
    from cli.render.check import campaign_table

    saves = copy or predict is not False  # `allocate solve` alone need not
    with terminal.progress() as progress:
        checked = check_campaign(
            folder,
            out or (new_run(folder) if saves else None),
            options=Options(**settings),
            predictions=predictions,
            predict=predict,
            copy=copy,
            thorough=True,
            progress=progress,
        )
    campaign = checked.campaign
    reach = reach_of(campaign, eligibility(campaign))
    facts = {
        "campaign": campaign.config.name,
        "as_of": campaign.as_of,
        "users": campaign.users.height,
        "eligible_users": reach.eligible,
        "coupons": campaign.active_coupons.height,
        "limits": len(campaign.config.limits),
        "scenarios": len(campaign.config.scenarios),
        "history": 0 if campaign.history is None else campaign.history.height,
        "events": 0 if campaign.events is None else campaign.events.height,
        "orders": 0 if campaign.orders is None else campaign.orders.height,
        "scores": 0 if campaign.ready is None else campaign.ready.height,
        **({} if checked.lots is None else {"experiment": checked.lots}),
        "reach": reach.document(),
        "notes": list(campaign.notes),
    }
    terminal.show(campaign_table(facts))
    terminal.emit(facts)
    follow = "run" if checked.trains else "solve"
    terminal.say(f"No problems found. Next: allocate {follow} {folder}")


def _check_run(folder: Path, campaign: Path | None, terminal: Terminal) -> None:
    from allocator.errors import Finding, InputError
    from allocator.runs.opening import verify_run

    certificate, changed = verify_run(folder, campaign)
    problems = [*changed, *certificate.problems]
    if problems:
        raise InputError([Finding(problem, file=str(folder)) for problem in problems])
    terminal.emit({"valid": True, "objective": certificate.objective, "dual_bound": certificate.dual_bound})
    terminal.say(
        f"The certificate holds: every limit is kept, the plan is worth {certificate.objective:,.6g}, "
        f"and by its prices no plan is worth more than {certificate.dual_bound:,.6g}."
    )
