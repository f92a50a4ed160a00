"""Scans made by rule: chest phantoms, and lower doses of any scan."""

from __future__ import annotations

from ctgrid.data.simulate.dose import low_dose
from ctgrid.data.simulate.phantom import labelled_phantom, phantom

__all__ = ["labelled_phantom", "low_dose", "phantom"]
