"""What even patches of soft tissue tell of a scan's noise: how strong its finest part is, and how coarse its grain.

The response to a second difference is nearly free of anatomy, but of noise with a coarse grain (that of smooth kernels)
it holds little. So the noise is that response times a ratio: that of the spread within even patches to the response in
the same patches. Most patches of soft tissue are even, so the ratio that is found most often is the noise's own;
anatomy only makes it larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctgrid.scan.noise_map import carried_over

PATCH_MM, LEAST_PIXELS = 8.0, 6
"""Side of a patch: some grains across, and even in muscle, liver, heart and fat."""

REGION_MM = 40.0
"""Side of the regions that have noise of their own: the middle of the body is noisier than its rim."""

MOST_UNEVEN = 1.4
"""A patch whose spread is more than this times that of noise, or less by as much, holds an edge, and does not count."""

ACROSS = 1 << 12
"""More regions than lie side by side in any slice."""

REGION_SHARE = 0.45
"""Quantile of the responses in a region that stands for its noise: a little below the middle, for anatomy only adds."""

ROUNDING_HU = 0.3
"""Spread of values that are rounded to whole HU; less is no noise."""

TISSUE_HU = (-150.0, 150.0)
"""Mean of the patches that noise is measured in: air is often clipped below, lungs and bone are full of edges."""

EVEN_HU = (-20.0, 120.0)
"""Mean of those that the grain is measured in: without fat, which is laced with septa and vessels."""

MOST_GRAIN = 6.0
"""A larger ratio is anatomy in a scan without noise to speak of."""

QUIETEST_SHARE, MOST_OVER_QUIETEST = 0.1, 2.5
"""Noise of a slice is up to 1.9 times the spread that its quietest tenth of patches stays below; more is anatomy, in a
scan smoothed until hardly any noise was left."""

BANDWIDTH = 0.06
"""Of the density, over the logarithm, whose highest point is the grain."""

LEAST_PATCHES, LEAST_IN_REGION = 40, 8
SMOOTHING = np.array([1.0, 2.0, 1.0], np.float32) / 4
KEPT = float(np.sqrt(1 - 2 * SMOOTHING[1] ** 2 + np.square(SMOOTHING).sum() ** 2))
"""Standard deviation of white noise of 1 less its smoothing."""


@dataclass(frozen=True)
class Patches:
    """The patches of soft tissue in one slice, all of one size, half overlapping.

    Attributes:
        mean: of each patch in HU, (p,).
        spread: standard deviation about a plane through each patch, in HU, (p,).
        fine: root mean square of the second difference in each, scaled so that white noise gives its own
            standard deviation, (p,).
        region: number of the region that each lies in, (p,).
        place: (row, column) of each in the lattice of all patches of the slice, (p, 2).
    """

    mean: np.ndarray
    spread: np.ndarray
    fine: np.ndarray
    region: np.ndarray
    place: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)


def patches_of(hu: np.ndarray, spacing_mm: tuple[float, float]) -> Patches:
    """Measure the patches of a slice.

    Args:
        hu: (y, x).
        spacing_mm: of its pixels (y, x).
    """
    image = np.asarray(hu, np.float32)
    sides, steps = sides_and_steps(image.shape, spacing_mm)
    views = _windows(image, sides, steps)
    mean = views.mean((-2, -1), dtype=np.float64)
    tissue = (mean > TISSUE_HU[0]) & (mean < TISSUE_HU[1])
    y, x = np.nonzero(tissue)
    region = [(at * step * mm // REGION_MM).astype(int) for at, step, mm in zip((y, x), steps, spacing_mm, strict=True)]
    fine = _windows(second_difference(image), sides, steps)[tissue].astype(np.float64)
    return Patches(
        mean=mean[tissue],
        spread=_spread_about_plane(views[tissue].astype(np.float64)),
        fine=np.sqrt(np.square(fine).mean((-2, -1))),
        region=region[0] * ACROSS + region[1],
        place=np.stack([y, x], -1),
    )


def sides_and_steps(shape: tuple[int, ...], spacing_mm: tuple[float, float]) -> tuple[list[int], list[int]]:
    """Return how large patches of a slice (y, x) are, and how far apart, in pixels."""
    sides = [min(max(LEAST_PIXELS, round(PATCH_MM / mm)), n) for mm, n in zip(spacing_mm, shape, strict=True)]
    return sides, [max(1, side // 2) for side in sides]


def joined(parts: list[Patches]) -> Patches:
    """Return the patches of several slices as those of one, with regions of their own."""
    apart = [part.region + ACROSS**2 * number for number, part in enumerate(parts)]
    empty = np.zeros(0)

    def of_all(name: str) -> np.ndarray:
        return np.concatenate([empty, *(getattr(part, name) for part in parts)])

    place = np.concatenate([np.zeros((0, 2), int), *(part.place for part in parts)])
    return Patches(of_all("mean"), of_all("spread"), of_all("fine"), np.concatenate([empty, *apart]), place)


def of_noise(parts: list[Patches], telling: list[int] | None = None) -> tuple[list[Patches], float | None]:
    """Return the patches of slices that tell of noise, and the scan's grain.

    All of them, but where most slices hold hardly any noise: there anatomy would be taken for it, and only patches
    count that are no more uneven than some times the quietest tenth of their slice.

    Args:
        parts: patches of slices.
        telling: which of those tell the grain; None: all.
    """
    told = range(len(parts)) if telling is None else telling
    grain = grain_of(joined([parts[place] for place in told]))
    if grain is None or not _anatomy_tells([parts[place] for place in told], grain):
        return parts, grain
    parts = [_quiet(part) for part in parts]
    return parts, grain_of(joined([parts[place] for place in told]))


def _anatomy_tells(parts: list[Patches], grain: float) -> bool:
    """Return whether what would be taken for noise is far more than the quietest patches show, in most slices."""
    found = [(level_of(part, grain), _quietest(part)) for part in parts]
    over = [level / max(least, ROUNDING_HU) for level, least in found if level is not None and least is not None]
    return bool(over) and float(np.median(over)) > MOST_OVER_QUIETEST


def _quiet(patches: Patches) -> Patches:
    """Return the patches of a slice that are hardly more uneven than its quietest."""
    quietest = _quietest(patches)
    if quietest is None:
        return patches
    kept = patches.spread <= max(MOST_OVER_QUIETEST * quietest, 2 * ROUNDING_HU)
    return Patches(**{name: values[kept] for name, values in vars(patches).items()})


def _quietest(patches: Patches) -> float | None:
    """Return the spread that the quietest tenth stays below, in HU; None where there are too few patches to tell."""
    inner = _inner(patches)
    return float(np.quantile(patches.spread[inner], QUIETEST_SHARE)) if inner.sum() >= LEAST_PATCHES else None


def grain_of(patches: Patches) -> float | None:
    """Return the ratio of the noise to its finest part: 1 for white noise, more for a coarser grain.

    Args:
        patches: of all slices that are looked at.

    Returns:
        The ratio, 1 to :data:`MOST_GRAIN`; None where there are too few patches to tell.
    """
    inner = _inner(patches)
    if inner.sum() < LEAST_PATCHES:
        return None
    if np.median(patches.fine[inner]) <= ROUNDING_HU:
        return 1.0  # nothing but edges would tell of a grain
    even = inner & (np.minimum(patches.fine, patches.spread) > ROUNDING_HU)
    return float(np.clip(np.exp(_mode(np.log(patches.spread[even] / patches.fine[even]))), 1.0, MOST_GRAIN))


def level_of(patches: Patches, grain: float) -> float | None:
    """Return the noise in HU: the root mean square over regions of what even patches there respond, times the grain.

    Args:
        patches: of a slice, or of several.
        grain: of the scan, see :func:`grain_of`.

    Returns:
        The noise; None where there are too few patches to tell.
    """
    if len(patches) < LEAST_PATCHES:
        return None
    even = _even(patches, grain)
    regions = _regions(patches, even)
    if not regions:
        return float(np.median(patches.fine[even] if even.any() else patches.fine)) * grain
    levels, weights = [fine for _, fine in regions], [len(inside) for inside, _ in regions]
    return float(np.sqrt(np.average(np.square(levels), weights=weights))) * grain


def map_of(
    patches: Patches, grain: float, shape: tuple[int, ...], spacing_mm: tuple[float, float]
) -> np.ndarray | None:
    """Return how the noise of a slice varies over it, where soft tissue shows it and in between.

    Args:
        patches: of the slice.
        grain: of the scan.
        shape: of the slice (y, x).
        spacing_mm: of its pixels.

    Returns:
        The noise over its :func:`level_of`, (rows, columns) of the lattice of patches, float32; None where there are
        too few patches to tell.
    """
    regions = _regions(patches, _even(patches, grain)) if len(patches) >= LEAST_PATCHES else []
    if not regions:
        return None
    sides, steps = sides_and_steps(shape, spacing_mm)
    lattice = tuple((n - side) // step + 1 for n, side, step in zip(shape, sides, steps, strict=True))
    variance, weight = np.zeros(lattice), np.zeros(lattice)
    for inside, fine in regions:
        at = tuple(patches.place[inside].T)
        variance[at], weight[at] = fine**2, 1.0
    found = carried_over(variance, weight, (steps[0] * spacing_mm[0], steps[1] * spacing_mm[1]))
    return np.asarray(found / np.sqrt(np.average(np.square(found), weights=weight)), np.float32)


def _inner(patches: Patches) -> np.ndarray:
    """Return which patches the grain is measured in, (p,) bool."""
    return np.asarray((patches.mean > EVEN_HU[0]) & (patches.mean < EVEN_HU[1]))


def _even(patches: Patches, grain: float) -> np.ndarray:
    """Return which patches hold no edge, (p,) bool."""
    usual = grain * patches.fine
    return np.asarray(
        (patches.spread <= np.maximum(MOST_UNEVEN * usual, ROUNDING_HU)) & (patches.spread >= usual / MOST_UNEVEN)
    )


def _regions(patches: Patches, even: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return the numbers of the even patches in each region that has enough of them, and what stands for their noise.

    That is the response of their finest part, in HU.
    """
    found = []
    for number in np.unique(patches.region[even]):
        inside = np.flatnonzero(even & (patches.region == number))
        if len(inside) >= LEAST_IN_REGION:
            found.append((inside, float(np.quantile(patches.fine[inside], REGION_SHARE))))
    return found


