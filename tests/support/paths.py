"""Where the repository is, and what the tests read in it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
STARTER = ROOT / "examples" / "starter"
SUPPORT = ROOT / "tests" / "support"
