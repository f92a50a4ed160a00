"""Learn a table of trust from answers whose clean values are known: a quantile of the error by the signs of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import softplus

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.trust.signs import signs_of
from ctgrid.methods.denoising.trust.table import KNOTS_HU, TrustTable, place_of, terms_of, unit

SHARE, SIGMAS = 0.9545, 2.0
"""The share of voxels whose error is at most so many standard deviations, as for a normal distribution."""

APART_HU = (-950.0, -700.0, -300.0, -150.0, -30.0, 150.0, 300.0)
"""Clean values that part what is learned from: as many voxels from each, else air and soft tissue would be all."""

OUTSIDE_HU = -1400.0
"""Clean values below are no tissue but what lies outside the field of view."""

ROUNDED_HU = 0.5
"""Errors below count as this: values are whole HU."""

ROUNDS, SOFTNESS, RIDGE = 120, 0.05, 1e-5
LEAST_VOXELS, BOUNDS = 1000, (0.001, 0.999)
"""Voxels that a table needs, and quantiles of the signs that are its bounds."""


@dataclass(frozen=True)
class Sample:
    """Voxels drawn from answers.

    Attributes:
        hu: the answers, smoothed, (n,).
        signs: (len(SIGNS), n).
        error_hu: size of the error of each, (n,).
        clean_hu: what they should be, (n,).
    """

    hu: np.ndarray
    signs: np.ndarray
    error_hu: np.ndarray
    clean_hu: np.ndarray


def draw(
    scan_hu: np.ndarray,
    answer_hu: np.ndarray,
    clean_hu: np.ndarray,
    spacing_mm: tuple[float, float],
    each: int,
    generator: torch.Generator,
) -> Sample:
    """Draw voxels of a slice, at most ``each`` from every range of :data:`APART_HU`.

    Args:
        scan_hu: (y, x) with noise.
        answer_hu: (y, x) denoised.
        clean_hu: (y, x) without noise.
        spacing_mm: (y, x).
        each: voxels of a range.
        generator: chooses them.
    """
    signs, clean = signs_of(scan_hu, answer_hu, spacing_mm), clean_hu.ravel()
    ranges = np.digitize(clean, APART_HU)
    order = torch.randperm(clean.size, generator=generator).numpy()
    order = order[clean[order] > OUTSIDE_HU]
    chosen = np.concatenate([order[ranges[order] == number][:each] for number in range(len(APART_HU) + 1)])
    error = np.abs(answer_hu.astype(np.float32).ravel()[chosen] - clean[chosen])
    return Sample(
        signs.hu.ravel()[chosen], signs.values.reshape(len(signs.values), -1)[:, chosen], error, clean[chosen]
    )


def joined(samples: Sequence[Sample]) -> Sample:
    """Return several samples as one."""
    columns = zip(*((one.hu, one.signs, one.error_hu, one.clean_hu) for one in samples), strict=True)
    return Sample(*(np.concatenate(column, axis=-1) for column in columns))


def fit(sample: Sample) -> TrustTable:
    """Return the table whose :data:`SIGMAS` standard deviations the error exceeds as often as that of normal noise.

    Quantile regression of the error's logarithm (Koenker and Bassett 1978, Econometrica 46:33): the loss is the
    quantile's own, its corner rounded.

    Args:
        sample: of all scans and kinds of noise that the table shall hold for.

    Raises:
        CtgridError: where there are too few voxels.
    """
    if len(sample.hu) < LEAST_VOXELS:
        raise CtgridError(f"{len(sample.hu)} voxels are too few to calibrate by; give scans with more of the chest")
    low, high = np.quantile(sample.signs, BOUNDS, axis=1)
    high = np.maximum(high, low + 1e-3)
    met = np.clip(sample.signs, low[:, None], high[:, None])
    terms = torch.from_numpy(np.stack(terms_of(unit(met, low, high)))).float()
    below, share = place_of(sample.hu)
    near = torch.zeros(len(KNOTS_HU), len(sample.hu))
    near[below, np.arange(len(below))] = torch.from_numpy(1 - share)
    near[below + 1, np.arange(len(below))] = torch.from_numpy(share)
    beyond = sample.signs[0] - met[0]
    wanted = torch.from_numpy(np.log(np.maximum(sample.error_hu, ROUNDED_HU) / SIGMAS) - beyond).float()
    weights = torch.zeros(len(KNOTS_HU), len(terms), requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=ROUNDS, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        off = wanted - ((weights @ terms) * near).sum(0)
        total = (SHARE * off + SOFTNESS * softplus(-off / SOFTNESS)).mean() + RIDGE * weights.square().sum()
        total.backward()
        return total

    solver.step(loss)
    return TrustTable(weights.detach().numpy().astype(np.float64), low, high)
