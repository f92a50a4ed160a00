"""Affine algebra against nibabel and SimpleITK, over all 48 orientations and oblique grids."""

from __future__ import annotations

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from ctgrid import CtgridError
from ctgrid.scan.geometry import (
    affine_from_lps,
    axis_codes,
    check_affine,
    reorient,
    reorientation,
    spacing_mm,
)

ORIENTATIONS = [
    "".join(pair[sign] for pair, sign in zip(pairs, signs, strict=True))
    for pairs in permutations(("LR", "PA", "IS"))
    for signs in product((0, 1), repeat=3)
]


def rotation(angles_deg: tuple[float, float, float]) -> np.ndarray:
    """Return a 3x3 rotation about x, then y, then z."""
    out = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles_deg)):
        i, j = (a for a in range(3) if a != axis)
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    return out


@st.composite
def affines(draw: st.DrawFn) -> tuple[str, np.ndarray]:
    """Draw the axis codes and an affine of that orientation: oblique, anisotropic, anywhere."""
    codes = draw(st.sampled_from(ORIENTATIONS))
    turn = rotation(draw(st.tuples(*[st.floats(-20, 20)] * 3)))
    spacing = draw(st.tuples(*[st.floats(0.3, 6.0)] * 3))
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for voxel_axis, code in enumerate(codes):
        world = next(i for i, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        affine[world, voxel_axis] = 1.0 if code in "RAS" else -1.0
    affine[:3, :3] = turn @ affine[:3, :3] * spacing
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return codes, affine


def points_mm(array: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the position in mm of each voxel, sorted by the voxel's (unique) value."""
    zyx = np.argwhere(np.ones(array.shape, bool))[np.argsort(array.ravel())]
    return zyx[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48


@given(affines())
def test_codes_and_spacing_agree_with_nibabel(drawn: tuple[str, np.ndarray]) -> None:
    codes, affine = drawn
    assert axis_codes(affine) == codes == "".join(nibabel.aff2axcodes(affine))
    np.testing.assert_allclose(spacing_mm(affine)[::-1], nibabel.affines.voxel_sizes(affine))


@given(affines(), st.sampled_from(ORIENTATIONS))
def test_reorientation_keeps_every_voxel_in_place(drawn: tuple[str, np.ndarray], target: str) -> None:
    codes, affine = drawn
    array = np.random.default_rng(0).permutation(3 * 4 * 5).reshape(3, 4, 5)
    turned, new_affine = reorient(array, affine, target)
    assert axis_codes(new_affine) == target
    np.testing.assert_allclose(points_mm(turned, new_affine), points_mm(array, affine), atol=1e-9)
    back, back_affine = reorient(turned, new_affine, codes)
    np.testing.assert_array_equal(back, array)
    np.testing.assert_allclose(back_affine, affine, atol=1e-9)


@given(affines())
def test_lps_geometry_agrees_with_simpleitk(drawn: tuple[str, np.ndarray]) -> None:
    _, affine = drawn
    columns = np.diag([-1, -1, 1]) @ affine[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    image = sitk.Image(3, 4, 5, sitk.sitkInt16)
    image.SetSpacing(spacing)
    image.SetDirection((columns / spacing).ravel())
    image.SetOrigin((-affine[0, 3], -affine[1, 3], affine[2, 3]))
    ours = affine_from_lps(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    np.testing.assert_allclose(ours, affine, atol=1e-9)
    lps = image.TransformIndexToPhysicalPoint((2, 3, 4))
    np.testing.assert_allclose((ours @ (2, 3, 4, 1))[:3], (-lps[0], -lps[1], lps[2]), atol=1e-9)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (np.eye(3), "4x4"),
        (np.diag([1, 0, 1, 1.0]), "spacing .* has a zero"),
        (np.diag([1, np.nan, 1, 1]), "not finite"),
        (np.diag([1, 1, 1, 2.0]), "last row"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
    ],
)
def test_broken_affines_are_refused(broken: np.ndarray, message: str) -> None:
    with pytest.raises(CtgridError, match=f"here: .*{message}"):
        check_affine(broken, "here")


@pytest.mark.parametrize("codes", ["", "LP", "LPX", "LLS", "LRS", "LPSA"])
def test_codes_that_name_no_orientation_are_refused(codes: str) -> None:
    with pytest.raises(CtgridError, match="orientation"):
        reorientation("LPS", codes)
