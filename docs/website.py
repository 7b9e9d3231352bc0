"""The documentation as a website: `make docs` builds it into var/website/, from the Markdown of this repository.

docs/README.md is its table of contents. The manual's pages are those of example/, and those that other answers add to a
project are generated here. Links between pages stay links between pages; those to other files lead to the git host.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import copier
import rig

WEBSITE = rig.ROOT / "var/website"
CONTENTS = "docs/README.md"
# Whose addresses are not those of the files.
NAMES = {
    "README.md": "index.md",
    CONTENTS: "contents.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "bench/RESULTS.md": "how-fast.md",
    "example/README.md": "manual/a-project.md",
    "example/docs/README.md": "manual/index.md",
    "example/develop/README.md": "manual/develop.md",
    "example/explore/README.md": "manual/explore.md",
    "example/production/README.md": "production/docker.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)(?P<path>[^)#\s]*)(?P<anchor>#[^)\s]*)?(?=\))")
SOURCE = re.compile(r'(?<=\bsrc=")(?P<path>[^":]+)(?=")|(?<=\bsrcset=")(?P<set>[^":]+)(?=")')
ENTRY = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<page>[^)#\s]+\.md)\)", re.MULTILINE)


@dataclass(frozen=True)
class Answered:
    """A page of the manual that a project has by another answer than the default one."""

    part: str  # of the contents
    title: str
    page: str  # in the project
    name: str  # on the website
    answers: tuple[tuple[str, str], ...]
    about: str


HTTP, AWS = (("serving", "http"), ("features", "feast"), ("tracking", "mlflow")), ("target", "metaflow-aws")
ANSWERED = (
    Answered(
        "Own a project", "Serve by HTTP", "docs/serving.md", "manual/serving.md", HTTP, "rows, pages, predictions"
    ),
    Answered("Own a project", "Feature store", "docs/feast.md", "manual/feast.md", HTTP, "Feast, online and offline"),
    Answered(
        "Own a project",
        "DynamoDB",
        "docs/dynamodb.md",
        "manual/dynamodb.md",
        (("database", "dynamodb"), AWS),
        "rows by key",
    ),
    Answered(
        "Own a project", "MLflow", "docs/mlflow.md", "manual/mlflow.md", HTTP, "runs side by side, a registry of models"
    ),
    *(
        Answered(
            "Operate",
            f"Production on {title}",
            "production/README.md",
            f"production/{name}.md",
            answers,
            f"`target={name}`",
        )
        for name, title, answers in (
            ("kubernetes", "Kubernetes", (("target", "kubernetes"),)),
            ("metaflow-aws", "Metaflow, AWS", (("database", "dynamodb"), AWS)),
            ("metaflow-argo", "Metaflow, Argo", (("target", "metaflow-argo"),)),
            ("kubeflow", "Kubeflow", (("target", "kubeflow"),)),
        )
    ),
)


def pages() -> dict[str, str]:
    """The Markdown files of this repository that are pages, each with its name on the website.

    Raises:
        SystemExit: a page stands twice in the contents, or is none of them.
    """
    listed = [_resolved(CONTENTS, found["page"]) for found in ENTRY.finditer(markdown(CONTENTS))]
    if twice := {page for page in listed if listed.count(page) > 1}:
        sys.exit(f"docs: {CONTENTS} lists {', '.join(sorted(twice))} twice")
    names = {page: NAMES.get(page) or _name(page) for page in ("README.md", CONTENTS, *listed)}
    there = [f"docs/{path.name}" for path in (rig.ROOT / "docs").glob("*.md")]
    there += [path.relative_to(rig.ROOT).as_posix() for path in (rig.ROOT / "example").glob("[!.]*/*.md")]
    if missing := sorted({*there} - {*names}):
        sys.exit(f"docs: {CONTENTS} does not list {', '.join(missing)}")
    return names


def _name(page: str) -> str:
    """The manual's pages are below manual/, those of docs/ at the top."""
    return f"{'manual/' if page.startswith('example/') else ''}{PurePosixPath(page).name}"


def markdown(page: str) -> str:
    """The text of a page of the repository.

    Raises:
        SystemExit: there is no such file.
    """
    path = rig.ROOT / page
    if not path.is_file():
        sys.exit(f"docs: {CONTENTS} lists {page}, which is not there")
    return path.read_text(encoding="utf-8")


def _resolved(page: str, link: str) -> str:
    """The path in the repository to which a page's relative link leads."""
    return os.path.normpath(PurePosixPath(page).parent / link)


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
        target, anchor = _resolved(page, path), found["anchor"] or ""
        if target in names:
            return _relative(name, names[target]) + anchor
        place = rig.ROOT / target
        if not place.exists():
            sys.exit(f"docs: {page} has a link to {path}, which is not there")
        if target.startswith("docs/pictures/"):
            return _relative(name, target.removeprefix("docs/"))
        return f"{_host()}/{'tree' if place.is_dir() else 'blob'}/main/{target}{anchor}"

    def source(found: re.Match[str]) -> str:
        target = _resolved(page, found[0])
        if not (rig.ROOT / target).is_file():
            sys.exit(f"docs: {page} shows {found[0]}, which is not there")
        return _relative(name, target.removeprefix("docs/"))

    return "".join(SOURCE.sub(source, LINK.sub(link, line)) if prose else line for prose, line in _prose(text))


def _answered(folder: Path) -> dict[str, str]:
    """The texts of the pages that other answers give, by their names on the website."""
    template = folder / "template"
    for part in ("hooks", "template/docs", "template/production"):  # of which alone Copier is soon done
        shutil.copytree(rig.ROOT / part, template / part)
    shutil.copy(rig.ROOT / "copier.yml", template)
    texts: dict[str, str] = {}
    for number, answers in enumerate(dict.fromkeys(each.answers for each in ANSWERED)):
        project = folder / f"project-{number}"
        copier.run_copy(str(template), project, data=dict(answers), defaults=True, quiet=True)
        for each in ANSWERED:
            if each.answers == answers:
                texts[each.name] = (project / each.page).read_text(encoding="utf-8")
    return texts


def _with_answered(contents: str) -> str:
    """The contents, with the pages that other answers give at the end of each part's list."""
    for each in ANSWERED:
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
    names = pages()
    with tempfile.TemporaryDirectory(prefix="docs") as place:
        texts = _answered(Path(place))
    inside = {f"example/{each.page}": each.name for each in ANSWERED} | names
    inside |= {f"example/{each.name}": each.name for each in ANSWERED}  # as the contents have them
    shown = {names[page]: linked(page, names[page], markdown(page), inside) for page in names if page != CONTENTS}
    for each in ANSWERED:  # which lies in a project where it lies in example/
        text = re.sub(r"(?m)\A((?:<!--.*-->\n)?)# Production$", rf"\1# {each.title}", texts[each.name])
        shown[each.name] = linked(f"example/{each.page}", each.name, text, inside)
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
