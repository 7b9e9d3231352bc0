"""`python bench`: how fast, each beside its floor."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from cli import main

main()
