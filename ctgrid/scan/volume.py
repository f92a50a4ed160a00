"""A CT volume: HU, where they lie in the patient, and where they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.privacy import strips
from ctgrid.scan import exchange, geometry
from ctgrid.scan.formats.format import ToWrite
from ctgrid.scan.formats.kinds import output_format
from ctgrid.scan.formats.open import read_stored
from ctgrid.scan.formats.stored import hu_confirmed

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import ArrayLike, DTypeLike
    from SimpleITK import Image
    from torch import Tensor

    from ctgrid.scan.hu.metadata import MetadataTable


@dataclass(frozen=True, eq=False)
class Volume:
    """HU and affine, always consistent with each other.

    Attributes:
        hu: (z, y, x) in Hounsfield units, int16 or float32.
        affine: (4, 4) float64, voxel index (x, y, z) to RAS+ mm, as in NIfTI.
        record: Provenance, JSON-able: source path, format, stored dtype, how HU were found; ``warnings`` are what
            was decided on weak evidence.

    Raises:
        CtgridError: Not three dimensions, another dtype, values that are not finite, or a singular affine.
    """

    hu: np.ndarray
    affine: np.ndarray
    record: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = str(self.record.get("source", "volume"))
        if self.hu.ndim != 3 or 0 in self.hu.shape:
            raise CtgridError(f"{name}: a volume has three non-empty dimensions, got shape {self.hu.shape}")
        if self.hu.dtype not in (np.int16, np.float32):
            raise CtgridError(f"{name}: HU are int16 or float32, got {self.hu.dtype}")
        if self.hu.dtype == np.float32 and not all(np.isfinite(s).all() for s in self.hu):
            raise CtgridError(f"{name} holds NaN or infinite voxels; replace them first")
        object.__setattr__(self, "affine", geometry.check_affine(self.affine, name))
        self.affine.setflags(write=False)

    def __repr__(self) -> str:
        spacing = " x ".join(f"{s:.3g}" for s in self.spacing_mm)
        source = f", from {self.record['source']}" if "source" in self.record else ""
        return f"Volume({self.shape} {self.hu.dtype}, {spacing} mm, {self.orientation}{source})"

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        """Return the voxels (z, y, x) to NumPy: the array itself where neither dtype nor a copy is asked for."""
        if copy is False and dtype is not None and np.dtype(dtype) != self.hu.dtype:
            raise ValueError(f"HU are {self.hu.dtype}; as {np.dtype(dtype)} they must be copied")
        return self.hu.astype(self.hu.dtype if dtype is None else dtype, copy=bool(copy))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels (z, y, x)."""
        z, y, x = self.hu.shape
        return z, y, x

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel spacing (z, y, x) in mm: the norms of the affine's columns, oblique or not."""
        return geometry.spacing_mm(self.affine)

    @property
    def orientation(self) -> str:
        """Directions in which x, y and z increase, "LPS" for instance; the nearest where oblique."""
        return geometry.axis_codes(self.affine)

    @property
    def native_dtype(self) -> np.dtype[Any]:
        """The dtype in which HU can go back to where they came from.

        The stored one where it is signed or floating and holds HU; int16 otherwise.
        """
        stored = np.dtype(self.record.get("stored_dtype", self.hu.dtype))
        fits = stored in (np.int16, np.int32, np.float32, np.float64)
        return stored if fits else np.dtype(np.int16)

    def index_to_mm(self, index: ArrayLike) -> np.ndarray:
        """Return where voxels lie in the patient.

        Args:
            index: (..., 3) as ``hu`` is indexed, (z, y, x); fractions and places outside the array too.

        Returns:
            (..., 3) float64, (x, y, z) in RAS+ mm.

        Raises:
            CtgridError: The last dimension is not 3.
        """
        return geometry.index_to_mm(self.affine, _triples(index, "index (z, y, x)"))

    def mm_to_index(self, point_mm: ArrayLike) -> np.ndarray:
        """Return which voxels lie at places in the patient: the inverse of :meth:`index_to_mm`.

        Args:
            point_mm: (..., 3) mm (x, y, z) in RAS+; DICOM's and ITK's LPS+ has the first two reversed in sign.

        Returns:
            (..., 3) float64 index (z, y, x), not rounded: ``hu[tuple(index.round().astype(int))]`` is the nearest.

        Raises:
            CtgridError: The last dimension is not 3.
        """
        return geometry.mm_to_index(self.affine, _triples(point_mm, "a point (x, y, z)"))

    @classmethod
    def from_array(
        cls,
        hu: ArrayLike,
        spacing_mm: tuple[float, float, float],
        origin_mm: tuple[float, float, float] | None = None,
        orientation: str = "LPS",
    ) -> Volume:
        """Make a volume of HU whose axes run along the body's.

        Args:
            hu: (z, y, x) in HU; stored as int16 where these are whole numbers that fit, else as float32.
            spacing_mm: (z, y, x), as :attr:`spacing_mm` says it.
            origin_mm: Where voxel (0, 0, 0) lies, (x, y, z) in RAS+ mm; None puts the middle of the array at 0.
            orientation: Directions in which x, y and z increase.

        Raises:
            CtgridError: Not three dimensions, no real numbers, a spacing that is not positive, or no such orientation.
        """
        values = exchange.hu_from(hu, "array")
        if len(spacing_mm) != 3 or not min(spacing_mm) > 0:
            raise CtgridError(f"spacing_mm is {spacing_mm}; give three lengths in mm above 0, (z, y, x)")
        z, y, x = values.shape
        affine = geometry.centred_affine(orientation, spacing_mm, (z, y, x))
        if origin_mm is not None:
            affine[:3, 3] = _triples(origin_mm, "origin_mm (x, y, z)")
        return cls(values, affine)

    @classmethod
    def from_nibabel(cls, image: Any) -> Volume:
        """Take a nibabel image whose values are HU; see :func:`ctgrid.scan.exchange.from_nibabel`."""
        return cls(*exchange.from_nibabel(image))

    def to_nibabel(self) -> Nifti1Image:
        """Return a nibabel image that shares these voxels, indexed (x, y, z), with exactly this affine."""
        from ctgrid.scan.formats.nifti.read import nifti_image

        return nifti_image(self.hu, self.affine, hu_confirmed(self.record))

    @classmethod
    def from_simpleitk(cls, image: Any) -> Volume:
        """Take a SimpleITK image whose values are HU; see :func:`ctgrid.scan.exchange.from_simpleitk`."""
        return cls(*exchange.from_simpleitk(image))

    def to_simpleitk(self) -> Image:
        """Return a SimpleITK image at the same place, which it states in LPS+ mm."""
        from ctgrid.scan.formats.itk.read import itk_image

        return itk_image(self.hu, self.affine, hu_confirmed(self.record))

    @classmethod
    def from_torch(cls, hu: Tensor, affine: Any) -> Volume:
        """Take a tensor (z, y, x) or (1, z, y, x) in HU; see :func:`ctgrid.scan.exchange.from_torch`."""
        return cls(*exchange.from_torch(hu, affine))

    def to_torch(self) -> tuple[Tensor, Tensor]:
        """Return HU (1, z, y, x) float32 and the affine (4, 4) float64, see :func:`ctgrid.scan.exchange.to_torch`."""
        return exchange.to_torch(self.hu, self.affine)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        hu: str = "auto",
        metadata: MetadataTable | None = None,
        series: str | None = None,
    ) -> Volume:
        """Read a scan and find its HU.

        Args:
            path: A ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file, a folder or ``.zip`` with
                DICOM series, or one DICOM file.
            hu: How stored values become HU, see :data:`ctgrid.scan.hu.modes.HuMode`.
            metadata: A table with slope and intercept of many scans, such as CT-RATE's.
            series: Which DICOM series: its number in ``ctgrid info``, its UID, or the UID's unique ending. None
                takes the largest axial CT.

        Raises:
            CtgridError: The file is missing, damaged or not a 3-D scan, or its HU cannot be told.
        """
        from ctgrid.scan.hu.decide import resolve_hu
        from ctgrid.scan.hu.doubts import doubts
        from ctgrid.scan.hu.spacing import audit_scan

        path = Path(path)
        scan = read_stored(path, series)
        values, decision = resolve_hu(scan, path, hu, metadata)
        record = {
            "source": str(path),
            "format": scan.format,
            "stored_dtype": str(values.dtype if scan.format == "dicom" else scan.values.dtype),
            "hu": decision,
            **scan.details,
        }
        affine, spacing = audit_scan(scan, path, metadata)
        told = {"spacing": spacing, "warnings": doubts(scan, path, affine, decision, spacing, metadata)}
        return cls(values, affine, {**record, **{key: value for key, value in told.items() if value}})

    def write(
        self,
        path: str | os.PathLike[str],
        overwrite: bool = False,
        dtype: DTypeLike = np.int16,
        template: str | os.PathLike[str] | None = None,
    ) -> Path:
        """Write HU as they are, in the format that the name asks for; all of it or nothing.

        The file is marked as HU, so that nothing rescales it again, unless the volume was read from a file and
        nothing confirms that these are HU (``record["hu"]["confirmed"]``).

        Args:
            path: A ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha`` file; a name without suffix becomes a folder with
                a DICOM CT series (whole HU).
            overwrite: Whether what is already there may be replaced.
            dtype: How to store HU. Integers are rounded and clipped to the dtype's range. DICOM has 16 bits always.
            template: What it was made from: a NIfTI file, whose header is kept where the output is NIfTI on the same
                grid; a DICOM folder, zip or file, in whose study a DICOM output stays. None, and always where
                ``CTGRID_STRIP`` is set, keeps nothing of either.

        Raises:
            CtgridError: Another suffix, or the file cannot be written.
        """
        path = Path(path)
        content = ToWrite(
            *(self.hu, self.affine, self.record),
            cast=lambda: cast_hu(self.hu, dtype),
            template=None if template is None or strips() else Path(template),
        )
        output_format(path).write(path, content, overwrite)
        return path

    def reoriented(self, codes: str = "LPS") -> Volume:
        """Turn array and affine together until the axis codes are ``codes``.

        Args:
            codes: Directions in which x, y and z shall increase.
        """
        array, affine = geometry.reorient(self.hu, self.affine, codes)
        return replace(self, hu=np.ascontiguousarray(array), affine=affine)


