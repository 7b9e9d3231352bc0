"""Four files here are yours; those in `ops` are the template's."""
