"""How Sphinx makes the website of docs/website.py: nothing is loaded from elsewhere, every warning is an error."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = html_title = _PROJECT["name"]
release = _PROJECT["version"]
extensions = ["myst_parser"]
myst_heading_anchors = 4  # what the git host makes of headings, too
highlight_language = "text"
html_theme = "furo"
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
html_permalinks_icon = "#"
html_use_index = False
html_theme_options = {"light_css_variables": {"code-font-size": "76%"}}  # by which most lines of commands fit
