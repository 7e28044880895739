"""`allocate outcomes`: what a tool tells of the messages of a run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.export_options import TOOLS, key_options, named_keys
from cli.options import FOLDER

EPILOG = """\b
Examples:
  allocate outcomes result currents/ --from braze --out outcomes.csv
  allocate outcomes result events.json --from klaviyo --send 01HXYZ --out outcomes.csv
  allocate outcomes result extract/ --from salesforce --time-zone Etc/GMT+6 --out outcomes.csv
"""


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> dt.datetime | None:
    """Return a date and time that states its offset, in UTC."""
    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value)
    except ValueError as error:
        message = f"{value!r} is not a time such as 2026-11-30T18:00:00+01:00."
        raise click.BadParameter(message) from error
    if found.tzinfo is None:
        raise click.BadParameter(f"{value!r} does not say of which time zone it is; add Z or +01:00.")
    return found.astimezone(dt.UTC).replace(tzinfo=None)


@click.command("outcomes", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=FOLDER)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--from", "tool", type=click.Choice(TOOLS), required=True, help="The tool that sent.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="New .csv or .parquet file."
)
@key_options
@click.option(
    "--send", "sends", multiple=True, metavar="NAME",
    help="What the tool calls a send of RUN; `all` takes every one. Repeatable.  [default: the only one]",
)  # fmt: skip
@click.option(
    "--sent-at", metavar="TIME", callback=_moment, help="When it was sent, where the files do not say."
)
@click.option(
    "--observed-until",
    metavar="TIME",
    callback=_moment,
    help="Until when outcomes count.  [default: the last event]",
)
@click.option("--time-zone", metavar="ZONE", help="Of times that state none, such as Europe/Berlin.")
@click.option("--campaign", type=FOLDER, help="Campaign folder [default: the one RUN was made from].")
@output_options
def command(
    run: Path,
    files: tuple[Path, ...],
    tool: str,
    out: Path,
    id: str | None,  # noqa: A002 - the option is --id
    email: str | None,
    phone: str | None,
    sends: tuple[str, ...],
    sent_at: dt.datetime | None,
    observed_until: dt.datetime | None,
    time_zone: str | None,
    campaign: Path | None,
    terminal: Terminal,
) -> None:
    """Read what a tool tells of the messages of the run RUN: FILEs, or folders of them.

    Sends, opens, clicks, orders and opt-outs become a row each user, in the columns of history.csv. What the
    files do not tell stays empty.
    """
    from allocator.export import outcomes_of_run
    from allocator.files import require_table, write_table
    from cli.render.export import outcomes_page

    require_table(out)
    outcomes = outcomes_of_run(
        run, tool, files, named=named_keys(id=id, email=email, phone=phone), sends=sends, sent_at=sent_at,
        observed_until=observed_until, time_zone=time_zone, campaign_folder=campaign,
    )  # fmt: skip
    write_table(outcomes.frame, out)
    terminal.show(outcomes_page(outcomes.document))
    terminal.emit(outcomes.document)
    terminal.say(f"Saved to {out}.")
