"""A run folder: stage files written atomically, a state that survives interruption, a manifest last."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.files import dump_json, versions, write_text

STATE = "state.json"
MANIFEST = "manifest.json"


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
        self._state: dict[str, Any] = {"inputs": json.loads(dump_json(inputs)), "done": []}
        if (path / MANIFEST).is_file():
            raise InputError(
                Finding(
                    "the folder holds a finished run, which is not written over; name another with --out",
                    file=str(path),
                )
            )
        self._new = not path.exists()
        if (path / STATE).is_file():
            earlier = json.loads((path / STATE).read_text(encoding="utf-8"))
            if earlier.get("inputs") != self._state["inputs"]:
                raise InputError(
                    Finding(
                        "the folder holds an unfinished run of other inputs or options; delete it, "
                        "or name another with --out",
                        file=str(path),
                    )
                )
            self._state = earlier
        elif path.exists() and any(path.iterdir()):
            raise InputError(
                Finding("the folder is not empty and holds no run; name another with --out", file=str(path))
            )
        else:
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
            str(file.relative_to(self.path)): hashlib.sha256(file.read_bytes()).hexdigest()
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
