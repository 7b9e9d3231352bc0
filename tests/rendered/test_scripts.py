"""The shell scripts of a generated project, with what each of them sources, and its Dockerfile."""

import re
from pathlib import Path

from rig import ROOT, sh


def sourced(script: Path, folder: Path) -> str:
    """A script's text, and that of all that it sources."""
    text = script.read_text(encoding="utf-8")
    others = [folder / name for name in re.findall(r"# shellcheck source=(\S+)", text) if name != "/dev/null"]
    return text + "".join(sourced(other, folder) for other in others)


def test_scripts_have_no_findings(folders: dict[str, Path]) -> None:
    seen: set[tuple[str, str]] = set()
    for folder in folders.values():
        scripts = {str(path.relative_to(folder)): sourced(path, folder) for path in folder.rglob("*.sh")}
        new = scripts.items() - seen
        seen |= new
        if new:
            done = sh(ROOT / ".venv/bin/shellcheck", "--external-sources", *sorted(name for name, _ in new), cwd=folder)
            assert done.returncode == 0, done.stdout
    assert len(seen) > 10


def test_each_script_first_leaves_behind_what_the_shell_around_it_is_set_to(folders: dict[str, Path]) -> None:
    inside = {"local.sh", "entrypoint.sh"}  # which run in images
    for folder in folders.values():
        for path in folder.rglob("*.sh"):
            text = path.read_text(encoding="utf-8")
            if text.startswith("#!") and path.name not in inside:
                code = [line for line in text.splitlines() if not line.startswith("#")]
                first = next(line for line in code if line not in ("set -eu", "tool=$1"))
                assert re.fullmatch(r'\. "\$\(dirname "\$0"\)/prelude\.sh"', first), path


def test_who_runs_an_image_can_read_what_is_copied_into_it_whatever_its_mode_here(folders: dict[str, Path]) -> None:
    for target, folder in folders.items():
        base, lines = "", (folder / "Dockerfile").read_text(encoding="utf-8")
        for begun, what in re.findall(r"^(?:FROM (\S+)|COPY (?!--from)(.*))", lines, re.MULTILINE):
            base = begun or base
            if what and (base == "runtime" or "entrypoint" in what):
                assert re.match("--chmod=(644|755) ", what), f"{target}: COPY {what}"