def _mode(values: np.ndarray) -> float:
    """Return where the density of a sample is highest, by a Gaussian kernel of :data:`BANDWIDTH`."""
    counts, edges = np.histogram(values, bins=np.arange(values.min() - 0.5, values.max() + 0.5, BANDWIDTH / 6))
    reach = np.arange(-24, 25) / 6
    density = np.convolve(counts, np.exp(-0.5 * reach**2), mode="same")
    return float(edges[density.argmax()] + BANDWIDTH / 12)


def _windows(image: np.ndarray, sides: list[int], steps: list[int]) -> np.ndarray:
    """Return overlapping windows (y', x', sy, sx) of an image, not copied."""
    every = np.lib.stride_tricks.sliding_window_view(image, sides)
    return every[:: steps[0], :: steps[1]]


def second_difference(image: np.ndarray) -> np.ndarray:
    """Return what a 3 x 3 binomial smoothing takes away, scaled so that white noise keeps its standard deviation."""
    from scipy.ndimage import correlate1d

    smooth = correlate1d(correlate1d(image, SMOOTHING, 0), SMOOTHING, 1)
    return np.asarray((image - smooth) / KEPT)


def _spread_about_plane(windows: np.ndarray) -> np.ndarray:
    """Return the standard deviation of windows (p, sy, sx) about the planes that fit them best, (p,)."""
    _, sy, sx = windows.shape
    rest = windows - windows.mean((1, 2), keepdims=True)
    total = np.square(rest).sum((1, 2))
    for ramp, other, order in ((_ramp(sy), sx, "pyx,y->p"), (_ramp(sx), sy, "pyx,x->p")):
        total -= np.square(np.einsum(order, rest, ramp)) / other
    return np.sqrt(np.maximum(total, 0) / max(1, sy * sx - 3))


def _ramp(count: int) -> np.ndarray:
    """Return a centred ramp of ``count`` values with a sum of squares of 1."""
    ramp = np.arange(count) - (count - 1) / 2
    return np.asarray(ramp / np.sqrt(np.square(ramp).sum()))
