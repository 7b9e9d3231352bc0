"""A command that begins as a copy of a server does what it does as a process of its own."""

from dataclasses import replace
from pathlib import Path

import fork_server
import pytest
import rig
from rig import Project

SCRIPTS = {
    "what it is given": "import os, sys; print(sys.argv, sys.path, __name__, sys.executable, os.getcwd())",
    "its variables": "import os; print(sorted(os.environ.items()))",
    "both outputs": "import sys; print('out'); print('err', file=sys.stderr); print('é', flush=True)",
    "a code": "import sys; sys.exit(3)",
    "a text": "import sys; sys.exit('no')",
    "a failure": "def fail():\n    raise ValueError(3)\nfail()",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "the end": "import atexit; atexit.register(print, 'last')",
    "others": "import os, subprocess; print(subprocess.run(['sh', '-c', 'echo $MINE; pwd']).returncode)",
    "input": "import sys; print(repr(sys.stdin.read()))",
    "no modules of its own": "import sys; print([name for name in sys.modules if 'burger' in name])",
}


@pytest.fixture
def mine(project: Project) -> Project:
    """The project, whose server is there after its first commands."""
    found = project.with_env(MINE="1")
    found = replace(found, env=found.env | {"MINE": "own"})
    for _ in range(3):
        found.python("")
    return found


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_does_the_same(script: str, mine: Project, capfd: pytest.CaptureFixture[str]) -> None:
    command = (".venv/bin/python", "-c", script)
    copied = mine.run(*command)
    alone = rig.sh(*command, cwd=mine.folder, env=mine.environment())
    assert (copied.returncode, copied.stdout, copied.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert capfd.readouterr() == ("", "")


def test_the_command_line_does_the_same(mine: Project, tmp_path: Path) -> None:
    empty = mine.with_env(DATABASE__URL=f"sqlite:///{tmp_path}/none.db")
    for arguments in (["results"], ["resluts"], ["--help"]):
        copied = empty.call(*arguments)
        alone = rig.sh(empty.command, *arguments, cwd=empty.folder, env=empty.environment())
        assert (copied.returncode, copied.stdout, copied.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_it_is_used_and_two_commands_order_a_set_in_two_ways(mine: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; print(hash('a'), 'polars' in sys.modules)"
    monkeypatch.setattr(fork_server, "_servers", {})
    other = replace(mine, env=mine.env | {"PYTHONHASHSEED": "0"})  # which Python reads when it begins
    assert {other.python(script).stdout.split()[1] for _ in range(3)} == {"False"}
    told = [mine.python(script).stdout.split() for _ in range(4)]
    assert {there for _, there in told} == {"True"}
    assert len({number for number, _ in told}) == 2
