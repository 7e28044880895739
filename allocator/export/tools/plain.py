"""CSV files for any other tool; outcomes of it are filled in as they are, so that there are no events."""

from __future__ import annotations

from allocator.export.tool import Tool

TOOL = Tool(
    name="csv",
    title="CSV",
    keys={"id": "user_id", "email": "email", "phone": "phone"},
    one_row_each=True,
)
