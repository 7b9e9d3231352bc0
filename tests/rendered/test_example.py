"""What visitors are shown is what is generated."""

from rig import ROOT, VERSION, sh

import example


def test_the_example_is_what_the_defaults_give() -> None:
    """Where it is not, `make example` makes it so."""
    written = example.written()
    listed = sh(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", "example", cwd=ROOT
    ).stdout.splitlines()
    shown = {name.removeprefix("example/"): (ROOT / name).read_bytes() for name in listed if (ROOT / name).exists()}
    assert shown.keys() == written.keys()
    assert [name for name, content in written.items() if shown[name] != content] == []
    assert "uv.lock" not in shown


def test_the_pictures_are_of_this_version() -> None:
    assert VERSION in (ROOT / "docs/pictures/look.svg").read_text()
