"""What is painted: tissues of their HU, organs where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from ctgrid.data.simulate.anatomy import draw_anatomy
from ctgrid.data.simulate.paint import Painter
from ctgrid.data.simulate.view import Label, View
from ctgrid.scan.volume import Volume


def test_tissues_have_their_hu(person: tuple[Volume, Volume]) -> None:
    hu, labels = person[0].hu, person[1].hu
    anatomy = draw_anatomy(3)
    medians = {label: float(np.median(hu[labels == label])) for label in Label if (labels == label).any()}
    assert medians[Label.OUTSIDE] == -1000
    assert medians[Label.LUNG] == pytest.approx(anatomy.lung_hu + 30, abs=40)  # coarse voxels hold vessels too
    assert medians[Label.HEART] == pytest.approx(anatomy.blood_hu, abs=15)
    assert medians[Label.GREAT_VESSEL] == pytest.approx(anatomy.blood_hu, abs=15)
    assert medians[Label.LIVER] == pytest.approx(anatomy.liver_hu, abs=12)
    assert medians[Label.BONE] > 120
    assert medians[Label.AIRWAY] < -700
    fat = (hu[labels == Label.BODY] > -130) & (hu[labels == Label.BODY] < -70)
    muscle = (hu[labels == Label.BODY] > 25) & (hu[labels == Label.BODY] < 85)
    assert fat.mean() > 0.1 and muscle.mean() > 0.2


def test_organs_lie_where_they_belong(person: tuple[Volume, Volume]) -> None:
    labels = person[1].hu
    at = {label: np.argwhere(labels == label).mean(0) for label in Label}  # z up, y to the back, x to the left
    assert at[Label.LIVER][2] < at[Label.HEART][2] and at[Label.LIVER][0] < at[Label.HEART][0]
    assert at[Label.HEART][1] < at[Label.BODY][1] < at[Label.TABLE][1]
    lung = np.argwhere(labels == Label.LUNG)
    litres = len(lung) * np.prod(person[1].spacing_mm) / 1e6
    right = (lung[:, 2] < 48).mean()
    assert 2.5 < litres < 8 and 0.45 < right < 0.65


@pytest.fixture(scope="module")
def painter() -> Painter:
    """The person of the phantom."""
    return Painter(draw_anatomy(3))


def test_a_slice_depends_on_its_height_alone_and_the_body_ends(painter: Painter) -> None:
    """However often and in whatever order slices are painted; below the lungs and above, where no trees grow."""
    side = np.linspace(-190, 190, 48)
    frame = painter.frame(side, side, (5.0, 8.0, 8.0))
    first, again = painter.paint(frame, -20.0), [painter.paint(frame, z) for z in (300.0, -20.0)][1]
    assert np.array_equal(first.hu, again.hu) and np.array_equal(first.labels, again.labels)
    assert first.hu.dtype == np.float32 and first.labels.dtype == np.uint8
    corners = first.hu[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == -1000).all() and first.labels[0, 0] == Label.OUTSIDE


def test_lungs_lie_in_the_pleura_above_the_diaphragm_beside_heart_and_vessels(painter: Painter) -> None:
    side = np.arange(-150.0, 151.0, 6)
    frame = painter.frame(side, side, (6.0, 6.0, 6.0))
    for z in (60.0, 120.0, 200.0):
        view = View(frame, z)
        near = painter.great.distance(view.grid, 20)
        inside = painter.lung_depth(view, near) < 0
        assert inside.any() == (z > 20)
        assert (view.depth("pleura")[inside] < 0).all() and (view.dome_depth()[inside] > 0).all()
        assert (near[inside] > 0).all()
