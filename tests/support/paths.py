"""Where the repository is, and what the tests read in it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "examples" / "starter"
SUPPORT = ROOT / "tests" / "support"
