"""The documentation's pictures are made of the real thing."""

import shutil
from pathlib import Path

import pictures
import pytest
import rig


def test_pictures_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        rig.missing("CHROMIUM", "no chromium here to draw pages")
    monkeypatch.setattr(pictures, "PICTURES", tmp_path)
    pictures.main()
    shown = {path.name for path in tmp_path.iterdir()}
    assert shown | {"stages.svg"} == {path.name for path in (rig.ROOT / "docs/pictures").iterdir()}
    assert "make develop" in (tmp_path / "develop.svg").read_text()
    assert "C0000003" in (tmp_path / "look.svg").read_text()
    assert "refuses" in (tmp_path / "refused.svg").read_text()
    for name in ("report.png", "report-dark.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.png").read_bytes() != (tmp_path / "report-dark.png").read_bytes()
