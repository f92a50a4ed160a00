"""What is asked of ``ctgrid preview`` and ``ctgrid report``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, Overwrite, read_window, write_window
from ctgrid.scan.reading import Hu
from ctgrid.scan.windows import CHEST_WINDOW_HU

Plane = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True)
class PreviewSettings(Checked):
    """What is looked at, and how.

    Attributes:
        window: HU shown as black and as white; a page has presets instead.
        plane: slices of a movie; None is axial.
        fps: of a movie; None is :data:`ctgrid.runs.report.animation.FPS`.
        name: volumes of the store or folder.
        all: every volume of it.
        hu: how stored values become HU.
        overwrite: replace what is there.
    """

    window: Annotated[
        tuple[float, float],
        Setting("HU shown black and white (not .html).", metavar="LO,HI", read=read_window, write=write_window),
    ] = CHEST_WINDOW_HU
    plane: Annotated[
        Plane | None, Setting("Slices of a .gif or .mp4; axial if not given.", metavar="NAME", panel=WHAT)
    ] = None
    fps: Annotated[float | None, Setting("Of a .gif or .mp4; 16 if not given.", least=0.1, most=100, panel=OUTPUT)] = (
        None
    )
    name: Annotated[
        tuple[str, ...], Setting("A volume of the store or folder; may be repeated.", metavar="NAME", panel=WHAT)
    ] = ()
    all: Annotated[bool, Setting("All volumes of the store or folder; else the first one.", panel=WHAT)] = False
    hu: Hu = "auto"
    overwrite: Overwrite = False

    def __post_init__(self) -> None:
        """Refuse names together with all."""
        super().__post_init__()
        if self.name and self.all:
            raise CtgridError("give --name or --all, not both")


@dataclass(frozen=True)
class Options(Checked):
    """How a report is made.

    Attributes:
        title: None takes one from the inputs.
        max_side: the most rows or columns of an embedded volume.
        max_volumes: the most volumes, or pairs before and after, that are embedded.
        hu: how stored values become HU, as for :meth:`ctgrid.scan.volume.Volume.read`.
    """

    title: Annotated[str | None, Setting("Of the page; made of the inputs' names if not given.", panel=OUTPUT)] = None
    max_side: Annotated[
        int, Setting("Rows or columns that volumes are shrunk to.", least=16, most=1024, panel=OUTPUT)
    ] = 256
    max_volumes: Annotated[
        int, Setting("Volumes, or pairs before and after, that are embedded.", least=0, panel=WHAT)
    ] = 8
    hu: Hu = "auto"


@dataclass(frozen=True)
class ReportSettings(Checked):
    """How a report is made, and whether one that is there is replaced."""

    options: Options = field(default_factory=Options)
    overwrite: Overwrite = False
