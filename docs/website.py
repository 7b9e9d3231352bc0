"""The documentation as a website: `make docs` builds it into var/website/, from the Markdown of this repository.

docs/README.md is its table of contents. Links between pages stay such links; those to other files lead to the git host.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import rig
from pages import CONTENTS, ENTRY, answered, generated, markdown, pages, resolved

WEBSITE = rig.ROOT / "var/website"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)(?P<path>[^)#\s]*)(?P<anchor>#[^)\s]*)?(?=\))")
SOURCE = re.compile(r'(?<=\bsrc=")[^":]+(?=")|(?<=\bsrcset=")[^":]+(?=")')  # of raw HTML


def _host() -> str:
    """Where the git host shows files: of the repository whose workflow this is, or as the README has it."""
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{os.environ.get('GITHUB_REPOSITORY', 'OWNER/copier-ml')}"


def _relative(name: str, other: str) -> str:
    return os.path.relpath(other, PurePosixPath(name).parent)


def _prose(text: str) -> Iterator[tuple[bool, str]]:
    """The lines of a page, each with whether it is prose, not code."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = re.match(r" *(```+)", line)
        code = bool(fence) or bool(mark) or line.startswith("    ")
        if mark:
            fence = "" if fence == mark[1] else fence or mark[1]
        yield not code, line


def linked(page: str, name: str, text: str, names: dict[str, str]) -> str:
    """A page's text with the links of the website; `names` has every page's name by its path.

    Raises:
        SystemExit: a link leads nowhere.
    """

    def link(found: re.Match[str]) -> str:
        path = found["path"]
        if not path:
            return found[0]
        target, anchor = resolved(page, path), found["anchor"] or ""
        if target in names:
            return _relative(name, names[target]) + anchor
        place = rig.ROOT / target
        if not place.exists():
            sys.exit(f"docs: {page} has a link to {path}, which is not there")
        if target.startswith("docs/pictures/"):
            return _relative(name, target.removeprefix("docs/"))
        return f"{_host()}/{'tree' if place.is_dir() else 'blob'}/main/{target}{anchor}"

    def source(found: re.Match[str]) -> str:
        target = resolved(page, found[0])
        if not (rig.ROOT / target).is_file():
            sys.exit(f"docs: {page} shows {found[0]}, which is not there")
        return _relative(name, target.removeprefix("docs/"))

    return "".join(SOURCE.sub(source, LINK.sub(link, line)) if prose else line for prose, line in _prose(text))


def _with_answered(contents: str) -> str:
    """The contents, with the pages that other answers give at the end of each part's list."""
    for each in answered():
        entry = f"- [{each.title}]({_relative(CONTENTS, f'example/{each.name}')}): {each.about}\n"
        before, heading, rest = contents.partition(f"## {each.part}\n")
        if not heading:
            sys.exit(f"docs: {CONTENTS} has no part {each.part}")
        part, between, after = rest.partition("\n## ")
        contents = f"{before}{heading}{part.rstrip()}\n{entry}{between}{after}"
    return contents


def _navigation(name: str, contents: str) -> str:
    """What Sphinx makes the navigation of: the contents, of this name on the website, and its parts."""
    text = f"\n```{{toctree}}\n:hidden:\n\nContents <{name.removesuffix('.md')}>\n```\n"
    for part in contents.split("\n## ")[1:]:
        caption, entries = part.partition("\n")[0], ENTRY.finditer(part)
        listed = "".join(f"{found['title']} <{found['page'].removesuffix('.md')}>\n" for found in entries)
        text += f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n\n{listed}```\n"
    return text


def write(folder: Path) -> None:
    """Write all pages and pictures, as the website's generator reads them."""
    names, texts = pages(), generated()
    inside = {f"example/{each.page}": each.name for each in answered()} | names
    inside |= {f"example/{name}": name for name in texts}  # as _with_answered has them
    shown = {names[page]: linked(page, names[page], markdown(page), inside) for page in names if page != CONTENTS}
    for each in answered():
        shown[each.name] = linked(f"example/{each.page}", each.name, texts[each.name], inside)
    shown[names[CONTENTS]] = linked(CONTENTS, names[CONTENTS], _with_answered(markdown(CONTENTS)), inside)
    shown[names["README.md"]] += _navigation(names[CONTENTS], shown[names[CONTENTS]])
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in shown.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(rig.ROOT / "docs/pictures", folder / "pictures")


def generate(source: Path, built: Path) -> None:
    """Make a website of pages.

    Raises:
        SystemExit: the generator warns of anything, as a link to a heading that is not there.
    """
    shutil.rmtree(built, ignore_errors=True)
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--fresh-env", f"--conf-dir={rig.ROOT / 'docs'}"]
    with tempfile.TemporaryDirectory(prefix="docs") as doctrees:
        places = [f"--doctree-dir={doctrees}", str(source), str(built)]
        if subprocess.run([sys.executable, "-m", "sphinx", *options, *places]).returncode:
            sys.exit("docs: the website is not built")


def build(folder: Path = WEBSITE) -> Path:
    """Write all pages and make the website of them; return the folder of its files.

    Raises:
        SystemExit: a page, a link or the generator is wrong.
    """
    source, built = folder / "source", folder / "html"
    write(source)
    generate(source, built)
    shutil.copytree(source / "pictures", built / "pictures")  # which raw HTML names, as that of a dark picture
    return built


if __name__ == "__main__":
    place = build()
    print(f"docs: {len(list(place.rglob('*.html')))} pages, {place.relative_to(rig.ROOT)}/index.html")
