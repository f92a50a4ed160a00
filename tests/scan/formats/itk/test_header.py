"""NRRD and MetaImage headers: refused before ITK allocates, decodes, or takes damage for good."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from ctgrid import CtgridError, Volume
from ctgrid.base.limits import VARIABLE
from ctgrid.scan.formats.itk.header import check_metaimage, check_nrrd
from ctgrid.scan.formats.open import read_stored


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the bytes of one sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    hu = np.random.default_rng(0).integers(-1000, 1000, (5, 24, 64)).astype(np.int16)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.7, 0.8, 2.5))
    for name, packed in (("raw.nrrd", False), ("raw.mha", False), ("a.mha", True), ("a.nrrd", True)):
        sitk.WriteImage(image, str(folder / name), packed)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"ElementSpacing = 0.69999999999999996", b"ElementSpacing = 0", "holds a zero"),
        (b"TransformMatrix = 1 0 0 0 1 0 0 0 1", b"TransformMatrix = 1 0 0 1 0 0 0 0 1", "singular"),
        (b"TransformMatrix = 1 0 0 0 1 0 0 0 1", b"TransformMatrix = nan 0 0 0 1 0 0 0 1", "not all finite"),
        (b"NDims = 3", b"NDims = 300", "three dimensions"),
        (b"MET_SHORT", b"MET_OTHER", "MET_OTHER"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = gone.raw", "missing"),
    ],
)
def test_odd_metaimage_headers(sound: dict[str, bytes], tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    assert old in sound["raw.mha"]
    (tmp_path / "a.mha").write_bytes(sound["raw.mha"].replace(old, new))
    with pytest.raises(CtgridError, match=says):
        read_stored(tmp_path / "a.mha")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"(0.69999999999999996,0,0)", b"(0,0,0)", "zero vector"),
        (b"(0.69999999999999996,0,0)", b"(0,0.5,0)", "singular"),
        (b"(0.69999999999999996,0,0)", b"(nan,0,0)", "not all finite"),
        (b"type: short", b"type: block", "'block' voxels"),
        (b"sizes: 64 24 5", b"sizes: 64 -24 5", "not positive whole numbers"),
        (b"sizes: 64 24 5", b"sizes: 64 24", "three dimensions"),
        (b"NRRD0004", b"NRRX0004", "not an NRRD file"),
    ],
)
def test_odd_nrrd_headers(sound: dict[str, bytes], tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    assert old in sound["raw.nrrd"]
    (tmp_path / "a.nrrd").write_bytes(sound["raw.nrrd"].replace(old, new))
    with pytest.raises(CtgridError, match=says):
        read_stored(tmp_path / "a.nrrd")


def test_damage_in_compressed_metaimage_is_noticed(sound: dict[str, bytes], tmp_path: Path) -> None:
    """ITK takes such a file for good and returns other voxels."""
    raw = bytearray(sound["a.mha"])
    raw[-200] ^= 0x55
    (tmp_path / "a.mha").write_bytes(raw)
    with pytest.raises(CtgridError, match="damaged"):
        read_stored(tmp_path / "a.mha")


@pytest.mark.parametrize("field", ["dimension", "kinds", "nonsense", "encoding"])
def test_a_long_nrrd_field_is_refused_before_itk_meets_it(field: str, tmp_path: Path) -> None:
    """It would overflow a buffer of ITK's messages, which ends the process; texts and own keys may be long."""
    head = {"type": "short", "dimension": "3", "sizes": "2 2 2", "encoding": "raw", "endian": "little"}
    long = "".join(f"{key}: {value}\n" for key, value in {**head, field: "[" * 2000}.items())
    (tmp_path / "a.nrrd").write_bytes(f"NRRD0004\n{long}\n".encode() + bytes(16))
    with pytest.raises(CtgridError, match=f"its line '{field}: .* long; the header is damaged"):
        Volume.read(tmp_path / "a.nrrd")
    kept = "".join(f"{key}: {value}\n" for key, value in head.items()) + f"content: {'x' * 2000}\nmine:={'y' * 9000}\n"
    (tmp_path / "b.nrrd").write_bytes(f"NRRD0004\n{kept}\n".encode() + np.full(8, -900, np.int16).tobytes())
    assert Volume.read(tmp_path / "b.nrrd", hu="stored").shape == (2, 2, 2)


