"""`allocate check`: check a campaign folder, or the certificate of a run."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.options import FOLDER, campaign_argument

EPILOG = """\b
Examples:
  allocate check shop      the campaign's files
  allocate check result    a finished run: its files and its certificate
"""


@click.command("check", epilog=EPILOG)
@campaign_argument
@click.option("--campaign", type=FOLDER, help="Campaign folder of a run [default: the one it was made from].")
@output_options
def command(folder: Path, campaign: Path | None, terminal: Terminal) -> None:
    """Check a campaign folder DIR, or a finished run.

    For a campaign: every file, column, limit, scenario and plugin name, all problems at once. For a
    run: that no file was changed, and that the assignments keep every limit and are worth what
    summary.json says.
    """
    from allocator.runs.opening import is_run

    if is_run(folder):
        _check_run(folder, campaign, terminal)
    else:
        _check_campaign(folder, terminal)


def _check_campaign(folder: Path, terminal: Terminal) -> None:
    from allocator.campaign.eligibility import eligibility
    from allocator.campaign.reach import reach_of
    from allocator.runs.pipeline import check_campaign
    from cli.render.check import campaign_table

    campaign = check_campaign(folder)
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
        "scores": 0 if campaign.scores is None else campaign.scores.height,
        "reach": reach.document(),
        "notes": list(campaign.notes),
    }
    terminal.show(campaign_table(facts))
    terminal.emit(facts)
    follow = "run" if campaign.history is not None else "solve"
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
