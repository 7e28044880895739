"""A file's header against what its table knows: by ``[columns]``, as an export, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from allocator.campaign.columns.exports import Export, other_names, recognised
from allocator.campaign.columns.meanings import ALL_OTHERS, FEATURE, FEATURES, IGNORE, NOTHING, Meaning
from allocator.campaign.columns.names import key_of, nearest
from allocator.campaign.schema import Column, TableSchema
from allocator.errors import Finding

FILE = "campaign.toml"


@dataclass(frozen=True)
class Match:
    """How the columns of one file are understood.

    Parameters
    ----------
    table
        The table that the file is.
    names
        The file's name of each column of the schema that it has.
    meanings
        What is known of the cells of a column, by its name in the file.
    stated
        What a column says of who may be contacted, by its name in the file.
    features, ignored
        Columns that are known to be a feature, and those that are not used.
    export
        What tool's export the file is, if any.
    findings
        What is wrong, and what must be asked.
    """

    table: str
    names: Mapping[str, str]
    meanings: Mapping[str, Meaning]
    stated: Mapping[str, str]
    features: tuple[str, ...]
    ignored: tuple[str, ...]
    export: Export | None
    findings: tuple[Finding, ...] = ()

    def unit_of(self, name: str) -> str:
        """Return the unit of a column of the file."""
        return self.meanings[name].unit if name in self.meanings else "one"


def match_header(
    header: Sequence[str], schema: TableSchema, file: str, meanings: Mapping[str, Meaning] = NOTHING
) -> Match:
    """Find out what each column is.

    What ``[columns]`` states comes first, then what a tool's export that is recognised means by it,
    then a column's own name in any case and spacing, then what else people call it. Where two columns
    could be one thing, a finding asks which; one finding names all columns that are not known.
    """
    return _Matching(header, schema, file, meanings).match()


@dataclass
class _Matching:
    header: Sequence[str]
    schema: TableSchema
    file: str
    stated_meanings: Mapping[str, Meaning]
    names: dict[str, str] = field(default_factory=dict)
    meanings: dict[str, Meaning] = field(default_factory=dict)
    stated: dict[str, str] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def match(self) -> Match:
        self._take_stated()
        export = self._take_export()
        self._take_names()
        rest = self._left()
        if (others := self.stated_meanings.get(ALL_OTHERS)) is not None:
            self._ignore_all(others, rest)
        else:
            self._report_strange(rest)
        return Match(
            self.schema.name, self.names, self.meanings, self.stated, tuple(self.features),
            tuple(self.ignored), export, tuple(self.findings),
        )  # fmt: skip

    def _left(self) -> list[str]:
        known = {*self.names.values(), *self.stated, *self.features, *self.ignored}
        return [name for name in self.header if name not in known]

    def _take(self, name: str, meaning: Meaning) -> None:
        """Note what a column of the file is."""
        self.meanings[name] = meaning
        for word in meaning.is_:
            if word == IGNORE:
                self.ignored.append(name)
            elif word in self._features():
                self.features.append(name)
            elif word in self.schema.contact:
                self.stated[name] = word
            else:
                self.names[self._own_name(word)] = name

    # What campaign.toml says

    def _take_stated(self) -> None:
        for written, meaning in self.stated_meanings.items():
            if written == ALL_OTHERS:
                continue
            name = self._column_called(written)
            if name is None:
                continue
            if self._are_known(written, meaning) and self._are_free(written, meaning):
                self._take(name, meaning)
            else:
                self.ignored.append(name)  # so that it is not asked for again

    def _column_called(self, written: str) -> str | None:
        """Return the column that campaign.toml means: by its exact name, else in any case and spacing."""
        found = _called(self.header, (written,))
        if len(found) == 1:
            return found[0]
        close = nearest(written, self.header)
        hint = f"; is it '{close}'?" if close else ""
        message = f"{self.file} has more than one such column" if found else f"{self.file} has no such column"
        listed = ", ".join(found or self.header)
        self.findings.append(Finding(message + hint, FILE, None, self._key(written), listed))
        return None

    def _are_known(self, written: str, meaning: Meaning) -> bool:
        known = self._words()
        strange = [word for word in meaning.is_ if self._own_name(word) not in known]
        for word in strange:
            close = nearest(word, known)
            message = "this is not what a column can be" + (f"; is it '{close}'?" if close else "")
            expected = f"one of {', '.join(known)}"
            self.findings.append(Finding(message, FILE, None, self._key(written), repr(word), expected))
        return not strange

    def _are_free(self, written: str, meaning: Meaning) -> bool:
        taken = [word for word in meaning.is_ if self._own_name(word) in self.names]
        for word in taken:
            other = self.names[self._own_name(word)]
            message = f"'{other}' is stated to be '{word}', too; keep one"
            self.findings.append(Finding(message, FILE, None, self._key(written)))
        return not taken

    def _words(self) -> tuple[str, ...]:
        return (*self._column_names(), *self.schema.parts, *self.schema.contact, *self._features(), IGNORE)

    def _features(self) -> tuple[str, ...]:
        """Return the words for a column that the table does not know."""
        if self.schema.extra == "error":
            return ()
        return FEATURES if self.schema.name == "users" else (FEATURE,)

    def _own_name(self, word: str) -> str:
        """Return the schema's name of a column that is called by one of its other names."""
        column = next((column for column in self.schema.columns if word in column.aliases), None)
        return word if column is None or word in self._column_names() else column.name

    def _ignore_all(self, meaning: Meaning, rest: Iterable[str]) -> None:
        if meaning.name == IGNORE:
            self.ignored += rest
            return
        message = "all other columns can only be ignored"
        key = self._key(ALL_OTHERS)
        self.findings.append(Finding(message, FILE, None, key, repr(meaning.name), f"'{IGNORE}'"))

    def _key(self, written: str) -> str:
        return f'columns.{self.schema.name}."{written}"'

    # What the export of a tool means

    def _take_export(self) -> Export | None:
        """Take what a known export means; a file that has the table's own key is no export."""
        if self.schema.columns[0].name in self.header:
            return None
        export = recognised(self.header, self.schema.name)
        if export is None:
            return None
        stated = set(self._left())
        for written, meaning in export.columns.items():
            free = [word for word in meaning.is_ if self._own_name(word) not in self.names]
            found = [name for name in _called(self.header, (written,)) if name in stated]
            if found and free:
                self._take(found[0], meaning.model_copy(update={"is_": tuple(free)}))
        if self.schema.extra == "error":
            keys = set(map(key_of, export.names()))
            self.ignored += [name for name in self._left() if key_of(name) in keys]
        self._ask_units(export, stated)
        return export

    def _ask_units(self, export: Export, unstated: set[str]) -> None:
        for name in _called(self.header, export.asks):
            if name in unstated and name in self.meanings:
                of = self.meanings[name].name
                message = (
                    f"in {export.title} this may be in cents; say in campaign.toml which: [columns."
                    f'{self.schema.name}] "{name}" = {{ is = "{of}", unit = "cents" }}, or unit = "one"'
                )
                self.findings.append(Finding(message, self.file, 1, name))

    # What names say

    def _take_names(self) -> None:
        for column in self.schema.columns:
            if column.name in self.names:
                continue
            left = self._left()
            for known in ((column.name,), self._other_names(column)):
                if found := _called(left, known):
                    self.names[column.name] = found[0]
                    self._ask_which(found, column.name)
                    break
        whole = {"kind", "value"} <= self.names.keys()
        for part in () if whole else self.schema.parts:
            if part not in self.names and (found := _called(self._left(), (part,))):
                self.names[part] = found[0]

    def _other_names(self, column: Column) -> tuple[str, ...]:
        known = other_names().get(self.schema.name, {})
        return (*column.aliases, *(n for key in (column.name, *column.aliases) for n in known.get(key, ())))

    def _ask_which(self, found: Sequence[str], name: str) -> None:
        if len(found) > 1:
            message = (
                f"more than one column could be '{name}'; rename one to '{name}', or say which in "
                f"campaign.toml: {self._statement(found[0], name)}"
            )
            self.findings.append(Finding(message, self.file, 1, name, found=", ".join(found)))

    def _report_strange(self, rest: Sequence[str]) -> None:
        """Name all columns that are unknown, or that look like a misspelling, in one finding."""
        missing = [name for name in self._column_names() if name not in self.names]
        close = {name: nearest(name, missing) for name in rest}
        strict = self.schema.extra == "error"
        strange = [name for name in rest if strict or close[name]]
        if not strange:
            return
        guesses = [f"'{name}' may be '{close[name]}'" for name in strange if close[name]]
        example = self._statement(strange[0], close[strange[0]] or (IGNORE if strict else FEATURE))
        if len(strange) == 1:
            what = "unknown column" if strict else "this may be a misspelling"
            message, found = f"{what}; rename it, or say in campaign.toml what it is: {example}", None
        else:
            what = "unknown columns" if strict else "these may be misspellings"
            message = f"{what}; rename them, or say in campaign.toml what they are, such as {example}"
            message += f', or "{ALL_OTHERS}" = "{IGNORE}" for all others' if strict else ""
            found = ", ".join(strange)
        message += f" ({'; '.join(guesses)})" if guesses else ""
        column = strange[0] if len(strange) == 1 else None
        expected = f"one of {', '.join(sorted(self._column_names()))}"
        self.findings.append(Finding(message, self.file, 1, column, found, expected))

    def _statement(self, name: str, meaning: str) -> str:
        return f'[columns.{self.schema.name}] "{name}" = "{meaning}"'

    def _column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.schema.columns)


def _called(columns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the columns that have one of these names: exactly, else in any case and spacing."""
    columns, names = list(columns), list(names)
    exact, keys = set(names), set(map(key_of, names))
    return [name for name in columns if name in exact] or [name for name in columns if key_of(name) in keys]
