"""How much a moving picture changes from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ctgrid.base.errors import CtgridError


class FlickerMeter:
    """Measures frames one after the other, so that no more than two are ever held."""

    def __init__(self) -> None:
        """Start without a frame."""
        self._last: np.ndarray | None = None
        self._sum, self._steps = 0.0, 0

    def add(self, frame: np.ndarray) -> None:
        """Take the next frame, uint8 (H, W) or (H, W, 3).

        Raises:
            CtgridError: where it is of another type, or of another shape than the frames before.
        """
        if frame.dtype != np.uint8 or frame.ndim not in (2, 3):
            raise CtgridError(
                f"flicker is measured on frames of uint8, (H, W) or (H, W, 3); got {frame.dtype} of {frame.shape}"
            )
        if self._last is not None:
            if frame.shape != self._last.shape:
                raise CtgridError(f"frames differ in shape: {self._last.shape}, then {frame.shape}; resize them first")
            self._sum += float(np.abs(frame.astype(np.int16) - self._last).mean())
            self._steps += 1
        self._last = frame

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass frames through, measuring them."""
        for frame in frames:
            self.add(frame)
            yield frame

    @property
    def value(self) -> float:
        """Mean of |difference| over all pixels and steps, 0 … 255.

        Raises:
            CtgridError: with fewer than two frames.
        """
        if not self._steps:
            raise CtgridError("flicker needs at least two frames")
        return self._sum / self._steps


def flicker(frames: Iterable[np.ndarray]) -> float:
    """Return the mean absolute difference of consecutive frames, on the scale 0 … 255.

    Args:
        frames: uint8 (H, W) or (H, W, 3), one after the other, or an array (n, H, W[, 3]) of them.

    Raises:
        CtgridError: for fewer than two frames, other types, or frames of different shapes.
    """
    meter = FlickerMeter()
    for frame in frames:
        meter.add(frame)
    return meter.value
