"""An ablation to look at: its measures as a chart, and a sample of every variant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.arrays import read_npz
from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.plots import new_figure, save_figure
from ctgrid.runs.report.drawing import windowed, write_text
from ctgrid.runs.results.ablation import MEASURES, Measure
from ctgrid.scan.windows import CHEST_WINDOW_HU

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

PANELS = 4
"""Panels side by side in the chart."""

TILE_PX, GAP_PX, NAME_PX = 160, 4, 150
AXIAL = (0.15, 0.4, 0.65, 0.9)
"""Relative heights of the axial slices."""


def draw_ablation(results: dict[str, Any], out: Path) -> list[Path]:
    """Write ``measures.png`` and ``samples.png``.

    Args:
        results: what ``results.json`` holds.
        out: the ablation's folder.

    Returns:
        The files written.
    """
    from ctgrid.base.files import atomic_output

    paths = [save_figure(chart(results), out / "measures.png"), out / "samples.png"]
    sheet = samples_sheet(results, out)
    with atomic_output(paths[1], overwrite=True) as temporary:
        sheet.save(temporary, format="PNG")
    return paths


def chart(results: dict[str, Any]) -> Any:
    """Return a figure with a panel for each measure: a dot for each seed, a line where real volumes lie."""
    shown = [m for m in MEASURES if any(row.get(m.key) is not None for row in results["rows"])]
    names = [v["name"] for v in results["variants"] if v["name"] in results["summary"]]
    columns = min(PANELS, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(2.8 * columns, (0.9 + 0.35 * len(names)) * rows)
    for place, measure in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        _panel(axes, measure, results, names)
        axes.set_yticks(range(len(names)), names if place % columns == 0 else [""] * len(names))
        axes.locator_params(axis="x", nbins=4)
    return figure


def _panel(axes: Axes, measure: Measure, results: dict[str, Any], names: list[str]) -> None:
    for row in results["rows"]:
        if row.get(measure.key) is not None:
            axes.plot(row[measure.key], names.index(row["variant"]), "o", color="tab:blue", alpha=0.6)
    for name in names:
        value = results["summary"][name].get(measure.key)
        if value is not None:
            axes.plot(value["mean"], names.index(name), "|", color="black", markersize=14)
    kind = "held_out" if measure.key in results["reference"]["held_out"] else "training"
    real = results["reference"][kind].get(measure.key)
    if real is not None:
        axes.axvline(real, color="tab:green", linewidth=1, linestyle="--")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(f"{measure.title} ({measure.better})", fontsize=9)
    axes.tick_params(labelsize=8)


def samples_sheet(results: dict[str, Any], out: Path) -> Image:
    """Return one row for a held-out patient and for each variant: coronal, sagittal and four axial slices.

    The first sample of the first seed is shown, unchosen.

    Raises:
        CtgridError: where a file of samples holds none.
    """
    import PIL.Image

    rows = [("held-out", "real, held out"), *((f"{v['name']}-seed0", v["name"]) for v in results["variants"])]
    rows = [(file, title) for file, title in rows if (out / "samples" / f"{file}.npz").exists()]
    step = TILE_PX + GAP_PX
    sheet = PIL.Image.new("L", (NAME_PX + (2 + len(AXIAL)) * step, max(1, len(rows)) * step))
    for number, (file, title) in enumerate(rows):
        path = out / "samples" / f"{file}.npz"
        (hu,) = read_npz(path, "hu")
        if hu.ndim != 3 or hu.dtype.kind not in "iuf" or not hu.size:
            raise CtgridError(f"{path} holds no volume; remove it to have it made anew")
        hu = hu[::-1]  # the head on top
        middle = hu.shape[1] // 2
        planes = [hu[:, middle], hu[:, :, middle], *(hu[int((1 - z) * (len(hu) - 1))] for z in AXIAL)]
        for column, plane in enumerate(planes):
            tile = windowed(plane, (TILE_PX, TILE_PX), CHEST_WINDOW_HU)
            sheet.paste(tile, (NAME_PX + column * step, number * step))
        write_text(sheet, (4, number * step + TILE_PX // 2 - 8), title)
    return sheet
