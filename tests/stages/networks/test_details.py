"""Detail networks by name: of recipes and of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.models.bundle import read_detail
from ctgrid.stages.networks.detail import DetailNet
from ctgrid.stages.networks.detail_unet import DetailUNet
from ctgrid.stages.networks.details import build_detail, class_of

SMALL = {"widths": [8, 8], "down": [1, 1], "up": [1]}


def test_a_recipe_says_which_network() -> None:
    assert isinstance(build_detail({"width": 8, "inner_width": 8}), DetailNet)
    assert isinstance(build_detail({"kind": "unet", **SMALL}), DetailUNet)
    with pytest.raises(CtgridError, match="unknown detail network 'unett'; known: net, unet; did you mean unet"):
        build_detail({"kind": "unett"})


def test_a_folder_says_which_network(tmp_path: Path) -> None:
    """Folders of before there was a choice name none, or the first."""
    assert class_of({}) is DetailNet and class_of({"_class_name": "DetailNet"}) is DetailNet
    build_detail({"kind": "unet", **SMALL}).save_pretrained(tmp_path)
    found = read_detail(tmp_path)
    assert isinstance(found, DetailUNet) and not found.training
    with pytest.raises(CtgridError, match="unknown detail network 'AutoencoderKL'"):
        class_of({"_class_name": "AutoencoderKL"})
