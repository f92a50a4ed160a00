"""The place that comparisons look at closely: even soft tissue, whole inside the slice."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.runs.report.zoom import REGION_MM, even_place


def test_the_evenest_soft_tissue_is_found() -> None:
    """Air and bone are evener, but are no soft tissue; of two organs the even one counts, in whichever slice."""
    rng = np.random.default_rng(0)
    hu = np.full((3, 100, 120), -1000, np.int16)
    hu[0, 10:50, 10:50] = 50 + 30 * rng.standard_normal((40, 40))
    hu[2, 55:95, 70:110] = 60 + 5 * rng.standard_normal((40, 40))
    hu[1, 20:90, 20:90] = 700
    place = even_place(hu, [0, 1, 2], (1.0, 1.0))
    assert place is not None and place.number == 2
    rows, columns = place.region
    assert rows.start >= 55 and rows.stop <= 95 and columns.start >= 70 and columns.stop <= 110
    assert rows.stop - rows.start == columns.stop - columns.start == REGION_MM
    for part, inner in zip(place.shown, place.region, strict=True):
        assert part.start <= inner.start and inner.stop <= part.stop
    left, top, right, bottom = place.frame
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert right - left == pytest.approx(20 / 90) and even_place(hu, [1], (1.0, 1.0)) is None


def test_tiny_slices_and_pixels_that_are_no_squares() -> None:
    """The region is as large as the slice at most, and has its sides in mm."""
    assert even_place(np.full((1, 4, 4), 40, np.int16), [0], (1.0, 1.0)).region == (slice(0, 4), slice(0, 4))
    rows, columns = even_place(np.full((1, 200, 200), 40, np.int16), [0], (0.5, 1.0)).region
    assert (rows.stop - rows.start, columns.stop - columns.start) == (40, 20)
