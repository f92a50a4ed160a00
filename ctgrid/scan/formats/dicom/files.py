"""Find the DICOM files of a folder (and all below it), of a zip archive, or take one file by itself."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import walk_folders

_HEAD = 132
_MAGIC = b"DICM"
_DEEPEST_ZIP = 3
_LARGEST_MEMBER = 8 << 30
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
            stream = io.BytesIO(self._unpacked())
        with stream:
            yield stream

    def _unpacked(self) -> bytes:
        assert self.archive is not None and self.member is not None
        try:
            return self.archive.read(self.member)
        except ZIP_ERRORS as error:
            raise CtgridError(f"{self.archive.filename}: cannot unpack {self.name}: {reason_of(error)}") from error


@contextmanager
def dicom_files(path: Path) -> Iterator[list[DicomFile]]:
    """Yield the DICOM files of a folder, an archive or a single file, in the order of their names.

    Files of other kinds are passed over. An archive inside an archive is opened too, three deep. Nothing is
    unpacked until it is asked for.

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
            if looks_like_dicom(head):
                found.append(DicomFile(path.relative_to(folder).as_posix(), path=path))
    return found


def _in_zip(source: Path | BinaryIO, name: str, stack: ExitStack, depth: int = 1) -> list[DicomFile]:
    found = []
    try:
        archive = stack.enter_context(zipfile.ZipFile(source))
        archive.filename = name
        for member in sorted(archive.infolist(), key=lambda m: m.filename):
            base = member.filename.rsplit("/", 1)[-1]
            if member.is_dir() or base.startswith("."):
                continue
            if member.file_size > _LARGEST_MEMBER:
                raise CtgridError(
                    f"{name}: {member.filename} unpacks to {member.file_size >> 30} GiB; unpack it yourself"
                )
            if member.flag_bits & 1:
                raise CtgridError(f"{name}: {member.filename} is encrypted; unpack it with its password first")
            with archive.open(member) as stream:
                head = stream.read(_HEAD)
            if looks_like_dicom(head):
                found.append(DicomFile(member.filename, archive=archive, member=member))
            elif base.lower().endswith(".zip") and depth < _DEEPEST_ZIP:
                inner = io.BytesIO(archive.read(member))
                found += _in_zip(inner, f"{name}/{member.filename}", stack, depth + 1)
    except CtgridError:
        raise
    except ZIP_ERRORS as error:
        raise CtgridError(f"{name} is not a readable zip archive: {reason_of(error)}") from error
    return found
