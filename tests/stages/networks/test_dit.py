"""The DiT: published outputs, timesteps per cell, absolute z, saving, speed-ups that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import SIZES, DiT, build_dit
from ctgrid.stages.weights.load import load_dit
from ctgrid.stages.weights.own import load_own

TINY: dict[str, Any] = {
    "latent_size": 16,
    "in_channels": 2,
    "patch_size": 2,
    "width": 48,
    "depth": 2,
    "heads": 4,
}


def awake(**overrides: Any) -> DiT:
    """Build a tiny DiT whose gates and output are not zero."""
    generator = torch.Generator().manual_seed(0)
    model = DiT(**{**TINY, **overrides})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    return model.eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Draw seeded noise."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_forward_matches_the_published_network(golden_dir: Path, stage: str) -> None:
    """Same weights, same input: same ε and variance (goal 1e-4 relative)."""
    golden = load_file(golden_dir / f"{stage}.safetensors")
    model = load_dit(golden_dir / f"{stage}.safetensors")
    with torch.no_grad():
        out = model(golden["x"], golden["t"], condition=golden.get("y"))
    assert (out - golden["out"]).abs().max() <= 2e-6 * golden["out"].abs().max()


def test_same_timestep_in_every_cell_is_one_timestep() -> None:
    """(B, K²) equal timesteps give what (B,) gives."""
    model, x, t = awake(), noise(3, 2, 16, 16), torch.tensor([0, 500, 999])
    with torch.no_grad():
        torch.testing.assert_close(model(x, t[:, None].expand(3, 16)), model(x, t), atol=1e-6, rtol=1e-5)


def test_a_cells_timestep_modulates_that_cell() -> None:
    """Without attention, changing the timestep of cell 6 changes cell 6 (row 1, column 2) and no other."""
    model, x = awake(), noise(1, 2, 16, 16)
    for block in model.blocks:
        torch.nn.init.zeros_(block.attn.proj.weight)
    t = torch.full((1, 16), 300)
    other = t.clone()
    other[0, 6] = -1
    with torch.no_grad():
        changed = (model(x, t) - model(x, other)).abs().amax(dim=(0, 1)) > 1e-7
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[4:8, 8:12] = True
    assert torch.equal(changed, expected)


def test_absolute_z_of_the_first_grid_is_relative_z() -> None:
    """z_index 0…15 is the relative table; another run of slices is not."""
    model, x, t = awake(), noise(2, 2, 16, 16), torch.tensor([3, 700])
    absolute = awake(absolute_z=True)
    z = torch.arange(16).expand(2, 16)
    with torch.no_grad():
        torch.testing.assert_close(absolute(x, t, z_index=z), model(x, t), atol=1e-5, rtol=1e-4)
        assert (absolute(x, t, z_index=z + 40) - model(x, t)).abs().max() > 1e-2


def test_a_fresh_model_answers_zero_and_draws_from_the_generator() -> None:
    """AdaLN-Zero: blocks are the identity and the output is silent; the weights follow the seed."""
    first, second, third = (
        build_dit("S/8", torch.Generator().manual_seed(seed), latent_size=32, depth=1) for seed in (1, 1, 2)
    )
    assert first(noise(1, 4, 32, 32), torch.tensor([5])).abs().max() == 0
    assert torch.equal(first.blocks[0].mlp.fc1.weight, second.blocks[0].mlp.fc1.weight)
    assert not torch.equal(first.blocks[0].mlp.fc1.weight, third.blocks[0].mlp.fc1.weight)


MILLIONS = {"S": (33, 33, 33), "B": (130, 130, 131), "L": (458, 458, 459), "XL": (675, 675, 676)}
"""Parameters of the DiT paper (arXiv 2212.09748) with patches of 2, 4 and 8."""


@pytest.mark.parametrize(("size", "patch"), [(size, patch) for size in MILLIONS for patch in (2, 4, 8)])
def test_sizes_by_name(size: str, patch: int) -> None:
    """The parameter counts the DiT paper gives, class table (1001 × D) included."""
    with torch.device("meta"):
        model = build_dit(f"{size}/{patch}", latent_size=32, in_channels=4, cells_per_side=1)
    width, depth, heads = SIZES[size]
    assert (model.config.width, model.config.depth, model.config.heads) == (width, depth, heads)
    assert model.config.patch_size == patch
    counted = sum(p.numel() for p in model.parameters()) + 1001 * width
    assert round(counted / 1e6) == MILLIONS[size][(2, 4, 8).index(patch)]


def test_unknown_size_is_refused() -> None:
    """The error lists the names there are."""
    with pytest.raises(CtgridError, match="unknown DiT 'XXL/3': use S, B, L or XL"):
        build_dit("XXL/3")


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    """save_pretrained writes safetensors; reading them gives the same bits and config."""
    model = awake(condition_channels=2, cells_per_side=1, learned_variance=False, absolute_z=True)
    model.save_pretrained(tmp_path)
    again = load_own(DiT, tmp_path, "model")
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["diffusion_pytorch_model.safetensors"]
    for name in model.config:
        assert name.startswith("_") or again.config[name] == model.config[name], name
    inputs = noise(1, 2, 16, 16), torch.tensor([7]), noise(1, 2, 16, 16, seed=1), torch.tensor([[30.5]])
    with torch.no_grad():
        assert torch.equal(again(*inputs), model(*inputs))


def test_a_skip_adds_latent_and_condition_in_learned_shares(tmp_path: Path) -> None:
    """A fresh network answers its condition; awake, shares by channel and timestep come on top of the plain output."""
    options = {**TINY, "condition_channels": 2, "cells_per_side": 1}
    x, condition, t = noise(2, 2, 16, 16), noise(2, 2, 16, 16, seed=1), torch.tensor([10, 900])
    fresh = DiT(**options, skip=True).eval()
    model, plain = awake(condition_channels=2, cells_per_side=1, skip=True), DiT(**options).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("shares.")})
    with torch.no_grad():
        assert torch.equal(fresh(x, t, condition)[:, :2], condition)
        added = model(x, t, condition) - plain(x, t, condition)
        shares = model.shares(model.t_embedder(t))[:, :, None, None]
    torch.testing.assert_close(added[:, :2], shares[:, :2] * x + shares[:, 2:] * condition)
    assert added[:, 2:].abs().max() == 0 and (shares[0] - shares[1]).abs().max() > 1e-3
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(load_own(DiT, tmp_path, "model")(x, t, condition), model(x, t, condition))


def test_convolutions_come_on_top_of_the_blocks(tmp_path: Path) -> None:
    """A fresh network is as without them; awake, they correct what it says, and are saved with it."""
    options = {**TINY, "learned_variance": False, "absolute_z": True}
    x, t, z = noise(2, 2, 16, 16), torch.full((2, 16), 900), torch.arange(16.0).expand(2, -1)
    model = awake(**options, convolutions=2, conv_width=8)
    plain = DiT(**options).eval()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith("convolved.")})
    with torch.no_grad():
        assert model.convolved is not None
        corrected = model.convolved(plain(x, t, z_index=z), x, t, z)
        assert torch.equal(model(x, t, z_index=z), corrected)
        assert (corrected - plain(x, t, z_index=z)).abs().max() > 1e-3
        model.save_pretrained(tmp_path)
        assert torch.equal(load_own(DiT, tmp_path, "model")(x, t, z_index=z), corrected)
        model.initialise(torch.Generator().manual_seed(3))
        torch.nn.init.normal_(model.final_layer.linear.weight)
        plain.load_state_dict({key: value for key, value in model.state_dict().items() if key in plain.state_dict()})
        assert torch.equal(model(x, t, z_index=z), plain(x, t, z_index=z))


@pytest.mark.precision
def test_bfloat16_autocast_stays_close() -> None:
    """Autocast on the CPU works and differs by rounding only; the output keeps the latent's dtype."""
    model, x, t = awake(width=128, heads=2), noise(2, 2, 16, 16), torch.tensor([10, 900])
    with torch.no_grad():
        exact = model(x, t)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(x, t)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("autocast", [True, False])
