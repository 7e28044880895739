"""Reference tables of the files for sending tools, made from the code that writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from campaign_reference import Reference, Row
from sphinx.application import Sphinx

KEYS = {"id": "The user's id", "email": "The user's e-mail address", "phone": "The user's phone number"}


class SendingTools(Reference):
    """The tools that messages are sent with."""

    optional_arguments = 0
    heads = ("`--for`", "tool", "people are known by", "most of a file", "texts are cut at", "documented")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each tool."""
        from allocator.export import TOOLS

        for tool in TOOLS.values():
            keys = " or ".join(f"`{header}`" for header in tool.keys.values())
            bytes_ = "" if tool.file_bytes is None else f"{tool.file_bytes / 1e6:,.0f} MB"
            rows = "" if tool.file_rows is None else f"{tool.file_rows:,} rows"
            cut = "" if tool.cell_bytes is None else f"{tool.cell_bytes} bytes"
            links = [("imports", tool.imports), ("results", tool.results)]
            places = [f"[{name} {i}](<{url}>)" for name, urls in links for i, url in enumerate(urls, start=1)]
            most = ", ".join(filter(None, (bytes_, rows)))
            yield f"`{tool.name}`", tool.title, keys, most, cut, " ".join(places)

    def check(self, meanings: Mapping[str, str], names: Iterable[str]) -> None:
        """Accept all: the code says what each is."""


class SentColumns(Reference):
    """The columns of the files for one tool: ``{sent-columns} braze``."""

    required_arguments = 1
    optional_arguments = 0
    heads = ("column", "in", "holds")

    def rows(self, meanings: Mapping[str, str]) -> Iterable[Row]:
        """Return a row for each key, address, field, and column of the suppression list."""
        from allocator.export import TOOLS
        from allocator.export.tool import FIELDS, OF_CHANNEL, PARTS, SUPPRESSED

        tool = TOOLS[self.arguments[0]]
        for kind, header in tool.keys.items():
            first = (
                "" if len(tool.keys) == 1 or tool.one_row_each else " One of these: the first that is there."
            )
            yield f"`{header}`", "all files", f"{KEYS[kind]} (`--{kind}`).{first}"
        for channel, (kind, header) in tool.beside.items():
            yield f"`{header}`", f"`{channel}.csv`", f"{KEYS[kind]} (`--{kind}`)."
        if tool.one_row_each:
            yield "`channel`", "all channels", "On which it is sent."
        for name, meaning in FIELDS.items():
            of = [channel for channel in OF_CHANNEL if tool.header(channel, name) in tool.columns(channel)]
            files = ", ".join(f"`{channel}.csv`" for channel in of) if name in PARTS else "all channels"
            yield f"`{tool.header('<channel>', name)}`", files, meaning
        for name, meaning in SUPPRESSED.items():
            yield f"`{name}`", "`suppression.csv`", meaning

    def check(self, meanings: Mapping[str, str], names: Iterable[str]) -> None:
        """Accept all: the code says what each is."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the directives."""
    app.add_directive("sending-tools", SendingTools)
    app.add_directive("sent-columns", SentColumns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
