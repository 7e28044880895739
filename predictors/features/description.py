"""A coupon's description as numbers, so that coupons with like descriptions are scored alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from allocator.errors import Finding, InputError

Float32 = NDArray[np.float32]

FOLDER = "description"
HASHES, LETTERS = 128, (3, 5)


class Describer(ABC):
    """Turns descriptions into vectors; the same text always gives the same one, and none gives zeros."""

    name: ClassVar[str]
    size: int

    def embed(self, descriptions: Sequence[str]) -> Float32:
        """Return one vector of length 1 for each description, (n, size)."""
        vectors = np.zeros((len(descriptions), self.size), dtype=np.float32)
        for i, text in enumerate(descriptions):
            if self.size and text.strip():
                vectors[i] = self._vector(text)
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norm > 0, norm, 1.0), dtype=np.float32)

    @abstractmethod
    def _vector(self, text: str) -> Float32:
        """Return (size,)."""

    def save(self, folder: Path) -> None:
        """Write what `load_describer` needs beside the name; most need nothing."""
        return


class Undescribed(Describer):
    """Leaves descriptions out."""

    name, size = "none", 0

    def _vector(self, text: str) -> Float32:
        return np.zeros(0, dtype=np.float32)


class HashedText(Describer):
    """Counts of a text's letter sequences, hashed into a fixed number of columns."""

    name, size = "hash", HASHES

    def _vector(self, text: str) -> Float32:
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(analyzer="char_wb", ngram_range=LETTERS, n_features=HASHES)
        return np.asarray(hashing.transform([text]).toarray()[0], dtype=np.float32)


class LanguageModel(Describer):
    """The mean of a language model's last hidden states over a text.

    Parameters
    ----------
    folder
        Holds a transformers model (safetensors) and its tokeniser.

    Raises
    ------
    InputError
        It does not.
    """

    name = "model"

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise InputError(
                Finding(
                    "there is no language model for coupon descriptions here; name a folder with a "
                    'transformers model and its tokeniser, or choose "hash"',
                    file="campaign.toml",
                    column="predict.options.description",
                    found=str(folder),
                    expected='"none", "hash" or a folder with config.json',
                )
            )
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                Finding(
                    f"the language model for coupon descriptions cannot be read ({error}); it needs "
                    "config.json, model.safetensors and a tokeniser",
                    file="campaign.toml",
                    column="predict.options.description",
                    found=str(folder),
                )
            ) from error
        self._model: Any = model.eval()
        self.size = int(model.config.hidden_size)
        self._known: dict[str, Float32] = {}

    @torch.no_grad()
    def _vector(self, text: str) -> Float32:
        if text not in self._known:
            limit = min(int(self._tokenizer.model_max_length), 256)
            tokens = self._tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
            states = self._model(**tokens).last_hidden_state
            self._known[text] = states[0].float().mean(dim=0).numpy()
        return self._known[text]

    def save(self, folder: Path) -> None:
        """Write model and tokeniser into a folder of their own, so that new coupons are embedded alike."""
        self._model.save_pretrained(folder / FOLDER)
        self._tokenizer.save_pretrained(folder / FOLDER)


def choose_describer(option: str) -> Describer:
    """Return the describer for ``none``, ``hash`` or the folder of a language model."""
    simple = {kind.name: kind for kind in (Undescribed, HashedText)}
    return simple[option]() if option in simple else LanguageModel(Path(option).expanduser())


def load_describer(folder: Path, name: str) -> Describer:
    """Return the describer that was saved with a model."""
    return choose_describer(str(folder / FOLDER) if name == LanguageModel.name else name)
