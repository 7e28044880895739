"""Which backend the options ask for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from allocator.errors import PluginError
from allocator.protocols import Progress
from copygen.backends import embedded
from copygen.cells import Cell
from copygen.drafts import Draft
from copygen.options import LocalOptions

if TYPE_CHECKING:
    from copygen.backends.local import LocalModel

NEEDED = ("torch", "transformers", "accelerate", "llguidance", "safetensors", "platformdirs", "gguf")


def writable_cells(drafts: Sequence[Draft], options: LocalOptions) -> list[Cell]:
    """Return the cells that the model is let write, each once; the embedded one is unusable in Chinese."""
    languages = {"en"} if options.model is None else {"en", "zh"}
    return sorted({draft.cell for draft in drafts if draft.cell.language in languages})


def open_backend(options: LocalOptions, progress: Progress) -> LocalModel:
    """Load the model.

    Raises
    ------
    PluginError
        If a library or the embedded model is missing, or a file cannot be used; says what to install.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PluginError(
            f"The local copy writer needs {', '.join(missing)}, not installed;"
            " run: pip install '.[copy]' in a checkout of Allocate"
            ' (or set writer = "template" under [copy] in campaign.toml).'
        )
    from copygen.backends.local import LocalModel

    if options.model is not None:
        return LocalModel.load(options.model, options.device, guided=False, progress=progress)
    folder = embedded.prepare(progress)
    return LocalModel.load(folder, options.device, guided=True, label=embedded.LABEL, progress=progress)
