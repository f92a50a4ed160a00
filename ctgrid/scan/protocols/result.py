"""What a protocol makes of a scan: fine slices, coarse slices, and the record that leads back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.scan.protocols.resample import SCALE_HU

_BATCH = 8  # slices in float at a time


class OutsideProtocol(CtgridError):
    """A scan that is sound, but that the protocol's own rules leave out: reported, never a failure."""


class InverseRecord(Protocol):
    """What leads from a protocol's arrays back onto the patient's grid; each protocol has its own."""

    @property
    def protocol(self) -> str:
        """The protocol's name."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, the protocol's name among them."""


Record = TypeVar("Record", bound=InverseRecord)


@dataclass(frozen=True, eq=False)
class ProtocolResult(Generic[Record]):
    """Both resolutions of a scan, from one pass.

    Attributes:
        slices: (n, S, S) int16 HU, within [-1000, 1000].
        coarse: (n, S/k, S/k) int16 HU: the antialiased bicubic reduction of the slices before rounding; it
            overshoots a little at edges.
        record: Everything needed to put arrays back onto the patient's grid; ``record.to_json()`` is JSON-able.
    """

    slices: np.ndarray
    coarse: np.ndarray
    record: Record


def check_sizes(size: int, k: int) -> None:
    """Refuse sizes that do not fit each other, before any work.

    Args:
        size: Rows and columns of the fine slices.
        k: Factor by which the coarse slices are smaller.

    Raises:
        CtgridError: ``size`` is no positive multiple of ``k``.
    """
    if size < 1 or k < 1 or size % k:
        raise CtgridError(f"size {size} must be a positive multiple of k = {k}")


def both_sizes(planes: Iterator[np.ndarray], n: int, size: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Collect slices as HU, together with their reduction; a few of them in float at a time.

    Args:
        planes: (size, size) float32 in [-1, 1], n of them.
        n: How many.
        size: Rows and columns.
        k: Factor of the reduction.

    Returns:
        (n, size, size) and (n, size/k, size/k) int16 HU.
    """
    import torch

    from ctgrid.scan.grid import downsample

    fine = np.empty((n, size, size), dtype=np.int16)
    coarse = fine if k == 1 else np.empty((n, size // k, size // k), dtype=np.int16)
    batch = np.empty((_BATCH, size, size), dtype=np.float32)
    scale = np.float32(SCALE_HU)
    with _one_thread():
        for start in range(0, n, _BATCH):
            stop = min(start + _BATCH, n)
            unit = batch[: stop - start]
            for target in torch.from_numpy(unit):
                target.copy_(torch.from_numpy(next(planes)))  # quicker than NumPy where a plane is transposed
            if k > 1:
                small = downsample(torch.from_numpy(unit)[:, None], k)[:, 0].numpy()
                coarse[start:stop] = np.rint(small * scale)
            fine[start:stop] = np.rint(np.multiply(unit, scale, out=unit), out=unit)
    return fine, coarse


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep PyTorch from splitting operations of a millisecond: on a busy machine waiting costs more than it gains."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
