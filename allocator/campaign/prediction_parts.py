"""Write predictions part by part into one file that appears when it is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from queue import Full, Queue

import polars as pl

from allocator.campaign.predictions import file_notes, predictions_frame
from allocator.files import atomically, csv_text
from allocator.plugins.predictions import Predictions

AHEAD = 2
"""Parts that wait to be written at most."""
PATIENCE = 0.5
"""Seconds between two looks at whether the writer still takes parts."""


def write_prediction_parts(parts: Iterable[Predictions], path: Path) -> None:
    """Write predictions of consecutive users as Parquet or CSV, one row a user-coupon pair.

    A part is written while the next is made, and then forgotten. If anything goes wrong on the way,
    Ctrl-C included, there is no file, or the one that was there before.
    """
    parts = iter(parts)

    def write(temporary: Path) -> None:
        part = next(parts)
        first, frames = predictions_frame(part), map(predictions_frame, parts)
        if path.suffix == ".parquet":
            with _parquet(temporary, first.schema, file_notes(part.cautions)) as put:
                for frame in chain([first], frames):
                    put(frame)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(csv_text(first))
            for frame in frames:
                file.write(csv_text(frame, header=False))

    atomically(path, write)


class _AbandonedError(Exception):
    """The file is not wanted any more."""


@contextmanager
def _parquet(
    path: Path, schema: pl.Schema, notes: dict[str, str]
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Give a function that adds a frame to a Parquet file; the writing runs on another thread."""
    from polars.io.plugins import register_io_source

    waiting: Queue[pl.DataFrame | None] = Queue(AHEAD)
    abandoned = False

    def arriving(*_: object) -> Iterator[pl.DataFrame]:
        while (frame := waiting.get()) is not None:
            yield frame
        if abandoned:
            raise _AbandonedError

    source = register_io_source(arriving, schema=schema)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(source.sink_parquet, path, metadata=notes)
        try:
            yield lambda frame: _put(waiting, frame, writing)
        except BaseException:
            abandoned = True
            raise
        finally:
            _put(waiting, None, writing)
            if not abandoned:
                writing.result()


def _put(waiting: Queue[pl.DataFrame | None], frame: pl.DataFrame | None, writing: Future[None]) -> None:
    """Queue a frame, or raise what stopped the writer."""
    while True:
        try:
            return waiting.put(frame, timeout=PATIENCE)
        except Full:
            if writing.done() and frame is not None:
                writing.result()
            if writing.done():
                return None
