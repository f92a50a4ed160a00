"""Fields that ITK passes over: units of length, maps of values, what the values are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.scan.formats.itk.stated import metaimage_stated, nrrd_stated

PATH = Path("x.nrrd")
SAID = {"space": "LPS", "space directions": "(1,0,0) (0,1,0) (0,0,1)", "sizes": "4 5 6"}
INT16, UINT8 = np.dtype(np.int16), np.dtype(np.uint8)


def test_a_plain_header_states_nothing_more() -> None:
    found = nrrd_stated(PATH, SAID, INT16)
    assert (found.mm, found.slope, found.intercept, found.spacing_said) == ((1.0,) * 3, 1.0, 0.0, True)
    assert found.details == {}
    found = metaimage_stated(PATH, {"ElementSpacing": "1 1 1"})
    assert (found.mm, found.slope, found.intercept, found.spacing_said) == ((1.0,) * 3, 1.0, 0.0, True)
    assert found.details == {}


@pytest.mark.parametrize(
    ("fields", "mm"),
    [
        ({"space units": '"mm" "mm" "mm"'}, (1.0, 1.0, 1.0)),
        ({"space units": '"cm" "cm" "m"'}, (10.0, 10.0, 1000.0)),
        ({"units": "cm mm mm"}, (10.0, 1.0, 1.0)),
        ({"units": '"" "cm" "cm" "cm"', "sizes": "1 4 5 6"}, (10.0, 10.0, 10.0)),
        ({"units": '"cm" "cm" "cm" "s"', "sizes": "4 5 6 1"}, (10.0, 10.0, 10.0)),
    ],
)
def test_units_of_each_axis(fields: dict[str, str], mm: tuple[float, ...]) -> None:
    found = nrrd_stated(PATH, SAID | fields, INT16)
    assert found.mm == mm and bool(found.details.get("notes")) == (set(mm) != {1.0})


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"space units": '"mm" "mm"'}, "name no unit for each of three axes"),
        ({"space units": '"mm" "mm" "furlong"'}, "'furlong', which is no unit of length"),
        ({"old min": "0"}, "make no map"),
        ({"old min": "5", "old max": "5"}, "make no map"),
        ({"old min": "low", "old max": "high"}, "make no map"),
    ],
)
def test_what_cannot_be_taken_is_refused(fields: dict[str, str], says: str) -> None:
    with pytest.raises(CtgridError, match=f"x.nrrd.*{says}"):
        nrrd_stated(PATH, SAID | fields, INT16)


@pytest.mark.parametrize(("dtype", "low", "high"), [(UINT8, -1000.0, 1550.0), (INT16, -1024.0, 3071.0)])
def test_old_bounds_are_a_map(dtype: np.dtype, low: float, high: float) -> None:
    """The lowest and the highest number of the type stand for them, spelt either way."""
    for keys in (("old min", "old max"), ("oldmin", "oldmax")):
        found = nrrd_stated(PATH, SAID | dict(zip(keys, (str(low), str(high)), strict=True)), dtype)
        ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max]) * found.slope + found.intercept
        np.testing.assert_allclose(ends, (low, high))


def test_values_that_are_no_hu_and_spaces_without_a_name() -> None:
    assert "g/cc" in nrrd_stated(PATH, SAID | {"sample units": "g/cc"}, INT16).details["not_hu"]
    assert nrrd_stated(PATH, SAID | {"sample units": "HU"}, INT16).details == {}
    assert nrrd_stated(PATH, SAID | {":modality": "MR"}, INT16).details["not_hu"] == "its modality is MR"
    nameless = {key: value for key, value in SAID.items() if key != "space"}
    assert "taken as LPS" in nrrd_stated(PATH, nameless, INT16).details["warnings"][0]
    assert not nrrd_stated(PATH, {"space": "LPS", "sizes": "4 5 6"}, INT16).spacing_said
    assert metaimage_stated(PATH, {"Modality": "MET_MOD_MR"}).details["not_hu"] == "its Modality is MET_MOD_MR"


def test_a_metaimages_map_unit_and_two_spacings() -> None:
    found = metaimage_stated(
        PATH,
        {"ElementToIntensityFunctionSlope": "2", "ElementToIntensityFunctionOffset": "-1024", "DistanceUnits": "cm"},
    )
    assert (found.slope, found.intercept, found.mm, found.spacing_said) == (2.0, -1024.0, (10.0,) * 3, False)
    assert metaimage_stated(PATH, {"ElementSize": "1 1 2", "ElementSpacing": "1 1 2.01"}).details == {}
    warned = metaimage_stated(PATH, {"ElementSize": "1 1 3", "ElementSpacing": "1 1 2"}).details["warnings"]
    assert warned == ["says ElementSize 1 1 3, ElementSpacing 1 1 2; the spacing holds"]
    for slope in ("0", "nan", "steep"):
        with pytest.raises(CtgridError, match="make no map"):
            metaimage_stated(PATH, {"ElementToIntensityFunctionSlope": slope})


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
