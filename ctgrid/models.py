"""Networks: the diffusion transformer, its positions, checkpoints. A face: all of it lives on the storeys."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "ctgrid",
    submod_attrs={
        "stages.networks.dit": ["DiT", "build_dit"],
        "stages.networks.positions": ["identify_table", "position_table"],
        "stages.weights.load": ["load_dit"],
    },
)
