"""Cells stacked as channels: the same numbers in another order, and what cannot be asked of such a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.scan.grid import from_grid
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.stacked import StackedCells, network_sizes, on_grids, stack_cells, unstack_cells

K, C, SIDE = 2, 3, 8


def dit(layout: Any = "channels", **more: Any) -> DiT:
    """A small network that fits grids of 2 x 2 cells of 4 x 4 latents with 3 channels."""
    sizes = network_sizes(layout, K, SIDE, C)
    torch.manual_seed(0)
    network = DiT(**sizes, **{"patch_size": 2, "width": 24, "depth": 1, "heads": 2} | more)
    torch.nn.init.normal_(network.final_layer.linear.weight, std=0.2)
    torch.nn.init.normal_(network.final_layer.adaLN_modulation[1].weight, std=0.1)
    return network.eval()


def test_stacks_hold_cell_after_cell_and_come_back() -> None:
    """The channels of cell i stand at i c … (i + 1) c."""
    grids = torch.randn(2, C, SIDE, SIDE)
    stacks = stack_cells(grids, K)
    assert stacks.shape == (2, C * K * K, SIDE // K, SIDE // K)
    cells = from_grid(grids[:1], K)
    for i, cell in enumerate(cells):
        assert torch.equal(stacks[0, i * C : (i + 1) * C], cell)
    assert torch.equal(unstack_cells(stacks, K, C), grids)


def test_variances_stay_behind_the_estimates() -> None:
    """A network that learns variances gives twice the channels, in the order that sampling expects."""
    estimate, variance = torch.randn(2, 1, C, SIDE, SIDE)
    both = torch.cat([stack_cells(estimate, K), stack_cells(variance, K)], dim=1)
    assert torch.equal(unstack_cells(both, K, C), torch.cat([estimate, variance], dim=1))


@pytest.mark.parametrize("learned_variance", [False, True])
def test_a_wrapped_network_is_called_with_grids(learned_variance: bool) -> None:
    """And gives what the network itself gives of the stack."""
    network = dit(learned_variance=learned_variance)
    grids, t = torch.randn(2, C, SIDE, SIDE), torch.tensor([3, 700])
    made = on_grids(network, "channels", K)(grids, t)
    assert made.shape == (2, C * (1 + learned_variance), SIDE, SIDE)
    assert torch.equal(made[:, :C], unstack_cells(network(stack_cells(grids, K), t)[:, : C * K * K], K, C))
    assert made.std() > 0


def test_grids_need_no_wrapping() -> None:
    """The layout of all other models."""
    network = dit("grid")
    assert on_grids(network, "grid", K) is network


def test_both_layouts_can_have_the_same_budget() -> None:
    """Patches of K x K in one slice, or of 1 x 1 in K² slices: equal tokens, equal parameters."""
    tiled, stacked = dit("grid", patch_size=K), dit("channels", patch_size=1)
    count, tokens = ([f(n) for n in (tiled, stacked)] for f in (_parameters, _tokens))
    assert count[0] == count[1] and tokens[0] == tokens[1]


def test_cells_have_no_timestep_or_place_of_their_own() -> None:
    """Refused, with the reason."""
    called = StackedCells(dit(), K)
    grids = torch.randn(1, C, SIDE, SIDE)
    with pytest.raises(CtgridError, match="one timestep per cell"):
        called(grids, torch.zeros(1, K * K))
    with pytest.raises(CtgridError, match="z_index"):
        called(grids, torch.zeros(1), z_index=torch.zeros(1, K * K))


def _parameters(network: DiT) -> int:
    return sum(p.numel() for p in network.parameters())


def _tokens(network: DiT) -> int:
    return int((network.latent_size // network.patch_size) ** 2)


def test_a_stage_of_stacks_is_trained_saved_and_sampled(tmp_path: Path, tiny_model: Path, make_store: Any) -> None:
    """From a recipe to slices: known rows of the last grid come back exactly, by replacement."""
    from ctgrid.methods.training.run import train
    from ctgrid.runs.ablation.samples import trained_stages
    from ctgrid.stages.cells import decode_cells, sample_cells
    from ctgrid.stages.codecs.codecs import load_codec
    from ctgrid.stages.schedules import autoregressive

    make_store(tmp_path / "x.zarr", "a", "b", size=64, slices=24)
    network = {"patch_size": 1, "width": 24, "depth": 1, "heads": 2, "learned_variance": False}
    config = tmp_path / "c.yaml"
    stage = {"layout": "channels", "network": network, "size": 64, "slices": 24, "cell_encoding": "cell"}
    stage |= {"codec": str(tiny_model / "codec"), "prediction": "v"}
    import yaml

    optimisation = {"steps": 2, "batch_size": 2, "checkpoint_every": 2}
    config.write_text(yaml.safe_dump({"kind": "stage1", "stage1": stage, "optimisation": optimisation}))
    train("stage1", config, tmp_path / "x.zarr", tmp_path / "run")
    bundle = trained_stages(tmp_path / "run" / "model", load_codec(tiny_model / "codec"))
    assert (bundle.facts1.layout, bundle.facts1.conditioning) == ("channels", "replace")
    assert (bundle.stage1.in_channels, bundle.stage1.cells_per_side) == (64, 1)
    cells, _ = sample_cells(bundle, autoregressive(24, 4, 2), 24, seeds=[0, 1], steps=2)
    assert cells.shape == (2, 24, 4, 2, 2) and not torch.equal(cells[0], cells[1])
    first, _ = sample_cells(bundle, autoregressive(16, 4, 2), 24, seeds=[0], steps=2)
    assert torch.equal(first[0, :16], cells[0, :16]), "the second grid leaves the first as it is"
    assert decode_cells(bundle, cells[0], 8).shape == (24, 1, 16, 16)
