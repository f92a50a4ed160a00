"""What is asked of ``ctgrid synthesize``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import MOST_FPS, OUTPUT, WHAT, WHERE, Deterministic, Overwrite, Seed, read_memory
from ctgrid.methods.loading import PartsLoading
from ctgrid.methods.synthesis.settings import Settings

FRAMES = 128
"""Of a movie where nothing else was said."""


@dataclass(frozen=True)
class SynthesisRequest(Checked):
    """Volumes to make.

    Attributes:
        seed: of the first; number i is made from seed + i.
        count: of volumes; None is one that needs no list.
        how: they are made.
        max_memory: such as ``4GB``: compute fewer at once where more would need more.
        loading: of the model.
        picture: write a picture beside every volume.
        overwrite: replace what is there.
        deterministic: compute in one thread, so that the bytes do not depend on the number of cores.
    """

    seed: Seed = 0
    count: Annotated[
        int | None,
        Setting("Volumes; number i uses seed + i. The same command takes up a broken run.", least=1, panel=WHAT),
    ] = None
    how: Settings = field(default_factory=Settings)
    max_memory: Annotated[
        str | None,
        Setting(
            "Compute fewer at once where more would need more memory.", metavar="4GB", read=read_memory, panel=WHERE
        ),
    ] = None
    loading: PartsLoading = field(default_factory=PartsLoading)
    picture: Annotated[bool, Setting("Write a .png beside every volume.", panel=OUTPUT)] = True
    overwrite: Overwrite = False
    deterministic: Deterministic = False


@dataclass(frozen=True)
class MovieRequest(SynthesisRequest):
    """Movies to make; ``frames`` of each, :data:`FRAMES` where None, at ``fps`` a second."""

    frames: Annotated[int | None, Setting("Of a movie, in place of --slices.", least=1, panel=WHAT)] = None
    fps: Annotated[float, Setting("Frames of a movie a second.", least=0.01, most=MOST_FPS, panel=OUTPUT)] = 16.0
