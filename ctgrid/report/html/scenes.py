"""Volumes of a report, read one after the other and made small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.progress import Progress, silent
from ctgrid.report.html.block import Block, embed
from ctgrid.report.html.collect import Shown
from ctgrid.report.html.viewer import Scene


def make_scenes(
    volumes: Sequence[Shown], max_side: int, max_volumes: int, hu: str = "auto", progress: Progress = silent
) -> tuple[list[Scene], list[str]]:
    """Read and embed volumes, at most one pair in memory.

    Args:
        volumes: in their order; pairs come first where there are too many.
        max_side: the most rows or columns.
        max_volumes: the most scenes.
        hu: how stored values become HU.
        progress: told of every slice.

    Returns:
        The scenes, and what was left out and why.

    Raises:
        CtgridError: A volume that was named itself cannot be read, or none of the others can.
    """
    chosen = sorted(volumes, key=lambda shown: shown.before is None)[:max_volumes]
    notes = []
    if len(chosen) < len(volumes):
        notes.append(f"{len(volumes) - len(chosen)} of {len(volumes)} volumes are not in this page: --max-volumes.")
    scenes, failed = [], []
    for shown in chosen:
        try:
            scenes.append(make_scene(shown, max_side, hu, progress))
        except CtgridError as error:
            if shown.given:
                raise
            failed.append(error)
    if failed and not scenes:
        raise failed[0]
    return scenes, notes + [f"Left out: {error}" for error in failed]


def make_scene(shown: Shown, max_side: int, hu: str = "auto", progress: Progress = silent) -> Scene:
    """Read and embed one volume, with the one before it where the two lie on one grid.

    Raises:
        CtgridError: The volume cannot be read.
    """
    block, affine = _embedded(shown.path, max_side, hu, progress)
    if shown.before is None:
        return Scene(shown.name, block, notes=list(shown.notes))
    try:
        before, other = _embedded(shown.before, max_side, hu, progress)
    except CtgridError as error:
        return Scene(shown.name, block, notes=[*shown.notes, f"its scan cannot be shown: {error}"])
    if before.whole_shape != block.whole_shape or not np.allclose(affine, other, atol=0.01):
        return Scene(shown.name, block, notes=[*shown.notes, f"{shown.before} lies on another grid"])
    return Scene(shown.name, replace(block, spacing_mm=before.spacing_mm), before, list(shown.notes))


def _embedded(path: Path, max_side: int, hu: str, progress: Progress) -> tuple[Block, np.ndarray]:
    from ctgrid.volume import Volume

    volume = Volume.read(path, hu=hu)
    return embed(volume, max_side, progress=progress), volume.affine
