"""What is asked of ``ctgrid prepare``, ``latents``, ``grids``, ``split``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, WHERE, Device, DtypeName, Overwrite, read_window, write_window
from ctgrid.data.store.settings import StoreSettings
from ctgrid.scan.reading import Metadata
from ctgrid.scan.windows import FULL_WINDOW_HU


@dataclass(frozen=True)
class PrepareSettings(Checked):
    """How scans become a store; see :func:`ctgrid.data.store.prepare.prepare`.

    Attributes:
        metadata: tables with slope and intercept of many scans.
        workers: processes on this machine; None works in this one.
        scheduler: address of a Dask scheduler, instead.
        tls: its certificates.
        insecure: take one without TLS.
        store: what decides its bytes.
        all_series: take every CT series of a DICOM folder.
        strict: stop at the first scan that fails.
        limit: only so many scans.
        overwrite: replace volumes whose input has changed.
    """

    metadata: Metadata = ()
    workers: Annotated[int | None, Setting("Worker processes on this machine.", least=1, panel=WHERE)] = None
    scheduler: Annotated[
        str | None, Setting("A running Dask scheduler, instead.", metavar="tls://...", panel=WHERE)
    ] = None
    tls: Annotated[Path | None, Setting("Its certificates, if not in ~/.ctgrid/tls.", metavar="DIR", panel=WHERE)] = (
        None
    )
    insecure: Annotated[
        bool, Setting("Take a scheduler without TLS, which runs anyone's code as you.", panel=WHERE)
    ] = False
    store: StoreSettings = field(default_factory=StoreSettings)
    all_series: Annotated[
        bool, Setting("Take every CT series of a DICOM folder, not the largest axial one.", panel=WHAT)
    ] = False
    strict: Annotated[bool, Setting("Stop at the first scan that fails.")] = False
    limit: Annotated[int | None, Setting("Only so many scans, the first by path.", least=1, panel=WHAT)] = None
    overwrite: Annotated[bool, Setting("Replace volumes whose input has changed.", panel=OUTPUT)] = False

    def __post_init__(self) -> None:
        """Refuse two kinds of workers, and what belongs to one that is not asked for."""
        super().__post_init__()
        if self.workers is not None and self.scheduler is not None:
            raise CtgridError("give --workers or --scheduler, not both")
        if self.scheduler is None and (self.tls is not None or self.insecure):
            raise CtgridError(f"{'--tls' if self.tls is not None else '--insecure'} belongs to --scheduler")


@dataclass(frozen=True)
class LatentsSettings(Checked):
    """Which latents of a store are made, or removed.

    Attributes:
        config: a recipe: make what training by it reads.
        codec: as in a recipe's key; None is the embedded one.
        of: which slices; None is both.
        split: only volumes of a part.
        keep: number format of what is kept.
        clear: remove latents instead.
        device: where the codec computes.
        dtype: its number format; auto is float32.
    """

    config: Annotated[
        str | None, Setting("Make what training by this recipe reads, by its codec.", metavar="NAME|FILE")
    ] = None
    codec: Annotated[
        str | None, Setting("The codec, as in a recipe's key codec; else embedded.", metavar="embedded|DIR")
    ] = None
    of: Annotated[
        Literal["slices", "coarse", "both"] | None, Setting("Which slices; both if not given.", panel=WHAT)
    ] = None
    split: Annotated[
        str | None, Setting("Only these volumes; also FILE.txt, ct-rate:train.", metavar="FILE:PART", panel=WHAT)
    ] = None
    keep: Annotated[Literal["float16", "float32"], Setting("Number format of what is kept.", panel=OUTPUT)] = "float16"
    clear: Annotated[
        bool, Setting("Remove latents instead: those of this codec; with --codec all, every.", panel=WHAT)
    ] = False
    device: Device = "auto"
    dtype: Annotated[DtypeName, Setting("Number format of the codec; auto is float32.")] = "auto"

    def __post_init__(self) -> None:
        """Refuse a recipe together with what it says, and part of the volumes where latents are removed."""
        super().__post_init__()
        if self.config is not None and (self.codec is not None or self.of is not None or self.clear):
            raise CtgridError("give --config, or --codec, --of and --clear")
        if self.clear and self.split is not None:
            raise CtgridError("give --split or --clear, not both: latents are removed from all volumes")


@dataclass(frozen=True)
class GridsSettings(Checked):
    """Which grid images of a store are exported, and how.

    Attributes:
        volumes: only these.
        split: only those of a part.
        fraction: percent of the patients.
        stride: slices from one cell to the next.
        window: HU that become black and white.
        workers: threads that write.
        overwrite: replace pictures that are there.
    """

    volumes: Annotated[tuple[str, ...], Setting("Only this volume; may be repeated.", metavar="NAME", panel=WHAT)] = ()
    split: Annotated[
        str | None, Setting("Only these volumes; also FILE.txt, ct-rate:train.", metavar="FILE:PART", panel=WHAT)
    ] = None
    fraction: Annotated[float | None, Setting("Only so many of the patients.", metavar="PERCENT", panel=WHAT)] = None
    stride: Annotated[int, Setting("Slices from one cell to the next.", least=1, panel=WHAT)] = 1
    window: Annotated[
        tuple[float, float],
        Setting("HU that become black and white.", metavar="LO,HI", read=read_window, write=write_window),
    ] = FULL_WINDOW_HU
    workers: Annotated[int, Setting("Threads that write.", least=1, panel=WHERE)] = 1
    overwrite: Overwrite = False

    def __post_init__(self) -> None:
        """Refuse two ways to choose."""
        super().__post_init__()
        if self.volumes and (self.split is not None or self.fraction is not None):
            raise CtgridError("give --volumes, or --split and --fraction, not both")


@dataclass(frozen=True)
class SplitSettings(Checked):
    """How volumes are divided; ``valid`` is the percent of the patients, ``patient`` finds them in names."""

    valid: Annotated[float, Setting("Share of patients to validate on.", metavar="PERCENT")] = 10.0
    seed: Annotated[int, Setting("Another seed gives another split.", least=0)] = 0
    patient: Annotated[
        str | None, Setting("Finds the patient in a name; CT-RATE's names are known.", metavar="REGEX")
    ] = None
    overwrite: Overwrite = False
