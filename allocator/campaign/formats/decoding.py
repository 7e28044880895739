"""A text file, packed or not and in any encoding -> UTF-8, in parts, so that large files fit."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from allocator.errors import Finding, InputError

PART = 1 << 22
SAMPLE = 1 << 16
GUESSES = ("windows-1252", "gb18030", "shift_jis", "windows-1251", "euc_kr")
BYTE_ORDER = (  # UTF-32's mark of little-endian begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
# How files begin that are no text, whatever their name says.
CONTENTS = (
    (
        b"PK\x03\x04",
        "an Excel workbook or a zip archive",
        "an Excel workbook ends in .xlsx; unpack an archive",
    ),
    (b"\xd0\xcf\x11\xe0", "an old or a protected Excel workbook", "save it as .xlsx, without a password"),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"ARROW1", "an Arrow file", "let its name end in .arrow"),
    (
        b"SQLite format 3\x00",
        "an SQLite database",
        'name a table of it: [tables] users = "FILE.sqlite#TABLE"',
    ),
    (b"\x1f\x8b", "packed with gzip", "let its name end in .gz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "let its name end in .zst"),
    (b"BZh", "packed with bzip2", "unpack it"),
    (b"\xfd7zXZ", "packed with xz", "unpack it"),
    (b"%PDF", "a PDF", "export the table as CSV"),
)
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<table")


@dataclass(frozen=True)
class TextFile:
    """A file of text.

    Parameters
    ----------
    path
        The file; ``.gz`` and ``.zst`` are unpacked.
    name
        What findings call it.
    encoding
        As stated; if None, what its first bytes say, else UTF-8.
    """

    path: Path
    name: str
    encoding: str | None = None

    @property
    def packed(self) -> str | None:
        """The program that packed the file, by its ending."""
        return {".gz": "gzip", ".zst": "zstd"}.get(self.path.suffix.lower())

    def sample(self) -> bytes:
        """Return the first bytes, unpacked.

        Raises
        ------
        InputError
            If these are the bytes of something that is no text.
        """
        with self._opened() as file:
            head = file.read(SAMPLE)
            if b"\n" not in head and b"\r" not in head:  # a header of thousands of columns
                head += file.read(PART)
        if not self.packed:
            refuse_contents(head, self.name)
        return head

    def encoding_of(self, head: bytes) -> str:
        """Return the encoding by the mark at the file's start, else as stated, else UTF-8."""
        for mark, encoding in BYTE_ORDER:
            if head.startswith(mark):
                return encoding
        if self.encoding is not None:
            return self.encoding
        wide = _looks_wide(head)
        if wide is not None:
            message = (
                f"this looks like UTF-16 without the mark at its start that says so; save it as UTF-8, or "
                f'state encoding = "{wide}" under [format]'
            )
            raise InputError(Finding(message, self.name))
        return "utf-8"

    def parts(self, encoding: str) -> Iterator[bytes]:
        """Yield the file in UTF-8, part by part.

        Raises
        ------
        InputError
            If a byte does not belong to the encoding, naming its line, or if the file cannot be unpacked.
        """
        decoder = codecs.getincrementaldecoder(encoding)()
        lines, plain = 1, encoding == "utf-8"
        with self._opened() as file:
            while True:
                part = file.read(PART)
                try:
                    text = decoder.decode(part, final=not part)
                except UnicodeError as error:
                    raise InputError(self._undecodable(error, encoding, lines)) from error
                if not part:
                    if text and not plain:
                        yield text.encode()
                    return
                lines += text.count("\n")
                yield part if plain else text.encode("utf-8", "surrogatepass")

    def records(self, size: int) -> Iterator[bytes]:
        """Yield the bytes, unpacked, some `size` at a time, cut where a line ends outside of quotes."""
        with self._opened() as file:
            while block := file.read(size):
                lines = [block, file.readline()]
                inside = sum(line.count(b'"') for line in lines) % 2
                while inside and (line := file.readline()):
                    lines.append(line)
                    inside ^= line.count(b'"') % 2
                yield b"".join(lines)

    def lines(self, encoding: str) -> Iterator[str]:
        """Yield the file line by line as editors count lines, each with its end."""
        with self._opened() as file, io.TextIOWrapper(file, encoding, newline="") as text:
            yield from text

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        open_file, damage = _unpacking(self.packed)
        try:
            with open_file(self.path) as file:
                yield file
        except damage as error:
            message = "the file cannot be unpacked: it is cut off or damaged; fetch or pack it again"
            raise InputError(Finding(message, self.name, found=str(error)[:80])) from error
        except OSError as error:
            message = f"the file cannot be read: {error.strerror or error}"
            raise InputError(Finding(message, self.name)) from error

    def _undecodable(self, error: UnicodeError, encoding: str, lines: int) -> Finding:
        if not isinstance(error, UnicodeDecodeError):
            return Finding(f"this is not {encoding}: {error}", self.name)
        data = error.object
        lines += data.count(b"\n", 0, error.start)
        begins = data.rfind(b"\n", 0, error.start) + 1
        line = data[begins : error.end + 40].split(b"\n")[0]
        found = f"byte {data[error.start]:#04x}"
        if encoding != "utf-8" or self.encoding is not None:
            return Finding(f"this is not {encoding}", self.name, lines, found=found)
        message = "the file is not UTF-8; save it as 'CSV UTF-8', or state its encoding under [format]"
        looks = [
            f'"{guess}" gives {text!r}' for guess in GUESSES if (text := _try(line, guess, error, begins))
        ]
        return Finding(message, self.name, lines, found=f"{found}: encoding = " + ", ".join(looks))


def refuse_contents(head: bytes, name: str) -> None:
    """Raise InputError if a file begins as none of text does."""
    for start, what, remedy in CONTENTS:
        if head.startswith(start):
            raise InputError(Finding(f"by its content this is {what}; {remedy}", name))
    if head.lstrip()[:10].lower().startswith(MARKUP):
        raise InputError(
            Finding("by its content this is a page of HTML or XML; export the table as CSV", name)
        )


def _unpacking(packed: str | None) -> tuple[Callable[[Path], Any], tuple[type[Exception], ...]]:
    """Return what opens a file, and what it raises where the file is damaged."""
    if packed == "gzip":
        return gzip.open, (EOFError, zlib.error, gzip.BadGzipFile)
    if packed == "zstd":
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        return zstd.open, (EOFError, zstd.ZstdError)
    return lambda path: path.open("rb"), ()


def _looks_wide(head: bytes) -> str | None:
    """Tell UTF-16 without a mark by its zeros: nearly every second byte, where letters are Latin."""
    sample = head[:2000]
    half = len(sample) // 2
    if half < 4:
        return None
    if sample[1::2].count(0) > 0.8 * half and not sample[0::2].count(0):
        return "utf-16-le"
    if sample[0::2].count(0) > 0.8 * half and not sample[1::2].count(0):
        return "utf-16-be"
    return None


def _try(line: bytes, encoding: str, error: UnicodeDecodeError, begins: int) -> str | None:
    """Return the word around the first wrong byte as an encoding reads it."""
    at = error.start - begins
    word = line[:at].rsplit(b",")[-1].rsplit(b";")[-1].rsplit(b"\t")[-1][-20:]
    rest = line[at : at + 20].split(b",")[0].split(b";")[0].split(b"\t")[0]
    try:
        text = (word + rest).decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
