"""Write a NIfTI file slice by slice, so that a volume need not be held in memory."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ctgrid.base.durable import sync
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_output, full_suffix, stem_of
from ctgrid.base.locks import lock
from ctgrid.scan.formats.stored import MARK

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # gzip, no name, no time, fastest: as nibabel writes it
_LEVEL = 1


class NiftiStream:
    """One ``.nii`` or ``.nii.gz`` file of int16 HU that grows under a hidden name until it is published.

    The bytes are those of :meth:`ctgrid.scan.volume.Volume.write`.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], affine: np.ndarray, overwrite: bool = False) -> None:
        """Create the hidden file beside ``path`` and write the header.

        Args:
            path: the file to be.
            shape: (z, y, x).
            affine: (4, 4) voxel (x, y, z) to RAS+ mm.
            overwrite: whether a file that is already there may be replaced.

        Raises:
            CtgridError: where it cannot be written.
        """  # noqa: DOC501
        self.path, self.shape, self.affine, self.overwrite = check_output(path, overwrite), shape, affine, overwrite
        self.written = self.bytes = 0
        stem = stem_of(path)
        self.temporary = path.with_name(f".{stem[:80]}-{secrets.token_hex(6)}{path.name[len(stem) :]}")
        self._digest, self._crc, self._length = hashlib.sha256(), 0, 0
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS) if _compressed(path) else None
        self._file: BinaryIO | None = None
        try:
            self._file = self.temporary.open("xb")
            lock(self._file)
            if self._deflate is not None:
                self._write(_HEADER)
            self._add(header_of(shape, affine))
        except OSError as error:
            self.abandon()
            raise _refused(path, error) from error

    def append(self, hu: np.ndarray) -> None:
        """Add the next slices, (n, y, x) int16.

        Raises:
            CtgridError: where the system refuses to write, with nothing left behind.
        """  # noqa: DOC501
        if hu.dtype != np.int16 or hu.shape[1:] != self.shape[1:] or self.written + len(hu) > self.shape[0]:
            raise CtgridError(f"{self.path}: {hu.dtype} {hu.shape} does not continue {self.written} of {self.shape}")
        try:
            for plane in hu:
                self._add(np.ascontiguousarray(plane, dtype="<i2").data)
        except OSError as error:
            self.abandon()
            raise _refused(self.path, error) from error
        self.written += len(hu)

    def close(self) -> str:
        """Complete the hidden file on the disk.

        Returns:
            Its SHA-256.

        Raises:
            CtgridError: where slices are missing, or the system refuses to write.
        """  # noqa: DOC501
        if self.written != self.shape[0]:
            raise CtgridError(f"{self.path}: {self.written} of {self.shape[0]} slices were written")
        assert self._file is not None
        try:
            if self._deflate is not None:
                self._write(self._deflate.flush())
                self._write(self._crc.to_bytes(4, "little") + (self._length % 2**32).to_bytes(4, "little"))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self.abandon()
            raise _refused(self.path, error) from error
        return self._digest.hexdigest()

    def publish(self) -> None:
        """Give the complete file its name."""
        try:
            check_output(self.path, self.overwrite)
            self.temporary.replace(self.path)
            sync(self.path.parent)
        except OSError as error:
            raise _refused(self.path, error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close and remove the hidden file, if it is still there."""
        if self._file is not None:
            with suppress(OSError):  # what was buffered may not fit either
                self._file.close()
            self._file = None
        self.temporary.unlink(missing_ok=True)

    def _add(self, data: bytes | memoryview) -> None:
        """Write content, compressed where the file is."""
        if self._deflate is None:
            self._write(data)
            return
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data) if isinstance(data, bytes) else data.nbytes
        self._write(self._deflate.compress(data))

    def _write(self, data: bytes | memoryview) -> None:
        """Write bytes as they stand, and count them."""
        assert self._file is not None
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data) if isinstance(data, bytes) else data.nbytes


def header_of(shape: tuple[int, int, int], affine: np.ndarray) -> bytes:
    """Return what stands before the voxels in a file of int16 HU, as ``write_nifti`` puts it."""
    import nibabel

    voxels = np.broadcast_to(np.int16(0), shape[::-1])
    image = nibabel.Nifti1Image(voxels, affine, dtype=np.int16)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1.0, 0.0)
    image.header["descrip"] = MARK.encode("ascii")
    image.header["magic"] = b"n+1"
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    image.header["vox_offset"] = image.header.single_vox_offset
    stream = io.BytesIO()
    image.header.write_to(stream)
    return stream.getvalue().ljust(image.header.single_vox_offset, b"\0")


def remove_stale(path: Path) -> None:
    """Remove what a process that was killed left of a file; one that is still being written stays."""
    stem = stem_of(path)
    for old in path.parent.glob(f".{_literal(stem[:80])}-{'?' * 12}{_literal(path.name[len(stem) :])}"):
        try:
            with old.open("rb") as stream:
                if lock(stream):
                    old.unlink(missing_ok=True)
        except OSError:
            continue


def _compressed(path: Path) -> bool:
    return full_suffix(path) == ".nii.gz"


def _literal(name: str) -> str:
    """Escape what has a meaning in patterns."""
    import glob

    return glob.escape(name)


def _refused(path: Path, error: OSError) -> CtgridError:
    return CtgridError(f"cannot write {path}: {error.strerror or error}")
