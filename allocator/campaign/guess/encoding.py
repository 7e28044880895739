"""Which encoding a file has that is not UTF-8: a guess for people to look at."""

from __future__ import annotations

import re
from pathlib import Path

from allocator.campaign.formats import TableFormat, source_of_file

WESTERN, CHINESE = "windows-1252", "gb18030"
HEAD = 1_000_000  # bytes that are looked at


def guess_encoding(path: Path) -> TableFormat | None:
    """Return the encoding of a text file that is not UTF-8; None where there is nothing to guess.

    Letters with accents stand alone among plain ones, characters of two bytes beside each other.
    """
    if source_of_file(path).kind != "text" or path.suffix in (".gz", ".zst"):
        return None
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        return None
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 4 and len(head) == HEAD:  # a character cut in two
            return None
    else:
        return None
    runs = re.findall(rb"[\x80-\xff]+", head)
    pairs = sum(len(run) > 1 for run in runs)
    return TableFormat(encoding=CHINESE if pairs > len(runs) / 2 else WESTERN)
