"""What stands between pydicom and a file: bounds on bytes, zeros, and what unpacks."""

from __future__ import annotations

import io
import zlib

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.limits import VARIABLE
from ctgrid.scan.formats.dicom.guarded import LONGEST_HEADER, AfterPixels, AtPixels, Guarded


def test_no_more_is_read_than_a_file_of_this_kind_holds() -> None:
    stream = Guarded(io.BytesIO(bytes(range(100))), 50)
    assert stream.read(30) == bytes(range(30)) and stream.tell() == 30  # all else is the stream's own
    with pytest.raises(ValueError, match="claims more"):
        stream.read(21)
    assert stream.read(20) == bytes(range(30, 50))
    with pytest.raises(ValueError, match="longer than that of any scan"):
        Guarded(io.BytesIO(bytes(100)), 50).read()


def test_zeros_without_end_are_refused_and_a_few_are_not() -> None:
    def read(content: bytes) -> None:
        stream = Guarded(io.BytesIO(content), 1 << 20)
        while stream.read(8):
            pass

    read((bytes(8 * 99) + b"elements") * 3)
    with pytest.raises(ValueError, match="nothing but zeros"):
        read(bytes(8 * 200))


def test_a_deflated_file_counts_as_what_it_unpacks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(1 << 20)) + packer.flush()
    assert Guarded(io.BytesIO(packed), 1 << 20).read() == packed
    monkeypatch.setenv(VARIABLE, "4M")
    with pytest.raises(CtgridError, match=r"deflated DICOM file.* would take 8 MiB"):
        Guarded(io.BytesIO(packed), 1 << 20).read()


def test_where_pydicom_stops() -> None:
    at = AtPixels()
    assert not at(0x00280010, "US", 2) and not at(0x00081140, "SQ", 0xFFFFFFFF) and not at.reached
    assert at(0, None, 0) and not at.reached, "zeros follow, no pixels"
    assert at(0x7FE00010, "OW", 10) and at.reached
    assert AtPixels()(0x00091001, "OB", LONGEST_HEADER + 1)
    after = AfterPixels()
    assert [after(tag, None, 4) for tag in (0x00280010, 0x7FE00010, 0xFFFCFFFC)] == [False, False, True]
    assert AfterPixels()(0, None, 0)
