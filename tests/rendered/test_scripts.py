"""The shell scripts of a generated project, with what each of them sources, and its Dockerfile."""

import re
from pathlib import Path

from tidy import check_scripts


def test_scripts_have_no_findings(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        check_scripts(folder)


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
