"""The editor that makes a sweep's diff: one value changes, every other sign stays, and git takes what it prints."""

import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rig import ROOT, sh

FILE = """\
# Yours: "a = 1" is no key here.
top = 1

[model] # trees = 3
# trees = 2
trees = 100 # of a "forest" = many
rate = 0.08
"a=b" = "x # y" # z
sizes = [
    1, # one
    2,
] # all
text = \"\"\"one
# two\"\"\" # three
inner.depth = 3

[[other]]
trees = 7

[gate]
min_lift = 1.0"""


@pytest.fixture(scope="module")
def editor() -> ModuleType:
    file = ROOT / "template/src/{{ package }}/ops/sweep/toml_edit.py"
    module = sys.modules["toml_edit"] = ModuleType("toml_edit")  # where dataclasses look
    exec(compile(file.read_text(encoding="utf-8"), file, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    ("values", "old", "new"),
    [
        ({"model.trees": 50}, "trees = 100 #", "trees = 50 #"),
        ({"top": 2}, "top = 1", "top = 2"),
        ({"model.rate": 1e-05}, "rate = 0.08", "rate = 1e-05"),
        ({"model.rate": True}, "rate = 0.08", "rate = true"),
        ({"model.a=b": 'ä "q" \\'}, '"x # y"', '"ä \\"q\\" \\\\"'),
        ({"model.sizes": [3, 4]}, "[\n    1, # one\n    2,\n]", "[3, 4]"),
        ({"model.text": "one"}, '"""one\n# two"""', '"one"'),
        ({"model.inner.depth": 4}, "depth = 3", "depth = 4"),
        ({"gate.min_lift": 1.5}, "min_lift = 1.0", "min_lift = 1.5"),
        ({"model.leaves": 8}, "inner.depth = 3\n", "inner.depth = 3\nleaves = 8\n"),
        ({"gate.unjudged": "pass"}, "min_lift = 1.0", 'min_lift = 1.0\nunjudged = "pass"\n'),
        ({"new.key": 1}, "min_lift = 1.0", "min_lift = 1.0\n\n[new]\nkey = 1\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_value_changes_and_git_takes_the_diff(
    values: dict[str, Any], old: str, new: str, newline: str, editor: ModuleType, tmp_path: Path
) -> None:
    assert FILE.count(old) == 1
    before, after = (text.replace("\n", newline) for text in (FILE, FILE.replace(old, new)))
    assert editor.changed(before, values) == after
    file = tmp_path / "develop/settings.toml"
    file.parent.mkdir()
    file.write_bytes(before.encode())
    (tmp_path / "diff").write_bytes(
        b"a table\nabove it\n\n" + editor.diff("develop/settings.toml", before, after).encode()
    )
    done = sh("git", "apply", "diff", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == after.encode()


def test_what_cannot_be_done_line_by_line_is_left_to_a_person(editor: ModuleType) -> None:
    assert editor.changed("model = { trees = 1 }\n", {"model.trees": 2}) is None
    text = "[model]\ntrees = 1\n"
    assert tomllib.loads(editor.changed(text, {"model.trees": 2, "model.rate": 0.5})) == {
        "model": {"trees": 2, "rate": 0.5}
    }