def test_a_compiled_block_answers_as_a_plain_one(autocast: bool) -> None:
    """Compiled code writes GELU and attention out; gradients agree as well."""
    model, x, t = awake(width=128, heads=2), noise(2, 2, 16, 16), torch.tensor([10, 900])
    answers = []
    for compiled in (False, True):
        for block in model.blocks if compiled else ():
            block.compile(backend="eager")
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = model(x, t)
        out.square().mean().backward()
        answers.append((out.detach(), model.blocks[0].mlp.fc1.weight.grad.clone()))
    for plain, ours in zip(*answers, strict=True):
        tolerance = (0.02 if autocast else 1e-4) * float(plain.abs().max())
        torch.testing.assert_close(ours, plain, atol=tolerance, rtol=0)


def test_own_embedders_modulate_their_block_alone() -> None:
    """Equal copies answer like one embedder; a change in one block's changes the answer; training reaches them."""
    shared, own = awake(), awake(own_embedders=True)
    own.load_state_dict(shared.state_dict(), strict=False)
    for block in own.blocks:
        block.t_embedder.load_state_dict(shared.t_embedder.state_dict())
    x, t = noise(2, 2, 16, 16), torch.tensor([10, 900])
    cells = t[:, None].expand(2, 16)
    with torch.no_grad():
        assert torch.equal(own(x, t), shared(x, t))
        torch.testing.assert_close(own(x, cells), shared(x, t), atol=1e-6, rtol=1e-5)
    own.blocks[1].t_embedder.mlp[2].bias.data += 0.5
    own.enable_gradient_checkpointing()
    out = own(x, t)
    assert (out - shared(x, t)).abs().max() > 1e-3
    out.square().sum().backward()
    assert own.blocks[1].t_embedder.mlp[0].weight.grad.abs().max() > 0


