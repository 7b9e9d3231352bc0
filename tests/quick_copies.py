"""Copier in a fraction of its time, for many copies in one process: what it found once is taken again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import rig
from copier import _template
from copier._main import Worker
from copier._vcs import clone
from jinja2.sandbox import SandboxedEnvironment


@contextmanager
def quick_copies() -> Iterator[None]:
    """Clone, compile and read once, and render each part of a path once in a copy, for as long as the block lasts.

    Copier asks git whether each file's mode has to be told to its index, too, which it never has on these file systems.
    """
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="clones") as clones:
        _clone_once(patch, Path(clones))
        _compile_once(patch)
        _read_once(patch)
        patch.setattr(Worker, "_render_template", _with_one_context(Worker._render_template))
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda *_: None)
        yield


def _clone_once(patch: pytest.MonkeyPatch, clones: Path) -> None:
    """Of a repository on this machine in which nothing has changed; an update makes five clones otherwise."""
    known: dict[tuple[str, str, str], str] = {}

    def clone_once(url: str, ref: str = "HEAD", location: str | None = None) -> str:
        if ref == "HEAD" or not Path(url).is_dir():  # which may have what no commit holds
            return clone(url, ref, location)
        key = url, ref, rig.sh("git", "for-each-ref", cwd=Path(url)).stdout
        if key not in known:
            known[key] = clone(url, ref, tempfile.mkdtemp(dir=clones))
        return known[key]

    patch.setattr(_template, "clone", clone_once)


def _compile_once(patch: pytest.MonkeyPatch) -> None:
    known: dict[Any, Any] = {}
    compile_anew = SandboxedEnvironment.compile

    def compile_once(self: SandboxedEnvironment, *source: Any, **how: Any) -> Any:
        key = (*source, *how.items(), self.block_start_string, tuple(self.extensions))
        if key not in known:
            known[key] = compile_anew(self, *source, **how)
        return known[key]

    patch.setattr(SandboxedEnvironment, "compile", compile_once)


def _read_once(patch: pytest.MonkeyPatch) -> None:
    known: dict[bytes, Any] = {}
    read_anew = _template.load_template_config

    def read_once(file: Path, *more: Any, **how: Any) -> Any:
        content = file.read_bytes()
        if content not in known:
            known[content] = read_anew(file, *more, **how)
        return deepcopy(known[content])

    patch.setattr(_template, "load_template_config", read_once)


def _with_one_context(render: Any) -> Any:
    """Copier's rendering of all files; it makes the same context anew for each part of each path otherwise."""
    render_anew = Worker._render_string

    def render_all(self: Worker) -> None:
        context, answers_file, known = self._render_context(), self.answers_relpath, {}

        def render_once(self: Worker, text: str, extra_context: Any = None) -> str:
            if extra_context:
                return render_anew(self, text, extra_context)
            if text not in known:
                known[text] = render_anew(self, text)
            return known[text]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Worker, "answers_relpath", answers_file)
            patch.setattr(Worker, "_render_context", lambda _: context)
            patch.setattr(Worker, "_render_string", render_once)
            render(self)

    return render_all
