"""Volumes of a report, read one after the other and made small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.report.html.block import embed, every_of
from ctgrid.runs.report.html.found import Shown
from ctgrid.runs.report.html.overlay import read_map, same_grid
from ctgrid.runs.report.html.viewer import Scene
from ctgrid.runs.report.settings import PAGE_MB

if TYPE_CHECKING:
    from ctgrid.scan.volume import Volume


def choose(volumes: Sequence[Shown], max_volumes: int) -> tuple[list[Shown], list[Shown]]:
    """Return the volumes to be shown and those that are too many: pairs first, then volumes named themselves.

    Args:
        volumes: in their order, which is kept among equals.
        max_volumes: the most that are shown.
    """
    order = sorted(volumes, key=lambda shown: (shown.before is None, not shown.given))
    return order[:max_volumes], order[max_volumes:]


def make_scenes(
    volumes: Sequence[Shown], max_mb: float = PAGE_MB, hu: str = "auto", progress: Progress = silent
) -> tuple[list[Scene], list[str]]:
    """Read and embed volumes, at most one pair in memory.

    Args:
        volumes: all of them are read; see :func:`choose`.
        max_mb: the most that the voxels of all of them take.
        hu: how stored values become HU.
        progress: told of every slice.

    Returns:
        The scenes, and what could not be read and why.

    Raises:
        CtgridError: A volume that was named itself cannot be read, or none of the others can.
    """
    scenes, failed, left = [], [], max_mb
    for number, shown in enumerate(volumes):
        try:
            scene = make_scene(shown, left / (len(volumes) - number), hu, progress)
        except CtgridError as error:
            if shown.given and len(volumes) > 1:
                raise CtgridError(
                    f"{error}; no report was written, leave this input away for one of the others"
                ) from error
            if shown.given:
                raise
            failed.append(error)
            continue
        left -= sum(block.megabytes for block in scene.blocks().values())
        scenes.append(scene)
    if failed and not scenes:
        raise failed[0]
    return scenes, [f"Left out: {error}" for error in failed]


def make_scene(shown: Shown, max_mb: float = PAGE_MB, hu: str = "auto", progress: Progress = silent) -> Scene:
    """Read and embed one volume, with the one before it where the two lie on one grid, and its maps.

    Raises:
        CtgridError: The volume cannot be read.
    """
    notes, volume, before = [*shown.notes, *_stored(shown)], shown.load(hu), None
    if shown.before is not None:
        try:
            before = Shown(shown.name, shown.before).load(hu)
        except CtgridError as error:
            notes.append(f"its scan cannot be shown: {error}")
    if before is not None and not same_grid(volume, before):
        notes.append(f"{shown.before} lies on another grid")
        before = None
    maps = {}
    for kind, path in shown.maps.items():
        try:
            maps[kind] = read_map(path, kind, volume)
        except CtgridError as error:
            notes.append(f"its map of {kind} cannot be shown: {error}")
    every = every_of(upright_shape(volume), (1 if before is None else 2) + len(maps), max_mb)
    first = None if before is None else embed(before, every, progress=progress)
    layers = {kind: embed(one, every, continuous=kind != "labels", progress=progress) for kind, one in maps.items()}
    return Scene(shown.name, embed(volume, every, progress=progress), first, layers, notes)


def upright_shape(volume: Volume) -> tuple[int, int, int]:
    """Return a volume's (z, y, x) turned upright."""
    return volume.reoriented("LPS").shape


def _stored(shown: Shown) -> list[str]:
    """Say of a volume out of a store what a store keeps: the grid that is shown is the scan's, the detail is not."""
    if not shown.in_store:
        return []
    from ctgrid.data.store.store import StoredVolume
    from ctgrid.scan.protocols.resample import SCALE_HU

    stored = StoredVolume(shown.path)
    slices, rows, columns = stored.shape
    protocol = stored.record["inverse"].get("protocol")
    return [
        f"of a store that keeps {columns} × {rows} × {slices} voxels within ±{SCALE_HU:.0f} HU (protocol {protocol}), "
        "put back onto the scan's own grid"
    ]
