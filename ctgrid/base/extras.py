"""Packages that only some of the work needs: the extra that brings each, and the line that says which is missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ctgrid.base.errors import CtgridError

EXTRAS: dict[str, tuple[str, ...]] = {
    "store": ("google_crc32c", "numcodecs", "zarr"),
    "cluster": ("dask", "distributed"),
    "train": ("accelerate", "tensorboard"),
    "video": ("av",),
    "eval": ("matplotlib",),
    "monai": ("monai",),
}
"""Packages by the extra of ``pyproject.toml`` that names them; an extra may bring others besides."""


def require(module: str) -> ModuleType:
    """Import a module of an extra's package.

    Whoever starts long work calls this first, for all that the work will need in the end.

    Args:
        module: its dotted name; the package must stand in :data:`EXTRAS`.

    Returns:
        The module.

    Raises:
        CtgridError: where the package is not installed, with the command that installs it.
    """  # noqa: DOC501
    package = module.partition(".")[0]
    (extra,) = [extra for extra, packages in EXTRAS.items() if package in packages]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is there, and lacks something itself
        raise CtgridError(
            f"{package} is not installed; this needs the extra '{extra}': pip install 'ctgrid[{extra}]'"
        ) from error
