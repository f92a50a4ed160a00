"""An input is known again by its content, wherever it lies; and at a glance by size and time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.source import difference, identity, stamp


def test_content_counts_and_place_does_not(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "x.nii", tmp_path / "b" / "y.nii"
    for path, content in ((one, b"12345"), (two, b"12345")):
        path.parent.mkdir()
        path.write_bytes(content)
    assert difference(identity(one, None), identity(two, None)) is None
    assert identity(one, None)["bytes"] == 5 and identity(one, None)["name"] == "x.nii"
    two.write_bytes(b"12346")
    assert "5 bytes of other content" in str(difference(identity(one, None), identity(two, None)))


def test_a_sidecar_and_a_table_row_are_part_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(b"1")
    alone, glance = identity(path, None), stamp(path, None)
    (tmp_path / "x_metadata.json").write_text(json.dumps({"RescaleSlope": 1}), encoding="utf-8")
    assert stamp(path, None) != glance
    assert "_metadata.json" in str(difference(alone, identity(path, None)))
    table = MetadataTable("t.csv", {"x": ("2", "1.0", "-1024", "", "", "PNMS")})
    assert identity(path, table)["metadata"]["Manufacturer"] == "PNMS"
    assert "metadata row" in str(difference(identity(path, None), identity(path, table)))
    assert stamp(path, None) != stamp(path, table)


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    (folder / "deep").mkdir(parents=True)
    (folder / "1").write_bytes(b"one")
    (folder / "deep" / "2").write_bytes(b"two")
    before, glance = identity(folder, None), stamp(folder, None)
    assert (before["files"], before["bytes"], glance["files"], glance["bytes"]) == (2, 6, 2, 6)
    (folder / "deep" / "2").rename(folder / "2")
    assert difference(before, identity(folder, None)) is not None


@pytest.mark.parametrize(
    ("name", "header"), [("v.mhd", "NDims = 3\nElementDataFile = v.raw\n"), ("v.nhdr", "NRRD0004\ndata file: v.raw\n")]
)
def test_detached_data_belong_to_their_header(tmp_path: Path, name: str, header: str) -> None:
    path, data = tmp_path / name, tmp_path / "v.raw"
    path.write_text(header, encoding="utf-8")
    data.write_bytes(b"1")
    before = identity(path, None)
    data.write_bytes(b"2")
    assert difference(before, identity(path, None)) is not None
    assert stamp(path, None)["files"] == 2


@pytest.mark.parametrize("said", ["LIST\na0.raw\na1.raw\n", "a%d.raw 0 1 1\n"])
def test_all_of_several_detached_files_belong_to_their_header(tmp_path: Path, said: str) -> None:
    """A list and a pattern; where one is missing it is the reader's to say so."""
    header = tmp_path / "a.nhdr"
    header.write_text(f"NRRD0004\nencoding: raw\ndata file: {said}")
    for name in ("a0.raw", "a1.raw"):
        (tmp_path / name).write_bytes(b"1234")
    before = identity(header, None)
    assert stamp(header, None)["files"] == 3
    (tmp_path / "a1.raw").write_bytes(b"1235")
    assert identity(header, None)["sha256"] != before["sha256"]
    (tmp_path / "a1.raw").unlink()
    assert stamp(header, None)["files"] == 1


def test_a_touch_changes_the_stamp_only(tmp_path: Path) -> None:
    path = tmp_path / "x.nii"
    path.write_bytes(b"1")
    glance, content = stamp(path, None), identity(path, None)
    os.utime(path, ns=(0, 0))
    assert stamp(path, None) != glance and identity(path, None) == content


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="cannot read"):
        stamp(tmp_path / "x.nii", None)
    with pytest.raises(CtgridError, match="cannot read"):
        stamp(tmp_path / "x.mhd", None)
