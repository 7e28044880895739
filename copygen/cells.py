"""A cell, everything that one hook depends on, so that the same hook is written once; and the hook."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from allocator.plugins.copy import Brief
from copygen.themes import Theme, load, persona_of, tone_of


@dataclass(frozen=True, order=True)
class Cell:
    """What a hook is written for; all of it vetted words of ours or a few plain words.

    Parameters
    ----------
    theme
        Key of ``data/themes.toml``.
    category
        How the category is named in `language`.
    persona, tone
        Keys of ``data/prompts.toml``.
    language, channel, variant
        As in the brief.
    """

    theme: str
    category: str
    persona: str
    tone: str
    language: str
    channel: str
    variant: str = "A"

    @property
    def digest(self) -> str:
        """A short name for this cell, the same in every run."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def seed(self, *salt: object) -> int:
        """Return a seed of 63 bits that depends on this cell and `salt` alone."""
        text = repr((sorted(asdict(self).items()), salt))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def cell_of(brief: Brief, theme: Theme) -> Cell:
    """Return the cell of a brief whose category means `theme`."""
    category = theme.names.get(brief.language) or load("themes")["general"][brief.language]
    return Cell(
        theme.key,
        category,
        persona_of(brief.segment),
        tone_of(brief.tone),
        brief.language,
        brief.channel,
        brief.variant,
    )


@dataclass(frozen=True)
class Hook:
    """A proposed hook and how likely its writer finds it (mean log-probability of a token).

    A backend that cannot tell how likely its text is gives None.
    """

    text: str
    score: float | None = None
