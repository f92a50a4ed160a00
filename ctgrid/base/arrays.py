"""Arrays that ctgrid put aside as ``.npz``, read back as what anybody may have changed meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctgrid.base.causes import check_regular, reading
from ctgrid.base.limits import check_zip


def read_npz(path: Path, *names: str) -> list[np.ndarray]:
    """Return arrays of a file, nothing unpickled.

    Args:
        path: The ``.npz`` file.
        names: Of the arrays.

    Raises:
        CtgridError: It is damaged, misses one of them, or unpacks to more than the limit.
    """
    with reading(path, "a whole .npz file", "remove it to have it made anew"):
        check_regular(path)
        check_zip(path)
        with np.load(path, allow_pickle=False) as file:
            return [np.asarray(file[name]) for name in names]
