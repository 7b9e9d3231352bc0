"""What stands on pages for readers: code, for tests to execute it as it stands there, and paths."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rig import ROOT

MARK = "<!-- executed:"  # how a page begins whose code is executed, all of it


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    heading: str  # the one it stands under
    language: str
    code: str

    def defines(self) -> list[str]:
        """The functions and classes that it defines, where it is Python."""
        body = ast.parse(self.code).body if self.language == "python" else []
        return [each.name for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef)]


def marked() -> dict[str, Path]:
    """The template's pages whose code is executed, by the names that they have in a project."""
    pages = {re.sub(r"{%.*?%}|\.jinja$", "", page.name): page for page in (ROOT / "template/docs").glob("*.md*")}
    return {name: page for name, page in pages.items() if page.read_text(encoding="utf-8").startswith(MARK)}


def blocks(page: Path) -> list[Block]:
    """The blocks of code on a page, in order: all but those of plain text."""
    found, heading = [], ""
    text = page.read_text(encoding="utf-8")
    for title, language, code in re.findall(r"(?ms)^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", text):
        heading = title or heading
        if not title and language != "text":
            found.append(Block(heading, language, code))
    return found


def paths_missing(text: str, names: Iterable[str]) -> list[str]:
    """The paths in backticks and links of a page at the top of a folder that are none of these files or their folders.

    A name alone is that of a file in any folder.
    """
    known = {f"/{name}" for name in names}
    folders = {name[: found.end()] for name in known for found in re.finditer("/", name)}
    named = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"\]\(([^)#]+)\)", text)]
    paths = [name for name in named if not re.match(r"make\b|_|\[|[A-Z]+=", name)]
    return [name for name in paths if not any(fnmatch(each, f"*/{name}") for each in known | folders)]
