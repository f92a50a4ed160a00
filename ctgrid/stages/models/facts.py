"""What sampling must know of a stage besides its network: ``stage.json`` beside the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ctgrid.base.causes import reading
from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError
from ctgrid.scan.grid import Tiled
from ctgrid.scan.protocols.oriented import check_orientation
from ctgrid.stages.diffusion.samplers import find_sampler
from ctgrid.stages.diffusion.schedule import Prediction
from ctgrid.stages.diffusion.spacing import STEPS, Spacing, find_spacing
from ctgrid.stages.networks.stacked import Layout

STAGE_FILE = "stage.json"
"""Facts beside a stage's weights."""


@dataclass(frozen=True)
class StageFacts(Tiled):
    """What sampling must know of a stage besides its network.

    Attributes:
        prediction: ``epsilon`` or ``v``.
        size: S, pixels of a slice's side.
        k: cells along a grid's side.
        scale: how many times a slice is shrunk to a cell; None is k, so that a grid image is as large as a slice.
        slices: the range of absolute z is [0, slices).
        cell_encoding: whether a grid's cells were encoded one by one or the grid as a whole.
        conditioning: ``clean`` where known cells were trained at their own clean timestep, else ``replace``.
        fov_mm: side of the field of view in training, mm; None if unknown.
        extent_mm: median extent of the training volumes along z, mm; None if unknown.
        content: what the slices are: of CT, or frames of video clips.
        channels: of the images, 1 for gray or 3 for RGB.
        layout: of stage 1's cells: tiled in a grid image, or stacked as channels (``stages.networks.stacked``).
        protocol: that made the slices of training; see :mod:`ctgrid.scan.protocols.protocols`.
        orientation: axis codes of their (columns, rows, slices); see :mod:`ctgrid.scan.protocols.oriented`.
        stride: slices of a training volume from one cell of a training grid to the next, for a stage 1 without
            absolute z; the middle one where several were drawn.
        sampler: that stage 1 is best sampled with, where nobody asks for another; None leaves it to the settings.
        steps: network calls per grid, likewise.
        stop: timestep of the last of them, likewise, see :func:`ctgrid.stages.diffusion.sample`.
        fill_steps: network calls per grid that fills a gap between keyframes, likewise.
        fill_spacing: where those steps lie, likewise.
        habitus: how far synthetic bodies vary in size and shape beside what stage 1 makes, see
            :mod:`ctgrid.data.habitus`, likewise.
    """

    prediction: Prediction = "epsilon"
    size: int = 512
    k: int = 4
    slices: int = 201
    cell_encoding: Literal["cell", "grid"] = "grid"
    conditioning: Literal["clean", "replace"] = "replace"
    fov_mm: float | None = None
    extent_mm: float | None = None
    content: Literal["ct", "video"] = "ct"
    channels: Literal[1, 3] = 1
    layout: Layout = "grid"
    scale: int | None = None
    protocol: str = "canonical"
    orientation: str = "LPS"
    stride: float = 1.0
    sampler: str | None = None
    steps: int | None = None
    stop: int | None = None
    fill_steps: int | None = None
    fill_spacing: Spacing | None = None
    habitus: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON-able values."""
        return asdict(self)

    @classmethod
    def read(cls, folder: Path) -> StageFacts:
        """Read a stage's facts; the paper's where the folder has none.

        Raises:
            CtgridError: where the file holds something else.
        """
        path = folder / STAGE_FILE
        if not path.exists():
            return cls()
        remedy = "train the stage again or remove it"
        values = json_of(path, "the facts of a stage", remedy)
        with reading(path, "the facts of a stage", remedy):
            known = {f.name for f in fields(cls)}
            facts = cls(**{name: value for name, value in values.items() if name in known})
            check_orientation(facts.orientation, str(path))
            if facts.sampler is not None:
                find_sampler(facts.sampler)
            if facts.fill_spacing is not None:
                find_spacing(facts.fill_spacing)
            for name in ("steps", "fill_steps", "scale", "stop"):
                calls = getattr(facts, name)
                if calls is not None and (type(calls) is not int or calls < 1):
                    raise CtgridError(f"{path}: {name} must be a whole number above 0, got {calls!r}")
            if facts.stop is not None and facts.stop >= STEPS:
                raise CtgridError(f"{path}: stop must be a timestep below {STEPS}, got {facts.stop}")
            if facts.habitus is not None and not (type(facts.habitus) in (int, float) and 0 <= facts.habitus <= 1):
                raise CtgridError(f"{path}: habitus must be a number from 0 to 1, got {facts.habitus!r}")
            return facts
