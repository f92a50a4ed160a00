"""Networks: the diffusion transformer, its positions, checkpoints and codecs. No schedule lives here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctgrid.stages.networks.dit import DiT, build_dit
    from ctgrid.stages.networks.positions import identify_table, position_table
    from ctgrid.stages.weights.load import load_dit

__all__ = ["DiT", "build_dit", "identify_table", "load_dit", "position_table"]

_HOME = {
    "DiT": "ctgrid.stages.networks.dit",
    "build_dit": "ctgrid.stages.networks.dit",
    "identify_table": "ctgrid.stages.networks.positions",
    "load_dit": "ctgrid.stages.weights.load",
    "position_table": "ctgrid.stages.networks.positions",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: diffusers, which the networks build on, takes seconds to import."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ctgrid.stages.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
