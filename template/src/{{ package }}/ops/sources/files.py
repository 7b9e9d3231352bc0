"""The files of a source, unpacked: one by path or URL, those of a folder, a glob or a zip archive."""

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import urlopen

from ..problems import Problem, one_line

ZIP = b"PK\x03\x04"
_OFFICE = ("[Content_Types].xml", "mimetype")  # in a zip archive that is a workbook


@dataclass(frozen=True)
class File:
    """A file of a source: its name for messages, and its content, or where that is."""

    name: str
    content: Path | bytes

    def open(self) -> BinaryIO:
        """The content as a stream of bytes."""
        return BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    def read(self) -> bytes:
        """The whole content."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    def start(self, size: int) -> bytes:
        """The first bytes."""
        with self.open() as stream:
            return stream.read(size)

    @property
    def suffix(self) -> str:
        """The ending of the name, as `.csv`."""
        return PurePosixPath(self.name.partition("?")[0]).suffix.lower()


def files(source: str) -> Iterator[File]:
    """The files of a source, in the order of their names; of several, hidden and empty ones are left out.

    Args:
        source: a path, which may begin with `~`, a folder, a glob or an http(s) URL.

    Raises:
        Problem: there is no file, or what packs it is broken.
        OSError: it cannot be read.
    """
    if source.startswith(("http://", "https://")):
        with urlopen(source, timeout=60) as response:
            content = response.read()
        yield from _unpacked(File(urlsplit(source)._replace(query="").geturl(), content))
        return
    path = Path(source).expanduser()
    found: Iterator[Path]
    if path.is_dir():
        found, nothing = path.iterdir(), "the folder has no file with anything in it"
    elif path.exists() or not set("*?[") & set(source):
        yield from _unpacked(File(source, path))
        return
    else:
        found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        nothing = "no file of such a name has anything in it"
    shown = sorted(each for each in found if each.is_file() and not each.name.startswith(".") and each.stat().st_size)
    if not shown:
        raise Problem(f"{source}: {nothing}")
    for each in shown:
        yield from _unpacked(File(str(each), each))


def is_workbook(file: File) -> bool:
    """Whether this is a spreadsheet by its content: of an office program's old format, or the new one's archive."""
    start = file.start(8)
    if start.startswith(ZIP):
        with _archive(file) as archive:
            return any(name in archive.namelist() for name in _OFFICE)
    return start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def _unpacked(file: File) -> Iterator[File]:
    start = file.start(10)
    for magic, (packer, opened) in _PACKERS.items():
        if start.startswith(magic) and (packer != "bzip2" or start[4:] == b"1AY&SY"):
            try:
                with file.open() as stream:
                    content = opened(stream)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise Problem(f"{file.name}: broken {packer}: {one_line(error)}") from None
            yield from _unpacked(File(file.name.removesuffix(PurePosixPath(file.name).suffix), content))
            return
    if not start.startswith(ZIP) or is_workbook(file):
        yield file
        return
    with _archive(file) as archive:
        members = sorted((each for each in archive.infolist() if _counts(each)), key=lambda each: each.filename)
        if not members:
            raise Problem(f"{file.name}: the archive has no file with anything in it")
        for member in members:
            try:
                content = archive.read(member)
            except (RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
                raise Problem(f"{file.name}: {member.filename}: cannot be unpacked: {one_line(error)}") from None
            yield from _unpacked(File(f"{file.name}/{member.filename}", content))


def _archive(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file.open())
    except zipfile.BadZipFile as error:
        raise Problem(f"{file.name}: a broken zip or Excel file: {one_line(error)}") from None


def _counts(member: zipfile.ZipInfo) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member.filename).parts)
    return bool(member.file_size) and not member.is_dir() and not hidden


def _zstd(stream: BinaryIO) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    try:
        return zstd.decompress(stream.read())
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from None


_PACKERS: dict[bytes, tuple[str, Callable[[BinaryIO], bytes]]] = {
    b"\x1f\x8b": ("gzip", lambda stream: gzip.decompress(stream.read())),
    b"\x28\xb5\x2f\xfd": ("zstandard", _zstd),
    b"\xfd7zXZ\x00": ("xz", lambda stream: lzma.decompress(stream.read())),
    b"BZh": ("bzip2", lambda stream: bz2.decompress(stream.read())),
}
