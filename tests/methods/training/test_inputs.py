"""Training on a store: the same runs as on a folder, exact resume, stored latents, and data that must not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.data.store import Store
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.data import Selection, open_data
from ctgrid.methods.training.inputs import Inputs, grid_task, refine_task, thick_scans
from ctgrid.methods.training.recipes import RefineRecipe
from ctgrid.scan.grid import from_grid
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.latents.sensitivity import channel_weights

from .stores import SIZES, grid_recipe, opened

Read = Callable[[Path], Any]


@pytest.mark.parametrize("kind", ["codec", "stage1", "stage2"])
def test_a_run_on_a_store_resumes_exactly(
    kind: str, store: Store, start: Callable[..., Path], log_of: Read, weights_of: Read
) -> None:
    """To the last bit, as on a folder; nothing is made ahead."""
    whole = start(kind, store.path, "whole")
    start(kind, store.path, "parts", max_steps=3)
    parts = start(kind, store.path, "parts", resume=True)
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3, 4, 5, 6]
    assert log_of(parts) == log_of(whole) and weights_of(parts) == weights_of(whole)
    assert not (whole / "latents.safetensors").exists()


@pytest.mark.parametrize("cell_encoding", ["cell", "grid"])
def test_grids_are_encoded_as_the_recipe_says(cell_encoding: Any, store: Store, codec: Codec, tiny_model: Path) -> None:
    """Each cell by itself, or the whole picture."""
    recipe = grid_recipe(tiny_model, cell_encoding=cell_encoding)
    task = grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = torch.stack([task.example(generator_for(1, i))["grid"] for i in range(3)])
    assert batch.shape == (3, 1, 64, 64)
    latent = task.encoded(batch)
    if cell_encoding == "grid":
        assert torch.equal(latent, codec.encode(batch))
    else:
        assert torch.allclose(from_grid(latent, 4), codec.encode(from_grid(batch, 4)), atol=1e-5)


def test_thick_scans_are_told_apart() -> None:
    """By number; where all are thick none is left out, and that is said."""

    def scan(distance_mm: float) -> VolumeSlices:
        return VolumeSlices("scan", torch.zeros(1, 4, 4, dtype=torch.int16), (distance_mm, 1.0, 1.0))

    scans = [scan(1.0), scan(5.0), scan(3.5), scan(3.6)]
    assert thick_scans(scans, 3.5) == [1, 3]
    assert thick_scans(scans, None) == []
    with pytest.warns(CtgridWarning, match=r"slices of all scans lie over 3\.5 mm apart"):
        assert thick_scans([scans[1], scans[3]], 3.5) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("deformation_mm", 4.0), ("window_spacing_mm", 4.0), ("bone_weight", 4.0), ("channel_weights", "decoded")],
)
def test_what_needs_whole_scans_is_refused_of_a_store(store: Store, tiny_model: Path, key: str, value: object) -> None:
    """Its slices are deformed no more, and the distance that they were taken at is not theirs."""
    recipe = grid_recipe(tiny_model, **{key: value})
    with pytest.raises(CtgridError, match=rf"{key} is for a folder of scans"):
        grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))


def test_channels_are_weighed_by_the_codec(scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    """From latents that are there already, whatever errors weigh; without being asked, all weigh the same."""
    tasks = []
    for weights in ("even", "decoded"):
        recipe = grid_recipe(tiny_model, cell_encoding="cell", channel_weights=weights)
        tasks.append(grid_task(recipe, Inputs(open_data(Selection(scans), recipe), tmp_path / "latents", 0)))
    even, decoded = tasks
    assert torch.equal(even.coarse, decoded.coarse) and len(list(tmp_path.glob("latents*"))) == 1
    assert even.channels is None and decoded.channels is not None
    cells = decoded.coarse.flatten(0, 1)
    assert torch.equal(decoded.channels, channel_weights(load_codec(str(tiny_model / "codec")), cells))


@pytest.mark.parametrize("cell_encoding", ["cell", "grid"])
def test_bone_is_found_where_it_weighs(cell_encoding: str, scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Whatever is encoded ahead; without a weight nothing is looked for."""
    for weight in (0.0, 2.0):
        recipe = grid_recipe(tiny_model, cell_encoding=cell_encoding, bone_weight=weight)
        task = grid_task(recipe, Inputs(open_data(Selection(scans), recipe), tmp_path / "latents", 0))
        assert ("bone" in task.example(generator_for(1))) == bool(weight)
    assert task.example(generator_for(1))["bone"].shape == (1, *task.example(generator_for(1))["noise"].shape[1:])


def test_a_folder_is_framed_upright(scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    recipe = RefineRecipe(**SIZES, codec=str(tiny_model / "codec"))
    task = refine_task(recipe, Inputs(open_data(Selection(scans), recipe), tmp_path / "latents", 0))
    assert (task.facts.protocol, task.facts.orientation) == ("canonical", "LPS")
