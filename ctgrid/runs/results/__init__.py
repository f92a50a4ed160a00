"""What results say: each kind described once, as tables and charts that any renderer can write."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
