"""Which of a NIfTI's three statements of its geometry holds, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.nifti.geometry import NiftiGeometry, nifti_geometry

EYE = np.eye(4)


def refusal(path: Path) -> str:
    with pytest.raises(CtgridError) as caught:
        Volume.read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (np.diag([1, 1, 0, 1.0]), "zero"),
        (np.ones((4, 4)), "singular"),
        (np.diag([1, 1, np.nan, 1]), "finite"),
    ],
)
def test_broken_geometry(tmp_path: Path, affine: np.ndarray, says: str) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), EYE)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        image.header[name] = affine[row]
    image.header["sform_code"] = 1
    image.to_filename(tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()  # srow_x, srow_y, srow_z
    (tmp_path / "a.nii").write_bytes(raw)
    assert says in refusal(tmp_path / "a.nii")


def test_qform_alone_gives_the_affine(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), None)
    image.set_sform(None, code=0)
    image.set_qform(oblique_affine, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(Volume.read(tmp_path / "a.nii").affine, oblique_affine, atol=1e-3)


def test_sform_wins_over_qform(chest: Callable, oblique_affine: np.ndarray, tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), None)
    image.set_qform(np.diag([2, 2, 2, 1.0]), code=1)
    image.set_sform(oblique_affine, code=2)
    nibabel.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(Volume.read(tmp_path / "a.nii").affine, oblique_affine, atol=1e-4)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 0.001), ("mm", 1.0), ("unknown", 1.0)])
def test_lengths_become_millimetres(
    chest: Callable, oblique_affine: np.ndarray, tmp_path: Path, unit: str, factor: float
) -> None:
    scaled = oblique_affine.copy()
    scaled[:3] /= factor
    image = nibabel.Nifti1Image(chest().transpose(2, 1, 0), scaled)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii")
    volume = Volume.read(tmp_path / "a.nii")
    np.testing.assert_allclose(volume.affine, oblique_affine, rtol=1e-4)
    assert bool(volume.record.get("notes")) == (factor != 1.0)


def geometry(
    sform: Any = None, qform: Any = None, sizes: Any = (1, 1, 1), codes: tuple[int, int] = (0, 0)
) -> NiftiGeometry:
    """Return what is made of a header of 4 x 5 x 6 voxels with these statements, in mm."""
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    header = image.header
    header.set_xyzt_units("mm")
    if qform is not None:
        header.set_qform(np.diag([*qform, 1.0]), code=max(codes[1], 1))
    if sform is not None:
        header.set_sform(np.array(sform) if np.ndim(sform) == 2 else np.diag([*sform, 1.0]), code=max(codes[0], 1))
    header["sform_code"], header["qform_code"] = codes
    header["pixdim"][1:4] = sizes
    kept = nibabel.Nifti1Image(image.dataobj, None, header)
    return nifti_geometry(Path("x.nii"), kept, np.array(sizes, float))


def diagonal(found: NiftiGeometry) -> list[float]:
    return np.abs(np.diag(found.affine)[:3]).round(5).tolist()


def test_sizes_alone_are_taken_as_ras_and_said() -> None:
    found = geometry(sizes=(0.7, 0.8, 2.5))
    assert np.allclose(np.diag(found.affine), (0.7, 0.8, 2.5, 1)) and not found.blank
    assert "neither sform nor qform" in found.warnings[0]
    assert geometry().blank, "1 mm at the origin under no code says nothing"


def test_an_sform_of_ones_gives_way() -> None:
    """To a qform where there is one, else to the sizes; set on purpose or not."""
    found = geometry((1, 1, 1), sizes=(0.7, 0.8, 2.5), codes=(2, 0))
    assert diagonal(found) == [0.7, 0.8, 2.5] and "the sizes hold" in found.warnings[0]
    found = geometry((1, 1, 1), (0.7, 0.8, 2.5), (0.7, 0.8, 2.5), (2, 1))
    assert diagonal(found) == [0.7, 0.8, 2.5] and "the qform holds" in found.warnings[0]
    agreed = geometry((1, 1, 1), sizes=(1, 1, 1), codes=(1, 0))
    assert diagonal(agreed) == [1, 1, 1] and agreed.warnings == [] and not agreed.blank


def test_an_sform_that_differs_from_sizes_or_qform_holds_and_is_said() -> None:
    found = geometry((0.7, 0.8, 2.0), sizes=(0.7, 0.8, 2.5), codes=(1, 0))
    assert diagonal(found) == [0.7, 0.8, 2.0]
    assert found.warnings == ["its sform says 0.7 x 0.8 x 2 mm, its pixel sizes 0.7 x 0.8 x 2.5 mm; the sform holds"]
    moved = np.diag([0.7, 0.8, 2.5, 1.0])
    moved[2, 3] = 12.0
    found = geometry(moved, (0.7, 0.8, 2.5), (0.7, 0.8, 2.5), (1, 1))
    assert found.affine[2, 3] == 12 and found.warnings == [
        "its sform and qform disagree (up to 12 mm apart); the sform holds"
    ]
    assert geometry((0.7, 0.8, 2.5), (0.7, 0.8, 2.5), (0.7, 0.8, 2.5), (1, 1)).warnings == []


def test_a_unit_that_the_standard_does_not_know_is_said() -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.diag([2, 2, 2, 1.0]))
    image.header["xyzt_units"] = 7
    found = nifti_geometry(Path("x.nii"), image, np.array([2.0, 2.0, 2.0]))
    assert found.warnings[0] == "its unit code 7 is none of the standard's; taken as mm" and diagonal(found) == [
        2,
        2,
        2,
    ]
