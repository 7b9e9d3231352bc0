"""What each answer changes in a project, beside the defaults: `make example` lists it in docs/answers/."""

import difflib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import copier
import rig
from answers import QUESTIONS, Answers
from quick_copies import quick_copies

LISTINGS = rig.ROOT / "docs/answers"
SHOWN = 40  # as many changed lines of a file are listed themselves; of more, their number
# What else somebody could answer where there are no choices; "another" elsewhere.
TEXTS = {
    "folder": "models/another",
    "reviewers": "@ada @shop/ml",
    "repository": "https://github.com/shop/burger-combos",
}


@dataclass(frozen=True)
class Made:
    """A project as it is written, in memory, without the answers file, which each answer changes."""

    files: dict[str, str]  # by their paths, in which the package's folder has one name
    answers: Answers
    unasked: set[str]  # the questions that these answers leave out

    def beside(self, other: "Made") -> str:
        """What it has that the other has not, and the other way round: files, numbers of lines, and short changes."""
        added, removed = self.files.keys() - other.files.keys(), other.files.keys() - self.files.keys()
        changes = {
            name: _changed(other.files[name], text)
            for name, text in self.files.items()
            if other.files.get(name, text) != text
        }
        lines = [f"added    {f'+{_length(self.files[name])}':>6} {'':>6}  {name}" for name in sorted(added)]
        lines += [f"removed  {'':>6} {f'-{_length(other.files[name])}':>6}  {name}" for name in sorted(removed)]
        for name, change in sorted(changes.items()):
            more = sum(line.startswith("+") for line in change)
            lines.append(f"changed  {f'+{more}':>6} {f'-{len(change) - more}':>6}  {name}")
        for name, change in sorted(changes.items()):
            if len(change) <= SHOWN:
                lines += ["", f"{name}:", *change]
        return "".join(f"{line}\n" for line in lines)


def _length(text: str) -> int:
    return len(text.splitlines())


def _changed(before: str, after: str) -> list[str]:
    found = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))
    return [line for line in found[2:] if not line.startswith("@@")]


def listings() -> dict[str, str]:
    """The listing of each answer that is no default, by its file's name.

    A question that the defaults leave out is answered beside the first other answer with which it is asked.

    Raises:
        LookupError: A question is asked with no other answer.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="differences") as folder, quick_copies():
        template, project = Path(folder, "template"), Path(folder, "project")
        template.mkdir()
        rig.copy_work_tree(template)
        default = _make(template, project, {})
        others = [
            (each, _make(template, project, each))
            for each in _other_answers(default)
            if default.unasked.isdisjoint(each)
        ]
        for answer, made in others:
            found[_named(answer)] = f"{_named(answer)} beside the defaults\n\n{made.beside(default)}"
        if "folder" in default.unasked:  # asked where a folder above is a workspace's root, whatever else is answered
            made = _make(template, project, {"folder": TEXTS["folder"]})
            found["folder"] = f"folder beside the defaults\n\n{made.beside(default)}"
        for question in (each for each in QUESTIONS if each in default.unasked - {"folder"}):
            asked = next(((answer, made) for answer, made in others if question not in made.unasked), None)
            if asked is None:
                raise LookupError(
                    f"copier.yml: {question} is asked with no other answer, so docs/differences.py cannot give one"
                )
            needed, base = asked
            for answer in _other_answers(base, [question]):
                made = _make(template, project, needed | answer)
                found[_named(answer)] = f"{_named(answer)} beside {_named(needed)}\n\n{made.beside(base)}"
    return {f"{name}.diff": text for name, text in found.items()}


def _other_answers(made: Made, questions: list[str] | None = None) -> Iterator[Answers]:
    """Each answer to one of these questions, or to any, that was not given."""
    for question in questions or QUESTIONS:
        values = QUESTIONS[question].get("choices", {}).values() or [TEXTS.get(question, "another")]
        for value in values:
            if value != made.answers[question]:
                yield {question: value}


def _named(answer: Answers) -> str:
    """One answer as `make answer` takes it, as far as it can be part of a file's name."""
    ((question, value),) = answer.items()
    return f"{question}={value}" if "choices" in QUESTIONS[question] else question


def _make(template: Path, top: Path, answers: Answers) -> Made:
    project = top / answers.get("folder", "")
    if project != top:
        _copy(template, top, {"example": "workspace"})
    worker = _copy(template, project, answers)
    given = worker.answers.combined
    found = [path for path in project.rglob("*") if path.is_file() and path.name != ".copier-answers.yml"]
    texts = {path.relative_to(project).as_posix(): path.read_text(encoding="utf-8") for path in found}
    files = {name.replace(f"src/{given['package']}/", "src/<package>/"): text for name, text in texts.items()}
    shutil.rmtree(top)
    return Made(files, {name: given[name] for name in QUESTIONS}, worker.answers.hidden & QUESTIONS.keys())


def _copy(template: Path, folder: Path, answers: Answers) -> Any:
    return copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True, settings=copier.Settings())


def main() -> None:
    """Write them anew."""
    found = listings()
    shutil.rmtree(LISTINGS, ignore_errors=True)
    LISTINGS.mkdir()
    for name, text in found.items():
        (LISTINGS / name).write_text(text, encoding="utf-8")
    print(f"example: what {len(found)} answers change, in docs/answers/")


if __name__ == "__main__":
    main()
