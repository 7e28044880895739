"""`allocate init`: start a campaign folder, from one's own files or from an example."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import Terminal, output_options
from cli.options import campaign_argument

if TYPE_CHECKING:
    from allocator.campaign.guess import CampaignGuess

EPILOG = """\b
Examples:
  allocate init shop                                   a small example that runs
  allocate init shop --from customers.csv codes.csv    your own files, as they are
  allocate init shop --from users=people.xlsx          saying which table a file is
"""
CONFIG = "campaign.toml"


@click.command("init", epilog=EPILOG)
@campaign_argument
@click.argument("more", nargs=-1, metavar="[FILE]...")
@click.option(
    "--from",
    "exports",
    multiple=True,
    metavar="FILE",
    help="An export of your own, or a folder of them; several may follow. TABLE=FILE says which table it is.",
)
@output_options
def command(folder: Path, more: tuple[str, ...], exports: tuple[str, ...], terminal: Terminal) -> None:
    """Start a campaign folder DIR from files of your own, or from a small example that runs.

    With --from it looks at exports of your tools, guesses which tables and columns they are, how dates and
    numbers are written and who may be contacted, shows all that with samples, and writes campaign.toml, which
    reads the files where they are. What it cannot know stands there as a question. So it does without --from
    where DIR has tables already. Otherwise it writes an example. It never writes over a file.
    """
    from allocator.campaign.formats import tables_in

    if more and not exports:
        raise click.UsageError(f"Got '{more[0]}' beside DIR; files of your own follow --from.")
    own = list(tables_in(folder)) if folder.is_dir() else []
    if exports:
        _from_files(folder, (*exports, *more), terminal)
    elif own and not _is_example(folder):
        _from_files(folder, [str(folder / name) for name in own], terminal)
    else:
        _example(folder, terminal)


def _from_files(folder: Path, exports: Sequence[str], terminal: Terminal) -> None:
    from allocator.campaign.guess import campaign_toml, guess_campaign
    from allocator.files import write_text
    from cli.render.guess import guess_page

    paths, stated = _paths(exports)
    guess = guess_campaign(paths, stated)
    text = campaign_toml(guess, folder)
    target = folder / CONFIG
    is_new = not target.exists()
    if is_new:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(target, text)
    terminal.show(guess_page(guess))
    terminal.emit({**_document(guess), "folder": folder, "files": [CONFIG] if is_new else [], CONFIG: text})
    if is_new:
        _say_next(guess, folder, terminal)
    else:
        terminal.say(f"{target} is already there and is not written over. It could say:\n")
        if not terminal.json:
            click.echo(text, nl=False)


def _say_next(guess: CampaignGuess, folder: Path, terminal: Terminal) -> None:
    missing = [name for name in ("users", "coupons") if name not in guess.files]
    if not {"history", "scores"} & set(guess.files):
        missing.append("history or scores")
    terminal.say(f"Wrote {folder / CONFIG}; your files stay as and where they are.")
    if missing:
        terminal.say(f"Still missing: {', '.join(missing)}.")
    asked = f", which asks {guess.questions} questions" if guess.questions else ""
    terminal.say(f"Next: read {folder / CONFIG}{asked}, then allocate check {folder}")


def _paths(exports: Sequence[str]) -> tuple[list[Path], dict[Path, str]]:
    """Return the files that are meant, those in a folder one by one, and the tables that are stated."""
    from allocator.campaign.formats import TABLES, tables_in

    paths: list[Path] = []
    stated: dict[Path, str] = {}
    for export in exports:
        table, equals, name = export.partition("=")
        if not (equals and table in TABLES):
            table, name = "", export
        path = Path(name)
        found = [path / file for file in tables_in(path)] if path.is_dir() else [path]
        if not found or not all(file.is_file() for file in found):
            raise click.BadParameter(f"there is no table at '{name}'", param_hint="--from")
        paths += found
        stated |= dict.fromkeys(found, table) if table else {}
    return paths, stated


def _document(guess: CampaignGuess) -> dict[str, object]:
    """Return a guess as plain data."""
    return {
        "tables": {
            table: {
                "file": file.path,
                "export": None if file.export is None else file.export.title,
                "rows": file.facts.rows,
                "columns": [
                    {
                        "column": column.column,
                        "is": list(column.meaning.is_) if column.meaning else None,
                        "why": column.why,
                        "samples": list(column.samples),
                        "choices": list(column.choices),
                    }
                    for column in file.columns
                ],
                "others": list(file.others),
                "unsure": dict(file.facts.unsure),
            }
            for table, file in guess.files.items()
        },
        "not_used": [file.path for file in guess.others],
        "notes": list(guess.notes),
    }


def _template() -> dict[str, str]:
    """Return the example's files."""
    found = sorted(files("cli").joinpath("templates").iterdir(), key=lambda file: file.name)
    return {file.name: file.read_text(encoding="utf-8") for file in found}


def _is_example(folder: Path) -> bool:
    """Return whether the tables of a folder are those of the example."""
    from allocator.campaign.formats import tables_in

    template = _template()
    return all(
        name in template and (folder / name).read_bytes() == template[name].encode("utf-8")
        for name in tables_in(folder)
    )


def _example(folder: Path, terminal: Terminal) -> None:
    from allocator.errors import Finding, InputError
    from allocator.files import write_text

    template = _template()
    missing = [name for name in template if not (folder / name).exists()]
    config = folder / CONFIG
    if config.exists() and (not missing or config.read_bytes() != template[CONFIG].encode("utf-8")):
        message = "the file is already there and is not written over"
        if missing:
            message += "; name your tables with --from, or start the example in a new folder"
        raise InputError(Finding(message, file=str(config)))
    folder.mkdir(parents=True, exist_ok=True)
    for name in missing:
        write_text(folder / name, template[name])
    terminal.emit({"folder": folder, "files": missing})
    terminal.say(f"Wrote {', '.join(missing)} to {folder}.")
    terminal.say(f"Next: allocate solve {folder}")