def _triples(numbers: ArrayLike, what: str) -> np.ndarray:
    found = np.asarray(numbers, dtype=np.float64)
    if found.ndim == 0 or found.shape[-1] != 3:
        raise CtgridError(f"{what} has three numbers, got shape {found.shape}")
    return found


def cast_hu(hu: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """Convert HU to a dtype: rounded to nearest and clipped to its range where it is an integer one.

    Args:
        hu: Any shape, in HU.
        dtype: The dtype wanted.
    """
    dtype = np.dtype(dtype)
    if hu.dtype == dtype or dtype.kind not in "iu":
        return hu.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    if hu.dtype.kind in "iu":
        return np.clip(hu, limits.min, limits.max).astype(dtype)
    return np.clip(np.rint(hu), limits.min, limits.max).astype(dtype)


def fitting_dtype(volume: Volume, wanted: str = "keep", where: str = "output") -> np.dtype[Any]:
    """Return the dtype in which a volume's HU can be stored without being clipped.

    Args:
        volume: The volume to be stored.
        wanted: A dtype's name, or "keep" for the volume's native one, widened where its range is too small.
        where: What is to be written, for messages.

    Raises:
        CtgridError: The dtype asked for cannot hold the values.
    """
    low, high = float(volume.hu.min()), float(volume.hu.max())

    def holds(dtype: np.dtype[Any]) -> bool:
        return dtype.kind == "f" or bool(np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max)

    if wanted != "keep":
        if not holds(np.dtype(wanted)):
            raise CtgridError(
                f"cannot write {where}: {wanted} does not hold values from {low:g} to {high:g}; use float32"
            )
        return np.dtype(wanted)
    return next(d for d in (volume.native_dtype, np.dtype(np.int32), np.dtype(np.float32)) if holds(d))
