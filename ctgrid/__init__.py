"""Synthesise and denoise chest CT volumes with grid-image diffusion transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctgrid.denoising.methods import denoise
    from ctgrid.errors import CtgridError
    from ctgrid.pipelines.synthesize import synthesize
    from ctgrid.volume import Volume

    __version__: str

__all__ = ["CtgridError", "Volume", "__version__", "denoise", "synthesize"]

_HOME = {
    "CtgridError": "ctgrid.errors",
    "Volume": "ctgrid.volume",
    "denoise": "ctgrid.denoising.methods",
    "synthesize": "ctgrid.pipelines.synthesize",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import ctgrid`` loads nothing heavy."""
    if name == "__version__":
        from importlib.metadata import version

        return version("ctgrid")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ctgrid' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
