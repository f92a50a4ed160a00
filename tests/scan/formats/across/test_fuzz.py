"""Damaged files of every format: a good volume or one clear line, never anything else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import RLELossless

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.open import read_stored

ROUNDS = 60
KINDS = ("a.nii", "a.nii.gz", "a.nrrd", "raw.nrrd", "a.mha", "raw.mha", "a.dcm", "rle.dcm", "jpeg.dcm", "a.zip")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, chest: Callable[..., np.ndarray]) -> dict[str, bytes]:
    """Return the bytes of one sound file of each kind."""
    import shutil

    folder = tmp_path_factory.mktemp("sound")
    volume = Volume(chest((5, 24, 64)), np.diag([-0.7, -0.8, 2.5, 1.0]))
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha"):
        volume.write(folder / name)
    for name in ("raw.nrrd", "raw.mha"):
        sitk.WriteImage(sitk.ReadImage(str(folder / "a.mha")), str(folder / name), False)
    volume.write(folder / "series")
    shutil.make_archive(str(folder / "a"), "zip", folder / "series")
    ds = pydicom.dcmread(folder / "series" / "0001.dcm")
    ds.save_as(folder / "a.dcm")
    ds.compress(RLELossless)
    ds.save_as(folder / "rle.dcm")
    image = sitk.GetImageFromArray(chest((1, 64, 64)))
    facts = {"0008|0060": "CT", "0018|0050": "2", "0020|0032": "0\\0\\0", "0020|0037": "1\\0\\0\\0\\1\\0"}
    for tag, value in facts.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(folder / "jpeg.dcm"))
    writer.Execute(image)
    return {name: (folder / name).read_bytes() for name in KINDS}


def damaged(raw: bytes, rng: np.random.Generator, text: bool) -> bytes:
    """Cut a file short, or change one to three bytes of its header or anywhere."""
    out = bytearray(raw)
    how = rng.integers(4)
    if how == 0:
        return bytes(out[: rng.integers(len(out))])
    reach = len(out) if how == 3 else min(len(out), 800 if text else 1800)
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(reach)
        if how == 1:
            out[at] ^= 1 << rng.integers(8)
        else:
            out[at] = rng.choice(list(b"0123456789-. \n:=eTF")) if text else rng.integers(256)
    return bytes(out)


@pytest.mark.parametrize("kind", KINDS)
def test_random_damage(kind: str, sound: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / kind
    path.write_bytes(sound[kind])
    assert Volume.read(path, hu="header").hu.size
    refused = 0
    for seed in range(ROUNDS):
        path.write_bytes(damaged(sound[kind], np.random.default_rng(seed), path.suffix in (".nrrd", ".mha")))
        try:
            Volume.read(path, hu="header")
        except CtgridError as error:
            refused += 1
            message = str(error)
            assert str(path) in message and "\n" not in message and message.isprintable() and len(message) < 700
    assert refused > ROUNDS // 5
    assert capfd.readouterr() == ("", "")


HUGE = {
    "a.nii": (42, np.array([30000, 30000, 30000], "<i2").tobytes()),
    "raw.nrrd": (b"sizes: 64 24 5", b"sizes: 99999 99999 9999"),
    "a.nrrd": (b"sizes: 64 24 5", b"sizes: 99999 99999 9999"),
    "raw.mha": (b"DimSize = 64 24 5", b"DimSize = 99999 99999 9999"),
    "a.mha": (b"DimSize = 64 24 5", b"DimSize = 99999 99999 9999"),
    "a.dcm": (b"\x28\x00\x10\x00US\x02\x00\x18\x00", b"\x28\x00\x10\x00US\x02\x00\xff\xff"),
    "rle.dcm": (b"\x28\x00\x10\x00US\x02\x00\x18\x00", b"\x28\x00\x10\x00US\x02\x00\xff\xff"),
}


@pytest.mark.parametrize("kind", [*HUGE, "gz"])
def test_a_header_that_asks_for_terabytes_is_refused_before_memory_is_taken(
    kind: str, sound: dict[str, bytes], tmp_path: Path
) -> None:
    name = "a.nii.gz" if kind == "gz" else kind
    at, new = HUGE["a.nii" if kind == "gz" else kind]
    raw = bytearray(sound["a.nii" if kind == "gz" else kind])
    if isinstance(at, int):
        raw[at : at + len(new)] = new
    else:
        assert bytes(raw).count(at) == 1
        raw = bytearray(bytes(raw).replace(at, new))
    if kind == "gz":
        import gzip

        raw = bytearray(gzip.compress(bytes(raw)))
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(CtgridError, match=r"truncated|damaged"):
        read_stored(tmp_path / name)


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


def test_c_libraries_are_silent(sound: dict[str, bytes], tmp_path: Path) -> None:
    """In a process of its own, where libjpeg's complaints would reach the terminal."""
    raw = bytearray(sound["jpeg.dcm"])
    for at in range(len(raw) - 900, len(raw) - 800):
        raw[at] = 0xFF
    (tmp_path / "a.dcm").write_bytes(raw)
    code = "import sys, ctgrid; from ctgrid.scan.formats.open import read_stored; from pathlib import Path\n"
    code += "try: read_stored(Path(sys.argv[1]))\nexcept ctgrid.CtgridError: pass"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.dcm"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
