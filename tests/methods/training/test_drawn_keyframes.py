"""Keyframes as stage 1 makes them: near the volumes they came from, in gaps as synthesis fills them, kept beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.data import Selection, open_data
from ctgrid.methods.training.drawn_keyframes import NEAR, DrawnKeyframes, draw_keyframes, gaps_of
from ctgrid.methods.training.inputs import Inputs, grid_task
from ctgrid.methods.training.run import for_held_out
from ctgrid.scan.grid import from_grid
from ctgrid.stages.models.bundle import Bundle, load_bundle
from ctgrid.stages.schedules import hierarchical

from .stores import NETWORK, grid_recipe, opened

ABSOLUTE = NETWORK | {"absolute_z": True}
SLICES = 40


@pytest.fixture
def coarse() -> torch.Tensor:
    """Three volumes of cells as the tiny model's codec makes them."""
    return normal((3, SLICES, 4, 2, 2), generator_for(1))


@pytest.fixture
def bundle(tiny_model: Path) -> Bundle:
    return load_bundle(tiny_model)


def test_they_are_near_the_volumes_that_they_came_from(coarse: torch.Tensor, bundle: Bundle) -> None:
    """From a little noise, which even an untrained network takes away again or leaves."""
    drawn = draw_keyframes(coarse, bundle, sets=2, levels=(1, 30), seed=3)
    keyframes = torch.from_numpy(hierarchical(SLICES)[0][0].target)
    assert drawn.cells.shape == (6, 16, 4, 2, 2) and drawn.volume.tolist() == [0, 1, 2, 0, 1, 2]
    error = (drawn.cells.float() - coarse[drawn.volume][:, keyframes]).square().mean(dim=(1, 2, 3, 4))
    assert (error > 0).all() and (error < NEAR * coarse.var()).all()
    again = draw_keyframes(coarse, bundle, sets=2, levels=(1, 30), seed=3)
    assert torch.equal(again.cells, drawn.cells)
    other = draw_keyframes(coarse, bundle, sets=2, levels=(1, 30), seed=4)
    assert not torch.equal(other.cells, drawn.cells)


def test_what_is_near_no_volume_is_left_out(coarse: torch.Tensor, bundle: Bundle) -> None:
    with pytest.raises(
        CtgridError, match=r"makes no keyframes near a training volume from timesteps 900 to 990: lower"
    ):
        draw_keyframes(coarse, bundle, sets=1, levels=(900, 990), seed=3)


def test_they_end_where_the_model_s_sampling_does(coarse: torch.Tensor, bundle: Bundle) -> None:
    """In as few calls as lie between, so that they are as synthesis makes them."""
    early = replace(bundle, facts1=replace(bundle.facts1, stop=20, steps=980))
    drawn = draw_keyframes(coarse, early, sets=1, levels=(30, 30), seed=3)
    late = draw_keyframes(coarse, bundle, sets=1, levels=(30, 30), seed=3)
    assert drawn.cells.shape == late.cells.shape and not torch.equal(drawn.cells, late.cells)


def test_a_model_is_looked_at_before_anything_is_encoded(
    scans: Path, tiny_model: Path, make_model: Callable[..., Path], tmp_path: Path
) -> None:
    """One that is not there, that samples down to above the levels, or has no gaps between so few slices."""
    early = str(make_model(stop=20))
    for changes, words in (
        ({"drawn_by": str(tmp_path / "nowhere")}, "no such model folder"),
        ({"drawn_by": early, "drawn_levels": (20, 30)}, "drawn_levels begin at 20, but .* down to timestep 20 alone"),
        ({"drawn_by": early, "slices": 16}, r"set stage1\.slices to 17"),
        ({"drawn_by": early, "k": 2, "size": 32, "slices": 8}, "makes grids of 4 x 4, the recipe's have 2 x 2"),
    ):
        recipe = grid_recipe(tiny_model, network=ABSOLUTE, drawn_share=0.5, **changes)
        with pytest.raises(CtgridError, match=words):
            grid_task(recipe, Inputs(open_data(Selection(scans), recipe), tmp_path / "latents.safetensors", 5))
    assert not list(tmp_path.glob("*.safetensors"))


def test_models_that_make_no_such_keyframes_are_refused(
    coarse: torch.Tensor, bundle: Bundle, make_model: Callable[..., Path]
) -> None:
    with pytest.raises(CtgridError, match=r"tiled cells with absolute z, and latents .* \(4, 4, 4\), not \(4, 2, 2\)"):
        draw_keyframes(normal((2, SLICES, 4, 4, 4), generator_for(1)), bundle, sets=1, levels=(1, 2), seed=0)
    relative = load_bundle(make_model(absolute_z=False))
    with pytest.raises(CtgridError, match="samples no keyframes for gaps"):
        draw_keyframes(coarse, relative, sets=1, levels=(1, 2), seed=0)
    for slices in (16, 227):
        with pytest.raises(CtgridError, match=r"no gaps of one grid each; set stage1\.slices to 17 \.\.\. 226"):
            gaps_of(slices, 16)
    assert len(gaps_of(201, 16)[1]) == 15 and gaps_of(17, 16) and gaps_of(226, 16)


