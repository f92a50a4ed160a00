"""Movies scroll through every plane the right way round, in true proportions, within their limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.runs.report.animation import FRAMES, GAP_PX, SIDE_PX, VOLUMES, planes_of, reel, save_animation, side_by_side

LPS_1MM = np.diag([-1.0, -1.0, 1.0, 1.0])
WINDOW = (0.0, 100.0)


def marked(shape: tuple[int, int, int] = (12, 20, 30), affine: np.ndarray = LPS_1MM) -> Volume:
    """Grey, bright in the right, anterior, superior octant."""
    hu = np.full(shape, 50, np.int16)
    z, y, x = (n // 2 for n in shape)
    hu[z:, :y, :x] = 100
    return Volume(hu, affine)


def read_movie(path: Path) -> np.ndarray:
    """Return the frames of a movie, (n, h, w) uint8."""
    import imageio.v3 as iio

    return np.stack([frame.mean(axis=-1).astype(np.uint8) for frame in iio.imiter(path)])


@pytest.mark.parametrize("codes", ["LPS", "RAS", "SLA"])
@pytest.mark.parametrize(("plane", "edge"), [("axial", "R"), ("coronal", "R"), ("sagittal", "A")])
def test_planes_are_those_of_the_patient(plane: str, edge: str, codes: str) -> None:
    """The first half of the planes holds the bright octant, upper left, however the volume is stored."""
    planes, _, side = planes_of(marked().reoriented(codes), plane)  # type: ignore[arg-type]
    assert side == edge
    n, rows, columns = planes.shape
    bright = planes == 100
    assert bright[: n // 2, : rows // 2, : columns // 2].all()
    assert bright.sum() == bright[: n // 2, : rows // 2, : columns // 2].sum()


@pytest.mark.parametrize(("plane", "shape"), [("axial", (80, 60)), ("coronal", (30, 60)), ("sagittal", (30, 80))])
def test_proportions_follow_mm(plane: str, shape: tuple[int, int]) -> None:
    """Voxels of 3 x 4 x 2 mm (z, y, x); ``shape`` is rows and columns in mm."""
    volume = marked((10, 20, 30), np.diag([-2.0, -4.0, 3.0, 1.0]))
    _, height, width = reel(volume, plane, WINDOW, 160, 99).shape  # type: ignore[arg-type]
    assert max(height, width) == 160
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.02)


def test_many_slices_become_evenly_many_frames() -> None:
    """The first and the last slice stay, and no more than the limit are drawn."""
    hu = np.zeros((40, 8, 8), np.int16)
    hu[0], hu[-1] = 100, 60
    frames = reel(Volume(hu, LPS_1MM), "axial", WINDOW, 64, 7)
    assert len(frames) == 7
    assert frames[0, 40, 40] == round(0.6 * 255) and frames[-1, 40, 40] == 255


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_movies_can_be_read_again(name: str, tmp_path: Path) -> None:
    """A frame for each slice, sides even in the mp4, the octant where it belongs."""
    path = tmp_path / name
    count, height, width = save_animation([("a", marked)], path, window=WINDOW)
    frames = read_movie(path)
    assert (count, height, width) == (12, *frames.shape[1:])
    assert width == SIDE_PX[path.suffix]
    assert path.suffix == ".gif" or height % 2 == width % 2 == 0
    first = frames[0]
    assert first[height // 4, width // 4] > 240 and abs(int(first[height // 4, 3 * width // 4]) - 128) < 12
    assert len(frames) == 12  # readers repeat the equal frames that a gif joins


def test_volumes_side_by_side_take_equally_long(tmp_path: Path) -> None:
    """Two tiles; the shorter volume is slowed down."""
    one, other = np.full((3, 10, 20), 10, np.uint8), np.arange(6, dtype=np.uint8)[:, None, None].repeat(20, 1)
    frames = list(side_by_side([one, other], columns=2, side_px=20))
    assert [frame.shape for frame in frames] == [(20, 40 + GAP_PX)] * 6
    assert [int(frame[10, 20 + GAP_PX + 9]) for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert all(frame[10, 10] == 10 for frame in frames) and frames[0][2, 2] == 0
    _, height, width = save_animation([("a", marked), ("b", marked)], tmp_path / "two.mp4")
    assert width == SIDE_PX[".mp4"] and height < width


def test_refusals(tmp_path: Path) -> None:
    """Suffix, plane, window, rate, number of volumes, and a file that is there: one clear error, nothing left."""
    path = tmp_path / "a.gif"
    with pytest.raises(CtgridError, match=r"\.mp4 or \.gif"):
        save_animation([("a", marked)], tmp_path / "a.webp")
    with pytest.raises(CtgridError, match="plane"):
        save_animation([("a", marked)], path, plane="oblique")  # type: ignore[arg-type]
    with pytest.raises(CtgridError, match="window"):
        save_animation([("a", marked)], path, window=(1, 1))
    with pytest.raises(CtgridError, match="fps"):
        save_animation([("a", marked)], path, fps=0)
    for count in (0, VOLUMES + 1):
        with pytest.raises(CtgridError, match=f"1 to {VOLUMES} volumes"):
            save_animation([("a", marked)] * count, path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(CtgridError, match="--overwrite"):
        save_animation([("a", marked)], path)
    assert path.read_text() == "mine"
    assert FRAMES[".gif"] < FRAMES[".mp4"]
