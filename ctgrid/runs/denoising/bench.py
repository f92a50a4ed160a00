"""What is asked of many cases, and the method that is loaded once for all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ctgrid.base.lean import import_diffusers
from ctgrid.base.progress import Progress
from ctgrid.methods.denoising.methods import Loading, check_settings, default_method, find_method
from ctgrid.methods.denoising.result import Denoiser, DenoisingResult, Strength
from ctgrid.scan.ct import require_ct
from ctgrid.scan.formats.open import is_dicom
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume

Entry = dict[str, Any]
"""What is said of a case."""

DONE, FAILED, KEPT = "done", "failed", "kept"


@dataclass(frozen=True)
class Request:
    """How cases are denoised.

    Attributes:
        method: one of :data:`ctgrid.methods.denoising.methods.METHODS`; None takes the model's best.
        strength: the noise in HU, or "auto".
        settings: of the method.
        loading: what it needs to be loaded.
        hu: how stored values become HU.
        metadata: table with slope and intercept of many scans.
        series: which DICOM series.
        overwrite: replace what is there.
        resume: keep results that the journal lists as done with the same input and settings.
        strict: stop at the first case that fails.
    """

    method: str | None = None
    strength: Strength = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict)
    loading: Loading = field(default_factory=Loading)
    hu: str = "auto"
    metadata: MetadataTable | None = None
    series: str | None = None
    overwrite: bool = False
    resume: bool = False
    strict: bool = False

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method or default_method(self.loading.model)


class Bench:
    """A method that is loaded when the first good case asks for it, once."""

    def __init__(self, request: Request) -> None:
        """Check the request; load nothing yet but, for a method with networks, the library that they are made with.

        Raises:
            CtgridError: where there is no such method, or it has no such setting.
        """
        check_settings(request.name, dict(request.settings))
        if not find_method(request.name).classical:
            import_diffusers()
        self.request, self.seconds = request, 0.0
        self._loaded: Denoiser | None = None

    @property
    def method(self) -> Denoiser:
        """The method."""
        if self._loaded is None:
            started = time.perf_counter()
            self._loaded = find_method(self.request.name).load(self.request.loading)
            self.seconds = time.perf_counter() - started
        return self._loaded

    def describe(self) -> dict[str, Any]:
        """Return what the method says of its networks; nothing where it has none or was never needed."""
        describe = getattr(self._loaded, "describe", None)
        return dict(describe()) if describe is not None else {}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the voxels of a case depend on besides its input."""
        return identity_of(self.request)

    def read(self, source: Path) -> Volume:
        """Read a scan.

        Raises:
            CtgridError: where it cannot be read or is no CT.
        """
        request = self.request
        series = request.series if request.series and source.exists() and is_dicom(source) else None
        volume = Volume.read(source, hu=request.hu, metadata=request.metadata, series=series)
        require_ct(volume)
        return volume

    def run(self, volume: Volume, progress: Progress) -> DenoisingResult:
        """Denoise a scan."""
        return self.method.run(volume, self.request.strength, **self.request.settings, progress=progress)


def identity_of(request: Request) -> dict[str, Any]:
    """Return what the voxels of a case depend on besides its input."""
    from ctgrid.stages.models.bundle import digest_of_model

    settings = {name: value for name, value in request.settings.items() if name != "batch_size"}
    model = None if find_method(request.name).classical else digest_of_model(request.loading.model)
    weights = request.loading.weights
    return {
        "method": request.name,
        "strength": request.strength,
        "hu": request.hu,
        "series": request.series,
        "model": model,
        "weights": None if weights is None else str(weights),
        **settings,
    }
