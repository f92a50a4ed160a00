"""What a volume must be for models of CT to take it."""

from __future__ import annotations

from ctgrid.base.errors import CtgridError
from ctgrid.scan.hu.decide import require_air
from ctgrid.scan.hu.evidence import evidence_of, evidence_sample
from ctgrid.scan.hu.readings import STORED
from ctgrid.scan.volume import Volume


def require_ct(volume: Volume, min_slices: int = 2) -> None:
    """Refuse what a CT model cannot take: too few slices, or no air near -1000 HU.

    Args:
        volume: The volume to be checked, in HU.
        min_slices: The fewest slices along z.

    Raises:
        CtgridError: The volume is too thin, or its values are not those of a CT.
    """
    name = volume.record.get("source", "volume")
    if volume.shape[0] < min_slices:
        raise CtgridError(f"{name} has {volume.shape[0]} slice(s) of {min_slices} needed; give a whole volume")
    require_air({"evidence": evidence_of(evidence_sample(volume.hu), STORED).record()}, name)
