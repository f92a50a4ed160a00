"""The embedded, network-free features of slices: how each looks at 16 x 16 pixels, framed by the body."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ctgrid.metrics.regions import body_mask
from ctgrid.runs.evaluation.ct.shrunk import shrunk
from ctgrid.scan.windows import CHEST_WINDOW_HU

Features = Callable[[np.ndarray], np.ndarray]
"""From slices (n, S, S) in HU to (n, d) numbers that describe each."""

SIDE = 16
LEAST_SPREAD = 0.2


def thumbnails(hu: np.ndarray) -> np.ndarray:
    """Describe slices by what they show inside the volume's body, wherever it lies and however large it is.

    The frame is the box that holds the body in half of the slices; it is shrunk to 16 x 16 means.

    Args:
        hu: (n, S, S) in HU.

    Returns:
        (n, 256) float64, 0 for -1000 HU and 1 for 400.
    """
    small = shrunk(hu)
    return framed(small, body_mask(small))


def mean_and_scale(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the spread (d,) by which features of any unit are made comparable.

    The spread is the standard deviation, but no less than a fifth of the root mean square of all of them, so that
    features that hardly vary (the air around the body, say) are not blown up.

    Args:
        rows: (n, d) features of slices.
    """
    deviation = rows.std(axis=0)
    floor = LEAST_SPREAD * float(np.sqrt(np.mean(deviation**2)))
    return rows.mean(axis=0), np.maximum(deviation, floor if floor > 0 else 1.0)


def framed(small: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Return :func:`thumbnails` of slices that were shrunk and whose body was found already.

    Args:
        small: (n, s, s) HU.
        body: (n, s, s) bool.
    """
    import torch
    from einops import rearrange
    from torch.nn.functional import adaptive_avg_pool2d

    rows, columns = (_extent(np.asarray(body.any(axis=axis))) for axis in (2, 1))
    low, high = CHEST_WINDOW_HU
    unit = (small[:, rows, columns].clip(low, high).astype(np.float32) - low) / (high - low)
    pooled = adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(unit))[:, None], SIDE)
    return rearrange(pooled.double().numpy(), "n 1 y x -> n (y x)")


def _extent(reached: np.ndarray) -> slice:
    """Return from where to where at least half of the slices that hold a body reach.

    Args:
        reached: (n, s) bool, rows or columns with body in each slice.
    """
    share = reached[reached.any(axis=1)].mean(axis=0) if reached.any() else np.ones(reached.shape[1])
    inside = np.flatnonzero(share >= 0.5)
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, reached.shape[1])
