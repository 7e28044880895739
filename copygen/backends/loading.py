"""Which backend the options ask for, and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from allocator.errors import PluginError
from allocator.progress import Progress
from copygen.backends import Backend, embedded
from copygen.bank import load_bank
from copygen.cells import Cell
from copygen.drafts import Draft
from copygen.options import HttpOptions, LocalOptions, ModelOptions

LOCAL = ("torch", "transformers", "accelerate", "llguidance", "safetensors", "platformdirs", "gguf")
ADAPTER = ("peft",)
HTTP = ("httpx2",)


def writable_cells(drafts: Sequence[Draft], options: ModelOptions) -> list[Cell]:
    """Return the cells that the model is let write, each once."""
    return sorted({draft.cell for draft in drafts if draft.cell.language in options.languages})


def open_backend(options: ModelOptions, progress: Progress) -> Backend:
    """Load the model, or make ready to ask for it.

    Raises
    ------
    PluginError
        If a library or the embedded model is missing, or a file cannot be used; says what to install.
    """
    require_for(options)
    if isinstance(options, HttpOptions):
        from copygen.backends.http import HttpBackend

        return HttpBackend(options)
    assert isinstance(options, LocalOptions)
    from copygen.backends.local import LocalModel

    if options.model is not None:
        return LocalModel.load(options.model, options, bank=None, progress=progress)
    folder = embedded.prepare(progress)
    # With an adapter, which taught it a brand's own hooks, even a small model writes freely.
    bank = load_bank(options.bank) if options.adapter is None else None
    return LocalModel.load(folder, options, bank=bank, label=embedded.LABEL, progress=progress)


def check_backend(options: ModelOptions) -> None:
    """Look, without loading a model, whether `open_backend` and its backend will have what they need.

    Raises
    ------
    PluginError
        If a library or the embedded model is missing, or an endpoint does not answer.
    """
    require_for(options)
    if isinstance(options, HttpOptions):
        from copygen.backends.http import HttpBackend

        HttpBackend(options).check()
    elif isinstance(options, LocalOptions) and options.model is None:
        embedded.weights_file()


def require_for(options: ModelOptions) -> None:
    """Raise `PluginError`, saying what to install, if a library that the options ask for is missing."""
    if isinstance(options, HttpOptions):
        require(HTTP, "HTTP copy writer", "copy-http")
    elif isinstance(options, LocalOptions):
        require((*LOCAL, *ADAPTER) if options.adapter else LOCAL, "local copy writer", "copy")


def require(libraries: Sequence[str], user: str, extra: str) -> None:
    """Raise `PluginError`, saying what to install, if a library is missing."""
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise PluginError(
            f"The {user} needs {', '.join(missing)}, not installed;"
            f" run: pip install '.[{extra}]' in a checkout of Allocate"
            ' (or set writer = "template" under [copy] in campaign.toml).'
        )
