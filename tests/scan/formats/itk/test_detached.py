"""Data files that a header names: beside or below it, whatever form the name has, and nowhere else."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.source import identity

VALUES = np.arange(-60, 60, dtype="<i2").reshape(5, 4, 6)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file that is not the user's to give away, in a folder of its own."""
    path = tmp_path / "private" / "secret.raw"
    path.parent.mkdir()
    path.write_bytes(VALUES.tobytes())
    return path


def nhdr(folder: Path, *data: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["NRRD0004", "type: short", "dimension: 3", "sizes: 6 4 5", "spacings: 0.7 0.7 1.5", "encoding: raw"]
    path = folder / "scan.nhdr"
    path.write_bytes("\n".join([*lines, "endian: little", *data, ""]).encode())
    return path


def mhd(folder: Path, *data: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["NDims = 3", "DimSize = 6 4 5", "ElementSpacing = 0.7 0.7 1.5", "ElementType = MET_SHORT", *data]
    path = folder / "scan.mhd"
    path.write_bytes("\n".join([*lines, ""]).encode())
    return path


def forms(secret: Path, folder: Path) -> dict[str, Path]:
    """Return headers that ask for a file elsewhere, by how."""
    out = f"../private/{secret.name}"
    for name in ("a0.raw", "a1.raw", "ok.raw"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(VALUES.tobytes())
    (folder / "link.raw").symlink_to(secret)
    (folder / "LIST9").symlink_to(secret)
    (folder / "down").symlink_to(secret.parent)
    slices = [f"{folder.name}/../../private/{secret.name}"] * 5
    named = ("data file: ", "ElementDataFile = ")
    makers = (nhdr, mhd)
    found = {}
    for key, make in zip(named, makers, strict=True):
        for how, lines in {
            "absolute": [f"{key}{secret}"],
            "above": [f"{key}{out}"],
            "below and above": [f"{key}x/../{out}"],
            "backslashes": [f"{key}..\\private\\{secret.name}"],
            "link": [f"{key}link.raw"],
            "folder that is a link": [f"{key}down/{secret.name}"],
            "link named like a list": [f"{key}LIST9"],
            "list": [f"{key}LIST", *slices],
            "list, absolute": [f"{key}LIST 2", *[str(secret)] * 5],
            "list, link": [f"{key}LIST", *["link.raw"] * 5],
            "pattern": [f"{key}../private/s%dcret.raw 0 4 1"],
            "pattern, absolute": [f"{key}{secret.parent}/%d.raw 0 4 1"],
            "named twice": [f"{key}{secret}", f"{key}ok.raw"],
        }.items():
            found[f"{make.__name__}, {how}"] = make(folder / make.__name__ / how.replace(" ", "_"), *lines)
            for name in ("ok.raw", "link.raw", "LIST9", "down"):
                target = found[f"{make.__name__}, {how}"].parent / name
                target.symlink_to(folder / name) if name != "ok.raw" else target.write_bytes(VALUES.tobytes())
    return found


def test_no_header_reaches_out_of_its_folder(secret: Path, tmp_path: Path) -> None:
    for how, path in forms(secret, tmp_path / "in").items():
        with pytest.raises(CtgridError) as error:
            Volume.read(path)
        assert any(word in str(error.value) for word in ("beside", "names its data", "pattern", "missing")), how
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["%s.raw 0 4 1", "%n%d.raw 0 4 1", "%9999999d.raw 0 4 1", "%d.raw 0 999999999 1"])
def test_patterns_are_plain_numbers(tmp_path: Path, name: str) -> None:
    with pytest.raises(CtgridError, match=r"pattern|no end"):
        Volume.read(nhdr(tmp_path, f"data file: {name}"))


def test_a_header_cannot_hide_a_name_behind_characters_that_are_left_out(secret: Path, tmp_path: Path) -> None:
    path = nhdr(tmp_path / "in", f"data file: {secret}", "# \x85data file: ok.raw")
    (path.parent / "ok.raw").write_bytes(VALUES.tobytes())
    with pytest.raises(CtgridError, match="not a plain name"):
        Volume.read(path)
    long = nhdr(tmp_path / "in", f"data file: {'./' * 300}../private/{secret.name}")
    with pytest.raises(CtgridError, match="leads out"):
        Volume.read(long)


@pytest.mark.parametrize("make", [nhdr, mhd])
def test_data_beside_and_below_are_read(tmp_path: Path, make: object) -> None:
    key = "data file: " if make is nhdr else "ElementDataFile = "
    forms = {
        "one": ([f"{key}raw/v.raw"], ["raw/v.raw"]),
        "list": ([f"{key}LIST", *(f"s{k}.raw" for k in range(5))], [f"s{k}.raw" for k in range(5)]),
        "pattern": ([f"{key}s%03d.raw 1 5 1"], [f"s{k:03}.raw" for k in range(1, 6)]),
    }
    for how, (lines, names) in forms.items():
        path = make(tmp_path / how, *lines)  # type: ignore[operator]
        (path.parent / "raw").mkdir()
        for name, part in zip(names, np.array_split(VALUES, len(names)), strict=True):
            (path.parent / name).write_bytes(part.tobytes())
        np.testing.assert_array_equal(Volume.read(path, hu="stored").hu, VALUES)


def test_an_input_is_told_apart_without_files_elsewhere(secret: Path, tmp_path: Path) -> None:
    path = mhd(tmp_path / "in", f"ElementDataFile = {secret}")
    assert identity(path, None)["bytes"] == path.stat().st_size


def test_a_data_file_that_may_not_be_read_is_not_told_as_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = nhdr(tmp_path, "data file: a.raw")
    (tmp_path / "a.raw").write_bytes(VALUES.tobytes())
    opened = Path.open

    def refuse(self: Path, *how: Any) -> Any:
        if self.name == "a.raw":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(self, *how)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CtgridError, match=r"cannot read .*a\.raw: Permission denied"):
        Volume.read(header)
