"""The two settings files of a stage, read as one: the project's `settings.toml`, the template's `platform.toml`."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .problems import Problem


def read(stage: str) -> dict[str, Any]:
    """What both files of a stage say together; `platform.toml` may be missing.

    Raises:
        Problem: a file cannot be read, or a key stands in both.
    """
    own, platform = _paths(stage)
    if not own.is_file():
        raise Problem(f"{own}: no such file in {Path.cwd()}")
    values = _parse(own)
    return _merge(values, _parse(platform), (own, platform)) if platform.is_file() else values


def holder(stage: str, keys: Sequence[str], *, platform: bool) -> Path:
    """The file in which a key stands; where it stands in neither, the one in which it belongs.

    Args:
        stage: whose files.
        keys: those that lead to the value or the section; none means `settings.toml`.
        platform: whether the section is one of the machinery's, which belong in `platform.toml`.
    """
    own, other = _paths(stage)
    if not keys or not other.is_file():
        return own
    here, there = _depth(keys, _parse(own)), _depth(keys, _parse(other))
    return other if there > here or (platform and here == there == 0) else own


def _paths(stage: str) -> tuple[Path, Path]:
    return Path(stage) / "settings.toml", Path(stage) / "platform.toml"


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{file}: not valid TOML: {error}") from None


def _merge(own: dict[str, Any], platform: dict[str, Any], files: tuple[Path, Path], *above: str) -> dict[str, Any]:
    """Both together, section by section."""
    values = dict(own)
    for key, value in platform.items():
        if isinstance(value, dict) and isinstance(own.get(key), dict):
            values[key] = _merge(own[key], value, files, *above, key)
        elif key in own:
            name = ".".join((*above, key))
            raise Problem(f"{files[0]}: {name}: stands in {files[1]}, too: leave it in one of the two")
        else:
            values[key] = value
    return values


def _depth(keys: Sequence[str], values: Any) -> int:
    """How many of the keys, from the first, lead to something."""
    for depth, key in enumerate(keys):
        if not isinstance(values, dict) or key not in values:
            return depth
        values = values[key]
    return len(keys)
