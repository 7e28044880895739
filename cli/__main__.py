"""``python -m cli`` is ``allocate``."""

from cli.main import main

main()
