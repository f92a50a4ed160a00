"""Planted nodules through methods: what is left of them, what is invented, what is kept for pictures."""

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
from ctgrid.runs.evaluation.nodule_plots import draw_nodules, places
from ctgrid.runs.evaluation.nodule_trial import crop, evaluate_nodules
from ctgrid.runs.evaluation.nodules import Nodule, plant
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.results.kinds import describe
from ctgrid.runs.results.markdown import description_markdown
from ctgrid.scan.volume import Volume


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


def test_a_square_around_a_place_repeats_edges_and_fits_16_bits() -> None:
    hu = np.arange(3 * 6 * 6, dtype=np.float32).reshape(3, 6, 6)
    cut = crop(hu, (1.2, 3.0, 2.0), (5.0, 10.0, 10.0))  # 40 mm are 4 pixels
    np.testing.assert_array_equal(cut, hu[1, 1:5, 0:4])
    corner = crop(hu, (-4.0, 0.0, 5.6), (5.0, 10.0, 10.0))
    np.testing.assert_array_equal(corner, hu[0][np.ix_([0, 0, 0, 1], [4, 5, 5, 5])])
    assert crop(hu + 1e6, (0, 3, 3), (5.0, 10.0, 10.0)).max() == 32000 and corner.dtype == np.int16
