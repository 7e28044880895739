"""The copy writers that come with Allocate; importing this module loads no model library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from allocator.campaign.copy_decisions import BY_A_PERSON
from allocator.errors import Finding, InputError
from allocator.plugins.copy import ApprovedHook, Brief, Copy, Verdict
from allocator.progress import Progress, no_progress
from copygen.backends import Backend
from copygen.backends.kept import keep
from copygen.backends.loading import ADAPTER, LOCAL, check_backend, open_backend, require, writable_cells
from copygen.bank import load_bank
from copygen.cache import HookCache, cache_file
from copygen.drafts import draft_all, make_draft
from copygen.finish import APPROVED, Written, put
from copygen.hooks import write_hooks
from copygen.options import HttpOptions, LocalOptions, ModelOptions, read_options, unknown_options
from copygen.size import size_of


class Reviewable:
    """A writer that can put a person's words in front of the facts; needs no model."""

    def check_briefs(self, briefs: Sequence[Brief]) -> None:
        """Find every brief for which not even the template may be sent.

        Raises
        ------
        InputError
            Naming coupon, channel and rule of each.
        """
        draft_all(briefs)

    def check(self, brief: Brief, hook: str) -> Copy | tuple[Verdict, ...]:
        """Return the message for `brief` that opens with `hook`, or what the guard finds wrong with it.

        Raises
        ------
        InputError
            If not even the template may be sent.
        """
        draft = make_draft(brief)
        parts, verdicts = put(draft, hook)
        return verdicts or Copy(brief, parts, APPROVED, hook=hook, cell=draft.cell.digest, note=BY_A_PERSON)

    def measure(self, brief: Brief, parts: Mapping[str, str]) -> str:
        """Say how long a text is, as its channel counts."""
        return size_of(parts, brief.channel)


class TemplateWriter(Reviewable):
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
        return Written("template", seed, None, {}).finish(drafts)


class ModelWriter(Reviewable):
    """Writes hooks with a model and the facts around them by program.

    Order of resort for each message: a hook that a person approved, a hook of the model, a rewritten
    one, a hook of the bank, the bare template; `Copy.written_by` says which.

    Attributes
    ----------
    kind
        Name of the backend, as the record gives it.
    takes
        What the keys of ``[copy.options]`` are read into.
    """

    kind: ClassVar[str]
    takes: ClassVar[type[ModelOptions]]

    def __init__(self, **options: Any) -> None:
        self.options = read_options(self.takes, options)
        self._backend: Backend | None = None

    def prepare(self, languages: Sequence[str]) -> None:
        """Read the bank, and look whether the model can be asked if it is to write any of `languages`.

        Raises
        ------
        InputError
            Naming every line of the campaign's own bank that the guard does not let pass.
        PluginError
            If a library or the embedded model is missing, or the endpoint does not answer.
        """
        load_bank(self.options.bank)
        if self._backend is None and set(languages) & set(self.options.languages):
            check_backend(self.options)

    def write(self, briefs: Sequence[Brief], *, seed: int, progress: Progress = no_progress) -> list[Copy]:
        """Return one guarded message for each brief, in the order of the briefs.

        Raises
        ------
        InputError
            Naming every coupon, channel and rule for which not even the template may be sent.
        PluginError
            If the model, or a library that it needs, cannot be used; says what to correct.
        """
        drafts = draft_all(briefs)
        cells, bank = writable_cells(drafts, self.options), load_bank(self.options.bank)
        if not cells:
            return Written(self.kind, seed, None, {}, bank).finish(drafts)
        with self._opened(progress) as backend:
            hooks = write_hooks(backend, cells, self.options, seed, progress)
            return Written(self.kind, seed, backend, hooks, bank).finish(drafts)

    @staticmethod
    def kept() -> tuple[Path, int]:
        """Return the file of the user's cache that holds hooks, and its size in bytes (0: none yet)."""
        file = cache_file()
        return file, file.stat().st_size if file.is_file() else 0

    @contextmanager
    def _opened(self, progress: Progress) -> Iterator[Backend]:
        """Load the model once; give it the memory that the options ask for."""
        self._backend = self._backend or open_backend(self.options, progress)
        folder = self.options.cache
        if folder is False:
            yield self._backend
            return
        with HookCache(cache_file(folder if isinstance(folder, Path) else None), progress) as cache:
            yield keep(self._backend, cache, self.options)


class LocalWriter(ModelWriter):
    """Writes hooks with a language model on this machine and the facts around them by program.

    Parameters
    ----------
    **options
        See `copygen.options.LocalOptions`. The embedded model, the default, writes English only.
    """

    kind = "local"
    takes = LocalOptions

    def train(
        self,
        hooks: Sequence[ApprovedHook],
        folder: Path,
        *,
        epochs: int,
        rank: int,
        seed: int,
        skip_bad: bool = False,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """Write an adapter of the model (LoRA) that makes `hooks` likely into `folder`; return its record.

        Raises
        ------
        InputError
            Naming every hook that the guard does not let pass.
        PluginError
            If the model, or a library that it needs, cannot be used; says what to correct.
        """
        assert isinstance(self.options, LocalOptions)
        if self.options.adapter is not None:
            message = "an adapter is trained beside the model alone; take this key out"
            raise InputError(Finding(message, "campaign.toml", None, "copy.options.adapter"))
        require((*LOCAL, *ADAPTER), "training of the copy writer", "copy")
        from copygen.training.adapter import train_adapter

        return train_adapter(
            hooks,
            folder,
            self.options,
            epochs=epochs,
            rank=rank,
            seed=seed,
            skip_bad=skip_bad,
            progress=progress,
        )


class HttpWriter(ModelWriter):
    """Writes hooks by asking an OpenAI-compatible endpoint and the facts around them by program.

    Messages for which the endpoint fails get a hook of the bank, and the record says so.

    Parameters
    ----------
    **options
        ``base_url`` and ``model``, and see `copygen.options.HttpOptions`.
    """

    kind = "http"
    takes = HttpOptions
