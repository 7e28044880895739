"""What the template writer says."""

from __future__ import annotations

from allocator.plugins.copy import Brief
from copygen import TemplateWriter


def written(asked: Brief) -> dict[str, str]:
    """Return the parts of the message of one brief."""
    return dict(TemplateWriter().write([asked], seed=1)[0].parts)
