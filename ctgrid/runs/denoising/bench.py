"""The method that is loaded once for many cases."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ctgrid.base.progress import Progress
from ctgrid.methods.denoising.methods import check_settings, find_method
from ctgrid.methods.denoising.result import Denoiser, DenoisingResult
from ctgrid.methods.denoising.trust.maps import Trust, load_table, table_hash, trust_of
from ctgrid.runs.denoising.settings import Request
from ctgrid.scan.ct import require_ct
from ctgrid.scan.formats.open import is_dicom
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.parts import DETAIL

Entry = dict[str, Any]
"""What is said of a case."""

DONE, FAILED, KEPT = "done", "failed", "kept"


class CaseBench:
    """A method that is loaded when the first good case asks for it, once."""

    def __init__(self, request: Request) -> None:
        """Check the request; load nothing yet.

        Raises:
            CtgridError: where there is no such method, it has no such setting, or trust cannot be told.
        """
        given = dict(request.settings)
        if request.name == "grid" and given.get("detail") is False:  # it has no such step to leave out
            del given["detail"]
        request = replace(request, settings=given)
        check_settings(request.name, given)
        self.request, self.seconds = request, 0.0
        _ = self.table  # one that cannot be read is said before any work
        if request.trust is not None:
            load_table(request.loading.model)
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
    def table(self) -> MetadataTable | None:
        """The tables of metadata, read once."""
        return MetadataTable.read_all(self.request.metadata)

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
        volume = Volume.read(source, hu=request.hu, metadata=self.table, series=series)
        require_ct(volume)
        return volume

    def run(self, volume: Volume, progress: Progress) -> DenoisingResult:
        """Denoise a scan."""
        return self.method.run(volume, self.request.strength, **self.request.settings, progress=progress)

    def trust(self, volume: Volume, answer: Volume, progress: Progress) -> Trust:
        """Tell how far an answer may be off."""
        found = trust_of(volume, answer, self.request.loading.model, progress=progress)
        made, method = found.facts["calibrated_for"], self.request.name
        if made == method or (made == DETAIL and method == "grid-detail"):
            return found
        said = f"trust is calibrated for method {made}; of {method} it is a guide, no measure"
        return replace(found, facts={**found.facts, "warnings": [*found.facts["warnings"], said]})


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
        **({} if request.trust is None else {"trust": table_hash(request.loading.model)}),
        **settings,
    }
