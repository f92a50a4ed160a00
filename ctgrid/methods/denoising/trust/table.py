"""How large an answer's error is by the signs of it: a small table in a model's folder, and what it says of a voxel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.methods.denoising.trust.signs import SIGNS
from ctgrid.scan.windows import AIR_HU

VERSION = 1
AIR_NOISE_HU = 5.0
"""Noise in the air of a clean scan, of 7 HU in soft tissue. Scans mostly have their air cut off, which hides it from
tables; where it is not, answers are off by it."""

AIR_ENDS_HU = (-950.0, -900.0)
"""Below the first an answer is air, above the second it is not."""

KNOTS_HU = (AIR_HU, -850.0, -600.0, -300.0, -100.0, 50.0, 250.0, 700.0)
"""Answers for which the error goes by signs of its own; between two of them it is between theirs."""


@dataclass(frozen=True)
class TrustTable:
    """The logarithm of the standard deviation as a quadratic function of the signs, at every knot.

    Attributes:
        weights: (knots, terms), see :func:`terms_of`.
        low: the least of every sign that was met, (len(SIGNS),); what lies beyond counts as the bound.
        high: the most.
        about: what it was made with: model, scans, noise, coverage; JSON-able.
    """

    weights: np.ndarray
    low: np.ndarray
    high: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)

    def sigma(self, hu: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the standard deviation of the error in HU, float32 of the shape of ``hu``.

        Beyond the noise that the table was made with, it grows and falls with the noise. In air it is at least what
        :func:`air_error` says.

        Args:
            hu: the answer, any shape, smoothed as :class:`Signs` has it.
            values: its signs, (len(SIGNS), ...).
        """
        flat = np.asarray(values, np.float32).reshape(len(values), -1)
        met = np.clip(flat, self.low[:, None].astype(np.float32), self.high[:, None].astype(np.float32))
        terms = np.stack(terms_of(unit(met, self.low, self.high)))
        of_knots = self.weights.astype(np.float32) @ terms  # (knots, n)
        below, share = place_of(np.ravel(hu))
        at, above = (np.take_along_axis(of_knots, (below + step)[None], 0)[0] for step in (0, 1))
        logarithm = at + share * (above - at) + flat[0] - met[0]
        return np.asarray(np.hypot(np.exp(logarithm), air_error(np.ravel(hu))), np.float32).reshape(hu.shape)

    def write(self, path: Path, overwrite: bool = False) -> None:
        """Write the table as JSON, all of it or nothing."""
        parts = {"low": self.low, "high": self.high, "weights": self.weights}
        content = {
            "ctgrid_trust": VERSION,
            "signs": list(SIGNS),
            "knots_hu": list(KNOTS_HU),
            **{name: np.round(part, 5).tolist() for name, part in parts.items()},
            "about": dict(self.about),
        }
        with atomic_output(path, overwrite) as temporary:
            temporary.write_text(_lines(content), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> TrustTable:
        """Read a table.

        Raises:
            CtgridError: where there is none, or one of another kind.
        """
        content = dict_of(path)
        parts = _parts(content)
        if parts is None:
            raise CtgridError(
                f"{path} is no table of trust that this version reads; make it anew: ctgrid model calibrate"
            )
        return cls(*parts, content.get("about") or {})


def air_error(hu: np.ndarray) -> np.ndarray:
    """Return how far answers in air are off at least, in HU, of the shape of ``hu``; 0 elsewhere.

    Nothing weighs less than air: an answer below it is off by what it lies below. And air has noise of its own.

    Args:
        hu: the answer, any shape, smoothed as :class:`Signs` has it.
    """
    lowest, end = AIR_ENDS_HU
    share = np.clip((end - hu) / (end - lowest), 0, 1)
    return np.asarray(np.hypot(AIR_NOISE_HU * share, np.maximum(0, AIR_HU - hu)))


def unit(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return signs (len(SIGNS), ...) as -1 at the least and 1 at the most that was met."""
    shape = (-1,) + (1,) * (values.ndim - 1)
    return np.asarray((2 * (values - low.reshape(shape)) / (high - low).reshape(shape) - 1), np.float32)


def terms_of(units: np.ndarray) -> list[np.ndarray]:
    """Return what is weighed: 1, every sign, and every product of two, each of a voxel's shape.

    Args:
        units: (len(SIGNS), ...), see :func:`unit`.
    """
    n = len(units)
    return [np.ones_like(units[0]), *units, *(units[i] * units[j] for i in range(n) for j in range(i, n))]


def terms_count() -> int:
    """Return how many terms there are."""
    n = len(SIGNS)
    return 1 + n + n * (n + 1) // 2


def place_of(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the knot below every voxel's HU, and how far it is to the next, 0 to 1; any shape."""
    knots = np.asarray(KNOTS_HU, np.float32)
    at = np.clip(np.asarray(hu, np.float32), knots[0], knots[-1])
    below = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    return below, (at - knots[below]) / (knots[below + 1] - knots[below])


def _parts(content: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return weights and bounds of a table as it was read; None where they are not those of a table."""
    kind = (VERSION, list(SIGNS), list(KNOTS_HU))
    if tuple(content.get(name) for name in ("ctgrid_trust", "signs", "knots_hu")) != kind:
        return None
    try:
        weights, low, high = (np.asarray(content.get(name), np.float64) for name in ("weights", "low", "high"))
    except (TypeError, ValueError):
        return None
    shapes = (weights.shape, low.shape, high.shape)
    if shapes != ((len(KNOTS_HU), terms_count()), (len(SIGNS),), (len(SIGNS),)):
        return None
    sound = all(np.isfinite(part).all() for part in (weights, low, high)) and (low < high).all()
    return (weights, low, high) if sound else None


def _lines(content: dict[str, Any]) -> str:
    """Return JSON with a line for each entry, and for each row of weights."""
    rows = ",\n  ".join(json.dumps(row) for row in content.pop("weights"))
    rest = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
    return f'{{\n {rest},\n "weights": [\n  {rows}\n ]\n}}\n'
