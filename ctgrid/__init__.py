"""Synthesise and denoise chest CT volumes with grid-image diffusion transformers."""

from __future__ import annotations

from typing import Any

import lazy_loader

_attached, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]  # noqa: F822 (see __getattr__)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import ctgrid`` loads nothing heavy."""
    if name == "__version__":
        from importlib.metadata import version

        return version("ctgrid")
    return _attached(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
