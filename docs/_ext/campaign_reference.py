"""Reference tables made from the code: files' columns, keys of campaign.toml, exit codes, HTTP paths.

The content of a directive says what each name means, one ``name: meaning`` a line. A name of the code
without a meaning, and a meaning without a name, are warnings: with warnings as errors, both stay alike.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import annotated_types
from docutils import nodes
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

log = logging.getLogger(__name__)

Row = tuple[str, ...]
TYPES = {
    "text": "text", "number": "number", "integer": "whole number", "flag": "0 or 1", "date": "date or time",
    "time": "date or time",
}  # fmt: skip
SHOWN = 6  # columns of an export's header, beside those that are read
NAMES = {str: "text", float: "number", int: "whole number", bool: "true or false", dict: "table"}


class Reference(SphinxDirective):
    """A table of names and their meanings."""

    has_content = True
    optional_arguments = 1
    heads: ClassVar[Row]

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        meanings = self.meanings()
        rows = list(self.rows(meanings))
        self.check(meanings, [re.sub(r"`", "", row[0]) for row in rows])
        return self.table(rows)

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return the cells of each row, the name first."""
        raise NotImplementedError

    def meanings(self) -> dict[str, str]:
        """Return the content as a mapping."""
        found: dict[str, str] = {}
        for line in self.content:
            name, colon, meaning = line.partition(": ")
            if line.startswith(" ") and found:
                found[next(reversed(found))] += " " + line.strip()
            elif colon:
                found[name] = meaning.strip()
        return found

    def check(self, meanings: Mapping[str, str], names: Iterable[str]) -> None:
        """Warn of names that are on one side only."""
        named = list(names)
        for name in [name for name in named if name not in meanings]:
            log.warning("no meaning is given of '%s'", name, location=self.get_location())
        for name in [name for name in meanings if name not in named]:
            log.warning("'%s' is not in the code", name, location=self.get_location())

    def table(self, rows: Iterable[Row]) -> list[nodes.Node]:
        """Return a table, from Markdown."""
        lines = [self.heads, ("---",) * len(self.heads), *rows]
        cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        return self.parse_text_to_nodes("\n".join("| " + " | ".join(line) + " |" for line in cells))


class CampaignColumns(Reference):
    """The columns of a campaign file: ``{campaign-columns} users``."""

    required_arguments = 1
    optional_arguments = 0
    heads = ("column", "holds", "if left out", "meaning", "other names")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each column of the schema."""
        from allocator.campaign import cell_types, schema
        from allocator.campaign.columns.exports import other_names

        known = other_names().get(self.arguments[0], {})
        for column in getattr(schema, self.arguments[0].upper()).columns:
            bounds = [f"{column.at_least:g} or more"] if column.at_least is not None else []
            if column.above is not None:
                bounds = [f"above {column.above:g}"]
            elif column.at_most not in (None, cell_types.MOST_AMOUNT):
                bounds = [f"{column.at_least:g} to {column.at_most:g}"]
            if column.one_of:
                bounds = [" ".join(f"`{text}`" for text in column.one_of)]
            holds = bounds[0] if column.one_of else ", ".join([TYPES[column.type], *bounds])
            default = int(column.default) if isinstance(column.default, bool) else column.default
            absent = "required" if column.required else _value(default)
            names = [
                *column.aliases,
                *(n for key in (column.name, *column.aliases) for n in known.get(key, ())),
            ]
            others = " ".join(f"`{name}`" for name in dict.fromkeys(names))
            yield f"`{column.name}`", holds, absent, meanings.get(column.name, ""), others


class CampaignKeys(Reference):
    """The keys of a table of campaign.toml: ``{campaign-keys} Objective``."""

    required_arguments = 1
    optional_arguments = 0
    heads = ("key", "holds", "if left out", "meaning")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each field of the model; tables of their own are told elsewhere."""
        from allocator.campaign import config
        from allocator.campaign.columns import meanings as columns

        name = self.arguments[0]
        model: type[BaseModel] = getattr(config if hasattr(config, name) else columns, name)
        for name, field in model.model_fields.items():
            key = field.alias or name
            if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
                continue
            default = "required" if field.is_required() else _value(field.get_default())
            yield f"`{key}`", _type(field.annotation, field), default, meanings.get(key, "")


class KnownExports(Reference):
    """The exports of common tools that are recognised by their headers, with sources."""

    optional_arguments = 0
    heads = ("tool", "file", "is", "columns", "header", "documented")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each export."""
        from allocator.campaign.columns.exports import exports

        for export in exports():
            columns = [f"`{name}` is {' and '.join(of.is_)}" for name, of in export.columns.items()]
            shown = [name for name in export.names() if name not in export.columns][:SHOWN]
            others = ", ".join(f"`{name}`" for name in shown)
            left = len(export.names()) - len(export.columns) - len(shown)
            more = f" and {left} more" if left > 0 else ""
            sources = " ".join(f"[{i}](<{url}>)" for i, url in enumerate(export.sources, start=1))
            yield export.tool, export.what, f"{export.table}.csv", "; ".join(columns), others + more, sources

    def check(self, meanings: Mapping[str, str], names: Iterable[str]) -> None:
        """Accept all: the code says what each is."""


class LimitKeys(Reference):
    """The keys of all kinds of limits in one table."""

    optional_arguments = 0
    heads = ("key", "holds", "meaning", "kinds")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each key of any kind, with the kinds that have it; bold where it is required."""
        from allocator.plugins import registry

        kinds: dict[str, list[str]] = {}
        types_of: dict[str, str] = {}
        for kind in registry.names(registry.LIMITS):
            cls = registry.load(registry.LIMITS, kind)
            if not cls.__module__.startswith("allocator."):
                continue  # another package's, which happens to be installed
            hints = typing.get_type_hints(cls)
            for field in dataclasses.fields(cls):
                free = field.default is dataclasses.MISSING and (cls.__name__, field.name) != (
                    "Inventory",
                    "at_most",
                )
                kinds.setdefault(field.name, []).append(f"**{kind}**" if free else kind)
                types_of.setdefault(field.name, _type(hints[field.name]))
        for key in meanings:
            if key in kinds:
                yield f"`{key}`", types_of[key], meanings[key], ", ".join(kinds[key])
        for key in [key for key in kinds if key not in meanings]:
            yield f"`{key}`", types_of[key], "", ", ".join(kinds[key])


