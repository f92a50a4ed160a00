"""Files that claim, or unpack to, far more than they are: refused before memory and time are spent."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.base.limits import VARIABLE

MIB = 1 << 20


@pytest.fixture(autouse=True)
def peak(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lower the limit to 8 MiB, and fail where a test takes much more memory than that."""
    monkeypatch.setenv(VARIABLE, "8M")
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80 * MIB, f"{most / MIB:.0f} MiB"


@pytest.fixture
def slice_file(tmp_path: Path) -> Callable[..., bytes]:
    """Return a maker of one DICOM slice, ``slice_file(syntax=..., Rows=...)``."""

    def make(tail: bytes = b"", **attributes: object) -> bytes:
        from pydicom import dcmread, dcmwrite

        folder = tmp_path / "one"
        if not folder.exists():
            Volume(np.zeros((3, 16, 16), np.int16), np.diag([1.0, 1, 2, 1])).write(folder)
        dataset = dcmread(sorted(folder.iterdir())[0])
        for name, value in attributes.items():
            setattr(dataset, name, value)
        stream = io.BytesIO()
        dcmwrite(stream, dataset)
        return stream.getvalue() + tail

    return make


def nifti_header(shape: tuple[int, int, int], code: int = 4, bits: int = 16) -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 2, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0)
    header[344:348] = b"n+1\0"
    return bytes(header)


def packed(head: bytes, zeros: int) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [coder.compress(head)] + [coder.compress(bytes(MIB)) for _ in range(zeros // MIB)]
    return b"".join([*parts, coder.flush()])


def test_a_tail_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "tail.nii.gz"
    path.write_bytes(packed(nifti_header((16, 16, 16)), 200 * MIB))
    with pytest.raises(CtgridError, match="behind the last voxel"):
        Volume.read(path)


def test_a_little_tail_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "tail.nii.gz"
    path.write_bytes(packed(nifti_header((16, 16, 16)) + bytes(8192), MIB))
    assert Volume.read(path, hu="stored").shape == (16, 16, 16)


def test_what_is_packed_in_one_block_comes_in_pieces(tmp_path: Path) -> None:
    from ctgrid.scan.formats.nifti.gz import unpacked_blocks

    path, content = tmp_path / "a.gz", np.arange(MIB, dtype=np.int16).tobytes()
    path.write_bytes(gzip.compress(content) + gzip.compress(bytes(10 * MIB)))
    blocks = list(unpacked_blocks(path))
    assert max(map(len, blocks)) <= 4 * MIB and b"".join(blocks) == content + bytes(10 * MIB)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(EOFError):
        list(unpacked_blocks(path))


def test_headers_that_ask_for_too_much(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(packed(nifti_header((512, 512, 100)), 60 * MIB))
    with (tmp_path / "a.nii").open("wb") as stream:  # sparse: little on the disk
        stream.write(nifti_header((512, 512, 100)))
        stream.truncate(60 * MIB)
    lines = "NRRD0004\ntype: short\ndimension: 3\nsizes: 512 512 100\nencoding: gzip\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_bytes(lines.encode() + packed(b"", 60 * MIB))
    lines = (
        "NDims = 3\nDimSize = 512 512 100\nElementType = MET_SHORT\nCompressedData = True\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(lines.encode() + packed(b"", 60 * MIB))
    for name in ("a.nii.gz", "a.nii", "a.nrrd", "a.mha"):
        with pytest.raises(CtgridError, match=r"50 MiB, more than the limit of 8 MiB.*--max-bytes"):
            Volume.read(tmp_path / name)


def test_extensions_are_not_read_at_any_length(tmp_path: Path) -> None:
    head = bytearray(nifti_header((16, 16, 16)))
    struct.pack_into("<f", head, 108, 352 + 100 * MIB)
    head[348:352] = b"\1\0\0\0"
    extension = struct.pack("<2i", 100 * MIB, 6)
    (tmp_path / "a.nii.gz").write_bytes(packed(bytes(head) + extension, 101 * MIB))
    with (tmp_path / "a.nii").open("wb") as stream:
        stream.write(bytes(head) + extension)
        stream.truncate(102 * MIB)
    for name in ("a.nii.gz", "a.nii"):
        with pytest.raises(CtgridError, match="not a readable NIfTI"):
            Volume.read(tmp_path / name)


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_zip_members(tmp_path: Path, slice_file: Callable[..., bytes]) -> None:
    bomb = zipped(tmp_path / "a.zip", a=slice_file(bytes(20 * MIB)))
    with pytest.raises(CtgridError, match=r"unpacks to 20 MiB, more than the limit"):
        Volume.read(bomb)
    other = zipped(tmp_path / "b.zip", a=slice_file(bytes(5 * MIB)), readme=bytes(40 * MIB))
    assert Volume.read(other).shape == (1, 16, 16)  # the tail is nothing that is read, nor is what is no DICOM


def test_zips_inside_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as archive:
        archive.writestr("zeros", bytes(3 * MIB))
    inner = (tmp_path / "i.zip").read_bytes()
    path = zipped(tmp_path / "a.zip", **{f"{i}.zip": inner for i in range(20)})
    assert path.stat().st_size < MIB
    with pytest.raises(CtgridError, match="archives inside it unpack to"):
        Volume.read(path)


def test_dicom_claims(tmp_path: Path, slice_file: Callable[..., bytes]) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(slice_file(Rows=65535, Columns=65535))
    with pytest.raises(CtgridError, match="limit"):
        Volume.read(path)
    deflated = bytearray(slice_file())
    from pydicom import dcmread, dcmwrite
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dataset = dcmread(io.BytesIO(bytes(deflated)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new(0x00091001, "OB", bytes(10 * MIB))
    dcmwrite(path, dataset)
    assert path.stat().st_size < 100_000
    with pytest.raises(CtgridError, match="deflated DICOM file"):
        Volume.read(path)


def test_dicom_elements_of_any_length(tmp_path: Path, slice_file: Callable[..., bytes]) -> None:
    content = slice_file()
    at = content.index(b"\x28\x00\x02\x00US")  # before the first element of the picture
    long = struct.pack("<HH2sHI", 0x0019, 0x1001, b"OB", 0, 90 * MIB)
    path = tmp_path / "a.dcm"
    with path.open("wb") as stream:
        stream.write(content[:at] + long)
        stream.seek(90 * MIB, 1)
        stream.write(content[at:])
    with pytest.raises(CtgridError):
        Volume.read(path)
