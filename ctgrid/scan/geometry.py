"""Affine algebra: spacing, axis codes, and turning an array together with its affine.

Convention, everywhere in ctgrid: arrays are indexed (z, y, x); an affine is 4x4, float64, and maps the
homogeneous voxel index (x, y, z, 1) to RAS+ millimetres (x to the patient's right, y to the front,
z to the head). The array axis of voxel axis ``a`` (0 = x, 1 = y, 2 = z) is therefore ``2 - a``.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from ctgrid.base.errors import CtgridError

_POSITIVE = "RAS"
_NEGATIVE = "LPI"
_WORLD_AXIS = {code: axis for codes in (_POSITIVE, _NEGATIVE) for axis, code in enumerate(codes)}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def check_affine(affine: np.ndarray, where: str = "affine") -> np.ndarray:
    """Return the affine as a new float64 array, or say why it is none.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm.
        where: What to name in an error, a path for instance.

    Raises:
        CtgridError: Wrong shape, not finite, last row not (0, 0, 0, 1), or singular.
    """
    affine = np.array(affine, dtype=np.float64)
    if affine.shape != (4, 4):
        raise CtgridError(f"{where}: an affine is 4x4, got shape {affine.shape}")
    if not np.isfinite(affine).all():
        raise CtgridError(f"{where}: the affine holds values that are not finite; its header is damaged")
    if not np.allclose(affine[3], (0, 0, 0, 1)):
        raise CtgridError(f"{where}: the affine's last row is {affine[3].tolist()}, not [0, 0, 0, 1]")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() < 1e-6:
        raise CtgridError(f"{where}: voxel spacing {spacing.tolist()} mm (x, y, z) has a zero")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise CtgridError(f"{where}: the affine is singular (two axes point the same way); fix the header")
    return affine


def index_to_mm(affine: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return where voxels lie, in mm, the same space as the affine's.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm.
        index: (..., 3) array index (z, y, x), fractions too.

    Returns:
        (..., 3) float64, (x, y, z) in mm.
    """
    return np.asarray(index, dtype=np.float64)[..., ::-1] @ affine[:3, :3].T + affine[:3, 3]


def mm_to_index(affine: np.ndarray, point_mm: np.ndarray) -> np.ndarray:
    """Undo :func:`index_to_mm`: which voxel lies at a place.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm.
        point_mm: (..., 3) mm (x, y, z).

    Returns:
        (..., 3) float64 array index (z, y, x), not rounded.
    """
    inverse = np.linalg.inv(affine[:3, :3])
    return ((np.asarray(point_mm, dtype=np.float64) - affine[:3, 3]) @ inverse.T)[..., ::-1]


def is_blank(affine: np.ndarray) -> bool:
    """Tell whether an affine turns by right angles at most and has exactly 1 mm: what writers put in by default.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm; where its origin lies does not count.
    """
    return bool(np.array_equal(np.sort(np.abs(affine[:3, :3]), axis=None), [0, 0, 0, 0, 0, 0, 1, 1, 1]))


