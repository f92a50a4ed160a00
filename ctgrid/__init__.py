"""Synthesise and denoise chest CT volumes with grid-image diffusion transformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctgrid.base.errors import CtgridError
    from ctgrid.methods.denoising.methods import denoise
    from ctgrid.methods.synthesis.pipeline import synthesize
    from ctgrid.scan.volume import Volume

    __version__: str

__all__ = ["CtgridError", "Volume", "__version__", "denoise", "synthesize"]

_HOME = {
    "CtgridError": "ctgrid.base.errors",
    "Volume": "ctgrid.scan.volume",
    "denoise": "ctgrid.methods.denoising.methods",
    "synthesize": "ctgrid.methods.synthesis.pipeline",
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
