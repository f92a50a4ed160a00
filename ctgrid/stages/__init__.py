"""What the two stages are made of: schedule and sampler, networks, codecs, their weights and model folders."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
