"""Options of the writers, checked all at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError

MOST_CANDIDATES = 32
MOST_ATTEMPTS = 10


@dataclass(frozen=True)
class LocalOptions:
    """Options of the local writer.

    Parameters
    ----------
    model
        Folder of a Hugging Face causal language model; the embedded model if None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    candidates
        Hooks written for each cell and attempt, 1 to 32.
    max_attempts
        Rounds for a cell none of whose hooks passed, 1 to 10.
    """

    model: Path | None = None
    device: str = "auto"
    candidates: int = 8
    max_attempts: int = 2


def local_options(options: Mapping[str, Any]) -> LocalOptions:
    """Return the options of the local writer, or raise `InputError` naming every wrong one."""
    findings = list(unknown_options(options, ("model", "device", "candidates", "max_attempts")))

    def wrong(key: str, message: str, expected: str) -> None:
        findings.append(
            Finding(message, "campaign.toml", None, f"copy.options.{key}", repr(options[key])[:80], expected)
        )

    model = options.get("model")
    folder = None
    if model is not None:
        if not isinstance(model, (str, Path)) or not str(model):
            wrong("model", "not a path", "a folder with config.json, weights and tokenizer")
        else:
            folder = Path(model).expanduser().resolve()
            if not (folder / "config.json").is_file():
                wrong("model", "no model in this folder", "a Hugging Face folder with config.json")
    if options.get("device", "auto") not in ("auto", "cpu", "cuda"):
        wrong("device", "unknown device", "auto, cpu or cuda")
    for key, most in (("candidates", MOST_CANDIDATES), ("max_attempts", MOST_ATTEMPTS)):
        value = options.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            wrong(key, "out of range", f"a whole number from 1 to {most}")
    if findings:
        raise InputError(findings)
    given = {key: value for key, value in options.items() if key != "model"}
    return LocalOptions(model=folder, **given)


def unknown_options(options: Mapping[str, Any], accepted: tuple[str, ...]) -> list[Finding]:
    """Return a finding for each key that is not accepted."""
    names = ", ".join(accepted) if accepted else "no options"
    return [
        Finding(
            "unknown option of this copy writer",
            "campaign.toml",
            None,
            f"copy.options.{key}",
            repr(value)[:80],
            names,
        )
        for key, value in options.items()
        if key not in accepted
    ]
