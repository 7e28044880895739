"""Out to the tools that messages are sent with, and back what they tell of them."""

from allocator.export.outcomes import Outcomes, outcomes_of_run
from allocator.export.sending import Exported, export_run
from allocator.export.tools import TOOLS

__all__ = ["TOOLS", "Exported", "Outcomes", "export_run", "outcomes_of_run"]
