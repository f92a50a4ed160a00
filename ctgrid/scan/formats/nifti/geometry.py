"""Where a NIfTI's voxels lie: the one of its three statements that holds, and what to say where they differ.

A header states its geometry up to three times: in ``sform`` (method 3 of the standard), in ``qform`` (method 2),
and in the pixel sizes alone (method 1). The sform holds where its code is set, then the qform, then the sizes.
One sform is not believed: axes of exactly 1 mm beside other pixel sizes, which tools that know no better leave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.geometry import check_affine, is_blank, spacing_mm

_MM = {"meter": 1000.0, "micron": 0.001}
_DIFFERENT = 0.01  # of a spacing
_APART = 0.5  # of the smallest spacing, at any corner
_ALIGNED = 2  # the sform code that nibabel gives an affine of which nothing is known


@dataclass(frozen=True)
class NiftiGeometry:
    """Where voxels lie, and how that was found.

    Attributes:
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        blank: Whether the header says nothing of the spacing: 1 mm at the origin, under no code that is set on purpose.
        notes: What was converted.
        warnings: What contradicts itself, or is absent.
    """

    affine: np.ndarray
    blank: bool
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def nifti_geometry(path: Path, image: Any, sizes: np.ndarray) -> NiftiGeometry:
    """Read the geometry of a header.

    Args:
        path: The file, for messages.
        image: As nibabel opened it.
        sizes: (3,) the pixel sizes as they lie in the file.

    Raises:
        CtgridError: The affine that holds is broken.
    """
    header = image.header
    notes, warnings = [], []
    try:
        unit = header.get_xyzt_units()[0]
    except KeyError:
        unit = "unknown"
        warnings.append(f"its unit code {int(header['xyzt_units'])} is none of the standard's; taken as mm")
    factor = _MM.get(unit, 1.0)
    if factor != 1:
        notes.append(f"lengths were in {unit}s and were turned into mm")
    stated, said = _stated(path, image, np.abs(np.array(sizes, dtype=np.float64)), factor)
    affine = check_affine(stated, str(path))
    affine[:3] *= factor
    codes = int(header["sform_code"]), int(header["qform_code"])
    by_default = codes[0] in (0, _ALIGNED) and codes[1] == 0
    blank = is_blank(affine) and by_default and not affine[:3, 3].any()
    return NiftiGeometry(affine, blank, notes, [*warnings, *said])


def _stated(path: Path, image: Any, sizes: np.ndarray, factor: float) -> tuple[np.ndarray, list[str]]:
    """Return the affine that holds, in the header's units, and what to say in mm of the others."""
    header = image.header
    if header["sform_code"] <= 0:
        if header["qform_code"] > 0:
            return np.array(image.affine), []
        return np.diag([*_finite(path, sizes), 1.0]), [
            "has neither sform nor qform, so its orientation is unknown; taken as RAS, by the pixel sizes alone"
        ]
    sform = check_affine(header.get_sform(), str(path))
    across, along = np.array(spacing_mm(sform)[::-1]), _text(sizes * factor)
    sized = bool(np.isfinite(sizes).all() and (sizes > 0).all())
    differ = sized and not np.allclose(across, sizes, rtol=_DIFFERENT, atol=0)
    if differ and is_blank(sform):
        if header["qform_code"] > 0:
            what = f"its sform has axes of 1 mm, its qform {along} mm; the qform holds"
            return check_affine(header.get_qform(), str(path)), [what]
        scaled = sform.copy()
        scaled[:3, :3] *= sizes
        return scaled, [f"its sform has axes of 1 mm, its pixel sizes are {along} mm; the sizes hold"]
    if header["qform_code"] > 0:
        apart = _distance(header, sform, image.shape)
        if differ or apart > _APART * across.min():
            what = (
                f"spacing {_text(across * factor)} and {along} mm" if differ else f"up to {apart * factor:.3g} mm apart"
            )
            return sform, [f"its sform and qform disagree ({what}); the sform holds"]
    elif differ:
        return sform, [f"its sform says {_text(across * factor)} mm, its pixel sizes {along} mm; the sform holds"]
    return sform, []


def _distance(header: Any, sform: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how far apart the qform and one made of the sform put any corner; shear fits the sform alone."""
    like = header.copy()
    try:
        like.set_qform(sform, code=1, strip_shears=True)
        apart = like.get_qform() - header.get_qform()
    except (ValueError, np.linalg.LinAlgError):
        return 0.0
    x, y, z = (n - 1 for n in (*shape, 1, 1, 1)[:3])
    corners = np.array([[i, j, k, 1.0] for i in (0, x) for j in (0, y) for k in (0, z)])
    far = float(np.linalg.norm((corners @ apart.T)[:, :3], axis=1).max())
    return far if math.isfinite(far) else 0.0


def _finite(path: Path, sizes: np.ndarray) -> np.ndarray:
    """Return pixel sizes that are to hold alone."""
    if not np.isfinite(sizes).all():
        raise CtgridError(f"{path}: the affine holds values that are not finite; its header is damaged")
    return sizes


def _text(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
