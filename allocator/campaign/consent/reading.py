"""One column of ``users`` -> what it states of who may be contacted, or why that cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from allocator.campaign.columns.names import key_of, nearest
from allocator.campaign.consent import vocabulary as v
from allocator.campaign.consent.cells import MANY, Cells
from allocator.campaign.consent.speech import Speech, speech_of
from allocator.campaign.schema import CHANNELS, CONSENT, OPT_OUT

SELF_SPEAKING = (v.SUBSCRIBED, v.UNSUBSCRIBED)
FLAGS = (v.YES, v.NO)
ACCOUNT = frozenset(v.OF_AN_ACCOUNT)
OPTED_IN = frozenset({"optedin"})
BRAZE = frozenset({"emailsubscribe", "pushsubscribe"})
CONTACT, CONTROL_GROUP = Speech("contact"), Speech("holdout")


@dataclass(frozen=True, eq=False)
class Statement:
    """What a column states of each user.

    Parameters
    ----------
    column
        Its name in the file.
    speech
        What its name says, or what campaign.toml says of it.
    true
        (n_users,) whether one may write to the user on `channels`; of a control group, who is in it.
    channels
        Channels it is about.
    how
        How its cells were read, for people.
    timed
        Its cells are times.
    remark
        What else to know of it.
    """

    column: str
    speech: Speech
    true: pl.Series
    channels: tuple[str, ...]
    how: str
    timed: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Aside:
    """A column about consent that does not say whether there is one."""

    column: str
    speech: Speech


@dataclass(frozen=True)
class Doubt:
    """Why a column that speaks of being contacted is not understood, what was found in it, what it may be."""

    column: str
    why: str
    found: str
    guess: str


def declared(meaning: str) -> Speech:
    """Return what campaign.toml says of a column: ``consent_email``, ``opt_out_sms``, ``consent``..."""
    for names, says in ((CONSENT, "in"), (OPT_OUT, "out")):
        for channel, name in names.items():
            if name == meaning:
                return Speech("contact", says, (channel,), general=False)  # type: ignore[arg-type]
    return Speech("contact", "in" if meaning == "consent" else "out", CHANNELS)


def meaning_of(speech: Speech) -> str:
    """Return what campaign.toml would call it."""
    if speech.about == "holdout":
        return "holdout"
    names, general = (OPT_OUT, "opt_out") if speech.says == "out" else (CONSENT, "consent")
    return general if speech.general or not speech.channels else names[speech.channels[0]]


def read_column(
    column: pl.Series, stated: str | None = None, *, translated: bool = False
) -> list[Statement] | Aside | Doubt | None:
    """Return what a column of text states.

    Parameters
    ----------
    column
        The cells, null where empty; its name is that in the file.
    stated
        What campaign.toml says that it is.
    translated
        Its cells are what campaign.toml says that they mean.

    Returns
    -------
    list of Statement, Aside, Doubt or None
        None for a column that does not speak of being contacted.
    """
    name = speech_of(column.name)
    if stated is not None:
        speech, cells = declared(stated), Cells.of(column)
        if speech.says == "out" and not cells.counts:
            how = "all cells are empty: nobody opted out"
            return [Statement(column.name, speech, column.is_null(), speech.channels, how)]
        opposite = name.about == "contact" and {name.says, speech.says} == {"in", "out"} and not translated
        if opposite and (cells.dated or cells.all_of(*FLAGS)):
            why = f"the name says the opposite of '{stated}' in campaign.toml; rename it if that is right"
            return _doubt(column, cells, replace(speech, says=name.says), why)
        return _contact(column, cells, speech)
    if name.about == "holdout":
        return _control_group(column, Cells.of(column), name)
    if name.about == "contact" and name.strong:
        return _contact(column, Cells.of(column), name)
    return _spoken_by_cells(column, name)


def _contact(column: pl.Series, cells: Cells, speech: Speech) -> list[Statement] | Aside | Doubt:
    if not speech.channels:
        how = "about a channel that is not sent on"
        return [Statement(column.name, speech, column.is_not_null(), (), how)]
    if speech.aside:
        return Aside(column.name, speech)
    if speech.unclear:
        why = "the name speaks of being contacted, but may mean something else"
        return _doubt(column, cells, speech, why)
    if not cells.counts:
        return _empty(column, cells, speech)
    if cells.dated:
        return _times(column, cells, speech)
    if speech.says == "in" and speech.general and (lists := cells.channels()) is not None:
        return _lists(column, speech, lists)
    allowed = _allowed(cells, speech)
    return allowed if isinstance(allowed, Doubt) else _flags(column, cells, speech, allowed)


def _allowed(cells: Cells, speech: Speech) -> dict[str, bool]:
    """Return the cells that are understood: whether one may write to who has them."""
    allowed: dict[str, bool] = {}
    speaking = cells.any_of(*SELF_SPEAKING) or (speech.says != "out" and cells.any_of(v.OF_DELIVERY))
    plain = cells.all_of(*FLAGS)
    if cells.all_of(v.MARKS) and len(cells.counts) == 1 and speech.says != "either":
        return dict.fromkeys(cells.counts, speech.says == "in")
    for text, key in cells.keys.items():
        if key in v.SUBSCRIBED or key in v.UNSUBSCRIBED:
            allowed[text] = key in v.SUBSCRIBED
        elif key in v.YES or key in v.NO:
            if speech.says == "in" or (speech.says == "out" and plain):
                allowed[text] = (key in v.YES) == (speech.says == "in")
        elif key in v.REFUSED and (speech.says != "out" or speaking):
            allowed[text] = False
        elif key in v.AGREED and speech.says != "out":
            allowed[text] = True
        elif key in v.OF_AN_ACCOUNT and speech.says != "out" and (speaking or speech.says == "in"):
            allowed[text] = v.OF_AN_ACCOUNT[key]
    return allowed


def _flags(
    column: pl.Series, cells: Cells, speech: Speech, allowed: dict[str, bool]
) -> list[Statement] | Doubt:
    strange = {text: count for text, count in cells.counts.items() if text not in allowed}
    if strange or cells.many:
        if speech.says == "either" and cells.all_of(*FLAGS):
            why = "the name does not say whether a yes means that one may write"
        elif speech.says == "out" and cells.all_of(*FLAGS, v.AGREED, v.REFUSED, ACCOUNT):
            why = "the name says opted out, and the values may say the opposite"
        else:
            why = "the column speaks of being contacted, and these values are not understood"
        return _doubt(column, cells, speech, why, strange)
    true = _where(column, [text for text, may in allowed.items() if may])
    empty = "no consent"
    if speech.says == "out":
        # Where only those who opted out are marked, nobody else has; where both are, empty cells are unknown.
        marked = not any(allowed.values())
        true = true | column.is_null() if marked else true
        empty = "not opted out" if marked else "unknown, so not written to"
    how = _how(cells, allowed, empty)
    return [Statement(column.name, speech, true, speech.channels, how, remark=_neither(column.name, cells))]


def _neither(name: str, cells: Cells) -> str:
    """Say so where *subscribed* may be everybody who has not opted out, as it is in Braze."""
    count = sum(cells.counts[text] for text, key in cells.keys.items() if key == "subscribed")
    if not count or not (cells.any_of(OPTED_IN) or key_of(name) in BRAZE):
        return ""
    meaning = meaning_of(speech_of(name))
    return (
        f"'{name}': beside opted_in, subscribed ({count:,}) is who has neither opted in nor out, as in "
        "Braze; they may be written to. If that is not enough, say "
        f'[columns.users] "{name}" = {{ is = "{meaning}", values = {{ subscribed = "no" }} }}'
    )


def _lists(column: pl.Series, speech: Speech, lists: Mapping[str, frozenset[str]]) -> list[Statement]:
    """Return a statement for each channel of cells such as ``email, sms``."""
    how = "the channels that a cell lists may be written to; an empty cell is no consent"
    listing = {channel: [text for text, names in lists.items() if channel in names] for channel in CHANNELS}
    speech = replace(speech, general=False)
    return [
        Statement(column.name, speech, _where(column, texts), (channel,), how)
        for channel, texts in listing.items()
    ]


def _times(column: pl.Series, cells: Cells, speech: Speech) -> list[Statement] | Aside:
    if speech.says == "either" or speech.noun:
        return Aside(column.name, speech)
    filled = column.is_not_null() & ~column.str.contains(v.NO_DATE).fill_null(False)
    times = len(column) - cells.blank
    if speech.says == "in":
        how = f"a time ({times:,} cells) is when somebody opted in; an empty cell is no consent"
        return [Statement(column.name, speech, filled, speech.channels, how, timed=True)]
    how = f"a time ({times:,} cells) is when somebody opted out; an empty cell is nobody who did"
    return [Statement(column.name, speech, ~filled, speech.channels, how, timed=True)]


def _empty(column: pl.Series, cells: Cells, speech: Speech) -> list[Statement] | Doubt:
    nobody = pl.Series(column.name, [False] * len(column))
    if speech.says == "out":
        if speech.timed:
            how = "all cells are empty: nobody opted out"
            return [Statement(column.name, speech, ~nobody, speech.channels, how, timed=True)]
        return _doubt(column, cells, speech, "the name says opted out, and all cells are empty")
    how = "all cells are empty: no consent"
    return [Statement(column.name, speech, nobody, speech.channels, how, timed=speech.timed)]


def _control_group(column: pl.Series, cells: Cells, speech: Speech) -> list[Statement] | Doubt:
    held = {text for text, key in cells.keys.items() if key in v.YES or key in v.IN_CONTROL}
    strange = cells.others_than(*FLAGS, v.IN_CONTROL, v.NOT_IN_CONTROL)
    if strange or cells.many or speech.unclear:
        why = "the name speaks of a control group, and it cannot be told who is in it"
        return _doubt(column, cells, speech, why, strange or None)
    known = {text: text in held for text in cells.counts}
    how = _how(cells, known, "not in it", ("in it", "not"))
    return [Statement(column.name, speech, _where(column, list(held)), (), how)]


def _spoken_by_cells(column: pl.Series, name: Speech) -> list[Statement] | Doubt | None:
    """Read a column whose name is not enough: its cells must speak of being contacted."""
    distinct = column.unique().drop_nulls()
    if len(distinct) > MANY:
        return _loud_cells(column, distinct)
    cells = Cells.of(column)
    flags = bool(cells.counts) and cells.all_of(*FLAGS)
    if cells.any_of(*SELF_SPEAKING) or (name.about and name.says == "in" and flags):
        speech = replace(name, about="contact", strong=True, unclear=False)
        allowed = _allowed(cells, speech)
        if len(allowed) < len(cells.counts):
            why = "some values speak of being contacted, and others are not understood"
            return _doubt(column, cells, speech, why)
        return _flags(column, cells, speech, allowed)
    if cells.any_of(v.IN_CONTROL):
        return _doubt(column, cells, CONTROL_GROUP, "a value speaks of a control group")
    if name.unclear and flags:
        return _doubt(column, cells, name, "the name may say who may be written to on this channel")
    if not name.about and (close := nearest(column.name, (*CONSENT.values(), *OPT_OUT.values()))):
        return _doubt(column, cells, declared(close), f"the name may be a misspelling of '{close}'")
    return _loud_cells(column, distinct)


def _loud_cells(column: pl.Series, distinct: pl.Series) -> Doubt | None:
    """Find cells that speak of not being contacted among other things, such as tags; no addresses."""
    loud = distinct.filter(distinct.str.contains(v.LOUD) & ~distinct.str.contains(r"@|://"))
    if not loud.len():
        return None
    cells = Cells.of(column.filter(column.is_in(loud.implode())))
    return _doubt(column, cells, CONTACT, "values speak of not being contacted")


def _doubt(
    column: pl.Series, cells: Cells, speech: Speech, why: str, found: dict[str, int] | None = None
) -> Doubt:
    return Doubt(column.name, why, cells.shown(found or None), meaning_of(speech))


def _where(column: pl.Series, texts: list[str]) -> pl.Series:
    return column.is_in(texts).fill_null(False)


def _how(
    cells: Cells,
    true: Mapping[str, bool],
    empty: str,
    words: tuple[str, str] = ("may be written to", "may not"),
) -> str:
    parts = []
    for side, word in ((True, words[0]), (False, words[1])):
        if counts := {text: cells.counts[text] for text, is_true in true.items() if is_true is side}:
            parts.append(f"{cells.shown(counts)} {word}")
    if cells.blank:
        parts.append(f"empty cells ({cells.blank:,}) are {empty}")
    return "; ".join(parts)
