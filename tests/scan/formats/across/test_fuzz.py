"""Damaged files of every format: a good volume or one clear line, never anything else."""

from __future__ import annotations

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
