"""Grid images: slices tiled into one picture, and back. A face: what it names lives on the storeys below."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "ctgrid",
    submod_attrs={
        "scan.grid": ["downsample", "from_grid", "gray_to_rgb", "to_grid"],
    },
)
