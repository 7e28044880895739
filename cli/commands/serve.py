"""`allocate serve`: the solver as an HTTP service."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from allocator.errors import InputError, PluginError
from cli.options import FOLDER, NumberRange

if TYPE_CHECKING:
    from allocator.service.settings import Settings

EPILOG = """\b
Examples:
  allocate serve                                     on this machine, at port 8000
  allocate serve --campaigns campaigns --plan result
  allocate serve --new-key crm >> keys.txt           prints the key to standard error, once
  allocate serve --host 0.0.0.0 --keys keys.txt --log-json
  allocate serve --database postgresql://user:password@host/allocate
"""
NEEDED = ("fastapi", "prometheus_client", "sqlalchemy", "uvicorn")
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _size(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Read 64M and the like as bytes."""
    found = re.fullmatch(r"([1-9]\d{0,8})([kmg]?)(?:i?b)?", value.strip().lower())
    if found is None:
        raise click.BadParameter(f"{value!r} is no size; write 500K or 64M.", ctx, param)
    return int(found[1]) * SIZES[found[2]]


@click.command("serve", epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; others need --keys.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option(
    "--data",
    type=FOLDER,
    default=Path("allocate-data"),
    show_default=True,
    help="Folder of jobs and results, and of the database unless --database names one.",
)
@click.option("--database", metavar="URL", envvar="ALLOCATE_DATABASE", help="Such as postgresql://...")
@click.option("--campaigns", type=FOLDER, help="Folder whose campaign folders may be solved by name.")
@click.option(
    "--plan", "plans", metavar="[NAME=]RUN", multiple=True, help="Run folder whose plan decides; repeatable."
)
@click.option(
    "--keys",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of API keys, one name:sha256 a line; ALLOCATE_API_KEYS works too.",
)
@click.option("--new-key", metavar="NAME", help="Print a fresh key and the line to store, and stop.")
@click.option("--open-metrics", is_flag=True, help="Let /metrics be read without a key.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes for large problems, beside one for small ones.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Of each worker  [default: the cores by the workers]."
)
@click.option(
    "--max-jobs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="That may wait or run at once.",
)
@click.option(
    "--max-body",
    metavar="SIZE",
    callback=_size,
    default="64M",
    show_default=True,
    help="Largest request body.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Decisions in one request.",
)
@click.option(
    "--max-time-limit",
    type=NumberRange(min=0, min_open=True),
    default=600,
    show_default=True,
    help="Seconds that a solve may ask for.",
)
@click.option(
    "--pairs-at-once",
    type=click.IntRange(min=0),
    default=20_000,
    show_default=True,
    help="Up to so many user-coupon pairs a solve is answered at once; more make a job.",
)
@click.option(
    "--hold-days",
    type=NumberRange(min=0, max=36_500, min_open=True),
    default=7,
    show_default=True,
    help="How long a coupon that was given is held; not used by then, it is free again.",
)
@click.option(
    "--keep-days",
    type=NumberRange(min=0, min_open=True),
    default=7,
    show_default=True,
    help="How long finished jobs are kept.",
)
@click.option(
    "--grace",
    type=NumberRange(min=1),
    default=10,
    show_default=True,
    help="Seconds that requests in flight get when the service is stopped.",
)
@click.option("--log-json", is_flag=True, help="One JSON object a line of log.")
@click.option("-q", "--quiet", is_flag=True, help="Log only what is wrong.")
def command(
    host: str,
    port: int,
    plans: tuple[str, ...],
    keys: Path | None,
    new_key: str | None,
    max_time_limit: float,
    grace: float,
    log_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Answer solves, what-ifs and decisions over HTTP until SIGTERM or Ctrl-C.

    Jobs and counters are in the data folder and survive the end of the process, also by kill -9. Without
    keys the service can be reached from this machine only.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise PluginError(
            f"The service needs {', '.join(missing)}, not installed here: pip install 'allocate[serve]'"
        )
    from allocator.service.keys import read_keys

    if new_key is not None:
        _print_key(new_key)
        return
    from allocator.service.logs import set_up
    from allocator.service.server import run_server
    from allocator.service.settings import Settings

    settings = Settings(
        **options, plans=_named(plans), keys=read_keys(keys), max_time_limit=max_time_limit,
        grace_seconds=grace,
    )  # fmt: skip
    if settings.campaigns is not None and not settings.campaigns.is_dir():
        raise InputError(f"--campaigns: there is no folder {settings.campaigns}.")
    set_up(as_json=log_json, quiet=quiet)
    run_server(settings, host, port, lambda address: None if quiet else _welcome(address, settings))


def _print_key(name: str) -> None:
    from allocator.service.keys import line_of, new_key

    key = new_key()
    line = line_of(name, key)
    click.echo(f"The key, which is shown only now: {key}", err=True)
    click.echo("The line for the file of --keys:", err=True)
    click.echo(line)


def _named(plans: tuple[str, ...]) -> dict[str, Path]:
    """Return the run folders by plan id: the name given, or that of the folder."""
    named: dict[str, Path] = {}
    for text in plans:
        name, mark, folder = text.partition("=")
        path = Path(folder if mark else text)
        name = name if mark else path.resolve().name
        if name in named:
            raise InputError(f"--plan: two plans are named '{name}'; write NAME=RUN.")
        named[name] = path
    return named


def _welcome(address: str, settings: Settings) -> None:
    who = ", ".join(settings.keys.digests) if settings.keys else "everyone on this machine"
    click.echo(f"Allocate listens at {address} for {who}; what it answers: {address}/docs", err=True)
    click.echo(f"Jobs and counters are in {settings.data.resolve()}. Ctrl-C stops it.", err=True)
