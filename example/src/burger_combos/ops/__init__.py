"""The machinery around the four files that are yours; `make update` keeps it current."""

PREFIX = __name__.partition(".")[0].upper() + "_"  # of this package's environment variables
