"""Figures of generated volumes beside the range of real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.runs.evaluation.ct.chest_frame import chest_frame
from ctgrid.runs.evaluation.ct.measures import measures_of, notes_of
from ctgrid.runs.evaluation.ct.profile import profile
from ctgrid.runs.evaluation.ct.resemblance import FIGURES, frame_figures, part_of_chest, resemblance
from ctgrid.runs.evaluation.samples import Slices, open_samples


def row(**figures: Any) -> dict[str, Any]:
    return {"slices": 200, "spacing_mm": [1.5, 1.0, 1.0], **{f.name: np.nan for f in FIGURES}, **figures}


def test_range_and_verdict() -> None:
    real = [row(streaks=v, lung_litres=4.0) for v in (0.5, 0.6, 0.7)]
    fake = [row(streaks=v, lung_litres=5.0) for v in (0.5, 0.96, 0.98)]
    found = resemblance({"real": real, "fake": fake})
    assert found["streaks"]["real"] == pytest.approx(
        {"n": 3, "min": 0.5, "median": 0.6, "max": 0.7, "spread": 0.1 / 0.6}
    )
    assert found["streaks"]["fake"]["median"] == 0.96 and found["streaks"]["outside"] is True
    assert resemblance({"real": real, "fake": real})["streaks"]["outside"] is False
    assert found["area_change_p95"]["real"] is None and found["area_change_p95"]["outside"] is None


def test_parts_of_chests_have_no_lung_volume() -> None:
    real = [row(lung_litres=4.0), {**row(lung_litres=1.0), "slices": 60}]
    assert resemblance({"real": real, "fake": real})["lung_litres"]["real"]["n"] == 1
    assert part_of_chest(300, 1.5) is None
    assert "no whole chest" in str(part_of_chest(98, 2)) and "5.0 mm apart" in str(part_of_chest(300, 5))


@pytest.mark.usefixtures("coarse_measures")
def test_measured_volumes_have_them(patient: Callable[..., np.ndarray]) -> None:
    """A blurred fake of a same patient loses steps and lung detail, and is told so; body and lungs stay."""
    from scipy.ndimage import gaussian_filter

    scans = [patient(seed, n=80, side=64) for seed in range(2)]
    blurred = np.rint(gaussian_filter(scans[0].astype(float), (0, 1, 1))).astype(np.int16)
    *real, fake = (
        profile(name, Slices(hu, (3.0, 5.25, 5.25))) for name, hu in zip("abf", (*scans, blurred), strict=True)
    )
    result = measures_of(real, [fake])
    figures = result["resemblance"]["figures"]
    assert figures.keys() == {f.name for f in FIGURES} and result["resemblance"]["notes"] == []
    assert figures["steps_across_p99_hu"]["outside"] and figures["lung_detail_hu"]["outside"]
    assert figures["body_cm2"]["fake"]["median"] == pytest.approx(real[0].figures["body_cm2"], rel=0.1)
    for name in ("steps_along_p99_hu", "streaks", "flicker_framed", "bone_percent", "spine_ripple_hu"):
        assert figures[name]["real"]["n"] == 2, name
    assert result["volumes"]["real"][0]["streaks"] is not None
    assert len(result["curves"]["bone_percent"]["real"]) == 50
    thick = replace(fake, spacing_mm=(6.0, 5.25, 5.25))
    assert "f slices lie 6.0 mm apart" in notes_of(real, [thick])[0]


def test_figures_of_a_real_chest_are_those_that_aims_are_written_in(data_dir: Path) -> None:
    volume = open_samples(data_dir / "test" / "lidc0028", size=None)[0].load()
    found = frame_figures(chest_frame(volume.hu, volume.spacing_mm))
    assert found["steps_across_p99_hu"] == pytest.approx(451, rel=0.02)
    assert found["steps_along_p99_hu"] == pytest.approx(300, rel=0.02)
    assert found["lung_detail_hu"] == pytest.approx(109, rel=0.02)
    assert found["area_change_p95"] < 0.011
    assert found["streaks"] == pytest.approx(0.60, abs=0.01)
