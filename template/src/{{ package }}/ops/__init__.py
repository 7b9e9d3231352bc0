"""The machinery around the four files that are yours; `copier update` keeps it current."""
