"""The copy writers that come with Allocate; importing this module loads no model library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allocator.errors import InputError
from allocator.protocols import Brief, Copy, Progress, Verdict, no_progress
from copygen.backends import Backend
from copygen.backends.loading import open_backend, writable_cells
from copygen.bank import approved_hooks
from copygen.cells import Cell
from copygen.drafts import Draft, draft_all
from copygen.guard import check
from copygen.hooks import CellHooks, write_hooks
from copygen.options import local_options, unknown_options


class TemplateWriter:
    """Writes every message from the template alone: no model, no randomness, no options."""

    def __init__(self, **options: Any) -> None:
        findings = unknown_options(options, ())
        if findings:
            raise InputError(findings)

    def write(self, briefs: Sequence[Brief], *, seed: int, progress: Progress = no_progress) -> list[Copy]:
        """Return the template's text for each brief; `seed` changes nothing.

        Raises
        ------
        InputError
            Naming every coupon, channel and rule for which the template may not be sent.
        """
        drafts = draft_all(briefs)
        progress("write copy", len(drafts), len(drafts))
        return [Copy(draft.brief, draft.parts, "template") for draft in drafts]


class LocalWriter:
    """Writes hooks with a language model on this machine and the facts around them by program.

    Order of resort for each message: a hook of the model, a rewritten one, an approved hook of the
    bank, the bare template; `Copy.written_by` says which. The embedded model writes English only.

    Parameters
    ----------
    **options
        ``model, device, candidates, max_attempts``; see `copygen.options.LocalOptions`.
    """

    def __init__(self, **options: Any) -> None:
        self.options = local_options(options)
        self._backend: Backend | None = None

    def write(self, briefs: Sequence[Brief], *, seed: int, progress: Progress = no_progress) -> list[Copy]:
        """Return one guarded message for each brief, in the order of the briefs.

        Raises
        ------
        InputError
            Naming every coupon, channel and rule for which not even the template may be sent.
        PluginError
            If the model or a library that it needs is not installed, or the model's file is damaged.
        """
        drafts = draft_all(briefs)
        if not drafts:
            return []
        cells = writable_cells(drafts, self.options)
        hooks: dict[Cell, CellHooks] = {}
        if cells:
            self._backend = self._backend or open_backend(self.options, progress)
            hooks = write_hooks(self._backend, cells, self.options, seed, progress)
        return [_finish(draft, hooks.get(draft.cell), seed) for draft in drafts]


def _finish(draft: Draft, hooks: CellHooks | None, seed: int) -> Copy:
    """Return the best message of a draft that passes the guard."""
    rejected: list[Verdict] = list(hooks.rejected) if hooks else []
    attempts = hooks.failures if hooks else 0
    resorts = [(hook, hooks.written_by) for hook in hooks.ranked] if hooks else []
    resorts += [(hook, "approved hook") for hook in approved_hooks(draft.cell, seed)]
    for hook, written_by in resorts:
        attempts += 1
        parts = draft.with_hook(hook)
        verdicts = check(parts, draft.brief)
        if not verdicts:
            return Copy(draft.brief, parts, written_by, attempts, tuple(rejected))
        rejected += verdicts
    return Copy(draft.brief, draft.parts, "template", attempts + 1, tuple(rejected))
