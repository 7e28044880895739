"""All columns of ``users`` that speak of being contacted -> consent for each channel, and the holdout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from allocator.campaign.columns.meanings import FEATURE, IGNORE
from allocator.campaign.consent import vocabulary as v
from allocator.campaign.consent.cells import Cells
from allocator.campaign.consent.reading import Aside, Doubt, Statement, meaning_of, read_column
from allocator.campaign.schema import CHANNELS, CONSENT
from allocator.errors import Finding

HOLDOUT = "holdout"


@dataclass(frozen=True)
class Source:
    """A column of the file that says who may be contacted.

    Parameters
    ----------
    column
        Its name in the file.
    channels
        What it is about; empty for a control group and for channels that are not sent on.
    general
        It names no channel and was taken to be about all.
    grants
        Who is not ruled out by it may be written to.
    how
        How its cells were read.
    """

    column: str
    channels: tuple[str, ...]
    general: bool
    grants: bool
    how: str

    def __str__(self) -> str:
        return f"'{self.column}': {self.how}"


@dataclass(frozen=True)
class Contact:
    """What ``users`` says of who may be contacted, and where.

    Parameters
    ----------
    consent
        The columns that say who may be written to.
    holdout
        Those that say who is in a control group.
    notes
        What was not used, and where columns contradict each other.
    """

    consent: tuple[Source, ...] = ()
    holdout: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_stated(self) -> bool:
        """Whether any column says who may be written to; without, everyone counts as consenting."""
        return any(source.grants for source in self.consent)

    def about(self, channel: str) -> tuple[Source, ...]:
        """Return the columns that say who may be written to on a channel."""
        return tuple(source for source in self.consent if channel in source.channels)


NO_CONTACT = Contact()


@dataclass(frozen=True)
class Reading:
    """A frame of ``users`` in which contact is understood, or the findings that ask."""

    frame: pl.DataFrame
    contact: Contact = NO_CONTACT
    findings: tuple[Finding, ...] = ()


def read_contact(
    raw: pl.DataFrame, file: str, stated: Mapping[str, str], known: Iterable[str], translated: Iterable[str]
) -> Reading:
    """Replace the columns that speak of being contacted by ``consent_<channel>`` and ``holdout``.

    Whoever one column rules out is not written to, whatever another says. Columns that only rule out
    (such as hard bounces) let nobody be written to by themselves.

    Parameters
    ----------
    raw
        ``users`` as text, its known columns under their own names.
    file
        What findings name.
    stated
        What campaign.toml says that a column says, by its name.
    known
        Columns that are something else.
    translated
        Columns whose cells were replaced by what campaign.toml says that they mean.
    """
    skipped, translated = {*known, HOLDOUT}, set(translated)
    found = [
        read_column(raw[name], stated.get(name), translated=name in translated)
        for name in raw.columns
        if name not in skipped
    ]
    statements = [each for several in found if isinstance(several, list) for each in several]
    asides = [each for each in found if isinstance(each, Aside)]
    consent = [each for each in statements if each.speech.about == "contact"]
    control = [each for each in statements if each.speech.about == HOLDOUT]
    consent, late = _settled(consent)
    columns = _consent_columns(consent, raw.height) | _holdout_column(raw, control)
    doubts = [each for each in found if isinstance(each, Doubt)]
    used = {name for several in (statements, asides, doubts) for name in _columns_of(several)}
    left = [raw[name] for name in raw.columns if name not in used - set(columns)]
    frame = pl.DataFrame(left).with_columns(_text(column).alias(name) for name, column in columns.items())
    findings = [_asking(each, file) for each in doubts]
    if not doubts:  # which may be what such a column is about
        findings += [_asking_aside(each, file) for each in asides if not _is_covered(each, consent)]
    aside = [*_columns_of(asides), *late]
    remarks = (f"{file}, {each.remark}" for each in consent if each.remark)
    notes = (*remarks, *_contradictions(consent, file), *_unused(consent, aside, file))
    return Reading(frame, Contact(_sources(consent), _sources(control), notes), tuple(findings))


def _settled(statements: list[Statement]) -> tuple[list[Statement], list[str]]:
    """Return the statements that count, and the columns of opt-in times that others make unnecessary.

    When somebody opted in says less than whether they have: such times count only where nothing else
    does, and then any of them is enough.
    """
    times = [each for each in statements if each.timed and each.speech.says == "in"]
    direct = [each for each in statements if each not in times]
    inviting = [each for each in direct if each.speech.grants and each.speech.says != "out"]
    said = {channel for each in inviting for channel in each.channels}
    late = [each for each in times if said.issuperset(each.channels)]
    kept = [each for each in times if each not in late]
    if len(kept) > 1:
        anyone = pl.Series([False] * len(kept[0].true))
        for each in kept:
            anyone |= each.true
        kept = [replace(each, true=anyone) for each in kept]
    return [*direct, *kept], [each.column for each in late]


def _consent_columns(statements: list[Statement], n_users: int) -> dict[str, pl.Series]:
    """Return whom one may write to on each channel of which something is stated."""
    if not statements:
        return {}
    granted = {channel for each in statements if each.speech.grants for channel in each.channels}
    stated = any(each.speech.grants for each in statements)
    columns = {}
    for channel, name in CONSENT.items():
        about = [each for each in statements if channel in each.channels]
        may = pl.Series([channel in granted or not stated] * n_users)
        for each in about:
            may &= each.true
        columns[name] = may
    return columns


def _holdout_column(raw: pl.DataFrame, statements: list[Statement]) -> dict[str, pl.Series]:
    """Return who is held out: by the column of that name, and by any other that names a control group."""
    if not statements:
        return {HOLDOUT: _flags(raw[HOLDOUT])} if HOLDOUT in raw.columns else {}
    held = _flags(raw[HOLDOUT]) if HOLDOUT in raw.columns else pl.Series([None] * raw.height, dtype=pl.String)
    for each in statements:
        held = pl.select(pl.when(each.true).then(pl.lit("1")).otherwise(held)).to_series()
    return {HOLDOUT: held}


def _flags(column: pl.Series) -> pl.Series:
    """Return a column with ``control`` and the like as flags; what is not understood stays as it is."""
    cells = Cells.of(column)
    if not cells.any_of(v.IN_CONTROL):
        return column
    flags = {text: "1" for text, key in cells.keys.items() if key in v.IN_CONTROL}
    flags |= {text: "0" for text, key in cells.keys.items() if key in v.NOT_IN_CONTROL}
    return column.replace(flags)


def _text(column: pl.Series) -> pl.Series:
    return column if column.dtype == pl.String else column.cast(pl.Int8).cast(pl.String)


def _is_covered(aside: Aside, statements: list[Statement]) -> bool:
    return any(
        each.speech.grants and (not aside.speech.channels or set(each.channels) & set(aside.speech.channels))
        for each in statements
    )


def _columns_of(found: Iterable[Statement | Aside | Doubt]) -> list[str]:
    return [each.column for each in found]


def _sources(statements: Iterable[Statement]) -> tuple[Source, ...]:
    found: dict[str, Source] = {}
    for each in statements:
        earlier = found.get(each.column)
        channels = (*(earlier.channels if earlier else ()), *each.channels)
        found[each.column] = Source(each.column, channels, each.speech.general, each.speech.grants, each.how)
    return tuple(found.values())


def _contradictions(statements: list[Statement], file: str) -> Iterator[str]:
    for channel in CHANNELS:
        about = [each for each in statements if channel in each.channels]
        invited = [each.true for each in about if each.speech.says != "out"]
        if not invited or len(about) < 2:
            continue
        said = pl.DataFrame([each.true.alias(str(i)) for i, each in enumerate(about)])
        anybody = pl.DataFrame([true.alias(str(i)) for i, true in enumerate(invited)])
        ruled_out = ~said.select(pl.all_horizontal(pl.all())).to_series()
        both = (anybody.select(pl.any_horizontal(pl.all())).to_series() & ruled_out).sum()
        if both:
            names = _names(each.column for each in about)
            yield (
                f"{file}: of {names}, one lets {both:,} users be written to on {channel} and another does "
                "not: they are not"
            )


def _unused(statements: list[Statement], asides: list[str], file: str) -> Iterator[str]:
    other = [each.column for each in statements if not each.channels]
    if other:
        yield f"{file}: not used, as it is about a channel that is not sent on: {_names(other)}"
    if asides:
        yield f"{file}: not used, as other columns say who may be written to: {_names(asides)}"


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in dict.fromkeys(columns))


def _asking(doubt: Doubt, file: str) -> Finding:
    if doubt.column.startswith("consent_") and doubt.guess == "consent":
        expected = "one of " + ", ".join(CONSENT.values())
        return Finding("there is no such channel", file, 1, doubt.column, expected=expected)
    message = f"{doubt.why}; say in campaign.toml what it is"
    expected = _stated(doubt.column, doubt.guess, FEATURE, IGNORE)
    return Finding(message, file, 1, doubt.column, doubt.found, expected)


def _asking_aside(aside: Aside, file: str) -> Finding:
    message = (
        "the column is about consent, but does not say who may be contacted, and no other column does; say "
        "in campaign.toml what it is"
    )
    expected = _stated(aside.column, meaning_of(aside.speech), FEATURE, IGNORE)
    return Finding(message, file, 1, aside.column, expected=expected)


def _stated(column: str, *meanings: str) -> str:
    """Return what to write into campaign.toml."""
    quoted = [f'"{meaning}"' for meaning in meanings]
    return f'[columns.users] "{column}" = {", ".join(quoted[:-1])} or {quoted[-1]}'
