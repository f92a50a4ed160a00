"""Voxels and affine as other libraries hold them: nibabel, SimpleITK and torch, in memory, places exact.

HU are taken and given as they stand; nothing is decided by evidence here, as :meth:`ctgrid.Volume.read` does of files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.hu.readings import STORED, apply_reading

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

Placed = tuple[np.ndarray, np.ndarray]
"""HU (z, y, x), int16 or float32, and their affine (4, 4), voxel index (x, y, z) to RAS+ mm."""


def hu_from(values: ArrayLike, where: str) -> np.ndarray:
    """Return numbers as HU are held: int16 where these are whole numbers that fit, else float32.

    Args:
        values: (z, y, x) in HU, of any real dtype.
        where: What to name in an error.

    Raises:
        CtgridError: Not three dimensions, none at all, or no real numbers.
    """
    array = np.asarray(values)
    if array.ndim != 3 or not array.size:
        raise CtgridError(f"{where}: a volume has three non-empty dimensions, got shape {array.shape}")
    if array.dtype.kind not in "iuf":
        raise CtgridError(f"{where}: HU are real numbers, got {array.dtype}")
    return apply_reading(array, STORED)


def from_nibabel(image: Any) -> Placed:
    """Take a nibabel image as nibabel itself understands it: its scaling applied, its affine as it stands.

    Args:
        image: A spatial image of three dimensions, or more of length 1.

    Raises:
        CtgridError: No such image, or its header gives lengths in another unit than mm.
    """
    if not hasattr(image, "dataobj") or getattr(image, "affine", None) is None:
        raise CtgridError(f"{type(image).__name__} is no nibabel image with an affine")
    header = image.header
    unit = header.get_xyzt_units()[0] if hasattr(header, "get_xyzt_units") else "mm"
    if unit not in ("mm", "unknown"):
        raise CtgridError(f"nibabel image: its lengths are in {unit}s; read the file with Volume.read, or turn into mm")
    values = np.asanyarray(image.dataobj)
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return hu_from(values.transpose(), "nibabel image"), np.array(image.affine)


def from_simpleitk(image: Any) -> Placed:
    """Take a SimpleITK image, which places voxels in LPS+ mm.

    Args:
        image: Of three dimensions, or more of length 1; one real number for each voxel.

    Raises:
        CtgridError: Any other image.
    """
    from ctgrid.scan.formats.itk.read import itk_scan

    if not hasattr(image, "GetPixelIDTypeAsString"):
        raise CtgridError(f"{type(image).__name__} is no SimpleITK image")
    scan = itk_scan(image, Path("SimpleITK image"), "itk")
    return hu_from(scan.values, "SimpleITK image"), scan.affine


def to_torch(hu: np.ndarray, affine: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return HU (1, z, y, x) float32, channel first as networks take it, and the affine (4, 4) float64; both copies.

    Args:
        hu: (z, y, x).
        affine: (4, 4) voxel index (x, y, z) to RAS+ mm.
    """
    import torch

    return torch.from_numpy(hu.astype(np.float32))[None], torch.from_numpy(np.array(affine))


def from_torch(hu: Tensor, affine: Any) -> Placed:
    """Take a tensor, from any device, with its affine.

    Args:
        hu: (z, y, x) or (1, z, y, x) in HU.
        affine: (4, 4) voxel index (x, y, z) to RAS+ mm, a tensor or an array.

    Raises:
        CtgridError: Any other shape, or no real numbers.
    """
    import torch

    values = hu.detach().cpu()
    if values.dtype == torch.bfloat16:  # of which NumPy knows nothing
        values = values.float()
    alone = values[0] if values.ndim == 4 and len(values) == 1 else values
    placed = affine.detach().cpu().numpy() if isinstance(affine, torch.Tensor) else affine
    return hu_from(alone.numpy(), "tensor"), np.array(placed, dtype=np.float64)
