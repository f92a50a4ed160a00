"""Slices in order, and the one affine that fits their positions, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.formats.dicom.geometry import Stack, one_size, stack
from ctgrid.scan.formats.dicom.header import Frame
from ctgrid.scan.formats.open import read_stored

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def hu() -> np.ndarray:
    """Eight small slices, all different."""
    return RNG.integers(-1000, 1000, (8, 6, 7)).astype(np.int16)


def refusal(path: Path) -> str:
    with pytest.raises(CtgridError) as caught:
        read_stored(path)
    return str(caught.value)


def test_ordered_by_position_whatever_names_suffixes_and_folders(
    make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path
) -> None:
    make_series(tmp_path / "s", hu)
    files = sorted((tmp_path / "s").iterdir())
    (tmp_path / "s" / "deep" / "er").mkdir(parents=True)
    files[0].rename(tmp_path / "s" / "deep" / "er" / "IM0")
    files[1].rename(tmp_path / "s" / "IM1")
    (tmp_path / "s" / ".hidden.dcm").write_bytes(files[2].read_bytes())
    (tmp_path / "s" / "DICOMDIR").write_text("not really")
    scan = read_stored(tmp_path / "s")
    np.testing.assert_array_equal(scan.values, hu)
    assert scan.values.dtype == np.int16
    np.testing.assert_allclose(scan.affine, [[-0.7, 0, 0, 100], [0, -0.8, 0, 120], [0, 0, 2.5, -300], [0, 0, 0, 1]])
    assert (scan.slope, scan.intercept, scan.applied) == (1.0, 0.0, (1.0, -1024.0))


def test_a_single_slice_has_its_thickness(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    make_series(tmp_path, hu[:1])
    for path in (tmp_path, next(tmp_path.glob("*.dcm"))):
        scan = read_stored(path)
        assert scan.values.shape == (1, 6, 7)
        assert scan.affine[2, 2] == 2.5
    make_series(tmp_path, hu[:1], SliceThickness=None)
    assert "single slice without SliceThickness" in refusal(tmp_path)


def test_gantry_tilt_gives_a_sheared_affine(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    places = [(-100.0, -120.0 + 0.4 * i, 2.5 * i) for i in range(len(hu))]
    volume = Volume.read(make_series(tmp_path, hu, positions=places), hu="header")
    np.testing.assert_array_equal(volume.hu, hu)
    for i, (x, y, z) in enumerate(places):
        np.testing.assert_allclose(volume.affine @ (0, 0, i, 1), (-x, -y, z, 1), atol=1e-9)
    assert volume.record["gantry_tilt_deg"] == pytest.approx(np.degrees(np.arctan(0.4 / 2.5)), abs=1e-3)
    assert any("gantry tilt" in note for note in volume.record["notes"])


def test_rounded_positions_pass_and_are_noted(make_series: Callable[..., Path], hu: np.ndarray, tmp_path: Path) -> None:
    places = [round(0.75 * i, 1) for i in range(len(hu))]
    scan = read_stored(make_series(tmp_path, hu, positions=places))
    assert scan.affine[2, 2] == pytest.approx(0.75, abs=0.02)
    assert 0.01 < scan.details["uneven_mm"] <= 0.06


TURN = np.array([[np.cos(0.3), np.sin(0.3), 0.0], [-np.sin(0.3) * 0.8, np.cos(0.3) * 0.8, 0.6]])
NORMAL = np.cross(*TURN)


def frames(positions: np.ndarray, **changes: Any) -> list[Frame]:
    """Slices of one series, oblique, in the order given."""
    known = {"orientation": tuple(TURN.ravel()), "spacing": (0.8, 0.7), "thickness": 2.0} | changes
    return [Frame(i, 0, position=tuple(place), **known) for i, place in enumerate(positions)]


def test_an_oblique_stack_maps_every_voxel_to_where_the_header_puts_it() -> None:
    """PS3.3 C.7.6.2.1.1: position + row direction * column spacing * x + column direction * row spacing * y."""
    places = np.array([10.0, -20.0, 30.0]) + np.outer([3.0, 0.0, 4.5, 1.5], NORMAL)
    made = stack(frames(places), "x")
    assert isinstance(made, Stack) and [place[0].file for place in made.places] == [1, 3, 0, 2]
    for z, place in enumerate(made.places):
        for x, y in ((0, 0), (5, 0), (0, 7), (3, 2)):
            lps = np.array(place[0].position) + TURN[0] * 0.7 * x + TURN[1] * 0.8 * y
            np.testing.assert_allclose((made.affine @ (x, y, z, 1))[:3] * (-1, -1, 1), lps, atol=1e-9)
    assert made.facts == {}


def test_slices_at_one_place_come_together() -> None:
    """Only where they lie at one place sideways, too."""
    places = np.outer([0.0, 2.0, 2.004, 4.0], NORMAL)
    assert [[f.file for f in place] for place in stack(frames(places), "x").places] == [[0], [1, 2], [3]]
    places[2] += TURN[0] * 0.2
    with pytest.raises(CtgridError, match=r"0\.20 mm apart sideways; it mixes two stacks"):
        stack(frames(places), "x")


def test_a_lone_slice_is_as_thick_as_said() -> None:
    place, apart = np.zeros((1, 3)), {"distance": 3.0}
    for changes, mm in (({}, 2.0), ({"thickness": None} | apart, 3.0), ({"thickness": 0.0} | apart, 3.0)):
        assert np.linalg.norm(stack(frames(place, **changes), "x").affine[:3, 2]) == pytest.approx(mm)
    with pytest.raises(CtgridError, match="single slice without SliceThickness"):
        stack(frames(place, thickness=None), "x")


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([0, 1, 2, 4, 5, 6], r"missing, 1 between \(-?\d.*where steps are 1 mm"),
        ([0, 1, 2, 5, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 20, 21, 22, 23, 24], "missing, 2 between .* 2 more places"),
        ([0, 1, 2.5, 3, 4, 5.3], "unevenly spaced, steps from 0.500 to 1.500 mm, and slice"),
    ],
)
def test_gaps_are_told_from_uneven_steps(steps: list[float], says: str) -> None:
    with pytest.raises(CtgridError, match=says):
        stack(frames(np.outer(steps, NORMAL)), "x")


def test_sizes_are_counted() -> None:
    one_size([(4, 5)] * 3, "x")
    with pytest.raises(CtgridError, match=r"x: slices differ in size: 4 x 5 \(2 files\), 6 x 5 \(1 files\)"):
        one_size([(4, 5), (6, 5), (4, 5)], "x")
