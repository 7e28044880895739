"""Hooks put in front of the facts, by order of resort, and what the record says of each message."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from allocator.campaign.copy_decisions import BY_A_PERSON
from allocator.plugins.copy import Copy, Verdict
from copygen.backends import Backend
from copygen.bank import Bank, approved_hooks
from copygen.cells import Cell
from copygen.drafts import Draft
from copygen.guard import check, check_hook
from copygen.hooks import CellHooks, RankedHook
from copygen.vocabulary import without_ours

APPROVED = "approved hook"
NOT_ASKED = "the configured model does not write this language"
NO_HOOK = "no hook passed the guard"
SAME = "the same words as another variant, for want of others"


@dataclass(frozen=True)
class Written:
    """What a writer brought together before messages are finished.

    Parameters
    ----------
    kind
        Name of the backend: ``local``, ``http`` or ``template``.
    seed
        As the writer was given.
    backend
        The one that was asked; None if none was.
    hooks
        Of the cells that it was asked for.
    bank
        The approved lines to resort to; None for none.
    """

    kind: str
    seed: int
    backend: Backend | None
    hooks: Mapping[Cell, CellHooks]
    bank: Bank | None = None
    _lines: dict[Cell, list[str]] = field(default_factory=dict)

    def finish(self, drafts: Sequence[Draft]) -> list[Copy]:
        """Return the best message of each draft that passes the guard.

        Order of resort: a hook that a person approved for the message, the hooks of its cell, the
        bank, the bare template. Variants of one message get hooks of their own as far as there are any.
        """
        said: defaultdict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        copies = []
        for draft in drafts:
            brief = draft.brief
            hooks = said[brief.offer.coupon_id, brief.segment, brief.channel, brief.locale or brief.language]
            others = {hook for hook, variant in hooks.items() if variant != brief.variant}
            copies.append(self._finish(draft, others))
            hooks.setdefault(copies[-1].hook.casefold(), brief.variant)
        return copies

    def _finish(self, draft: Draft, others: set[str]) -> Copy:
        found = self.hooks.get(draft.cell, CellHooks())
        rejected, attempts = list(found.rejected), found.failures
        # The sort is stable: words that another variant says come last, whoever wrote them.
        for hook in sorted(self._resorts(draft, found), key=lambda hook: hook.text.casefold() in others):
            attempts += 1
            parts, verdicts = put(draft, hook.text)
            if not verdicts:
                return self._record(draft, parts, hook, attempts, rejected, others)
            rejected += verdicts
        bare = RankedHook("", "template")
        return self._record(draft, draft.parts, bare, attempts + 1, rejected, others)

    def _resorts(self, draft: Draft, found: CellHooks) -> list[RankedHook]:
        reviewed = [RankedHook(hook, APPROVED) for hook in draft.brief.approved]
        if self.bank is None:
            return reviewed
        if draft.cell not in self._lines:  # many messages share a cell
            self._lines[draft.cell] = approved_hooks(draft.cell, self.seed, self.bank)
        bank = [RankedHook(line, APPROVED) for line in self._lines[draft.cell]]
        return [*reviewed, *found.ranked, *bank]

    def _record(
        self,
        draft: Draft,
        parts: Mapping[str, str],
        hook: RankedHook,
        attempts: int,
        rejected: Sequence[Verdict],
        others: set[str],
    ) -> Copy:
        asked = self.backend if draft.cell in self.hooks else None
        drawn = self.kind != "template" and hook.text not in draft.brief.approved
        unanswered = asked.unanswered.get(draft.cell, "") if asked else ""
        notes = {
            unanswered: bool(unanswered),
            BY_A_PERSON: hook.text in draft.brief.approved,
            NOT_ASKED: asked is None and self.kind != "template",
            NO_HOOK: not hook.text and self.kind != "template",
            SAME: hook.text.casefold() in others,
        }
        return Copy(
            draft.brief,
            parts,
            hook.written_by,
            attempts,
            tuple(rejected),
            hook=hook.text,
            cell=draft.cell.digest,
            backend=self.kind,
            model=asked.model if asked else "",
            prompt=asked.prompt_digest(draft.cell) if asked else "",
            seed=self.seed if drawn else None,
            scores=hook.scores,
            note="; ".join(note for note, true in notes.items() if true),
        )


def put(draft: Draft, hook: str) -> tuple[dict[str, str], tuple[Verdict, ...]]:
    """Return the message with `hook` in front of the facts, and everything that is wrong with it."""
    brief = draft.brief
    private = without_ours(brief.private)
    if verdicts := check_hook(hook, brief.channel, brief.language, banned=brief.banned, private=private):
        return {}, verdicts
    parts = draft.with_hook(hook)
    return parts, check(parts, brief)
