"""Branching vessels and airways: trees that reach many points on short, direct paths."""

from __future__ import annotations

import numpy as np

from ctgrid.data.simulate.tubes import Tubes

STRAIGHTNESS = 0.35
"""How much the path to the root counts beside the length of a new branch (Cuntz et al. 2010)."""


def grow_tree(
    root: np.ndarray, targets: np.ndarray, tip_mm: float, exponent: float = 2.6, most_mm: float = 7.0
) -> Tubes:
    """Grow a tree from a root to every target.

    Targets join one after another, the nearest to the root first, each to the node for which the new branch plus
    a share of the path back to the root is shortest (Cuntz et al. 2010, PLoS Comput Biol 6:e1000877). Where
    branches join, the radii to a power add up (Murray 1926, with an exponent between 2.3 and 3).

    Args:
        root: (3,) mm.
        targets: (n, 3) mm.
        tip_mm: radius of the tips.
        exponent: Murray's.
        most_mm: the largest radius.
    """
    order = np.argsort(np.linalg.norm(targets - root, axis=1))
    nodes = np.vstack((root, targets[order])).astype(np.float64)
    paths, parents = np.zeros(len(nodes)), np.zeros(len(nodes), int)
    squares = (nodes**2).sum(1)
    reach = np.sqrt(np.maximum(squares[:, None] + squares - 2 * nodes @ nodes.T, 0))
    for i in range(1, len(nodes)):
        parents[i] = (reach[i, :i] + STRAIGHTNESS * paths[:i]).argmin()
        paths[i] = paths[parents[i]] + reach[i, parents[i]]
    flow = np.zeros(len(nodes))
    for i in range(len(nodes) - 1, 0, -1):
        flow[i] = max(flow[i], tip_mm**exponent)
        flow[parents[i]] += flow[i]
    radii = np.minimum(flow ** (1 / exponent), most_mm)
    children = np.arange(1, len(nodes))
    ends = np.stack((nodes[parents[1:]], nodes[1:]), 1)
    ends, sizes = _bent(ends, np.stack((np.minimum(radii[parents[1:]], radii[1:] * 1.25), radii[children]), 1))
    return Tubes(ends.astype(np.float32), sizes.astype(np.float32))


def _bent(ends: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut long branches into pieces, so that each slice looks only at the piece near to it."""
    pieces = np.maximum(1, np.ceil(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 12)).astype(int)
    which = np.repeat(np.arange(len(ends)), pieces)
    number = np.concatenate([np.arange(n) for n in pieces])
    s = np.stack((number / pieces[which], (number + 1) / pieces[which]), 1)
    a, b = ends[which, 0][:, None], ends[which, 1][:, None]
    ra, rb = radii[which, 0][:, None], radii[which, 1][:, None]
    return a + s[..., None] * (b - a), ra + s * (rb - ra)
