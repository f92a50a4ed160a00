"""Planted nodules: their size, their places, their contrast, and what is false beside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.inventions import find_inventions, inner_lung
from ctgrid.runs.evaluation.nodules import DIAMETERS_MM, Nodule, contrast_of, place_nodules, plant

SPACING = (2.5, 1.5, 1.5)
LUNG = np.full((40, 80, 80), -850.0, np.float32)


@pytest.mark.parametrize("diameter", DIAMETERS_MM)
@pytest.mark.parametrize("spacing", [SPACING, (0.8, 0.7, 0.7)])
def test_a_sphere_has_its_volume_and_lies_where_it_should(diameter: float, spacing: tuple[float, float, float]) -> None:
    """Partial volume: all voxels together hold the sphere's volume times its contrast."""
    nodule = Nodule(diameter, 200.0, (19.7, 40.2, 39.6))
    added = plant(LUNG, [nodule], spacing) - LUNG
    wanted = np.pi / 6 * diameter**3 * 200
    assert added.sum() * np.prod(spacing) == pytest.approx(wanted, rel=0.03)
    assert added.min() == 0 and added.max() <= 200.001
    centre = [(np.indices(added.shape)[i] * added).sum() / added.sum() for i in range(3)]
    assert centre == pytest.approx(nodule.centre, abs=0.1)


def test_contrast_is_measured_and_blur_lowers_it() -> None:
    """A nodule wider than the voxels has all its contrast; a flat scan has none."""
    nodule = Nodule(10.0, 200.0, (20.0, 40.0, 40.0))
    planted = plant(LUNG, [nodule], SPACING)
    assert contrast_of(planted, nodule, SPACING) == pytest.approx(200, rel=0.01)
    assert contrast_of(LUNG, nodule, SPACING) == 0
    assert contrast_of(gaussian_filter(planted, 3), nodule, SPACING) < 120


@pytest.fixture
def lungs() -> tuple[np.ndarray, np.ndarray]:
    """Return a scan that is lung but for a wall and a vessel, and its lung mask."""
    hu = np.full((40, 100, 100), -850, np.int16)
    hu[:, :20] = 40
    hu[:, 58:62, 48:52] = 50
    mask = np.zeros(hu.shape, bool)
    mask[:, 20:] = True
    return hu, mask


def test_places_are_clear_apart_and_seeded(lungs: tuple[np.ndarray, np.ndarray]) -> None:
    """Away from walls, vessels, ends and each other; another seed, other places."""
    nodules = place_nodules(*lungs, SPACING, seed=3)
    assert len(nodules) > 10
    for nodule in nodules:
        z, y, x = (c * s for c, s in zip(nodule.centre, SPACING, strict=True))
        assert y - 30 > nodule.diameter_mm / 2 and 1 < z < 98
        assert np.hypot(y - 90, x - 75) > nodule.diameter_mm / 2 + 3
    centres = np.array([n.centre for n in nodules]) * SPACING
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + 1e3 * np.eye(len(nodules))
    assert distances.min() > 12
    assert nodules == place_nodules(*lungs, SPACING, seed=3) != place_nodules(*lungs, SPACING, seed=4)
    with pytest.raises(CtgridError, match="no lung"):
        place_nodules(lungs[0], np.zeros_like(lungs[1]), SPACING, seed=3)


def test_inventions(lungs: tuple[np.ndarray, np.ndarray]) -> None:
    """A new blob is false, a missing vessel lost; single bright pixels and blurred walls are neither."""
    hu, mask = lungs
    clean = hu.astype(np.float32)
    inner = inner_lung(mask, SPACING)
    found = plant(clean, [Nodule(8.0, 400.0, (20.0, 80.0, 80.0))], SPACING)
    found[10, 90, 20] += 300
    found[:, 18:22] = -400
    found[:, 58:62, 48:52] = -850
    result = find_inventions(found, clean, inner, SPACING)
    assert (result.false_count, result.lost_count) == (1, 1)
    assert result.worst is not None and np.linalg.norm(np.subtract(result.worst, (20, 80, 80))) < 3
    assert result.litres == pytest.approx(inner.sum() * 2.5 * 1.5 * 1.5 / 1e6)
    assert result.false_per_litre == pytest.approx(1 / result.litres)
    same = find_inventions(clean, clean, inner, SPACING)
    assert (same.false_count, same.lost_count, same.worst) == (0, 0, None)
