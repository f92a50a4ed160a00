"""What compressed pictures say about themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import example, given
from hypothesis import strategies as st

from ctgrid.scan.formats.dicom.codestream import picture


@pytest.mark.parametrize("how", ["JPEG", "JPEG2000"])
def test_size_and_bits(how: str, tmp_path: Path) -> None:
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor(how)
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.Execute(sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 900, (1, 48, 64)).astype(np.uint16)))
    stream = next(pydicom.encaps.generate_frames(pydicom.dcmread(tmp_path / "a.dcm").PixelData))
    assert picture(stream) == (48, 64, 1, 16, False, how == "JPEG2000")
    assert all(picture(stream[:n]) is None for n in range(12))


def test_jpeg_ls_header() -> None:
    """A start of frame as in ISO/IEC 14495-1, after a comment and a fill byte."""
    stream = b"\xff\xd8\xff\xfe\x00\x04hi\xff\xff\xf7\x00\x0b\x0c\x02\x00\x01\x80\x01\x01\x11\x00"
    assert picture(stream) == (512, 384, 1, 12, False, False)


@example(bytes(8), b"\xff\xd8\xff\xc0")  # a frame whose values have no bits
@given(st.binary(max_size=80), st.sampled_from([b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\xff\x4f\xff\x51", b""]))
def test_any_bytes_are_a_picture_or_none(rest: bytes, start: bytes) -> None:
    said = picture(start + rest)
    assert said is None or said.bits > 0
