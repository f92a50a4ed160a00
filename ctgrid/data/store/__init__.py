"""Training stores: volumes in both resolutions, prepared once, read slice by slice."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
