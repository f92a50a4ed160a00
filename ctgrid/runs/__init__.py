"""What can be interrupted and resumed: series of volumes, scans of a study, evaluations, ablations, reports."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
