"""The code that stands on pages of the manual, for tests to execute it as it stands there."""

import re
from dataclasses import dataclass
from pathlib import Path

MARK = "<!-- executed:"  # how a page begins whose Python and SQL is executed, all of it


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    heading: str  # the one it stands under
    language: str
    code: str


def marked(docs: Path) -> list[Path]:
    """The pages of a manual whose code is executed."""
    return [page for page in sorted(docs.glob("*.md")) if page.read_text(encoding="utf-8").startswith(MARK)]


def blocks(page: Path) -> list[Block]:
    """The blocks of Python and SQL on a page, in order."""
    found, heading = [], ""
    text = page.read_text(encoding="utf-8")
    for title, language, code in re.findall(r"(?ms)^#+ ([^\n]+)$|^```(\w+)\n(.*?)^```$", text):
        heading = title or heading
        if language in ("python", "sql"):
            found.append(Block(heading, language, code))
    return found
