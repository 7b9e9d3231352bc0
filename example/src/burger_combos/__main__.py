"""`python -m` of this package: its command line."""

from .ops.cli import main

main()
