"""The default project as it is generated, for visitors: `make example` puts it into example/."""

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import rig

EXAMPLE = rig.ROOT / "example"


def written() -> dict[str, bytes]:
    """The default project's files by their names; it says that its template lies above it."""
    with tempfile.TemporaryDirectory(prefix="example") as folder:
        template, project = Path(folder, "template"), Path(folder, "burger-combos")
        template.mkdir()
        rig.follow(rig.generate(rig.snapshot(template), project), Path(".."))
        return {
            path.relative_to(project).as_posix(): path.read_bytes() for path in project.rglob("*") if path.is_file()
        }


def main() -> None:
    """Write it anew."""
    files = written()
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    for name, content in files.items():
        (EXAMPLE / name).parent.mkdir(parents=True, exist_ok=True)
        (EXAMPLE / name).write_bytes(content)
    print(f"example: {len(files)} files in example/")


if __name__ == "__main__":
    main()
