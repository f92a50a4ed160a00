"""Networks: the diffusion transformer, its positions, checkpoints and codecs. No schedule lives here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctgrid.models.dit import DiT, build_dit
    from ctgrid.models.load import load_dit
    from ctgrid.models.positions import identify_table, position_table

__all__ = ["DiT", "build_dit", "identify_table", "load_dit", "position_table"]

_HOME = {
    "DiT": "ctgrid.models.dit",
    "build_dit": "ctgrid.models.dit",
    "identify_table": "ctgrid.models.positions",
    "load_dit": "ctgrid.models.load",
    "position_table": "ctgrid.models.positions",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: diffusers, which the networks build on, takes seconds to import."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ctgrid.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
