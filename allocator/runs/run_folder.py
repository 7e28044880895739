"""A run folder: stage files written atomically, a state that survives interruption, a manifest last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allocator.campaign.config import FILE as CONFIG
from allocator.campaign.schema import REVIEWED_COPY
from allocator.errors import Finding, InputError
from allocator.files import dump_json, require_writable, sha256_of, versions, write_text

STATE = "state.json"
MANIFEST = "manifest.json"

PLAN, MESSAGES = "solve", "copy"
"""Stages of a run; what the second needs to be told is no input of the first."""
OF_MESSAGES = ("brand", "tone", "languages", "opt_out", "may_mention", "writer", "options")
"""Keys of ``[copy]`` that say how messages read, and nothing of who gets what."""


class RunFolder:
    """Where one run keeps its results.

    Parameters
    ----------
    path
        The folder; made if it is not there.
    inputs
        What the run is of (digests, seed, options): a folder that was begun with other inputs is
        not continued.

    Raises
    ------
    InputError
        If the folder holds a finished run, a run of other inputs, or files that are not a run's.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Any]) -> None:
        self.path = path
        self._new = not path.exists()
        self._state = begun(path, inputs)
        path.mkdir(parents=True, exist_ok=True)
        self._save_state()

    @property
    def checkpoint(self) -> Path:
        """Folder for how far a training got; not part of a finished run."""
        return self.path / "checkpoint"

    def done(self, stage: str) -> bool:
        """Return whether a stage's files are complete."""
        return stage in self._state["done"]

    def finish(self, stage: str) -> None:
        """Mark a stage's files as complete."""
        if stage not in self._state["done"]:
            self._state["done"].append(stage)
        self._state.pop("failed", None)
        self._save_state()

    def fail(self, stage: str, why: str) -> None:
        """Keep on record what kept a stage from being completed."""
        self._state["failed"] = {"stage": stage, "why": why}
        self._save_state()

    def abandon(self) -> None:
        """Forget a run that has finished no stage, so that its folder is free for corrected inputs."""
        if self._state["done"]:
            return
        for file in (self.path / "predictions.parquet", self.path / STATE):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        if self._new and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_manifest(self, seconds: Mapping[str, float], campaign_folder: Path) -> None:
        """Write the manifest, which makes the run complete, and drop the state."""
        files = {
            str(file.relative_to(self.path)): sha256_of(file)
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and file.name not in (STATE, MANIFEST)
        }
        manifest = {
            "campaign": os.path.relpath(campaign_folder.resolve(), self.path.resolve()),
            "inputs": self._state["inputs"],
            "versions": versions(),
            "seconds": dict(seconds),
            "files": files,
        }
        write_text(self.path / MANIFEST, dump_json(manifest))
        (self.path / STATE).unlink(missing_ok=True)

    def _save_state(self) -> None:
        write_text(self.path / STATE, dump_json(self._state))


def begun(path: Path, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a run of these inputs in a folder, or that of one to begin; nothing is written.

    Where the plan is made already, inputs that are only about messages may be others.

    Raises
    ------
    InputError
        As for `RunFolder`, or if nothing can be written there.
    """
    require_writable(path)
    if (path / MANIFEST).is_file():
        message = "the folder holds a finished run, which is not written over; name another with --out"
        raise InputError(Finding(message, file=str(path)))
    asked: dict[str, Any] = json.loads(dump_json(inputs))
    if not (path / STATE).is_file():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            message = "the folder is not empty and holds no run; name another with --out"
            raise InputError(Finding(message, file=str(path)))
        return {"inputs": asked, "done": []}
    state = read_state(path)
    before = state["inputs"]
    same = _of_plan(before) == _of_plan(asked) if PLAN in state["done"] else before == asked
    if not same:
        message = (
            "the folder holds an unfinished run of other inputs or options; delete it, "
            "or name another with --out"
        )
        raise InputError(Finding(message, file=str(path)))
    return {**state, "inputs": asked}


def read_state(path: Path) -> dict[str, Any]:
    """Read the state of an unfinished run.

    Raises
    ------
    InputError
        If someone spoilt it.
    """
    try:
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        return {**state, "inputs": dict(state["inputs"]), "done": list(state["done"])}
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"this is not what the run wrote; delete the folder, or name another with --out: {error}"
        raise InputError(Finding(message, file=str(path / STATE))) from error


def why_unfinished(path: Path) -> str:
    """Say how far an unfinished run got, and how to go on."""
    state = read_state(path)
    text = "the run is unfinished; call `allocate run` again with this --out"
    if PLAN in state["done"]:
        text += ": the plan is made, and only its messages are missing"
    if failed := state.get("failed"):
        text += f", which failed: {failed['why']}"
    return text


def _of_plan(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a plan depends on: all but how its messages read, and who approved them."""
    config = dict(inputs.get("config", {}))
    config["copy"] = {k: v for k, v in config.get("copy", {}).items() if k not in OF_MESSAGES}
    ours = (CONFIG, REVIEWED_COPY.name)  # campaign.toml counts as it was resolved, in `config`
    digests = {k: v for k, v in inputs.get("digests", {}).items() if not k.startswith(ours)}
    stages = {k: v for k, v in inputs.get("stages", {}).items() if k != MESSAGES}
    return {**inputs, "config": config, "digests": digests, "stages": stages}
