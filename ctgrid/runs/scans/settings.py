"""What is asked of ``ctgrid convert``, ``info`` and ``simulate``: the same for Python and the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import MOST_NOISE_HU, OUTPUT, WHAT, Overwrite, Seed, finite
from ctgrid.scan.reading import Hu, Metadata, SeriesUid

Spacing = tuple[float, float, float]

OneOrMore = float | tuple[float, ...]
"""A number, or several of which each gives an output of its own."""


def read_spacing(text: str) -> Spacing:
    """Read ``z,y,x`` in mm.

    Raises:
        CtgridError: for anything else.
    """
    try:
        z, y, x = (float(part) for part in text.split(","))
    except ValueError:
        z = y = x = 0.0
    if not all(0.05 <= mm <= 400 for mm in (z, y, x)):
        raise CtgridError(f"{text!r} is not z,y,x with three numbers from 0.05 to 400, such as 1.5,0.75,0.75")
    return z, y, x


def read_doses(text: str) -> OneOrMore:
    """Read ``0.25`` or ``0.1,0.25``; each counts once.

    Raises:
        CtgridError: where a part is no number.
    """
    return _one_or_more(text, "dose")


def read_cutoffs(text: str) -> OneOrMore:
    """Read cut-offs as :func:`read_doses` does doses.

    Raises:
        CtgridError: where a part is no number.
    """
    return _one_or_more(text, "cutoff")


def _one_or_more(text: str, what: str) -> OneOrMore:
    numbers = tuple(dict.fromkeys(finite(part) for part in text.split(",")))
    if any(number != number for number in numbers):
        raise CtgridError(f"{what} is a number, or several with commas between, got {text!r}")
    return numbers[0] if len(numbers) == 1 else numbers


def write_several(value: OneOrMore) -> str:
    """Return numbers as the readers above read them."""
    return ",".join(f"{number:g}" for number in _tuple(value))


def _tuple(value: OneOrMore) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


@dataclass(frozen=True)
class Reading(Checked):
    """How one scan is read: how values become HU, by which tables, and which DICOM series."""

    hu: Hu = "auto"
    metadata: Metadata = ()
    series: SeriesUid = None


@dataclass(frozen=True)
class InfoSettings(Checked):
    """Of what a description takes account: the collection's tables, and which DICOM series."""

    metadata: Metadata = ()
    series: SeriesUid = None


@dataclass(frozen=True)
class ConvertSettings(Checked):
    """How a scan is written in another format; ``dtype`` is the number format of the voxels."""

    dtype: Annotated[
        Literal["keep", "int16", "int32", "float32", "float64"],
        Setting("Number format; keep takes the input's where it can hold HU.", metavar="NAME", panel=OUTPUT),
    ] = "keep"
    reading: Reading = field(default_factory=Reading)
    overwrite: Overwrite = False


@dataclass(frozen=True)
class LowDoseSettings(Checked):
    """How scans are made noisier; see :func:`ctgrid.data.simulate.dose.low_dose`.

    Attributes:
        dose: as a share of the scan's own, above 0 and at most 1; of several, each gives a scan.
        geometry: of the simulated scanner's beam.
        seed: of the noise.
        photons: per ray at full dose; None takes what the scan's noise tells.
        electronic_noise: of a ray's read-out, in photons.
        cutoff: of the reconstruction kernel, per mm, or several; None takes what the scan's noise tells.
        mode: insert noise into the scan, or reconstruct all of it.
        reading: of the scan.
        resume: of several scans or doses, keep those made from the same input and settings.
        overwrite: replace what is there.
    """

    dose: Annotated[
        OneOrMore,
        Setting(
            "Of the scan's own dose: 0 < dose <= 1. Several make several scans.",
            metavar="FRACTION,...",
            read=read_doses,
            write=write_several,
            panel=WHAT,
        ),
    ] = 0.25
    geometry: Annotated[Literal["fan", "parallel"], Setting("Of the simulated scanner's beam.")] = "fan"
    seed: Seed = 0
    photons: Annotated[
        float | None, Setting("Per ray at full dose; else what the scan's noise tells.", least=1, most=1e12)
    ] = None
    electronic_noise: Annotated[float, Setting("Of a ray's read-out, in photons.", least=0, most=1e6)] = 10.0
    cutoff: Annotated[
        OneOrMore | None,
        Setting(
            "Of the kernel, per mm; else as fine as the scan's noise. Several make several scans.",
            metavar="X,...",
            read=read_cutoffs,
            write=write_several,
        ),
    ] = None
    mode: Annotated[Literal["insert", "full"], Setting("Insert noise into the scan, or reconstruct all of it.")] = (
        "insert"
    )
    reading: Reading = field(default_factory=Reading)
    resume: Annotated[bool, Setting("Of several, keep those made from the same input and settings.", panel=OUTPUT)] = (
        False
    )
    overwrite: Overwrite = False

    def __post_init__(self) -> None:
        """Refuse doses and kernels that mean nothing as well."""
        super().__post_init__()
        for dose in self.doses:
            if not 0 < dose <= 1:
                raise CtgridError(f"dose must be above 0 and at most 1, the scan's own dose being 1, got {dose:g}")
        for cutoff in self.cutoffs:
            if cutoff is not None and not 0.05 <= cutoff <= 10:
                raise CtgridError(f"cutoff must be from 0.05 to 10 per mm, got {cutoff:g}")

    @property
    def doses(self) -> tuple[float, ...]:
        """Those wanted."""
        return _tuple(self.dose)

    @property
    def cutoffs(self) -> tuple[float | None, ...]:
        """Those wanted; None is as fine as the scan's noise."""
        return (None,) if self.cutoff is None else _tuple(self.cutoff)


@dataclass(frozen=True)
class PhantomSettings(Checked):
    """What phantoms are made; see :func:`ctgrid.data.simulate.phantom.labelled_phantom`.

    Attributes:
        count: phantoms; number i uses seed + i.
        seed: of the first.
        size: pixels of a slice's side.
        slices: axial slices.
        spacing_mm: of the voxels (z, y, x); None lets the chest fill the volume.
        noise: white, standard deviation in HU.
        labels: write what each voxel is, beside it.
        ct_rate: write raw stored values, named and tabled as that part of CT-RATE.
        overwrite: replace what is there.
    """

    count: Annotated[int, Setting("Phantoms; number i uses seed + i.", least=1, panel=WHAT)] = 1
    seed: Seed = 0
    size: Annotated[int, Setting("Pixels of a slice's side.", least=1, most=4096, panel=WHAT)] = 512
    slices: Annotated[int, Setting("Axial slices.", least=1, most=10000, panel=WHAT)] = 201
    spacing_mm: Annotated[
        Spacing | None,
        Setting(
            "Voxel size; else the chest fills the volume.",
            metavar="Z,Y,X",
            read=read_spacing,
            write=lambda value: ",".join(map(str, value)),
            panel=WHAT,
        ),
    ] = None
    noise: Annotated[
        float, Setting("White noise in HU; see low-dose for that of CT.", least=0, most=MOST_NOISE_HU, panel=WHAT)
    ] = 0.0
    labels: Annotated[bool, Setting("Write what each voxel is beside it, as …_labels.", panel=WHAT)] = False
    ct_rate: Annotated[
        Literal["train", "valid"] | None,
        Setting("Raw stored values, named and tabled as that part of CT-RATE; out is a folder.", panel=OUTPUT),
    ] = None
    overwrite: Overwrite = False