class ExitCodes(Reference):
    """The exit codes of the command line."""

    optional_arguments = 0
    heads = ("code", "meaning")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for 0, for click's 2, and for each code of `cli.failures`."""
        from cli import failures

        ours = [value for name, value in vars(failures).items() if name.isupper() and isinstance(value, int)]
        for code in sorted({0, 2, *ours}):
            yield f"`{code}`", meanings.get(str(code), "")


class HttpPaths(Reference):
    """The paths of the HTTP service, from its OpenAPI description."""

    optional_arguments = 0
    heads = ("request", "does", "right answers", "problems")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each operation."""
        from allocator.service.gate import OPEN

        for path, operations in openapi()["paths"].items():
            for method, operation in operations.items():
                codes = sorted(code for code in operation["responses"] if code != "401" or path not in OPEN)
                right = ", ".join(code for code in codes if code < "400")
                wrong = ", ".join(code for code in codes if code >= "400")
                does = operation["description"].partition("\n\n")[0].replace("\n", " ")
                yield f"`{method.upper()} {path}`", does, right, wrong

    def check(self, meanings: Mapping[str, str], names: Iterable[str]) -> None:
        """Accept all: the code says what each operation does."""


class HttpStatuses(Reference):
    """The statuses of problems over HTTP, as the service's description names them."""

    optional_arguments = 0
    heads = ("status", "name", "meaning")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each status of a problem."""
        operations = [op for path in openapi()["paths"].values() for op in path.values()]
        for code in sorted({int(code) for op in operations for code in op["responses"] if code >= "400"}):
            yield f"`{code}`", HTTPStatus(code).phrase, meanings.get(str(code), "")


def openapi() -> dict[str, Any]:
    """Return the description of a service with keys."""
    from allocator.service.app import create_app
    from allocator.service.settings import Settings

    app = create_app(Settings(data=Path("data")))
    document: dict[str, Any] = app.openapi()
    return document


def _value(value: Any) -> str:
    if value is None or value == {} or value == [] or value == () or value == "":
        return ""
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(annotation: Any, field: FieldInfo | None = None) -> str:
    """Return a type in words, with the bounds that a field states."""
    bounds = _bounds([] if field is None else field.metadata)
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        inner, *metadata = parts
        bounds = bounds or _bounds(metadata)
        words = "date and time" if "datetime" in str(inner) else _type(inner)
    elif origin is typing.Literal:
        words = " ".join(_value(part) for part in parts)
    elif origin in (typing.Union, types.UnionType):
        words = " or ".join(dict.fromkeys(_type(part) for part in parts if part is not types.NoneType))
    elif origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, typing.Sequence)):
        inner = next((part for part in parts if part is not Ellipsis), Any)
        words = "list" if inner is Any else f"list of {_many(_type(inner))}"
    elif origin is dict or (inspect.isclass(origin) and issubclass(origin, Mapping)):
        words = "table"
    elif annotation is Any:
        words = "any"
    elif inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        words = "table"
    else:
        words = NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))
    return f"{words}{bounds}"


def _many(words: str) -> str:
    return {"text": "texts", "number": "numbers", "table": "tables"}.get(words, words)


def _bounds(metadata: Iterable[Any]) -> str:
    words = []
    makers: tuple[tuple[type, Callable[[Any], str]], ...] = (
        (annotated_types.Gt, lambda bound: f"above {bound.gt:.10g}"),
        (annotated_types.Ge, lambda bound: f"{bound.ge:.10g} or more"),
        (annotated_types.Lt, lambda bound: f"below {bound.lt:.10g}"),
        (annotated_types.Le, lambda bound: f"at most {bound.le:.10g}"),
        (annotated_types.MaxLen, lambda bound: f"at most {bound.max_length} characters"),
    )
    for item in metadata:
        words += [make(item) for kind, make in makers if isinstance(item, kind)]
    return ", " + ", ".join(words) if words else ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the directives."""
    for name, directive in (
        ("campaign-columns", CampaignColumns),
        ("campaign-keys", CampaignKeys),
        ("limit-keys", LimitKeys),
        ("known-exports", KnownExports),
        ("exit-codes", ExitCodes),
        ("http-paths", HttpPaths),
        ("http-statuses", HttpStatuses),
    ):
        app.add_directive(name, directive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
