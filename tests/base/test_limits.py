"""How large an input may become: how it is said, and what is said where it is passed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.limits import DEFAULT_BYTES, VARIABLE, check_bytes, check_zip, max_bytes, parse_bytes, readable

MIB = 1 << 20


def test_the_limit_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parse_bytes(text) for text in ("12", "3K", "1.5M", "6G", "2 GiB")] == [
        *(12, 3072, 3 * MIB // 2, 6 << 30, 2 << 30)
    ]
    for text in ("", "0", "-1", "lots", "1e9", "9" * 40):
        with pytest.raises(CtgridError):
            parse_bytes(text)
    monkeypatch.setenv(VARIABLE, "much")
    with pytest.raises(CtgridError, match=f"{VARIABLE}: 'much'"):
        max_bytes()
    monkeypatch.delenv(VARIABLE)
    check_bytes(DEFAULT_BYTES, "x holds")
    with pytest.raises(CtgridError, match=r"x holds 3 GiB, more than the limit of 2 GiB.*--max-bytes 3G"):
        check_bytes(3 << 30, "x holds")


def test_the_advice_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the message says to pass lets the same bytes through."""
    monkeypatch.setenv(VARIABLE, "1K")
    for size in (1025, 3 * MIB + 1, (5 << 30) + 1):
        with pytest.raises(CtgridError, match="--max-bytes") as caught:
            check_bytes(size, "x holds")
        monkeypatch.setenv(VARIABLE, str(caught.value).split("--max-bytes ")[1].split()[0])
        check_bytes(size, "x holds")
        monkeypatch.setenv(VARIABLE, "1K")


def test_members_of_an_archive_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "ab":
            archive.writestr(name, bytes(600))
    monkeypatch.setenv(VARIABLE, "1200")
    check_zip(path)
    monkeypatch.setenv(VARIABLE, "1199")
    with pytest.raises(CtgridError, match=r"a.npz unpacks to 1.172 KiB, more than"):
        check_zip(path)


def test_sizes_for_people() -> None:
    assert [readable(size) for size in (0, 1023, 1024, 1536 << 10, 3 << 30)] == [
        *("0 bytes", "1023 bytes", "1 KiB", "1.5 MiB", "3 GiB")
    ]
