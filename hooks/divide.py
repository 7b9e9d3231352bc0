"""The update to 0.11.0: what is the project's own and what is the template's stand in different files from then on.

Called by migrate.py, in the project, after Copier's own work. All of it is made of the last commit, so it can be done
again.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import requirements
import toml_text
import worktree
from toml_text import Entry, Table
from worktree import committed

STAGES = ("explore", "develop", "production")
MACHINERY = ("database", "runs", "schedule", "alert", "deploy", "tracking")
# From 0.11.0 on these are found in what a pipeline measures and declares, which an older one does not.
SAID_BEFORE = {
    ("deploy",): ("metric", 'metric = "hit_rate" # the number of a run that says how good it is\n'),
    ("deploy", "scale"): ("by", 'by = "customer" # with more or fewer of these\n'),
    ("tracking", "mlflow"): ("artifact", 'artifact = "model.npz" # the file of the run that is the model\n'),
}
PUBLISHES = """\
{file} has to say what it publishes, beside its other imports and below them:
    from .ops.published import Table
    TABLES = (Table("recommendations", key=("customer",)),)
"""
MEASURES = """\
{file} can say what is better, instead of writing numbers alone; in evaluate:
    run.measure("hit_rate", metrics["hit_rate"], better="higher", baselines=baselines)
"""


def divide(old: Path, new: Path, source: str, modules: Iterable[str]) -> None:
    """Divide settings, requirements and README of the project in the working directory; say what is left to do.

    Args:
        old: a copy of the template that the project has so far, with its answers.
        new: the same of the one that it has now.
        source: the folder of the project's package.
        modules: paths that were the template's: each is the project's own where its code imports it.
    """
    for stage in STAGES:
        _divide_settings(Path(stage), old, new)
    _divide_requirements(old, new)
    _replace_readme(old, new)
    for module in modules:
        _keep(Path(module))
    pipeline = Path(source, "pipeline.py")
    if pipeline.exists():
        code = "".join(file.read_text(encoding="utf-8") for file in Path(source).glob("*.py"))
        if not re.search(r"^TABLES\b", code, re.MULTILINE):
            _say(PUBLISHES.format(file=pipeline))
        if ".measure(" not in code:
            _say(MEASURES.format(file=pipeline))


def divided_settings(mine: str, base: str, theirs: str) -> tuple[str, str]:
    """A `settings.toml` of before as the two files of today.

    Args:
        mine: the project's `settings.toml`.
        base: the same, as the template gave it.
        theirs: `platform.toml`, as the template gives it.

    Returns:
        `settings.toml`, with all that is no machinery's, as it stood; and `platform.toml`.

    Raises:
        tomllib.TOMLDecodeError: one is not valid TOML.
    """
    tables = toml_text.read(mine)
    kept = [table for table in tables if not _is_machinery(table)]
    own = [Table(), *filter(_is_machinery, tables)]
    old = [Table(), *filter(_is_machinery, toml_text.read(base))]
    new = toml_text.read(theirs)
    _say_as_before(own, old, new)
    merged = toml_text.merge(own, old, new)
    for table in merged:  # what stands above all tables, as database.url = "…", stays there
        table.entries = [each for each in table.entries if not _stands(kept[0], (*table.name, *each.keys))]
    return toml_text.write(kept), toml_text.write(merged)


def _is_machinery(table: Table) -> bool:
    return table.name[:1] in {(name,) for name in MACHINERY}


def _stands(table: Table, keys: toml_text.Keys) -> bool:
    return any(each.keys[: len(keys)] == keys[: len(each.keys)] for each in table.entries)


def _say_as_before(own: list[Table], old: list[Table], new: list[Table]) -> None:
    """Let the template go on saying what an older pipeline does not say itself."""
    for table in new:
        key, text = SAID_BEFORE.get(table.name, ("", ""))
        if key and not table.get(key):
            table.entries.append(Entry((key,), None, text))
        if key and not any(each.get(key) for each in own if each.name == table.name):
            for each in old:
                each.entries = [entry for entry in each.entries if each.name != table.name or entry.keys != (key,)]


def _divide_settings(stage: Path, old: Path, new: Path) -> None:
    name, platform = stage / "settings.toml", stage / "platform.toml"
    mine = committed(name)
    if mine is None:  # the stage was deleted, and stays so
        platform.unlink(missing_ok=True)
        if stage.is_dir() and not any(stage.iterdir()):
            stage.rmdir()
    elif committed(platform) is None:
        base = old / name
        try:
            own, theirs = divided_settings(
                mine.decode(), base.read_text(encoding="utf-8"), (new / platform).read_text(encoding="utf-8")
            )
        except ValueError as error:
            platform.unlink(missing_ok=True)
            _say(f"{name} is left as it is, as it is not valid TOML: {error}\n")
            return
        name.write_text(own, encoding="utf-8")
        platform.write_text(theirs, encoding="utf-8")
        worktree.resolved(name)


def _divide_requirements(old: Path, new: Path) -> None:
    name = Path("pyproject.toml")
    mine, base, theirs = committed(name), old / name, new / name
    if mine is None:
        return
    try:
        own, before = requirements.divided(
            mine.decode(), base.read_text(encoding="utf-8"), theirs.read_text(encoding="utf-8")
        )
    except ValueError as error:
        _say(f"{name}: not valid TOML: {error}\n")
        return
    name.write_text(own, encoding="utf-8")
    base.write_text(before, encoding="utf-8")
    worktree.merge(name, base, theirs)


def _replace_readme(old: Path, new: Path) -> None:
    """Give the short README to a project in which nobody has changed the long one; its pages are in docs/ now."""
    name = Path("README.md")
    if committed(name) == (old / name).read_bytes():
        name.write_bytes((new / name).read_bytes())


def _keep(module: Path) -> None:
    """Put a module of the template's back that is none any more, where other code of the project imports it."""
    content = committed(module)
    if content is None or module.exists():
        return
    package, name = module.parent.name, module.stem
    imported = re.compile(rf"\b{package}\.{name}\b|\b{package} import [^\n]*\b{name}\b")
    for file in worktree.git("ls-files", "-z", "--", "*.py", "*.ipynb").decode().split("\0"):
        path = Path(file)
        theirs = file and path.exists() and module.parent not in path.parents
        if theirs and imported.search(path.read_text(encoding="utf-8")):
            module.write_bytes(content)
            _say(f"{module} is the project's own from now on, as {path} imports it\n")
            return


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr)
