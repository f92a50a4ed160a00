"""What passes by in slices is drawn as the whole volume would be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ctgrid import Volume
from ctgrid.runs.report.glance import Glance
from ctgrid.runs.report.picture import contact_sheet


@pytest.mark.parametrize("z_mm", [2.0, -2.0])
def test_the_sheet_is_that_of_the_volume(chest: Callable[..., np.ndarray], z_mm: float) -> None:
    hu, affine = chest((20, 48, 48)), np.diag([-1.5, -1.5, z_mm, 1.0])
    glance = Glance(hu.shape, affine)
    for first in (0, 7, 14):
        glance.add(first, hu[first : first + 7])
    whole = contact_sheet(Volume(hu, affine))
    np.testing.assert_array_equal(np.asarray(contact_sheet(glance)), np.asarray(whole))  # type: ignore[arg-type]
    assert np.asarray(whole).std() > 10
