"""Windows of HU: what is shown, or measured, between black and white. Each is (low, high) and has its name here."""

from __future__ import annotations

AIR_HU = -1000.0
"""Air, by the definition of the unit, in which water is 0."""

FULL_WINDOW_HU = (AIR_HU, 1000.0)
"""All that the networks see."""

CHEST_WINDOW_HU = (AIR_HU, 400.0)
"""Air to bone in one picture."""

NODULE_WINDOW_HU = (AIR_HU, 0.0)
"""Small things inside the lung."""

LUNG_WINDOW_HU = (-1350.0, 150.0)
"""As radiologists look at the lung: level -600, width 1500."""

SOFT_TISSUE_WINDOW_HU = (-160.0, 240.0)
"""As they look at mediastinum and soft tissue: level 40, width 400."""

BONE_WINDOW_HU = (-500.0, 1300.0)
"""As they look at bone: level 400, width 1800."""


def centre_and_width(window_hu: tuple[float, float]) -> tuple[float, float]:
    """Return a window's centre (also called level) and width, as DICOM and viewers state them.

    Args:
        window_hu: (low, high), HU.
    """
    low, high = window_hu
    return (low + high) / 2, high - low
