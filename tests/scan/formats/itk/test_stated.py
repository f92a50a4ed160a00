"""What headers say beside the grid: kinds of axes, and orientations that contradict each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.itk.stated import metaimage_stated, nrrd_stated

SPACE = {"space": "left-posterior-superior", "sizes": "4 5 6"}


@pytest.mark.parametrize("kinds", ["domain domain time", "list domain domain", "domain domain vector"])
def test_an_axis_that_is_none_of_space_is_refused(kinds: str) -> None:
    with pytest.raises(CtgridError, match=r"is of kind .*; a CT volume has three of space"):
        nrrd_stated(Path("a.nrrd"), {**SPACE, "kinds": kinds}, np.dtype("i2"))


@pytest.mark.parametrize(("sizes", "kinds"), [("4 5 6", "domain space ???"), ("1 4 5 6", "list domain domain domain")])
def test_axes_of_space_are_taken(sizes: str, kinds: str) -> None:
    assert nrrd_stated(Path("a.nrrd"), {**SPACE, "sizes": sizes, "kinds": kinds}, np.dtype("i2")).details == {}


@pytest.mark.parametrize(
    ("said", "matrix", "agree"),
    [
        ("RAI", "1 0 0 0 1 0 0 0 1", True),
        ("LPS", "1 0 0 0 1 0 0 0 1", True),
        ("RAI", "", True),
        ("???", "1 0 0 0 1 0 0 0 1", True),
        ("LPI", "1 0 0 0 1 0 0 0 1", False),
        ("LAI", "", False),
        ("LPI", "-1 0 0 0 -1 0 0 0 1", True),
        ("RIA", "1 0 0 0 0 1 0 1 0", True),
        ("RAI", "1 0 0 0 0 1 0 1 0", False),
    ],
)
def test_an_anatomical_orientation_beside_another_matrix_is_told(said: str, matrix: str, agree: bool) -> None:
    fields = {"AnatomicalOrientation": said, "ElementSpacing": "1 1 2"} | (
        {"TransformMatrix": matrix} if matrix else {}
    )
    warnings = metaimage_stated(Path("a.mha"), fields).details.get("warnings", [])
    assert [f"AnatomicalOrientation {said}" in one for one in warnings] == [True] * (not agree)
