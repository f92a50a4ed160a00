"""Diffusion: the schedule, the training loss, samplers and known cells. No network lives here."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
