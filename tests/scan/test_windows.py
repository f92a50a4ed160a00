"""Windows by level and width, as radiologists and DICOM name them."""

from __future__ import annotations

import pytest

from ctgrid.scan import windows
from ctgrid.scan.windows import centre_and_width


@pytest.mark.parametrize(
    ("window_hu", "stated"),
    [
        (windows.LUNG_WINDOW_HU, (-600, 1500)),
        (windows.SOFT_TISSUE_WINDOW_HU, (40, 400)),
        (windows.BONE_WINDOW_HU, (400, 1800)),
        (windows.FULL_WINDOW_HU, (0, 2000)),
    ],
)
def test_centre_and_width(window_hu: tuple[float, float], stated: tuple[float, float]) -> None:
    assert centre_and_width(window_hu) == stated