def test_gradient_checkpointing_changes_no_gradient() -> None:
    """The same gradients with less memory."""
    x, t = noise(2, 2, 16, 16), torch.tensor([10, 900])
    gradients = []
    for switch in (False, True):
        model = awake()
        if switch:
            model.enable_gradient_checkpointing()
            assert model.gradient_checkpointing
        model(x, t).square().sum().backward()
        gradients.append(model.x_embedder.proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


X, T = noise(2, 2, 16, 16), torch.zeros(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: awake()(X[..., :8], T), r"latent must be \(B, 2, 16, 16\), got \(2, 2, 16, 8\)"),
        (lambda: awake()(X[:, :1], T), "latent must be"),
        (lambda: awake()(X, T[:1]), r"timestep must be \(2,\), or \(2, 16\) with one per cell"),
        (lambda: awake()(X, torch.zeros(2, 4)), r"got \(2, 4\)"),
        (lambda: awake()(X, T, condition=X), "takes no condition"),
        (lambda: awake()(X, T, z_index=torch.zeros(2, 16)), "leave z_index out"),
        (lambda: awake(absolute_z=True)(X, T), r"give z_index of shape \(2, 16\)"),
        (lambda: awake(absolute_z=True)(X, T, z_index=torch.zeros(2, 4)), "z_index must be"),
        (lambda: awake(condition_channels=2)(X, T), "needs a condition"),
        (lambda: awake(condition_channels=2)(X, T, condition=X[:1]), "condition must be"),
        (lambda: DiT(**{**TINY, "latent_size": 20}), "latent_size 20 must be a multiple"),
        (lambda: DiT(**{**TINY, "heads": 5}), "width 48 must be a multiple of heads 5"),
        (lambda: DiT(**{**TINY, "positions": "2d", "absolute_z": True}), "absolute_z needs positions='grid'"),
        (lambda: DiT(**TINY, convolutions=2), "set learned_variance to false"),
        (lambda: DiT(**TINY, learned_variance=False, convolutions=2, conv_width=12), "a multiple of 8, got 12"),
        (lambda: DiT(**TINY, learned_variance=False, convolutions=2, conv_width=0), "a multiple of 8, got 0"),
        (
            lambda: DiT(**TINY, learned_variance=False, convolutions=-1),
            "convolutions is a whole number from 0 on, got -1",
        ),
        (lambda: DiT(**TINY, skip=True), "skip needs a condition of 2 channels and 1 cell per side, got 0 and 4"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call: Callable[[], Any], message: str) -> None:
    """Every shape rule has its own message."""
    with pytest.raises(CtgridError, match=message):
        call()
