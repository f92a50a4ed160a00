"""A checkpoint as the start of another: the other stage, another latent size, other positions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.positions import position_table
from ctgrid.stages.weights.adapt import for_stage, with_table
from ctgrid.stages.weights.checkpoints import UNKNOWN, Checkpoint


def checkpoint(**changes: Any) -> Checkpoint:
    """A small network as it lies in a file."""
    sizes: dict[str, Any] = {"latent_size": 16, "in_channels": 4, "patch_size": 2, "width": 48, "depth": 1, "heads": 3}
    model = DiT(**sizes | {"cells_per_side": 4} | changes)
    for number, parameter in enumerate(model.parameters()):
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(number))
    positions = str(model.config["positions"])
    return Checkpoint(Path("m.pt"), "state dict", (), dict(model.config), model.state_dict(), positions, torch.float32)


def network(found: Checkpoint) -> DiT:
    """Build what a checkpoint says."""
    kept = {name: value for name, value in found.config.items() if not name.startswith("_")}
    model = DiT(**kept)
    model.load_state_dict(found.tensors)
    return model.eval()


def test_stage_1_becomes_a_stage_2_that_answers_as_before() -> None:
    """Whatever the condition is: its half of the patch projection starts at zero."""
    before = checkpoint(cells_per_side=1)
    after = for_stage(before, 2)
    assert (after.stage, after.config["condition_channels"]) == (2, 4) and "widened" in after.decisions[
        "patch_projection"
    ]
    x, condition = torch.randn(2, 2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = network(after)(x, torch.tensor([3, 700]), condition=condition)
        torch.testing.assert_close(made, network(before)(x, torch.tensor([3, 700])))
    assert before.config["condition_channels"] == 0, "the checkpoint itself stays"


def test_a_stage_stays_what_it_is_and_stage_2_becomes_no_stage_1() -> None:
    """Half of its input would be lost."""
    first, second = checkpoint(), checkpoint(condition_channels=4, cells_per_side=1)
    assert for_stage(first, None) is for_stage(first, 1) is first and for_stage(second, 2) is second
    with pytest.raises(CtgridError, match=r"m\.pt: takes a condition \(8 channels in\), so it is a stage 2"):
        for_stage(second, 1)


@pytest.mark.parametrize(("mode", "k"), [("grid", 4), ("depth_major", 2), ("2d", 4)])
def test_another_size_gets_the_table_of_its_mode(mode: Any, k: int) -> None:
    before = checkpoint(positions=mode, cells_per_side=k)
    after = with_table(before, 32, None)
    assert torch.equal(after.tensors["pos_embed"][0], position_table(48, 16, k, mode))
    assert (after.config["latent_size"], after.positions) == (32, mode)
    assert "made for 32 x 32 latents" in after.decisions["positions"]
    assert with_table(before, 16, None) is with_table(before, None, None) is before


def test_another_mode_at_the_same_size() -> None:
    after = with_table(checkpoint(positions="2d"), None, "grid")
    assert torch.equal(after.tensors["pos_embed"][0], position_table(48, 8, 4, "grid"))
    assert after.decisions["positions"] == "grid, instead of the checkpoint's own"


def test_what_cannot_be_made_is_refused() -> None:
    """A table of no known mode at another size, and sizes that do not divide."""
    foreign = replace(checkpoint(), positions=UNKNOWN)
    assert with_table(foreign, 16, None) is foreign
    with pytest.raises(CtgridError, match="none of grid, depth_major, 2d, so it cannot be made for latents of 32"):
        with_table(foreign, 32, None)
    assert with_table(foreign, 32, "grid").positions == "grid"
    with pytest.raises(CtgridError, match="latents of 18 cannot be divided into patches of 2 in 4 x 4 cells"):
        with_table(foreign, 18, "grid")
