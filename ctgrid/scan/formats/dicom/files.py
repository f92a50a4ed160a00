"""Find the DICOM files of a folder (and all below it), of a zip archive, or take one file by itself."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import walk_folders
from ctgrid.base.limits import check_bytes

_HEAD = 132
_MAGIC = b"DICM"
_DEEPEST_ZIP = 3
_IN_MEMORY = 64 << 20  # of a member; a larger one is unpacked on the disk
_BLOCK = 1 << 20
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError)


@dataclass(frozen=True)
class DicomFile:
    """One file that looks like DICOM.

    Attributes:
        name: Where it is, for messages: relative to the folder or archive that was asked for.
        path: The file on disk, or None for a member of an archive.
        archive: The archive, open, or None for a file on disk.
        member: The member of the archive.
    """

    name: str
    path: Path | None = None
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None

    @property
    def folder(self) -> str:
        """The folder that holds it, as its name has it."""
        return self.name.rpartition("/")[0]

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield the file's bytes as a stream that can seek.

        Raises:
            CtgridError: It cannot be read.
        """
        if self.path is not None:
            try:
                stream: BinaryIO = self.path.open("rb")
            except OSError as error:
                raise CtgridError(f"cannot read {self.path}: {error.strerror or error}") from error
        else:
            stream = self._unpacked()
        with stream:
            yield stream

    @contextmanager
    def open_head(self) -> Iterator[BinaryIO]:
        """Yield the file's bytes for one who reads only its beginning: a member is unpacked as far as it is read.

        Raises:
            CtgridError: It cannot be read.
        """
        try:
            if self.archive is None or self.member is None:
                with self.open() as stream:  # which may be deflated as well
                    yield stream
                return
            with io.BufferedReader(cast(io.RawIOBase, self.archive.open(self.member)), _BLOCK) as head:
                yield head
        except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise self._damaged(error) from error

    def _unpacked(self) -> BinaryIO:
        assert self.archive is not None and self.member is not None
        try:
            with self.archive.open(self.member) as packed:
                return _copied(packed, self.member.file_size)
        except ZIP_ERRORS as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> CtgridError:
        if self.archive is None:
            return CtgridError(f"{self.path} cannot be unpacked, it is damaged: {reason_of(error)}")
        return CtgridError(f"{self.archive.filename}: cannot unpack {self.name}: {reason_of(error)}")


@contextmanager
def dicom_files(path: Path) -> Iterator[list[DicomFile]]:
    """Yield the DICOM files of a folder, an archive or a single file, in the order of their names.

    Files of other kinds are passed over, unless they are named as DICOM. An archive inside an archive is opened too,
    three deep. Nothing is unpacked until it is asked for.

    Args:
        path: A folder, a ``.zip``, or one DICOM file.

    Raises:
        CtgridError: The folder or archive cannot be read.
    """
    with ExitStack() as stack:
        if path.is_dir():
            yield _in_folder(path)
        elif path.suffix.lower() == ".zip":
            yield _in_zip(path, str(path), stack)
        else:
            with path.open("rb") as stream:
                head = stream.read(_HEAD)
            yield [DicomFile(path.name, path=path)] if looks_like_dicom(head) else []


def _is_named_dicom(name: str) -> bool:
    """Tell by its name alone: an empty or overwritten file of that name is a damaged slice."""
    return name.lower().endswith((".dcm", ".dicom"))


def looks_like_dicom(head: bytes) -> bool:
    """Tell by a file's first 132 bytes whether it may be DICOM.

    Old files lack the preamble and start with an element of group 0002 or 0008, tag then type or length.

    Args:
        head: The first 132 bytes, or fewer where the file is shorter.
    """
    if head[128:_HEAD] == _MAGIC:
        return True
    bare = len(head) == _HEAD and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0
    return bare and (head[4:6].isupper() or (head[5:8] == b"\0\0\0" and head[4] <= 64))


def _in_folder(folder: Path) -> list[DicomFile]:
    def fail(error: OSError) -> None:
        raise CtgridError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error

    found = []
    for parent, _, names in walk_folders(folder):
        for name in names:
            path = parent / name
            if not path.is_file():
                continue
            try:
                with path.open("rb") as stream:
                    head = stream.read(_HEAD)
            except OSError as error:
                fail(error)
            if looks_like_dicom(head) or _is_named_dicom(name):
                found.append(DicomFile(path.relative_to(folder).as_posix(), path=path))
    return found


def _copied(packed: IO[bytes], size: int) -> BinaryIO:
    """Unpack into memory, or where it is much, into a file that goes when it is closed; no more than is declared."""
    stream = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (the caller closes it)
    left = size
    while left > 0 and (block := packed.read(min(_BLOCK, left))):
        stream.write(block)
        left -= len(block)
    stream.seek(0)
    return cast(BinaryIO, stream)


@dataclass
class _Inner:
    """What archives inside an archive have unpacked to so far."""

    bytes: int = 0

    def add(self, size: int, name: str) -> None:
        self.bytes += size
        check_bytes(self.bytes, f"{name}: the archives inside it unpack to")


def _is_zip(member: zipfile.ZipInfo) -> bool:
    return member.filename.lower().endswith(".zip") and not member.filename.rpartition("/")[2].startswith(".")


def _in_zip(
    source: Path | BinaryIO, name: str, stack: ExitStack, depth: int = 1, inner: _Inner | None = None
) -> list[DicomFile]:
    found = []
    inner = inner or _Inner()
    try:
        archive = stack.enter_context(zipfile.ZipFile(source))
        archive.filename = name
        members = sorted(archive.infolist(), key=lambda m: m.filename)
        if depth < _DEEPEST_ZIP:
            inner.add(sum(member.file_size for member in members if _is_zip(member)), name)
        for member in members:
            base = member.filename.rsplit("/", 1)[-1]
            if member.is_dir() or base.startswith("."):
                continue
            if member.flag_bits & 1:
                raise CtgridError(f"{name}: {member.filename} is encrypted; unpack it with its password first")
            with archive.open(member) as stream:
                head = stream.read(_HEAD)
            if looks_like_dicom(head) or _is_named_dicom(base):
                check_bytes(member.file_size, f"{name}: {member.filename} unpacks to")
                found.append(DicomFile(member.filename, archive=archive, member=member))
            elif _is_zip(member) and depth < _DEEPEST_ZIP:
                with archive.open(member) as packed:
                    unpacked = stack.enter_context(_copied(packed, member.file_size))
                found += _in_zip(unpacked, f"{name}/{member.filename}", stack, depth + 1, inner)
    except CtgridError:
        raise
    except ZIP_ERRORS as error:
        raise CtgridError(f"{name} is not a readable zip archive: {reason_of(error)}") from error
    return found
