"""`allocate copy review`: read the texts of a run, and decide on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import Terminal, output_options

if TYPE_CHECKING:
    from allocator.runs.review_copy import Review, Text

EPILOG = """\b
Examples:
  allocate copy review result                     go through the texts, one key each
  allocate copy review result --list              all texts, with their cells
  allocate copy review result --approve all
  allocate copy review result --edit 3 "Slow mornings deserve good coffee"
  allocate copy review result --ban "Treat the week to something nice"
"""


@click.command("review", epilog=EPILOG)
@click.argument("run", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@click.option("--list", "as_list", is_flag=True, help="Show all texts and leave them as they are.")
@click.option("--approve", metavar="CELL", multiple=True, help="Approve the texts of a cell, or `all`.")
@click.option(
    "--edit", metavar="CELL HOOK", nargs=2, multiple=True, help="Put other words before a cell's offers."
)
@click.option("--ban", metavar="HOOK", multiple=True, help="Ban a hook in the whole campaign.")
@click.option("--all", "everything", is_flag=True, help="Go through decided texts, too.")
@click.option(
    "--campaign",
    type=click.Path(file_okay=False, path_type=Path),
    help="Campaign folder [default: the one RUN was made from].",
)
@output_options
def command(
    run: Path,
    as_list: bool,
    approve: tuple[str, ...],
    edit: tuple[tuple[str, str], ...],
    ban: tuple[str, ...],
    everything: bool,
    campaign: Path | None,
    terminal: Terminal,
) -> None:
    """Read the texts of RUN, a run or a folder of `allocate copy`; approve, edit or ban them.

    The guard reads edited texts as it reads all others; the offer itself cannot be edited. A CELL is named
    by its digest, the start of it, or a text's number in --list. What you decide is kept in
    reviewed_copy.csv in the campaign folder: later runs use approved hooks first and banned ones never.
    """
    from allocator.runs.review_copy import Review
    from cli.render.message import text_table
    from cli.review_prompt import go_through

    review = Review(run, campaign)
    texts = [review.text(number) for number in range(len(review))]
    if as_list or (terminal.json and not (approve or edit or ban)):
        terminal.show(text_table(texts))
        terminal.emit({"texts": [_document(text) for text in texts]})
        return
    if approve or edit or ban:
        _decide(review, approve, edit, ban)
    else:
        numbers = [i for i, text in enumerate(texts) if everything or not text.decision]
        if not numbers:
            terminal.say("All texts are decided on; --all shows them again.")
        try:
            go_through(review, numbers, terminal)
        except KeyboardInterrupt:
            terminal.say(f"\nWhat you decided is kept; `allocate copy review {run}` goes on.")
            raise
    with terminal.progress() as progress:
        counts = review.apply(progress)
    terminal.emit({**counts, "folder": run, "decisions": review.decisions_file})
    if any(counts.values()):
        said = f"{counts['approved']} approved, {counts['edited']} edited, {counts['banned']} written anew"
        terminal.say(f"{said} in {run}. Decisions: {review.decisions_file}.")


def _decide(
    review: Review, approve: tuple[str, ...], edit: tuple[tuple[str, str], ...], ban: tuple[str, ...]
) -> None:
    """Decide all that the options ask for, or nothing.

    Raises
    ------
    InputError
        Naming every cell that is not there and every hook that the guard is against.
    """
    from allocator.errors import Finding, InputError

    findings: list[Finding] = []
    for label, hook in [*((label, None) for label in approve), *edit]:
        try:
            numbers = range(len(review)) if label == "all" else review.find(label)
        except InputError as error:
            findings += error.findings
            continue
        for number in numbers:
            if hook is None:
                if not review.approve(number) and label != "all":
                    findings.append(Finding("this text has no hook to approve", found=label))
            else:
                verdicts = review.edit(number, hook)
                findings += [Finding(f"{v.rule}: {v.detail}", column=f"--edit {label}") for v in verdicts]
    for hook in ban:
        review.ban(hook)
    if findings:
        while review.undo():
            pass
        raise InputError(dict.fromkeys(findings))


def _document(text: Text) -> dict[str, Any]:
    return {**text.row, "decision": text.decision or None, "size": text.size}
