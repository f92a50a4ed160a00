"""What sampling must know of a stage, told from recipe and volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.data.stored import stored_volumes
from ctgrid.methods.training.facts import common_orientation
from ctgrid.methods.training.inputs import Inputs, grid_task, refine_task
from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.scan.geometry import centred_affine
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.codecs import Codec

from .stores import NETWORK, SIZES, grid_recipe, opened

Read = Callable[[Path], Any]


def test_facts_come_from_the_store(store: Store, tiny_model: Path) -> None:
    """Its slices have their own field of view; spacings are 2, 3, 4 and 5 mm, slices 1.5 mm apart."""
    recipe = grid_recipe(tiny_model)
    facts = grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5)).facts
    assert (facts.fov_mm, facts.extent_mm, facts.slices) == (64 * 3.5, 24 * 1.5, 24)


def test_a_stage_knows_how_the_slices_of_its_store_lie(
    tmp_path: Path, codec: Codec, tiny_model: Path, chest: Callable[..., Any]
) -> None:
    """Protocol generatect keeps each file's own order; a trained stage, its folder and its steps say so."""
    for name, codes in (("a", "RAS"), ("b", "RAS"), ("c", "RAS"), ("d", "LPI")):
        scan = Volume(chest((100, 64, 64), seed=ord(name)), centred_affine("LPS", (3.0, 5.0, 5.0), (100, 64, 64)))
        (tmp_path / "scans").mkdir(exist_ok=True)
        scan.reoriented(codes).write(tmp_path / "scans" / f"{name}.nii.gz")
    prepare([tmp_path / "scans"], tmp_path / "x.zarr", StoreSettings(size=64, k=4), workers=1)
    store = Store.open(tmp_path / "x.zarr")
    common = {**SIZES, "slices": 201, "codec": str(tiny_model / "codec")}
    fine = refine_task(RefineRecipe(**common), Inputs(opened(store, RefineRecipe(**common)), tmp_path / "f", 0))
    assert (fine.facts.protocol, fine.facts.orientation) == ("generatect", "ARS")
    for absolute, stride in ((False, 3.0), (True, 1.0)):
        recipe = GridRecipe(**{**common, "network": {**NETWORK, "absolute_z": absolute}, "strides": (1, 2, 4, 12)})
        task = grid_task(recipe, Inputs(opened(store, recipe), tmp_path / "c", 0))
        assert (task.facts.orientation, task.facts.stride, task.facts.extent_mm) == ("ARS", stride, 300.0)
    whole = {volume.name: volume.in_memory().hu for volume in stored_volumes(store, ["a", "d"])}
    for name, hu in whole.items():  # in memory they are upright
        upright = Volume.read(tmp_path / "scans" / f"{name}.nii.gz").reoriented("LPS").hu.clip(-1000, 1000)
        for z in (60, 150):
            near, far = (abs(hu[at].numpy().astype(int) - upright[z // 2]).mean() for at in (z, 200 - z))
            assert near < 40 < far
    with pytest.raises(CtgridError, match=r"x\.zarr: slices of its volumes lie .* \(2 ARS, 1 PLI\)"):
        common_orientation(["ARS", "PLI", "ARS"], "x.zarr")
