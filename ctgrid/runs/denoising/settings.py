"""What is asked of ``ctgrid denoise``: the same for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ctgrid.base.settings import Checked, Fields, Setting
from ctgrid.base.usual import OUTPUT, Deterministic, Overwrite
from ctgrid.methods.denoising.settings import DiffusionSettings, Loading, Strength, read_strength
from ctgrid.scan.reading import Hu, Metadata, SeriesUid


@dataclass(frozen=True)
class Request(Checked):
    """How cases are denoised, and what is written of them.

    Attributes:
        method: one of :data:`ctgrid.methods.denoising.methods.METHODS`; None takes the model's best.
        strength: the noise in HU, or "auto".
        residual: where what was removed goes: a volume's file for one scan, a folder for a folder of results.
        picture: draw scan, result and what was removed, beside the result.
        trust: where the maps of how far results may be off go; see :func:`ctgrid.runs.denoising.jobs.plan_jobs`.
        settings: of the method, other than its own defaults.
        loading: what it needs to be loaded.
        hu: how stored values become HU.
        metadata: tables with slope and intercept of many scans.
        series: which DICOM series.
        strict: stop at the first case that fails.
        resume: keep results that the journal lists as done with the same input and settings.
        overwrite: replace what is there.
        deterministic: compute in one thread, so that the bytes do not depend on the number of cores.
    """

    method: Annotated[
        str | None,
        Setting("grid-detail (default where the model has that part), grid, grid-paper, detail, self, nlm, ..."),
    ] = None
    strength: Annotated[
        Strength,
        Setting(
            "Noise to remove, as a standard deviation; 0 leaves a scan as it is.", metavar="auto|HU", read=read_strength
        ),
    ] = "auto"
    residual: Annotated[
        Path | None, Setting("Write what was removed, in HU; a folder for several scans.", metavar="FILE", panel=OUTPUT)
    ] = None
    picture: Annotated[bool, Setting("Draw before, after and removed beside each result.", panel=OUTPUT)] = True
    trust: Annotated[
        Path | None,
        Setting(
            "Write how far each voxel may be off (standard deviation, HU) and where more than noise went; auto: beside "
            "the result; a folder for several scans.",
            metavar="auto|FILE",
            panel=OUTPUT,
        ),
    ] = None
    settings: Annotated[Mapping[str, Any], Fields(DiffusionSettings)] = field(default_factory=dict)
    loading: Loading = field(default_factory=Loading)
    hu: Hu = "auto"
    metadata: Metadata = ()
    series: SeriesUid = None
    strict: Annotated[bool, Setting("Stop at the first scan that fails.")] = False
    resume: Annotated[
        bool, Setting("Keep results in the folder made from the same input and settings.", panel=OUTPUT)
    ] = False
    overwrite: Overwrite = False
    deterministic: Deterministic = False

    @property
    def name(self) -> str:
        """The method's name."""
        from ctgrid.methods.denoising.methods import default_method

        return self.method or default_method(self.loading.model)
