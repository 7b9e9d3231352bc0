"""The template's own rules, called by pre-commit and `make check`: prints what breaks one, and exits with 1."""

import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "template"
WORKSPACE = ROOT / "workspace"  # the root of several projects
# What the machinery is made for is any model: the words of an example are in its own folders, `{% if example == … %}`.
WORDS = re.compile(r"(?i)customer|(?<![\w.\[\"'-])items?\b|\borders\b|\b(?:an|no) order\b|hit[ _]rate|recommend")
MACHINERY = re.compile(
    r"src/[^/]+/ops/.*|docs/.*|AGENTS\.md\.jinja|[^/]+/README\.md(?:\.jinja)?|Makefile\.jinja"
    r"|[^/]*(?:develop|production)[^/]*/.*\.(?:sh|py)(?:\.jinja)?"
)
OF_DYNAMODB = "{% if database == 'dynamodb' %}"  # whose word for a row is item
CACHES = {"__pycache__", ".ruff_cache"}  # which ruff makes beside a pyproject.toml
RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def complaints(template: Path = TEMPLATE, questions: Path = ROOT / "copier.yml") -> Iterator[str]:
    """Yield a line for each broken rule."""
    texts = yield from of_files(template)
    changelog = questions.with_name("CHANGELOG.md")
    if changelog.exists() and re.search(r"\{[{%#]", changelog.read_text(encoding="utf-8")):
        yield f"{changelog.name}: what is Jinja to hooks/news.jinja, which reads it"
    everything = b"".join(content for path, content in texts.items() if path.suffix == ".jinja").decode()
    everything += "".join(path.relative_to(template).as_posix() for path in texts)
    for question in yaml.safe_load(questions.read_text(encoding="utf-8")):
        if not question.startswith("_") and not re.search(rf"\b{question}\b", everything):
            yield f"{questions.name}: the answer to {question} is used nowhere"


def of_files(template: Path) -> Generator[str, None, dict[Path, bytes]]:
    """Yield a line for each rule that a file breaks; return what each file holds."""
    files = [path for path in template.rglob("*") if path.is_file() and not CACHES & {*path.parts}]
    texts = {path: path.read_bytes() for path in files}
    for path in template.rglob("*"):
        name = path.relative_to(template).as_posix()
        if re.search(r'[<>:"|?*\\]|[. ]$', path.name) or RESERVED.match(path.name):
            yield f"{name}: not a legal name on Windows"
        if path.is_symlink():
            yield f"{name}: a symbolic link, which Windows does not keep"
    for path, content in texts.items():
        name = path.relative_to(template).as_posix()
        if not content.strip():
            yield f"{name}: an empty file"
        if b"\r" in content or not content.endswith(b"\n"):
            yield f"{name}: lines end in LF, the last one too"
        if path.name.endswith((".py", ".py.jinja")) and b"{%" in content:
            yield f"{name}: control flow of Jinja in Python"
        if path.suffix == ".jinja" and b"{{" not in content and b"{%" not in content:
            yield f"{name}: nothing is filled in, so .jinja can go"
        if MACHINERY.fullmatch(name) and "example ==" not in name:
            for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
                said = re.sub(r"(?i)\bitems?\b", "", line) if OF_DYNAMODB in name else line
                if word := WORDS.search(said):
                    yield f"{name}:{number}: {word[0]!r} is a word of an example"
    return texts


if __name__ == "__main__":
    found = [*complaints(), *of_files(WORKSPACE)]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
