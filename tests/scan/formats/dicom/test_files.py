"""Which files of a folder, an archive, or an archive inside one, are DICOM."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ctgrid import CtgridError
from ctgrid.scan.formats.dicom.files import dicom_files, looks_like_dicom
from ctgrid.scan.formats.open import read_stored

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """Eight small slices, all different."""
    return RNG.integers(-1000, 1000, (8, 6, 7)).astype(np.int16)


def refusal(path: Path) -> str:
    with pytest.raises(CtgridError) as caught:
        read_stored(path)
    return str(caught.value)


@pytest.mark.parametrize("nested", [False, True])
def test_zip(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, nested: bool) -> None:
    make_series(tmp_path / "s", hu)
    shutil.make_archive(str(tmp_path / "inner"), "zip", tmp_path, "s")
    path = tmp_path / "inner.zip"
    if nested:
        with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
            archive.writestr("read me.txt", "hello")
            archive.write(path, "study/inner.ZIP")
        path = tmp_path / "outer.zip"
    np.testing.assert_array_equal(read_stored(path).values, hu)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_bare_data_set_without_preamble_or_suffix(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, implicit: bool
) -> None:
    path = next(make_series(tmp_path / "s", hu[:1]).iterdir())
    ds = pydicom.dcmread(path)
    del ds.file_meta
    ds.save_as(tmp_path / "bare", implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    (tmp_path / "IM0001").write_bytes((tmp_path / "bare").read_bytes()[132:])
    np.testing.assert_array_equal(read_stored(tmp_path / "IM0001").values, hu[:1])


def test_what_holds_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no DICOM files" in refusal(tmp_path / "empty")
    (tmp_path / "empty" / "a.nii.gz").write_text("x")
    assert "1 files of other formats" in refusal(tmp_path / "empty")
    (tmp_path / "a.zip").write_text("not a zip")
    assert "not a readable zip archive" in refusal(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    assert "holds no DICOM files" in refusal(tmp_path / "b.zip")
    (tmp_path / "a.dcm").write_text("nothing")
    assert "not a readable DICOM file" in refusal(tmp_path / "a.dcm")


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_zip(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path, compressed: bool) -> None:
    make_series(tmp_path / "s", hu)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", 8 if compressed else 0) as archive:
        for path in sorted((tmp_path / "s").iterdir()):
            archive.write(path, path.name)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    (tmp_path / "cut.zip").write_bytes(raw[:-300])
    assert "not a readable zip archive" in refusal(tmp_path / "cut.zip")
    raw[raw.index(b"-003.dcm") + 500] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(raw)
    assert "zip" in refusal(tmp_path / "bad.zip")


MODERN = bytes(128) + b"DICM"


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (MODERN, True),
        (MODERN[:-1], False),
        (b"\x08\x00\x05\x00CS\x0a\x00" + bytes(124), True),  # explicit, without preamble
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00" + bytes(124), True),  # implicit
        (b"\x02\x00\x00\x00UL\x04\x00" + bytes(124), True),
        (b"\x08\x00\x05\x00CS\x0a\x00", False),  # too short for any image
        (b"\x08\x00\x05\x00cs\x0a\x00" + bytes(124), False),
        (b"\x08\x00\x05\x00\xff\x00\x00\x00" + bytes(124), False),
        (b"\x10\x00\x05\x00CS\x0a\x00" + bytes(124), False),
        (b"", False),
    ],
)
def test_the_first_bytes_tell(head: bytes, wanted: bool) -> None:
    assert looks_like_dicom(head) is wanted


def test_members_are_unpacked_when_asked_for_and_hidden_ones_never(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("b/2", b"two"), ("b/1", b"one"), ("b/.3", b"three"), ("note.txt", b"")):
            archive.writestr(name, MODERN + content if content else "x" * 200)
    with dicom_files(path) as found:
        assert [file.name for file in found] == ["b/1", "b/2"]
        for file, content in zip(found, (b"one", b"two"), strict=True):
            with file.open() as stream, file.open_head() as head:
                assert stream.read() == MODERN + content and stream.seek(132) == 132 and stream.read() == content
                assert head.read(132) == MODERN


def test_archives_are_opened_three_deep(tmp_path: Path) -> None:
    """No deeper: a zip may hold itself."""
    path = tmp_path / "0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("slice", MODERN)
    for depth in range(1, 4):
        outer = tmp_path / f"{depth}.zip"
        with zipfile.ZipFile(outer, "w") as archive:
            archive.write(tmp_path / f"{depth - 1}.zip", "in.zip")
        with dicom_files(outer) as found:
            assert len(found) == (depth < 3)


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("slice", MODERN)
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    with pytest.raises(CtgridError, match="slice is encrypted; unpack it with its password first"), dicom_files(path):
        pass
