"""Arrays, lists and tensors as float64 arrays, or a word why not."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_float64(values: Any) -> np.ndarray:
    """Return real numbers as a float64 array: of an array, nested lists, or a tensor on any device.

    Raises:
        TypeError: for complex numbers, and masked arrays with something behind the mask.
        ValueError: where they are no numbers.
        RuntimeError: for a tensor that has no dense values.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.double().numpy() if not values.is_complex() else values.numpy()
    if np.ma.is_masked(values):
        raise TypeError("some are masked; fill or drop them first")
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise TypeError("complex numbers have no order; give their magnitude, or real and imaginary part apart")
    return array.astype(np.float64)
