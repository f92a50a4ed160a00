"""The picture shows every view the right way round, at the right scale, whatever the volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ctgrid import CtgridError, Volume
from ctgrid.runs.report.picture import (
    CAPTION_PX,
    COMPARED_PX,
    comparison,
    contact_sheet,
    save_comparison,
    save_picture,
    shown_slices,
)
from ctgrid.runs.report.sheet import GAP_PX, MONTAGE_PX, VIEWS_PX, lay_out

LPS_1MM = np.diag([-1.0, -1.0, 1.0, 1.0])
WHITE, GREY = 255, 128


def views(volume: Volume) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return montage, coronal and sagittal part of the picture, background 0."""
    sheet = np.asarray(contact_sheet(volume, (0, 100)))
    upright = volume.reoriented("LPS")
    z_mm, y_mm, x_mm = (n * mm for n, mm in zip(upright.shape, upright.spacing_mm, strict=True))
    plan = lay_out(min(16, upright.shape[0]), x_mm, y_mm, z_mm)
    (left, top, width, height), (below, lower, w, h) = plan.views
    montage = sheet[: max(box[1] + box[3] for box in plan.slices), :MONTAGE_PX]
    return montage, sheet[top : top + height, left : left + width], sheet[lower : lower + h, below : below + w]


def marked() -> Volume:
    """A grey 40 mm cube, bright in its right, anterior, superior octant."""
    hu = np.full((40, 40, 40), 50, np.int16)
    hu[20:, :20, :20] = 100
    return Volume(hu, LPS_1MM)


def test_axial_views_have_right_on_the_left_and_anterior_on_top() -> None:
    """The convention of radiology; the highest slice comes first."""
    montage, _, _ = views(marked())
    cell = (MONTAGE_PX - 3 * GAP_PX) // 4
    first, last = montage[:cell, :cell], montage[-cell:, -cell:]
    q = cell // 4
    corners = [first[y, x] for y, x in ((q, q + 20), (q, 3 * q), (3 * q, q), (3 * q, 3 * q))]
    assert corners == [WHITE, GREY, GREY, GREY]
    assert last[q, q + 20] == GREY


def test_coronal_and_sagittal_views_have_superior_on_top() -> None:
    """Coronal: right on the left. Sagittal: anterior on the left."""
    volume = marked()
    volume.hu[20:, :30, :30] = 100  # reach across both middle planes
    for view in views(volume)[1:]:
        h, w = view.shape
        side = h  # a cube fills the height
        left, right = w // 2 - side // 4, w // 2 + side // 2 - 20
        assert view[h // 4, left] == WHITE
        assert view[h // 4, right] == GREY
        assert view[3 * h // 4, left] == GREY


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SLA"])
def test_storage_order_does_not_matter(codes: str) -> None:
    """The same patient gives the same picture."""
    volume = marked()
    assert np.array_equal(contact_sheet(volume, (0, 100)), contact_sheet(volume.reoriented(codes), (0, 100)))


@pytest.mark.parametrize(("shape", "spacing"), [((10, 40, 40), (8, 2, 1)), ((30, 20, 50), (1, 3, 0.5))])
def test_proportions_are_those_of_the_patient(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    """Anisotropic voxels: heights and widths in pixels follow the mm."""
    dz, dy, dx = spacing
    volume = Volume(np.full(shape, 50, np.int16), np.diag([-dx, -dy, dz, 1.0]))
    z_mm, y_mm, x_mm = (n * d for n, d in zip(shape, spacing, strict=True))
    _, coronal, sagittal = views(volume)
    for view, width_mm in ((coronal, x_mm), (sagittal, y_mm)):
        h, w = view.shape
        height = (view[:, w // 2] == GREY).sum()
        width = (view[h // 2 + h // 9] == GREY).sum()  # beside the letter at the edge
        assert width / height == pytest.approx(width_mm / z_mm, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 2, 2), (1, 1, 1), (300, 3, 200), (5, 700, 4), (17, 8, 8)])
def test_any_shape(shape: tuple[int, int, int]) -> None:
    """Tiny, thin and long volumes are drawn too, on a sheet of a usual width."""
    sheet = contact_sheet(Volume(np.zeros(shape, np.float32), LPS_1MM))
    assert sheet.mode == "L"
    assert sheet.width in (MONTAGE_PX, MONTAGE_PX + GAP_PX + VIEWS_PX)
    assert np.asarray(sheet).any()


@pytest.mark.parametrize("slices", [1, 2, 3, 5, 8, 13, 16, 40])
@pytest.mark.parametrize("side_yx", [(100, 100), (60, 100)])
def test_a_thin_volume_fills_its_sheet(slices: int, side_yx: tuple[int, int]) -> None:
    """Few slices, or many thin ones: most of the picture is the scan, in its true proportions."""
    hu = np.full((slices, *side_yx), 100, np.int16)
    sheet = np.asarray(contact_sheet(Volume(hu, np.diag([-3.5, -3.5, 2.0, 1.0])), (0, 100)))
    assert (sheet[:-CAPTION_PX] > 0).mean() > 0.7


def test_window() -> None:
    """Values below the window are black, above it white, between them linear."""
    hu = np.full((1, 4, 4), -500, np.int16)
    volume = Volume(hu, LPS_1MM)
    middle = (MONTAGE_PX // 2, MONTAGE_PX // 2)
    shades = [contact_sheet(volume, w).getpixel(middle) for w in ((-400, 0), (-1000, -600), (-1000, 0))]
    assert shades == [0, 255, 128]
    for window in ((1, 1), (2, 1), (0, float("nan")), (float("-inf"), 0)):
        with pytest.raises(CtgridError, match="window"):
            contact_sheet(volume, window)


def test_save_is_a_png_and_respects_what_is_there(tmp_path: Path) -> None:
    """Atomic, and no overwriting unless asked for."""
    path = tmp_path / "a.png"
    save_picture(marked(), path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    with pytest.raises(CtgridError, match="overwrite"):
        save_picture(marked(), path)
    save_picture(marked(), path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_comparison_shows_before_after_and_what_was_removed(tmp_path: Path) -> None:
    """Slice by slice, the highest on top; grey where nothing was removed, whatever way the scan is stored."""
    before = marked()
    hu = before.hu.copy()
    hu[20:, 20:, :20] -= 40  # upper half, posterior, right
    after = Volume(hu, before.affine)
    step = COMPARED_PX + GAP_PX
    for codes in ("LPS", "SAR"):
        sheet = np.asarray(comparison(before.reoriented(codes), after.reoriented(codes), window=(0, 100)))
        assert sheet.shape == (4 * step + CAPTION_PX, 3 * step - GAP_PX)  # the last looks closely
        place = (COMPARED_PX * 3 // 4, COMPARED_PX // 4)
        top, bottom = ([int(sheet[row * step + place[0], i * step + place[1]]) for i in range(3)] for row in (0, 2))
        assert top[0] == GREY and top[1] < GREY and top[2] > GREY + 20
        assert bottom[0] == bottom[1] == GREY and bottom[2] in (127, 128)
    assert shown_slices(40) == [6, 20, 33] and shown_slices(2) == [0, 1]
    assert comparison(before, after, [5]).height == 2 * step + CAPTION_PX
    air = Volume(np.full_like(hu, -1000), before.affine)
    assert comparison(air, air, [5]).height == step + CAPTION_PX
    with pytest.raises(CtgridError, match="cannot be compared"):
        comparison(before, Volume(hu[:3], before.affine))
    save_comparison(before, after, tmp_path / "c.png")
    with pytest.raises(CtgridError, match="overwrite"):
        save_comparison(before, after, tmp_path / "c.png")
