"""What stands for an action where a workflow runs on this machine: how it is called, and those of actions/*."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from .expressions import WorkflowError, text


class Failed(Exception):
    """What a stand-in raises where its action would fail."""


@dataclass(frozen=True)
class Call:
    """What a stand-in is told of its step; it may write to the files named by GITHUB_ENV and so on, as actions do."""

    action: str
    inputs: dict[str, str]
    folder: Path
    env: dict[str, str]

    def expect(self, required: str = "", optional: str = "") -> dict[str, str]:
        """The inputs, those left out being empty; `required` and `optional` are all that there may be."""
        known = [*required.split(), *optional.split()]
        if unknown := self.inputs.keys() - {*known}:
            raise WorkflowError(f"{self.action}: inputs not known here: {', '.join(sorted(unknown))}")
        if missing := [name for name in required.split() if not self.inputs.get(name)]:
            raise Failed(f"Input required and not supplied: {', '.join(missing)}")
        return dict.fromkeys(known, "") | self.inputs


Outputs: TypeAlias = dict[str, str]
# A stand-in may yield its outputs: it goes on when the job's steps are done, and is sent whether they were good.
StandIn: TypeAlias = Callable[[Call], Outputs | Generator[Outputs, bool, None] | None]


def cache(store: Path, *, saves: bool = True) -> StandIn:
    """A stand-in for actions/cache that keeps what it saves in a folder; for actions/cache/restore without `saves`."""

    def restore(call: Call) -> Generator[Outputs, bool, None]:
        inputs = call.expect("path key", "restore-keys")
        paths = [_steady(_home(call, line), call) for line in _lines(inputs["path"])]
        if wrong := [path for path in paths if re.search(r"[*?!\[]", path)]:
            raise WorkflowError(f"{call.action}: patterns are not known here: {', '.join(wrong)}")
        wanted = [inputs["key"], *_lines(inputs["restore-keys"])]

        def saved() -> dict[str, Path]:
            """The archives of these paths by key, newest first."""
            abouts = {folder: json.loads((folder / "about.json").read_text()) for folder in sorted(store.glob("*"))}
            fitting = [(about["key"], folder) for folder, about in abouts.items() if about["paths"] == paths]
            return {key: folder / "files.tar" for key, folder in reversed(fitting)}

        there = saved()
        partly = (key for start in wanted for key in there if key.startswith(start))
        found = inputs["key"] if inputs["key"] in there else next(partly, None)
        if found:
            _tar(call, "-xf", str(there[found]))
        # Empty, and not false, where nothing was found: this is what the action does.
        good = yield {"cache-hit": text(found == inputs["key"]) if found else ""}
        there_now = [path for path in paths if (call.folder / path).exists()]
        if saves and good and inputs["key"] not in saved() and there_now:
            folder = store / f"{len(list(store.glob('*'))):06}"
            folder.mkdir(parents=True)
            _tar(call, "-cf", str(folder / "files.tar"), "--", *there_now)
            (folder / "about.json").write_text(json.dumps({"key": inputs["key"], "paths": paths}))

    return restore


def upload_artifact(store: Path) -> StandIn:
    """A stand-in for actions/upload-artifact that puts each artifact's files into a folder of its name in `store`."""

    def upload(call: Call) -> Outputs:
        inputs = call.expect("path", "name if-no-files-found retention-days include-hidden-files compression-level")
        target = store / (inputs["name"] or "artifact")
        bases, files = [], set()
        for line in _lines(inputs["path"]):
            base, found = search(call.folder, _home(call, line))
            hidden = inputs["include-hidden-files"] == "true"
            bases.append(base)
            files |= {each for each in found if hidden or "/." not in f"/{each.relative_to(base.parent)}"}
        if not files:
            if inputs["if-no-files-found"] == "error":
                raise Failed(f"No files were found with the provided path: {inputs['path']}")
            return {}
        if target.exists():
            raise Failed(f"an artifact with the name {target.name} already exists")
        root = Path(os.path.commonpath(bases))
        for file in files:
            copy = target / file.relative_to(root if root.is_dir() else root.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
        return {"artifact-id": "1", "artifact-url": f"https://github.com/artifacts/{target.name}"}

    return upload


def hash_of(folder: Path, *patterns: str) -> str:
    """What hashFiles gives: one hash of all files in a folder that the patterns name, empty if there are none."""
    found: set[Path] = set()
    for line in "\n".join(patterns).splitlines():
        files = {file for file in search(folder, line.removeprefix("!"))[1] if file.is_relative_to(folder)}
        found = found - files if line.startswith("!") else found | files
    each = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in sorted(found))
    return hashlib.sha256(each).hexdigest() if found else ""


def search(folder: Path, pattern: str) -> tuple[Path, set[Path]]:
    """Where a pattern begins to be one, and the files that it names, with those in the folders that it names."""
    parts = (folder / pattern).parts
    fixed = next((place for place, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    base, rest = Path(*parts[:fixed]), "/".join(parts[fixed:])
    named = base.glob(rest) if rest else [base]
    found = {each for path in named for each in (path.rglob("*") if path.is_dir() else [path])}
    return base, {path for path in found if path.is_file()}


def _tar(call: Call, *arguments: str) -> None:
    subprocess.run(["tar", "-P", *arguments], cwd=call.folder, check=True, capture_output=True)


def _home(call: Call, path: str) -> str:
    return re.sub("^~", call.env.get("HOME", "~"), path)


def _steady(path: str, call: Call) -> str:
    """A path in a job's folders relative to the one it works in: that path is another in each run here."""
    inside = any(Path(path).is_relative_to(place) for place in (call.folder, call.env["RUNNER_TEMP"]))
    return os.path.relpath(path, call.folder) if inside else path


def _lines(block: str) -> list[str]:
    return [line.strip() for line in block.splitlines() if line.strip()]