def test_fields_are_returned_by_name(sound: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.nrrd"
    path.write_bytes(sound["raw.nrrd"].replace(b"type: short", b"# type: block\nTYPE: short\nModality:=CT"))
    fields = check_nrrd(path)
    assert (fields["type"], fields[":modality"], fields["sizes"]) == ("short", "CT", "64 24 5")
    path = tmp_path / "a.mha"
    path.write_bytes(sound["raw.mha"])
    assert check_metaimage(path)["DimSize"] == "64 24 5" and check_metaimage(path)["ElementDataFile"] == "LOCAL"


@pytest.mark.parametrize("name", ["raw.nrrd", "raw.mha", "a.nrrd", "a.mha"])
def test_data_of_one_byte_too_few(name: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    check = check_nrrd if name.endswith("nrrd") else check_metaimage
    path = tmp_path / name
    path.write_bytes(sound[name])
    check(path)
    path.write_bytes(sound[name][: -1 if "raw" in name else -len(sound[name]) // 2])
    if name == "a.nrrd":  # gzip is ITK's to check: a header cannot tell
        with pytest.raises(CtgridError, match=r"a\.nrrd"):
            read_stored(path)
    else:
        with pytest.raises(CtgridError, match="truncated or damaged"):
            check(path)


@pytest.mark.parametrize("name", ["raw.nrrd", "raw.mha"])
def test_slices_behind_those_of_the_header_are_said(name: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    """Of a damaged header, or of a list with a file too many; fewer bytes than a slice are nobody's business."""
    (tmp_path / name).write_bytes(sound[name] + bytes(2 * 64 * 24 - 1))
    assert "warnings" not in read_stored(tmp_path / name).details
    (tmp_path / name).write_bytes(sound[name] + bytes(3 * 2 * 64 * 24))
    (warning,) = read_stored(tmp_path / name).details["warnings"]
    assert warning.startswith("holds 3 slices more than its header asks for")


def test_a_header_may_not_ask_for_more_than_the_limit(
    sound: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "14K")
    for name, check in (("raw.nrrd", check_nrrd), ("raw.mha", check_metaimage)):
        (tmp_path / name).write_bytes(sound[name])
        with pytest.raises(CtgridError, match="its header asks for 15 KiB, more than the limit"):
            check(tmp_path / name)


def meta(tmp_path: Path, data: bytes, **fields: str) -> Path:
    """Write a MetaImage of 2 x 2 x 2 voxels of 16 bits."""
    known = {"ObjectType": "Image", "NDims": "3", "DimSize": "2 2 2", "ElementType": "MET_SHORT"} | fields
    lines = "".join(f"{key} = {value}\n" for key, value in known.items())
    (tmp_path / "m.mha").write_bytes(f"{lines}ElementDataFile = LOCAL\n".encode() + data)
    return tmp_path / "m.mha"


def test_packed_data_must_unpack_to_what_the_header_says(tmp_path: Path) -> None:
    """No more, no less, and with their checksum; the stated size, where there is one, holds."""
    for data, size, sound in (
        (zlib.compress(bytes(16)), "", True),
        (zlib.compress(bytes(15)), "", False),
        (zlib.compress(bytes(17)), "", False),
        (zlib.compress(bytes(16))[:-1], "", False),
        (zlib.compress(bytes(16)), "5", False),
        (zlib.compress(bytes(16)) + b"tail", str(len(zlib.compress(bytes(16)))), True),
    ):
        path = meta(tmp_path, data, CompressedData="True", **({"CompressedDataSize": size} if size else {}))
        if sound:
            check_metaimage(path)
        else:
            with pytest.raises(CtgridError, match="damaged"):
                check_metaimage(path)


def test_data_named_twice_and_other_contradictions(tmp_path: Path) -> None:
    for fields, says in (
        ({"elementdatafile": "a.raw"}, "names its data more than once"),
        ({"NDims": "4"}, "NDims is 4, DimSize '2 2 2'"),
        ({"ElementNumberOfChannels": "3"}, "MET_SHORT x 3 voxels"),
        ({"ElementSize": "1 0 1"}, "ElementSize '1 0 1' holds a zero"),
        ({"Offset": "0 inf 0"}, "Offset .* not all finite"),
    ):
        with pytest.raises(CtgridError, match=says):
            check_metaimage(meta(tmp_path, bytes(16), **fields))
    (tmp_path / "b.nrrd").write_text("NRRD0004\ntype: short\nsizes: 2 2 2\nencoding: raw")
    with pytest.raises(CtgridError, match="its header has no end"):
        check_nrrd(tmp_path / "b.nrrd")
    with pytest.raises(CtgridError, match="cannot read"):
        check_nrrd(tmp_path / "none.nrrd")
