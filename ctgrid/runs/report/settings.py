"""What is asked of ``ctgrid preview``, ``report`` and ``view``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, WHERE, Overwrite, read_window, write_window
from ctgrid.scan.reading import Hu
from ctgrid.scan.windows import CHEST_WINDOW_HU

Plane = Literal["axial", "coronal", "sagittal"]

PAGE_MB, SERVED_MB = 160.0, 1024.0
"""Voxels that the viewer holds, 2 bytes each: of a page, which grows by up to 0.9 of that, and from ``ctgrid view``."""


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
        max_mb: the most that voxels take; of larger volumes every second, third, ... slice is embedded.
        max_volumes: the most volumes, or pairs before and after, that are embedded.
        hu: how stored values become HU, as for :meth:`ctgrid.scan.volume.Volume.read`.
    """

    title: Annotated[str | None, Setting("Of the page; made of the inputs' names if not given.", panel=OUTPUT)] = None
    max_mb: Annotated[
        float,
        Setting("MB of voxels that are embedded; of more, every n-th slice.", metavar="MB", least=1, panel=OUTPUT),
    ] = PAGE_MB
    max_volumes: Annotated[
        int, Setting("Volumes, or pairs before and after, that are embedded.", least=0, panel=WHAT)
    ] = 8
    hu: Hu = "auto"


@dataclass(frozen=True)
class ReportSettings(Checked):
    """How a report is made, and whether one that is there is replaced."""

    options: Options = field(default_factory=Options)
    overwrite: Overwrite = False


@dataclass(frozen=True)
class ViewSettings(Checked):
    """What is looked at in a browser, and how.

    Attributes:
        name: the volume of a store or a folder; None takes the first.
        hu: how stored values become HU.
        max_mb: the most that voxels take; None is :data:`SERVED_MB`, of a file :data:`PAGE_MB`.
        port: of this machine; 0 takes a free one.
        browser: whether a browser is opened where there is one.
        overwrite: replace what is there.
    """

    name: Annotated[
        str | None, Setting("The volume of a store or folder; else the first one.", metavar="NAME", panel=WHAT)
    ] = None
    hu: Hu = "auto"
    max_mb: Annotated[
        float | None,
        Setting(
            f"MB of voxels shown; of more, every n-th slice. If not given {SERVED_MB:g}, with --out {PAGE_MB:g}.",
            metavar="MB",
            least=1,
        ),
    ] = None
    port: Annotated[int, Setting("Port on this machine; 0 takes a free one.", least=0, most=65535, panel=WHERE)] = 0
    browser: Annotated[bool, Setting("Print the address and open no browser.", flag="--no-browser", panel=WHERE)] = True
    overwrite: Overwrite = False
