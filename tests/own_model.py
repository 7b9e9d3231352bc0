"""What `docs/own-model.md` of a generated project has its reader do: for each problem, the commands and the files."""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = "docs/own-model.md"
STAGES = ("explore", "develop", "production")
_BLOCK = re.compile(r"^\*\*(?P<names>[^\n]+)\*\*\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Conversion:
    """A project's way to another problem."""

    title: str
    commands: list[str]  # as the page has them typed
    files: dict[str, str] = field(default_factory=dict)  # the text of each, by its path in the project

    def write(self, folder: Path) -> None:
        """Put its files into a project."""
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def conversions(folder: Path) -> dict[str, Conversion]:
    """Those of the page in a project, by a word of their titles: LightGBM, forecast, PyTorch."""
    found = {}
    for section in (folder / PAGE).read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.partition("\n")[0]
        blocks = list(_BLOCK.finditer(section))
        if blocks:
            made = Conversion(title, re.findall(r"^    (\S.*)$", _BLOCK.sub("", section), re.MULTILINE))
            for block in blocks:
                made.files |= dict.fromkeys(re.findall("`(.+?)`", block["names"]), block["text"])
            found[title.split()[-1]] = made
    return found
