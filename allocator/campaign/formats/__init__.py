"""Tables in every form that people have them: text with any mark between cells, workbooks, Parquet, Arrow,
databases. `open_table` gives each as a frame of text with the rows that an editor shows; `respell` reads
numbers and dates as they are written, and `look_at` says what a file is like that nothing is known of.
"""

from allocator.campaign.formats.looking import ColumnFacts, FileFacts, look_at, sheets_of
from allocator.campaign.formats.numbers import as_plain
from allocator.campaign.formats.opening import digest_of_source, open_parts, open_table
from allocator.campaign.formats.raw import FIRST_ROW, Place, RawTable, RowsKept
from allocator.campaign.formats.settings import TABLES, Format, TableFormat, Tables
from allocator.campaign.formats.sources import Source, find_source, source_of_file, tables_in
from allocator.campaign.formats.spelling import PROGRAM, Kind, Notation, offer_findings, respell

__all__ = [
    "FIRST_ROW",
    "PROGRAM",
    "TABLES",
    "ColumnFacts",
    "FileFacts",
    "Format",
    "Kind",
    "Notation",
    "Place",
    "RawTable",
    "RowsKept",
    "Source",
    "TableFormat",
    "Tables",
    "as_plain",
    "digest_of_source",
    "find_source",
    "look_at",
    "offer_findings",
    "open_parts",
    "open_table",
    "respell",
    "sheets_of",
    "source_of_file",
    "tables_in",
]
