"""On a real chest the figures are those that the project's aims are written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.runs.evaluation.ct.chest_frame import chest_frame
from ctgrid.runs.evaluation.ct.resemblance import frame_figures
from ctgrid.runs.evaluation.samples import open_samples


def test_lidc0028(data_dir: Path) -> None:
    volume = open_samples(data_dir / "test" / "lidc0028", size=None)[0].load()
    found = frame_figures(chest_frame(volume.hu, volume.spacing_mm))
    assert found["steps_across_p99_hu"] == pytest.approx(451, rel=0.02)
    assert found["steps_along_p99_hu"] == pytest.approx(300, rel=0.02)
    assert found["lung_detail_hu"] == pytest.approx(109, rel=0.02)
    assert found["area_change_p95"] < 0.011
    assert found["streaks"] == pytest.approx(0.60, abs=0.01)
