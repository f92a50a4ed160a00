"""Words that many commands take: devices, windows of HU, amounts of memory."""

from __future__ import annotations

import math

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.usual import finite, parse_memory, read_device, read_memory, read_window, write_window


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 * 10**9),
        ("3.5 GiB", 3758096384),
        ("800m", 8 * 10**8),
        ("1024", 1024),
        (" 2 Ti ", 2 << 40),
        ("7kB", 7000),
        ("0.5KiB", 512),
    ],
)
def test_amounts_of_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size and read_memory(text) == text


@pytest.mark.parametrize("text", ["0GB", "", "GB", "-1G", "1e9", "4 QB", "nan", ".5G", "1,5G", "0.0001"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(CtgridError, match="write it like 4GB"):
        parse_memory(text)


def test_windows_are_read_as_they_are_written() -> None:
    assert read_window("-1000,400") == (-1000.0, 400.0) and read_window(" -1e3 , 40.5 ") == (-1000.0, 40.5)
    for window in ((-1350.0, 150.0), (-0.5, 0.25), (-1000.0, 1000.0)):
        assert read_window(write_window(window)) == window
    for text in ("", "1", "400,-1000", "5,5", "1,2,3", "nan,4", "-inf,4", "a,b"):
        with pytest.raises(CtgridError, match=r"is not lo,hi with lo < hi"):
            read_window(text)


def test_devices_by_name() -> None:
    for text in ("auto", "cpu", "mps", "cuda", "cuda:11"):
        assert read_device(text) == text
    for text in ("", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu\n"):
        with pytest.raises(CtgridError, match=r"unknown device .*known: auto, cpu"):
            read_device(text)


def test_what_is_not_finite_compares_with_nothing() -> None:
    assert finite("2.5") == 2.5
    for text in ("inf", "-inf", "nan", "1e999", "two", ""):
        assert math.isnan(finite(text))
