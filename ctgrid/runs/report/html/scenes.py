"""Volumes of a report, read one after the other and made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.report.html.block import Block, embed
from ctgrid.runs.report.html.found import Shown
from ctgrid.runs.report.html.viewer import Scene


def choose(volumes: Sequence[Shown], max_volumes: int) -> tuple[list[Shown], list[Shown]]:
    """Return the volumes to be shown and those that are too many: pairs first, then volumes named themselves.

    Args:
        volumes: in their order, which is kept among equals.
        max_volumes: the most that are shown.
    """
    order = sorted(volumes, key=lambda shown: (shown.before is None, not shown.given))
    return order[:max_volumes], order[max_volumes:]


def make_scenes(
    volumes: Sequence[Shown], max_side: int, hu: str = "auto", progress: Progress = silent
) -> tuple[list[Scene], list[str]]:
    """Read and embed volumes, at most one pair in memory.

    Args:
        volumes: all of them are read; see :func:`choose`.
        max_side: the most rows or columns.
        hu: how stored values become HU.
        progress: told of every slice.

    Returns:
        The scenes, and what could not be read and why.

    Raises:
        CtgridError: A volume that was named itself cannot be read, or none of the others can.
    """
    scenes, failed = [], []
    for shown in volumes:
        try:
            scenes.append(make_scene(shown, max_side, hu, progress))
        except CtgridError as error:
            if shown.given and len(volumes) > 1:
                raise CtgridError(
                    f"{error}; no report was written, leave this input away for one of the others"
                ) from error
            if shown.given:
                raise
            failed.append(error)
    if failed and not scenes:
        raise failed[0]
    return scenes, [f"Left out: {error}" for error in failed]


def make_scene(shown: Shown, max_side: int, hu: str = "auto", progress: Progress = silent) -> Scene:
    """Read and embed one volume, with the one before it where the two lie on one grid.

    Raises:
        CtgridError: The volume cannot be read.
    """
    block, affine = _embedded(shown, max_side, hu, progress)
    notes = [*shown.notes, *_stored(shown)]
    if shown.before is None:
        return Scene(shown.name, block, notes=notes)
    try:
        before, other = _embedded(Shown(shown.name, shown.before), max_side, hu, progress)
    except CtgridError as error:
        return Scene(shown.name, block, notes=[*notes, f"its scan cannot be shown: {error}"])
    if before.whole_shape != block.whole_shape or not np.allclose(affine, other, atol=0.01):
        return Scene(shown.name, block, notes=[*notes, f"{shown.before} lies on another grid"])
    return Scene(shown.name, replace(block, spacing_mm=before.spacing_mm), before, notes)


def _embedded(shown: Shown, max_side: int, hu: str, progress: Progress) -> tuple[Block, np.ndarray]:
    volume = shown.load(hu)
    return embed(volume, max_side, progress=progress), volume.affine


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
