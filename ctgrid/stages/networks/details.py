"""Networks of the detail step by the names that recipes and configs give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctgrid.base.families import look_up
from ctgrid.stages.networks.detail import DetailNet
from ctgrid.stages.networks.detail_unet import DetailUNet

DetailNetwork = DetailNet | DetailUNet

KINDS: dict[str, type[DetailNetwork]] = {"net": DetailNet, "unet": DetailUNet}
"""By ``kind`` of a recipe; ``net`` where none is named."""


def build_detail(sizes: Mapping[str, Any]) -> DetailNetwork:
    """Return an untrained network.

    Args:
        sizes: its keywords, and ``kind``.

    Raises:
        CtgridError: for an unknown kind.
    """
    given = {name: value for name, value in sizes.items() if name != "kind"}
    return look_up(KINDS, str(sizes.get("kind", "net")), "detail network")(**given)


def class_of(config: Mapping[str, Any]) -> type[DetailNetwork]:
    """Return the class that a model folder's config names; :class:`DetailNet` where it names none."""
    named = {kind.__name__: kind for kind in KINDS.values()}
    return look_up(named, str(config.get("_class_name", "DetailNet")), "detail network")
