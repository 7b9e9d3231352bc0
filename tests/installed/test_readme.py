"""The commands of the documents, as they stand there: what tests/documents.py does not say is run elsewhere."""

from pathlib import Path

import pexpect
import pytest
import rig
from documents import ELSEWHERE, PLAYED, commands
from rig import ROOT, environment, sh

PUBLISHED = "https://github.com/OWNER/copier-ml"


class Reader:
    """Somebody who types what the page says, and presses Enter where they are asked."""

    def __init__(self, home: Path, template: Path) -> None:
        self.home, self.folder, self.template = home, home, template
        self.said: dict[str, str] = {}

    def type(self, command: str) -> None:
        """Run a command to its end; it has to succeed."""
        if command.startswith("cd "):
            self.folder = Path(command.removeprefix("cd ").replace("~", str(self.home)))
            return
        env = environment() | {"HOME": str(self.home), "TERM": "xterm-256color", "GIT_PAGER": "cat", "COLUMNS": "120"}
        env |= {"UV_CACHE_DIR": sh("uv", "cache", "dir", cwd=ROOT).stdout.strip(), "GIT_CONFIG_COUNT": "4"}
        for number, end in ((2, ""), (3, ".git")):  # git's address of a repository, and Copier's
            env[f"GIT_CONFIG_KEY_{number}"] = f"url.{self.template}.insteadOf"
            env[f"GIT_CONFIG_VALUE_{number}"] = PUBLISHED + end
        child = pexpect.spawn("bash", ["-c", command], cwd=self.folder, env=env, encoding="utf-8", timeout=300)
        said = ""
        while True:  # to its last word, which may come after its end is known
            try:
                said += child.read_nonblocking(65536, timeout=1)
            except pexpect.TIMEOUT:
                child.send("\r" if "copier copy" in command else "")
            except pexpect.EOF:
                break
        child.wait()
        child.close()
        assert child.exitstatus == 0, f"{command}: {said}"
        self.said[f"{'~' if self.folder == self.home else self.folder.name}: {command}"] = said


@pytest.fixture
def reader(template: Path, tmp_path: Path) -> Reader:
    """Who finds the template where the page says that it is."""
    return Reader(tmp_path, template)


def test_each_command_of_the_documents_does_what_it_says(reader: Reader) -> None:
    ours = reader.home / "our-shop"
    ours.mkdir()
    (ours / "pyproject.toml").write_text('[project]\nname = "ours"\n')
    rig.commit(ours, "ours")
    typed = [command for page in PLAYED for command in commands((ROOT / page).read_text(encoding="utf-8"))]
    for command in typed:
        if command in ELSEWHERE:
            continue
        reader.type(command)
        if command.startswith("git clone"):  # its tools are installed already
            (reader.home / "copier-ml/.venv").symlink_to(ROOT / ".venv")
            (reader.home / "copier-ml/.venv/ready").touch()
        if "upgrade" in command:  # the next one wants nothing uncommitted
            sh("git", "commit", "--all", "--allow-empty", "--message=Upgrade", cwd=reader.folder)
    said = reader.said
    assert "rows of recommendations for" in said["~: make -C ~/copier-ml demo"]
    assert "Fourteen questions" in said["copier-ml: .venv/bin/copier copy gh:OWNER/copier-ml ~/burger-combos"]
    assert "rows of recommendations for" in said["burger-combos: make develop"]
    assert '-name = "ours"' in said["our-shop: git diff"]
    assert "rows of churn_scores for" in said["our-models: make develop PROJECT=models/churn"]
    assert "C0000003" in said["burger-combos: make results KEY=C0000003"]
    assert ", ok, " in said["burger-combos: make status"]
    assert "publish" in said["burger-combos: make logs"]
    assert "this is the newest release" in said["burger-combos: make update"]
    assert "\ndatabase: sqlite" in said["burger-combos: make answer"].replace("\r", "")
    assert (reader.home / "burger-combos/develop/compose.yaml").exists()
    for folder in ("burger-combos", "our-shop"):
        assert "\n_src_path: gh:OWNER/copier-ml\n" in (reader.home / folder / ".copier-answers.yml").read_text()
