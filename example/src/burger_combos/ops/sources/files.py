"""The files of a source, unpacked: one by path or URL, those of a folder, a glob or a zip archive."""

import bz2
import gzip
import lzma
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO
from urllib.parse import urlsplit
from urllib.request import urlopen

from ..problems import Problem, one_line

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZIP = b"PK\x03\x04"
_OFFICE = ("[Content_Types].xml", "mimetype")  # in a zip archive that is a workbook
_CHUNK = 1 << 20  # bytes

Readable = IO[bytes] | BufferedIOBase


@dataclass(frozen=True)
class File:
    """A file of a source: its name for messages, and where its content is."""

    name: str
    path: Path

    def open(self) -> BinaryIO:
        """The content as a stream of bytes."""
        return self.path.open("rb")

    def start(self, size: int) -> bytes:
        """The first bytes."""
        with self.open() as stream:
            return stream.read(size)

    @property
    def suffix(self) -> str:
        """The ending of the name, as `.csv`."""
        return PurePosixPath(self.name.partition("?")[0]).suffix.lower()


def files(source: str, folder: Path | None = None) -> Iterator[File]:
    """The files of a source, in the order of their names; of several, hidden and empty ones are left out.

    One that is packed or by URL is there until the next is asked for, or the iterator closed.

    Args:
        source: a path, which may begin with `~`, a folder, a glob or an http(s) URL.
        folder: the one for what is unpacked or downloaded; the system's for temporary files if None.

    Raises:
        Problem: there is no file, or what packs it is broken.
        OSError: it cannot be read.
    """
    if source.startswith(("http://", "https://")):
        name = urlsplit(source)._replace(query="").geturl()
        with copied(name, _downloaded(source, name), folder) as copy:
            yield from _unpacked(File(name, copy), folder)
        return
    path = Path(source).expanduser()
    found: Iterator[Path]
    if path.is_dir():
        found, nothing = path.iterdir(), "the folder has no file with anything in it"
    elif path.exists() or not set("*?[") & set(source):
        yield from _unpacked(File(source, path), folder)
        return
    else:
        found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        nothing = "no file of such a name has anything in it"
    shown = sorted(each for each in found if each.is_file() and not each.name.startswith(".") and each.stat().st_size)
    if not shown:
        raise Problem(f"{source}: {nothing}")
    for each in shown:
        yield from _unpacked(File(str(each), each), folder)


def is_workbook(file: File) -> bool:
    """Whether this is a spreadsheet by its content: of an office program's old format, or the new one's archive."""
    start = file.start(8)
    if start.startswith(ZIP):
        with _archive(file) as archive:
            return any(name in archive.namelist() for name in _OFFICE)
    return start == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@contextmanager
def copied(name: str, chunks: Iterable[bytes], folder: Path | None) -> Iterator[Path]:
    """A temporary file, which is removed in the end.

    Args:
        name: what it is a copy of, for messages.
        chunks: its content.
        folder: the one for it; the system's for temporary files if None.

    Raises:
        Problem: it cannot be written.
    """
    try:
        place = tempfile.TemporaryDirectory(prefix="source-", dir=folder)
    except OSError as error:
        raise Problem(f"{name}: there is no folder for a temporary copy of it: {error.strerror}") from None
    with place:
        copy = Path(place.name, "copy")
        with copy.open("wb") as out:
            for chunk in chunks:
                try:
                    out.write(chunk)
                    out.flush()
                except OSError as error:
                    raise Problem(f"{name}: a copy of it cannot be written to {copy}: {error.strerror}") from None
        yield copy


def _downloaded(url: str, name: str) -> Iterator[bytes]:
    with urlopen(url, timeout=60) as response:
        while chunk := response.read(_CHUNK):
            yield chunk
        if response.length:  # which http.client says only where all is read at once
            raise Problem(f"{name}: cannot be read: the download ended {response.length:,} bytes too soon")


def _unpacked(file: File, folder: Path | None) -> Iterator[File]:
    start = file.start(10)
    for magic, (packer, opened) in _PACKERS.items():
        if start.startswith(magic) and (packer != "bzip2" or start[4:] == b"1AY&SY"):
            name = file.name.removesuffix(PurePosixPath(file.name).suffix)
            content = _content(f"{file.name}: broken {packer}", partial(opened, file.path))
            with copied(file.name, content, folder) as copy:
                yield from _unpacked(File(name, copy), folder)
            return
    if not start.startswith(ZIP) or is_workbook(file):
        yield file
        return
    with _archive(file) as archive:
        members = sorted((each for each in archive.infolist() if _counts(each)), key=lambda each: each.filename)
        if not members:
            raise Problem(f"{file.name}: the archive has no file with anything in it")
        for member in members:
            name = f"{file.name}/{member.filename}"
            content = _content(f"{file.name}: {member.filename}: cannot be unpacked", partial(archive.open, member))
            with copied(name, content, folder) as copy:
                yield from _unpacked(File(name, copy), folder)


def _content(broken: str, opened: Callable[[], Readable]) -> Iterator[bytes]:
    """What is packed, some at a time; `broken` is what to say where it cannot be unpacked."""
    try:
        with opened() as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except _BROKEN as error:
        raise Problem(f"{broken}: {one_line(error)}") from None


def _archive(file: File) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file.path)
    except zipfile.BadZipFile as error:
        raise Problem(f"{file.name}: a broken zip or Excel file: {one_line(error)}") from None


def _counts(member: zipfile.ZipInfo) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member.filename).parts)
    return bool(member.file_size) and not member.is_dir() and not hidden


_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # of zip: a password is needed
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
)
_PACKERS: dict[bytes, tuple[str, Callable[[Path], Readable]]] = {
    b"\x1f\x8b": ("gzip", gzip.GzipFile),
    b"\x28\xb5\x2f\xfd": ("zstandard", zstd.ZstdFile),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
    b"BZh": ("bzip2", bz2.BZ2File),
}
