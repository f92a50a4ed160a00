"""Quieter versions of scans: what a scanner with larger pixels and thicker slices would have made of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.functional import interpolate

from ctgrid.data.volumes import VolumeSlices

SHRINK = 5 / 8
"""Pixels along a side that are left: of 0.7 mm they become 1.1 mm, as a scan of the whole width has."""

THIN_MM = 3.0
"""Slices no thicker are averaged in twos, each with the one above."""


def quieter(volume: VolumeSlices) -> VolumeSlices:
    """Return a scan with larger pixels, and thicker slices where they are thin: the same anatomy with less noise.

    Args:
        volume: (n, S, S) slices; S (5/8) is taken down to a multiple of 8.

    Returns:
        As many slices, of fewer pixels, with their spacing.
    """
    hu = volume.hu
    side = int(hu.shape[1] * SHRINK) // 8 * 8
    shrunk = torch.empty(len(hu), side, side, dtype=hu.dtype)
    for z in range(len(hu)):
        image = hu[z].float()
        if volume.spacing_mm[0] <= THIN_MM:
            image = (image + hu[min(z + 1, len(hu) - 1)].float()) / 2
        small = interpolate(image[None, None], size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        shrunk[z] = small[0, 0].round().to(hu.dtype)
    dz, dy, dx = volume.spacing_mm
    return replace(volume, hu=shrunk, spacing_mm=(dz, dy * hu.shape[1] / side, dx * hu.shape[2] / side))
