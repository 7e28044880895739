"""`allocate copy train`: train the local copy writer on approved hooks."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import Terminal, output_options
from cli.options import FOLDER

EPILOG = """\b
Examples:
  allocate copy train hooks.csv --out our-voice
  allocate copy train shop --out our-voice --skip-bad

\b
Then, in campaign.toml:
  [copy.options]
  adapter = "our-voice"
"""


@click.command("train", epilog=EPILOG)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=FOLDER, help="New folder for the adapter.")
@click.option("--model", type=FOLDER, help="Folder of the language model [default: the embedded one].")
@click.option(
    "--epochs", type=click.IntRange(1, 50), default=3, show_default=True, help="Times through the hooks."
)
@click.option(
    "--rank", type=click.IntRange(1, 256), default=16, show_default=True, help="How much can be learned."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=7, show_default=True, help="Of everything random."
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="cpu, cuda or auto."
)
@click.option("--skip-bad", is_flag=True, help="Leave out hooks that the guard does not let pass.")
@output_options
def command(
    data: Path,
    out: Path,
    model: Path | None,
    epochs: int,
    rank: int,
    seed: int,
    device: str,
    skip_bad: bool,
    terminal: Terminal,
) -> None:
    """Train the local copy writer on the approved hooks in DATA.

    DATA is a CSV, Excel or Parquet file with a column `hook` and perhaps `category`, `persona`, `tone`,
    `language` and `channel`; or a campaign folder or run whose texts were reviewed. A tenth of the hooks
    is held out to judge the training by, which stops when it no longer helps.
    """
    from allocator.runs.train_copy import train_copy

    options = {"device": device} | ({"model": str(model)} if model is not None else {})
    with terminal.progress() as progress:
        record = train_copy(
            data,
            out,
            options=options,
            epochs=epochs,
            rank=rank,
            seed=seed,
            skip_bad=skip_bad,
            progress=progress,
        )
    left_out = f", {record['left_out']:,} left out" if record["left_out"] else ""
    terminal.say(f"Learned from {record['hooks']:,} hooks, judged by {record['held_out']:,}{left_out}.")
    before, after, epoch = record["loss_before"], record["loss"], record["epoch"]
    terminal.say(f"Held-out loss {before:.2f} before, {after:.2f} after epoch {epoch}.")
    terminal.emit({**record, "folder": out})
    terminal.say(f'Saved to {out}. Next: adapter = "{out}" under [copy.options] in campaign.toml.')