def spacing_mm(affine: np.ndarray) -> tuple[float, float, float]:
    """Return the voxel spacing in mm in (z, y, x) order: the norms of the affine's columns.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm.
    """
    x, y, z = (float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    return z, y, x


def axis_codes(affine: np.ndarray) -> str:
    """Name the direction in which each voxel axis (x, y, z) increases, "LPS" for instance.

    An oblique axis takes the nearest anatomical one: of the six permutations, the one with the largest
    sum of absolute direction cosines.

    Args:
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
    """
    columns = affine[:3, :3]
    cosines = columns / np.linalg.norm(columns, axis=0)
    best = max(permutations(range(3)), key=lambda world: sum(abs(cosines[w, v]) for v, w in enumerate(world)))
    return "".join(_POSITIVE[w] if cosines[w, v] > 0 else _NEGATIVE[w] for v, w in enumerate(best))


def opposite(code: str) -> str:
    """Return the code of the opposite direction, "I" for "S"."""
    return (_POSITIVE + _NEGATIVE)[(_NEGATIVE + _POSITIVE).index(code)]


def reorientation(source: str, target: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Tell which source voxel axis fills each target axis (x, y, z), and whether it is reversed.

    Args:
        source: Axis codes of the voxel axes (x, y, z) as they are.
        target: Axis codes wanted.

    Raises:
        CtgridError: ``target`` does not name one code for each of the three body axes.
    """
    for codes in (source, target):
        if sorted(_WORLD_AXIS.get(c, -1) for c in codes) != [0, 1, 2]:
            raise CtgridError(f"orientation {codes!r}: give one letter each of R/L, A/P and S/I, such as LPS")
    world = [_WORLD_AXIS[c] for c in source]
    axes = tuple(world.index(_WORLD_AXIS[c]) for c in target)
    flips = tuple(source[a] != c for a, c in zip(axes, target, strict=True))
    return axes, flips  # type: ignore[return-value]


def reorient(array: np.ndarray, affine: np.ndarray, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Permute and flip axes so that the axis codes become ``target``; no voxel changes its place in mm.

    Args:
        array: (z, y, x).
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
        target: Axis codes wanted for (x, y, z), such as "LPS".

    Returns:
        The array (a view) and its affine. ``new_affine @ new_index == affine @ old_index``.
    """
    source = axis_codes(affine)
    axes, flips = reorientation(source, target)
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1.0
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        to_old[old, new] = -1.0 if flip else 1.0
        if flip:
            to_old[old, 3] = array.shape[2 - old] - 1
    return turn(array, source, target), affine @ to_old


def turn(array: np.ndarray, source: str, target: str) -> np.ndarray:
    """Permute and flip the axes of an array alone, where only its axis codes are known; a view.

    Args:
        array: (z, y, x).
        source: Axis codes of (x, y, z) as they are.
        target: Axis codes wanted.
    """
    axes, flips = reorientation(source, target)
    turned = array.transpose([2 - axes[2 - k] for k in range(3)])
    return turned[tuple(slice(None, None, -1 if flips[2 - k] else 1) for k in range(3))]


def centred_affine(codes: str, spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    """Build the affine (4, 4) of an array whose axes run along the body's, its middle at the origin, RAS+ mm.

    Args:
        codes: Axis codes of (x, y, z).
        spacing_mm: (z, y, x).
        shape: (z, y, x).

    Raises:
        CtgridError: ``codes`` are none.
    """
    reorientation(codes, codes)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for voxel, (code, step, count) in enumerate(zip(codes, spacing_mm[::-1], shape[::-1], strict=True)):
        world, signed = _WORLD_AXIS[code], step if code in _POSITIVE else -step
        affine[world, voxel] = signed
        affine[world, 3] = -signed * (count - 1) / 2
    return affine


def affine_from_lps(spacing: tuple[float, ...], origin: tuple[float, ...], direction: tuple[float, ...]) -> np.ndarray:
    """Build the RAS+ affine from an ITK or DICOM geometry, which is in LPS+.

    Args:
        spacing: (x, y, z) in mm.
        origin: Position of the first voxel in LPS+ mm.
        direction: 9 direction cosines, row-major; column ``a`` is the direction of voxel axis ``a``.
    """
    affine = np.eye(4)
    affine[:3, :3] = np.array(direction, dtype=np.float64).reshape(3, 3) * np.array(spacing)
    affine[:3, 3] = origin
    return _LPS_TO_RAS @ affine


def affine_from_columns_lps(x: np.ndarray, y: np.ndarray, z: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Build the RAS+ affine from the steps of the three voxel axes and the first voxel's position in LPS+ mm.

    Args:
        x: (3,) the way from one voxel to the next along x.
        y: (3,) along y.
        z: (3,) along z.
        origin: (3,) position of voxel (0, 0, 0).
    """
    affine = np.eye(4)
    affine[:3] = np.stack([x, y, z, origin], axis=1)
    return _LPS_TO_RAS @ affine


def to_lps(affine: np.ndarray) -> np.ndarray:
    """Return the affine that maps to LPS+ mm (DICOM, ITK) instead of RAS+.

    Args:
        affine: (4, 4) voxel (x, y, z) to RAS+ mm.
    """
    return _LPS_TO_RAS @ affine


def is_sheared(affine: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Tell whether voxel axes are not perpendicular to each other, as after gantry tilt.

    Args:
        affine: (4, 4) voxel (x, y, z) to mm.
        tolerance: The largest cosine between two axes that counts as perpendicular.
    """
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > tolerance)
