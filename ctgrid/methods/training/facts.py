"""What sampling must know of a stage, told from the recipe and the volumes it is trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import CtgridError
from ctgrid.data.stored import StoreSlices
from ctgrid.data.volumes import SliceSource
from ctgrid.methods.training.data import TrainingData
from ctgrid.methods.training.recipes import DiffusionRecipe
from ctgrid.scan.protocols.oriented import check_orientation
from ctgrid.stages.models.facts import StageFacts

if TYPE_CHECKING:
    pass

FACTS_FROM = 1000
"""Volumes of a store, evenly chosen, whose spacing is looked at for the stage's facts."""

NEARLY_ALL = 0.75
"""Share of a store's volumes that must agree in the orientation of their slices."""


def facts(recipe: DiffusionRecipe, data: TrainingData, **more: Any) -> StageFacts:
    """Return what sampling must know of a stage trained by this recipe on these volumes.

    Raises:
        CtgridError: where a store's slices lie in the patient in more than one way, see :func:`common_orientation`.
    """
    some: Sequence[SliceSource] = data.volumes[:: max(1, len(data.volumes) // FACTS_FROM)]
    spacings = [volume.spacing_mm for volume in some]
    fov_mm = recipe.fov_mm
    if data.store is not None:  # its slices were framed when it was made
        fov_mm = round(median(spacing[1] * recipe.size for spacing in spacings), 2)
        more["protocol"] = data.store.settings.protocol
        more["orientation"] = common_orientation(
            [volume.orientation for volume in some if isinstance(volume, StoreSlices)], str(data.store.path)
        )
    return StageFacts(
        prediction=recipe.prediction,
        size=recipe.size,
        k=recipe.k,
        scale=recipe.scale,
        slices=recipe.slices,
        fov_mm=fov_mm,
        extent_mm=round(median(len(v) * spacing[0] for v, spacing in zip(some, spacings, strict=True)), 2),
        **more,
    )


def common_orientation(found: Sequence[str], where: str) -> str:
    """Return the orientation of nearly all slices of a store: that of protocol ``generatect`` is each file's own.

    Args:
        found: one for each volume.
        where: what to name in the error.

    Raises:
        CtgridError: where no orientation is that of :data:`NEARLY_ALL` volumes, or slices are not axial.
    """
    counts = Counter(found).most_common()
    codes, most = counts[0]
    if most < NEARLY_ALL * len(found):
        listed = ", ".join(f"{number} {code}" for code, number in counts)
        raise CtgridError(
            f"{where}: slices of its volumes lie in the patient in several ways ({listed}), a model would mix them; "
            "prepare with --protocol canonical, or choose volumes of one kind with --split"
        )
    return check_orientation(codes, where)
