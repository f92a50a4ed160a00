"""What protocols share: HU to [-1, 1], linear resampling along z, antialiased resizing in-plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ctgrid.scan.windows import FULL_WINDOW_HU

SCALE_HU = FULL_WINDOW_HU[1]  # [-1000, 1000] HU <-> [-1, 1]


def normalise(hu: np.ndarray) -> np.ndarray:
    """Clip HU to [-1000, 1000] and scale to [-1, 1], float32.

    Args:
        hu: Any shape, in HU.
    """
    return np.clip(hu, -SCALE_HU, SCALE_HU).astype(np.float32) / np.float32(SCALE_HU)


def denormalise(values: np.ndarray) -> np.ndarray:
    """Undo :func:`normalise`: [-1, 1] to HU, values beyond clipped, float32.

    Args:
        values: Any shape.
    """
    return np.clip(values, -1.0, 1.0).astype(np.float32) * np.float32(SCALE_HU)


def unit_of(slices: np.ndarray) -> np.ndarray:
    """Return network output in [-1, 1], whether it came so (floating) or in HU (integers); float32.

    Args:
        slices: Any shape.
    """
    if slices.dtype.kind == "f":
        return slices.astype(np.float32, copy=False)
    return slices.astype(np.float32) / np.float32(SCALE_HU)


def linear_taps(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each output slice, its two source slices and the weight of the second.

    Slices are cells, not points (``align_corners=False``): output i looks at (i + 1/2) n_in / n_out - 1/2.
    The step and the position are rounded to float32 where PyTorch rounds them (it fuses the multiplication
    and the subtraction): position 500 is only good to 3e-5 there, and protocol tensors must agree better.

    Args:
        n_in: Slices there are.
        n_out: Slices wanted.
    """
    step = np.float64(np.float32(n_in) / np.float32(n_out))
    position = np.maximum(step * (np.arange(n_out) + 0.5) - 0.5, 0.0).astype(np.float32)
    lower = np.minimum(position.astype(np.int64), n_in - 1)
    upper = np.minimum(lower + 1, n_in - 1)
    return lower, upper, position - lower.astype(np.float32)


def stream_z(plane: Callable[[int], np.ndarray], n_in: int, n_out: int) -> Iterator[np.ndarray]:
    """Resample linearly along z, slice by slice, holding two source slices at a time.

    Args:
        plane: Makes source slice i, float32; called once for each slice that is needed, in ascending order.
        n_in: Slices there are.
        n_out: Slices wanted.

    Yields:
        Output slices, float32; each is overwritten when the next but one is asked for.
    """
    ready: dict[int, np.ndarray] = {}
    blend: list[np.ndarray] = []
    for i, (low, high, weight) in enumerate(zip(*linear_taps(n_in, n_out), strict=True)):
        for old in [index for index in ready if index < low]:
            del ready[old]
        for index in {low, high} if weight else {low}:
            if index not in ready:
                ready[index] = plane(int(index))
        if not weight:
            yield ready[low]
            continue
        if not blend:
            blend = [np.empty_like(ready[low]) for _ in range(3)]
        out = np.multiply(ready[low], 1.0 - weight, out=blend[i % 2])
        yield np.add(out, np.multiply(ready[high], weight, out=blend[2]), out=out)


def resample_z(slices: np.ndarray, n_out: int) -> np.ndarray:
    """Resample linearly along the first axis.

    Args:
        slices: (n, ...) float32.
        n_out: Slices wanted.
    """
    if len(slices) == n_out:
        return slices
    out = np.empty((n_out, *slices.shape[1:]), dtype=np.float32)
    for target, plane in zip(out, stream_z(slices.__getitem__, len(slices), n_out), strict=True):
        target[...] = plane
    return out


def resize_plane(slices: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize each slice by bicubic interpolation, antialiased where it shrinks.

    Args:
        slices: (n, h, w) float32.
        height: Rows wanted.
        width: Columns wanted.
    """
    if slices.shape[1:] == (height, width):
        return slices
    import torch
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(np.ascontiguousarray(slices))[:, None]
    planes = interpolate(planes, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return planes[:, 0].numpy()
