"""API keys: who calls. Only digests are stored, so that a list of keys opens nothing."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from allocator.errors import Finding, InputError

VARIABLE = "ALLOCATE_API_KEYS"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
PREFIX = "alc_"


@dataclass(frozen=True)
class Keys:
    """The callers: SHA-256 of each key by the caller's name."""

    digests: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def owner(self, key: str) -> str | None:
        """Return whose key this is, in a time that does not depend on it; None for nobody's."""
        digest, found = digest_of(key), None
        for name, known in self.digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def new_key() -> str:
    """Return a fresh key."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def line_of(name: str, key: str) -> str:
    """Return the line of a keys file that lets `key` in under `name`.

    Raises
    ------
    InputError
        If the name cannot be one.
    """
    if not NAME.fullmatch(name):
        message = "a key's name has up to 64 letters, digits, dots, dashes and underscores"
        raise InputError(Finding(message, found=repr(name)))
    return f"{name}:{digest_of(key)}"


def read_keys(file: Path | None) -> Keys:
    """Read keys from a file, one ``name:sha256`` a line, and from the environment, split by commas.

    Raises
    ------
    InputError
        With every line that is none, and every name that stands twice.
    """
    lines: list[tuple[str, int | None, str]] = []
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(Finding(f"the keys cannot be read: {error}", file=str(file))) from error
        lines += [(str(file), row, line) for row, line in enumerate(text.splitlines(), start=1)]
    lines += [(VARIABLE, None, part) for part in os.environ.get(VARIABLE, "").split(",")]
    keys = _parse(lines)
    if file is not None and not keys:
        message = "the file holds no key; `allocate serve --new-key NAME` makes one"
        raise InputError(Finding(message, file=str(file)))
    return keys


def _parse(lines: Iterable[tuple[str, int | None, str]]) -> Keys:
    digests: dict[str, str] = {}
    findings: list[Finding] = []
    for place, row, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, _, digest = (part.strip() for part in line.partition(":"))
        if not NAME.fullmatch(name) or not DIGEST.fullmatch(digest):  # perhaps a bare key, so not shown
            message = "this is no key; `allocate serve --new-key NAME` prints a line to put here"
            findings.append(Finding(message, place, row, expected="name:sha256"))
        elif name in digests:
            findings.append(Finding("two keys have one name", place, row, found=repr(name)))
        else:
            digests[name] = digest
    if findings:
        raise InputError(findings)
    return Keys(digests)
