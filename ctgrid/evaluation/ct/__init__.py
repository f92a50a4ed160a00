"""What generated CT can be measured by without any trained detector, and whether it was copied from training."""

from __future__ import annotations

from ctgrid.evaluation.ct.measures import ct_measures
from ctgrid.evaluation.ct.memorisation import memorisation
from ctgrid.evaluation.ct.z_probe import z_consistency

__all__ = ["ct_measures", "memorisation", "z_consistency"]
