"""What is learnt from: stores, datasets over them, simulated scans, video clips, and how examples are drawn."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
