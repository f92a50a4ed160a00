"""What generated CT can be measured by without any trained detector, and whether it was copied from training."""

from __future__ import annotations

from ctgrid.runs.evaluation.ct.measures import ct_measures
from ctgrid.runs.evaluation.ct.memorisation import memorisation
from ctgrid.runs.evaluation.ct.z_probe import z_consistency

__all__ = ["ct_measures", "memorisation", "z_consistency"]
