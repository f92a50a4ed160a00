"""Planted nodules: their size, their places, their contrast, and what is false beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.methods import METHODS, Method
from ctgrid.methods.denoising.result import DenoiseResult
from ctgrid.runs.evaluation.denoising_plan import Evaluation
from ctgrid.runs.evaluation.inventions import find_inventions, inner_lung
from ctgrid.runs.evaluation.nodule_plots import draw_nodules, places
from ctgrid.runs.evaluation.nodule_trial import evaluate_nodules
from ctgrid.runs.evaluation.nodules import DIAMETERS_MM, Nodule, contrast_of, place_nodules, plant
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.markdown import description_markdown
from ctgrid.scan.volume import Volume

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


class Blur:
    """A method that blurs everything away and puts a ball into the lung."""

    def run(self, volume: Volume, strength: object = "auto", *, progress: object = None) -> DenoiseResult:
        """Blur and invent."""
        hu = gaussian_filter(volume.hu, 3)
        return DenoiseResult(Volume(plant(hu, [self.ball], volume.spacing_mm), volume.affine), {}, 50.0)

    ball = Nodule(16.0, 700.0, (12.0, 32.0, 19.0))


@pytest.fixture
def results(
    chest: Callable[..., np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[dict[str, Any]], Path]:
    """Return rows of doing nothing, total variation and the blur on a chest, and their folder."""
    monkeypatch.setitem(METHODS, "blur", Method("blur", "", lambda loading: Blur(), context=None))
    affine = np.diag([-4.0, -4.0, 5.0, 1.0])
    path = Volume(chest((24, 64, 64), noise_hu=4.0), affine).write(tmp_path / "chest.nii.gz")
    plan = Evaluation((Noise("gaussian", 20.0),), ("noisy", "tv", "blur"), slices="1:23")
    out = tmp_path / "out"
    rows = evaluate_nodules([path], plan, out).rows
    before = (out / "nodules.json").read_bytes()
    assert evaluate_nodules([path], plan, out).rows == json.loads(before)
    with pytest.raises(CtgridError, match="unbroken"):
        evaluate_nodules([path], Evaluation(plan.noises, ("tv",), slices="::2"), out)
    return rows, out


def test_the_trial(results: tuple[list[dict[str, Any]], Path]) -> None:
    """Doing nothing keeps contrast, the blur loses it and is caught inventing; tables and pictures say so."""
    rows, out = results
    noisy, tv, blur = rows
    assert [r["method"] for r in rows] == ["noisy", "tv", "blur"]
    large = [np.mean([n["recovered"] for n in r["nodules"] if n["diameter_mm"] >= 8]) for r in rows]
    assert large[0] == pytest.approx(1.0, abs=0.2) and large[2] < 0.4 < large[1]
    assert noisy["false_per_litre"] == 0 and blur["false_structures"] >= 1
    assert all({"diameter_mm", "contrast_hu", "centre_zyx", "recovered"} <= set(n) for n in tv["nodules"])
    table = description_markdown(describe(rows))
    assert "| blur" in table and "10 mm 200 HU" in table and "chest, gaussian:20" in table
    (picture,) = draw_nodules(rows, out)
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    assert places(blur, len(blur["nodules"]) + 1, True)[-1] == (len(blur["nodules"]), "worst false structure")
