"""A message as its reader will see it, and what a reviewer needs to know beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import HEAVY, ROUNDED
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text as Styled

from allocator.wording import number
from cli.render.format import plain_table

if TYPE_CHECKING:
    from allocator.plugins.copy import Verdict
    from allocator.runs.review_copy import Text

WIDTH = 76
PHONE = 48
DECIDED = {
    "approved": ("approved", "green"),
    "edited": ("edited and approved", "green"),
    "banned": ("its hook is banned; other words are written when you leave", "yellow"),
}


def review_page(text: Text, place: str) -> RenderableType:
    """Return one text with what a person needs to decide on it; `place` says where in the list it is."""
    row = text.row
    key = " · ".join(row[name] for name in ("coupon_id", "segment", "channel", "language"))
    lines: list[RenderableType] = [
        Rule(Styled(f"{place} · {key} · variant {row['variant']}", overflow="ellipsis"), align="left"),
        Padding(_message(text), (1, 2)),
        Styled(f"{_users(row['audience'])} · {_author(text)}", style="dim"),
        Styled(text.size, style="dim"),
    ]
    if row["note"]:
        lines.append(Styled(row["note"], style="dim"))
    if text.decision:
        words, style = DECIDED[text.decision]
        lines.append(Styled(words, style=style))
    return Group(*lines)


def text_table(texts: Sequence[Text]) -> RenderableType:
    """Return all texts, one line or two each."""
    table = plain_table("Texts", ">no.", "cell", "message", ">users", "hook")
    for i, text in enumerate(texts, start=1):
        row = text.row
        key = " ".join(row[name] for name in ("coupon_id", "segment", "channel", "language", "variant"))
        hook = Styled(row["hook"] or "(template)", style="" if row["hook"] else "dim")
        if text.decision:
            hook.append(f" {text.decision}", style=DECIDED[text.decision][1])
        table.add_row(str(i), row["cell"], Styled(key), number(row["audience"]), hook)
    return table


def verdict_lines(verdicts: Sequence[Verdict]) -> RenderableType:
    """Return why a hook cannot be used."""
    return Styled("\n".join(f"{v.rule}: {v.detail}" for v in verdicts), style="red")


def _users(count: int) -> str:
    return f"{number(count)} user{'' if count == 1 else 's'}"


def _author(text: Text) -> str:
    scores = [
        f"{name} {text.row[name]:.2f}" for name in ("likelihood", "relevance") if text.row[name] is not None
    ]
    return ", ".join([f"by {text.row['written_by']}", *scores])


def _message(text: Text) -> RenderableType:
    parts = {part: _marked(words, text.row["hook"]) for part, words in text.parts.items()}
    brand = Styled(text.brief.brand, style="dim")
    if text.brief.channel == "email":
        subject, preheader = parts.get("subject", Styled()), parts.get("preheader", Styled())
        head = Group(subject, Styled.assemble(preheader, style="dim"), Rule(style="dim"))
        return Panel(
            Group(head, parts["body"]), title=brand, title_align="left", box=ROUNDED, width=WIDTH - 4
        )
    box = HEAVY if text.brief.channel == "in_app" else ROUNDED
    title = [Styled.assemble(parts["title"], style="bold")] if "title" in parts else []
    return Panel(Group(*title, parts["body"]), title=brand, title_align="left", box=box, width=PHONE)


def _marked(words: str, hook: str | None) -> Styled:
    """Return a part with its hook underlined: the words that can be edited."""
    styled = Styled(words)
    if hook and (at := words.find(hook)) >= 0:
        styled.stylize("underline", at, at + len(hook))
    return styled