def test_gaps_lie_between_them_as_in_synthesis(coarse: torch.Tensor) -> None:
    """Drawn ones for known cells, the volume's own slices between, every gap in turn."""
    drawn = DrawnKeyframes(normal((4, 16, 4, 2, 2), generator_for(2)).half(), torch.tensor([2, 0, 2, 1]), SLICES)
    planned = {tuple(window.position.astype(int)): window.known for window in hierarchical(SLICES)[1]}
    keyframes = hierarchical(SLICES)[0][0].target.tolist()
    seen = set()
    for i in range(200):
        cells, plan, number = drawn.window(coarse, generator_for(5, i))
        index, known = plan.index.tolist(), plan.known
        assert plan.window and known.tolist() == planned[tuple(index)].tolist()
        assert torch.equal(cells[~known], coarse[number][plan.index][~known])
        of = [s for s in range(4) if drawn.volume[s] == number]
        places = [keyframes.index(slice_) for slice_ in plan.index[known].tolist()]
        assert any(torch.equal(cells[known], drawn.cells[s, places].float()) for s in of)
        seen.add(tuple(index))
    assert seen == set(planned)
    with pytest.raises(CtgridError, match="all keyframes drawn are of scans in thick slices"):
        drawn.without([0, 1, 2])
    assert drawn.without([2]).volume.tolist() == [0, 1] and torch.equal(drawn.without([2]).cells, drawn.cells[[1, 3]])


def test_a_task_draws_its_share_of_them(scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The others as the other shares say; made once, and anew by another model, other levels or other volumes."""
    shares = {"drawn_share": 0.5, "keyframe_share": 1.0, "drawn_levels": (1, 5), "drawn_sets": 2}
    recipe = grid_recipe(tiny_model, network=ABSOLUTE, drawn_by=str(tiny_model), **shares)
    assert recipe.knows_cells
    inputs = Inputs(open_data(Selection(scans), recipe), tmp_path / "latents.safetensors", 5)
    task = grid_task(recipe, inputs)
    assert task.drawn is not None and len(task.drawn.volume) == 4
    drawn = 0
    for i in range(60):
        example = task.example(generator_for(9, i))
        cells, index = from_grid(example["grid"][None], 4), example["z_index"].long()
        own = [torch.equal(cells, volume[index].float()) for volume in task.coarse]
        known = example["known"]
        drawn += bool(known.any())
        assert any(own) != bool(known.any())
        assert any(torch.equal(cells[~known], volume[index][~known].float()) for volume in task.coarse)
    assert 18 < drawn < 42
    kept = tmp_path / "keyframes.safetensors"
    first = kept.read_bytes()
    time = kept.stat().st_mtime_ns
    grid_task(recipe, inputs)
    assert kept.stat().st_mtime_ns == time
    grid_task(recipe.model_copy(update={"drawn_levels": (1, 40)}), inputs)
    assert kept.read_bytes() != first


def test_a_run_with_them_resumes_exactly(
    scans: Path, tiny_model: Path, start: Callable[..., Path], log_of: Callable[[Path], object]
) -> None:
    changes = {"drawn_share": 0.7, "drawn_by": str(tiny_model), "drawn_levels": [1, 5], "drawn_sets": 1}
    changes |= {"slices": 24, "cell_encoding": "cell", "network": ABSOLUTE}
    changed = {f"stage1.{key}": value for key, value in changes.items()}
    whole = start("stage1", scans, "whole", changes=changed)
    start("stage1", scans, "parts", max_steps=3, changes=changed)
    parts = start("stage1", scans, "parts", resume=True, changes=changed)
    assert log_of(parts) == log_of(whole)


def test_held_out_volumes_have_none(tiny_model: Path) -> None:
    """Their model was trained on others; the recipe says the same of everything else."""
    part = grid_recipe(tiny_model, network=ABSOLUTE, drawn_share=0.5, drawn_by=str(tiny_model))
    recipe = load_config("embedded-gaps-drawn").model_copy(update={"stage1": part})
    assert for_held_out(recipe).recipe == part.model_copy(update={"drawn_share": 0.0})
    plain = load_config("embedded-gaps")
    assert for_held_out(plain) is plain
    taught = plain.model_copy(update={"stage1": plain.recipe.model_copy(update={"taught_by": "embedded"})})
    assert for_held_out(taught) == plain


def test_a_store_has_none(store: Store, tiny_model: Path) -> None:
    recipe = grid_recipe(tiny_model, network=ABSOLUTE, drawn_share=0.5, drawn_by=str(tiny_model))
    with pytest.raises(CtgridError, match=r"stage1\.drawn_share is for a folder of scans"):
        grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
