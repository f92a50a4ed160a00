"""How a sequence of slices changes from one to the next."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from ctgrid.base.errors import CtgridError


def slice_steps(hu: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of neighbouring slices, in HU.

    Args:
        hu: (n, y, x), n at least 2.

    Returns:
        (n - 1,): entry i lies between slices i and i + 1.

    Raises:
        CtgridError: for fewer than two slices.
    """
    if hu.ndim != 3 or len(hu) < 2:
        raise CtgridError(f"slice steps need (n, y, x) with at least two slices, got {hu.shape}")
    pairs = pairwise(hu)
    return np.array([np.abs(b.astype(np.float32) - a.astype(np.float32)).mean() for a, b in pairs])


def seam_ratio(hu: np.ndarray, joints: Iterable[int]) -> float:
    """Return the mean slice step at joints over the mean of all others; 1 is seamless.

    Args:
        hu: (n, y, x).
        joints: steps to compare with the rest; i lies between slices i and i + 1. Beside a keyframe s these
            are s - 1 and s. Those outside the volume are left out.

    Raises:
        CtgridError: where no step is a joint, or all are, or all other slices are equal.
    """
    return joint_ratio(slice_steps(hu), joints)


def joint_ratio(steps: np.ndarray, joints: Iterable[int]) -> float:
    """Return :func:`seam_ratio` of slice steps that were taken already.

    Args:
        steps: (n - 1,), see :func:`slice_steps`.
        joints: as in :func:`seam_ratio`.

    Raises:
        CtgridError: where no step is a joint, or all are, or all others are zero.
    """
    at_joint = np.zeros(len(steps), dtype=bool)
    at_joint[[j for j in joints if 0 <= j < len(steps)]] = True
    if at_joint.all() or not at_joint.any():
        raise CtgridError(f"seam ratio needs joints and others among the {len(steps)} steps")
    others = float(steps[~at_joint].mean())
    if others == 0:
        raise CtgridError("seam ratio needs slices that differ: away from joints all are equal")
    return float(steps[at_joint].mean()) / others
