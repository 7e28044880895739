"""Briefs made ready to write: facts read, category named, and proof that the bare template may be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from allocator.errors import Finding, InputError
from allocator.plugins.copy import Brief, Verdict
from copygen.cells import Cell, cell_of
from copygen.facts import Facts, read_facts
from copygen.guard import check
from copygen.template import PARTS, compose
from copygen.themes import Theme, load, theme_of

OF_CAMPAIGN = {"signature": "brand", "opt_out": "opt_out", "locale": "languages"}
"""Rules that no coupon breaks, and the key of ``[copy]`` that does."""


@dataclass(frozen=True)
class Draft:
    """A brief whose bare template passed the guard.

    Parameters
    ----------
    brief, facts, theme
        What to say.
    cell
        What its hook depends on.
    parts
        The bare template.
    """

    brief: Brief
    facts: Facts
    theme: Theme
    cell: Cell
    parts: dict[str, str]

    def with_hook(self, hook: str) -> dict[str, str]:
        """Return the message with `hook` in front of the facts."""
        return compose(self.brief, self.facts, self.theme, hook)


def draft_all(briefs: Sequence[Brief]) -> list[Draft]:
    """Return a draft of every brief.

    Raises
    ------
    InputError
        Naming every coupon and channel for which not even the template may be sent, and the rule.
    """
    findings: dict[str, Finding] = {}
    drafts = []
    for brief in briefs:
        try:
            drafts.append(make_draft(brief))
        except InputError as error:
            findings.update({str(finding): finding for finding in error.findings})
    if findings:
        raise InputError(findings.values())
    return drafts


def make_draft(brief: Brief) -> Draft:
    """Return the draft of a brief.

    Raises
    ------
    InputError
        Naming each rule by which not even the template may be sent.
    """
    if (brief.channel, brief.language) not in PARTS:
        known = ", ".join(f"{channel}/{language}" for channel, language in PARTS)
        raise InputError(Finding("no message for this channel and language", None, None, "channel",
                                 f"{brief.channel[:20]}/{brief.language[:20]}", known))  # fmt: skip
    facts = read_facts(brief.offer)
    verdicts: tuple[Verdict, ...] = ()
    for theme in _namings(theme_of(brief.offer.category)):
        parts = compose(brief, facts, theme)
        verdicts = check(parts, brief)
        if not verdicts:
            return Draft(brief, facts, theme, cell_of(brief, theme), parts)
    # The verdicts on the last, most general naming are about the offer or the sender.
    raise InputError(_finding(verdict, brief) for verdict in verdicts)


def _finding(verdict: Verdict, brief: Brief) -> Finding:
    """Say what keeps a message back, and which key of campaign.toml does where the coupon does not."""
    message = f"not even the template may be sent; {verdict.rule}: {verdict.detail}"
    where = f"{brief.channel} in '{(brief.locale or brief.language)[:20]}'"
    if verdict.rule in OF_CAMPAIGN:
        return Finding(f"{where}: {message}", "campaign.toml", None, f"copy.{OF_CAMPAIGN[verdict.rule]}")
    return Finding(f"coupon '{brief.offer.coupon_id[:60]}', {where}: {message}", "coupons")


def _namings(theme: Theme) -> list[Theme]:
    """Return the theme, then the same with its category unnamed: a label may fail the guard, an offer not."""
    if not theme.names:
        return [theme]
    general = load("themes")["general"]
    return [theme, replace(theme, key="general", names={"en": general["en"], "zh": general["zh"]})]
