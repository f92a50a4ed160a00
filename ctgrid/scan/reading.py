"""Settings of how a scan is read, which every command that reads one shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ctgrid.base.settings import Setting
from ctgrid.base.usual import WHAT
from ctgrid.scan.hu.modes import HuMode

Hu = Annotated[HuMode, Setting("How stored values become HU; auto decides by evidence.", panel=WHAT)]
Metadata = Annotated[
    tuple[Path, ...], Setting("Table with VolumeName, RescaleSlope, ...; repeatable.", metavar="CSV", panel=WHAT)
]
SeriesUid = Annotated[
    str | None,
    Setting("DICOM series: number in ctgrid info, UID or its ending; else the largest.", metavar="N|UID", panel=WHAT),
]
