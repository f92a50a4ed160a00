"""What each task shows its network and what it counts as loss, with networks that are given the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.draws import generator_for, normal
from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.codec import CodecTask
from ctgrid.methods.training.diffusion import draw_timestep
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.recipes import CodecRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.stage1 import GridTask
from ctgrid.methods.training.stage2 import RefineTask
from ctgrid.scan.grid import downsample, to_grid
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.models.bundle import StageFacts

ABSOLUTE = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "absolute_z": True, "learned_variance": False}


class Answers(nn.Module):
    """Return a prepared output, and keep what was asked."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output
        self.asked: dict[str, Tensor] = {}

    def forward(self, noisy: Tensor, timestep: Tensor, **inputs: Tensor) -> Tensor:
        self.asked = {"noisy": noisy, "timestep": timestep, **inputs}
        return self.output


@pytest.fixture(scope="module")
def codec(tiny_model: Path) -> Codec:
    """The tiny model's."""
    return load_codec(tiny_model / "codec")


def grid_task(codec: Codec, **changes: Any) -> GridTask:
    """Stage 1 on two volumes of 30 slices; every grid has known cells."""
    options = {"network": ABSOLUTE, "size": 64, "cell_encoding": "cell", "unknown_share": 0.0, "strides": (1, 2)}
    recipe = GridRecipe(**(options | changes))
    shape = (2, 30, 4, 2, 2) if recipe.cell_encoding == "cell" else (2, 30, 1, 16, 16)
    return GridTask(recipe, normal(shape, generator_for(1)).clamp(-1, 1), codec, StageFacts())


def test_no_window_is_drawn_from_thick_slices(codec: Codec) -> None:
    """Keyframes still are."""
    recipe = GridRecipe(network=ABSOLUTE, size=64, cell_encoding="cell", window_share=0.5, keyframe_share=0.5)
    coarse = torch.stack([torch.full((30, 4, 2, 2), float(number)) for number in range(3)])
    task = GridTask(recipe, coarse, codec, StageFacts(), thick=[0, 2])
    seen: dict[bool, set[float]] = {True: set(), False: set()}
    for i in range(80):
        example = task.example(generator_for(i))
        seen[bool(example["known"].any())].add(float(example["grid"].mean()))
    assert seen == {True: {1.0}, False: {0.0, 1.0, 2.0}}


def test_shifted_timesteps_follow_the_formula() -> None:
    """t = s u / (1 + (s - 1) u) of uniform u: the median of s = 4 is 0.8 of the schedule."""
    drawn = torch.stack([draw_timestep(generator_for(i), 4.0) for i in range(2000)]).double()
    assert drawn.min() >= 0 and drawn.max() <= len(LINEAR) - 1
    for share in (0.1, 0.5, 0.9):
        wanted = 4 * share / (1 + 3 * share) * len(LINEAR)
        assert abs(float(drawn.quantile(share)) - wanted) < 0.05 * len(LINEAR)
    assert draw_timestep(generator_for(1)) == draw_timestep(generator_for(1), 1.0)


def batch_of(task: Any, count: int) -> dict[str, Tensor]:
    """Stack examples."""
    examples = [task.example(generator_for(8, i)) for i in range(count)]
    return {key: torch.stack([example[key] for example in examples]) for key in examples[0]}


@pytest.mark.parametrize("cell_encoding", ["cell", "grid"])
def test_grids_are_slices_of_one_volume_in_order(cell_encoding: str, codec: Codec) -> None:
    """With the indices that absolute z is told."""
    task = grid_task(codec, cell_encoding=cell_encoding)
    for i in range(10):
        example = task.example(generator_for(3, i))
        index = example["z_index"].long()
        assert index.float().equal(example["z_index"])
        assert any(torch.equal(example["grid"], to_grid(volume[index])[0]) for volume in task.coarse)
        assert example["noise"].shape == (4, 8, 8)
        assert example["timestep"].dtype == torch.int64 and 0 <= example["timestep"] < 1000


def test_known_cells_are_clean_and_do_not_count(codec: Codec) -> None:
    """They carry timestep -1 and their own latent; whatever the network says of them is no loss."""
    task = grid_task(codec)
    batch = batch_of(task, 6)
    known = batch["known"].view(6, 1, 4, 4).repeat_interleave(2, -1).repeat_interleave(2, -2)
    network = Answers(torch.where(known, torch.full_like(batch["noise"], 99.0), batch["noise"]))
    terms = task.loss(network, batch)
    assert float(terms["loss"]) == pytest.approx(0, abs=1e-10)
    assert network.asked["z_index"].equal(batch["z_index"])
    expected = torch.where(batch["known"], -1, batch["timestep"][:, None])
    assert network.asked["timestep"].equal(expected)
    shown = known.expand_as(batch["grid"])
    assert network.asked["noisy"][shown].equal(batch["grid"][shown])
    assert not torch.isclose(network.asked["noisy"][~shown], batch["grid"][~shown]).all()
    wrong = Answers(torch.where(known, batch["noise"], batch["noise"] + 1))
    assert float(task.loss(wrong, batch)["loss"]) == pytest.approx(1, rel=1e-5)


def test_without_known_cells_one_timestep_serves_the_grid(codec: Codec) -> None:
    """As in the paper, whose networks know no other; relative positions get no z."""
    relative = {name: value for name, value in ABSOLUTE.items() if name != "absolute_z"}
    task = grid_task(codec, unknown_share=1.0, network=relative)
    batch = batch_of(task, 3)
    network = Answers(batch["noise"])
    assert float(task.loss(network, batch)["loss"]) == 0
    assert set(network.asked) == {"noisy", "timestep"}
    assert network.asked["timestep"].equal(batch["timestep"])


def test_whole_grids_are_encoded_while_training(codec: Codec) -> None:
    """The network sees the codec's latent of the grid image, noised."""
    task = grid_task(codec, cell_encoding="grid", unknown_share=1.0)
    batch = batch_of(task, 2)
    batch["timestep"] = torch.zeros(2, dtype=torch.int64)
    network = Answers(batch["noise"])
    task.loss(network, batch)
    expected = codec.encode(batch["grid"]) * (1 - 1e-4) ** 0.5 + batch["noise"] * 1e-2
    assert torch.allclose(network.asked["noisy"], expected, atol=1e-4)


def test_stage_2_sees_the_coarse_version_of_its_slice(codec: Codec) -> None:
    """One of the versions that belong to it, and the loss is that of the whole slice."""
    fine = normal((5, 4, 8, 8), generator_for(2)).half()
    coarse = fine[:, None] + torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1, 1)
    recipe = RefineRecipe(network={**ABSOLUTE, "absolute_z": False}, size=64)
    task = RefineTask(recipe, fine, coarse, codec, StageFacts())
    batch = batch_of(task, 40)
    offset = (batch["condition"] - batch["latent"]).mean(dim=(1, 2, 3)).round()
    assert set(offset.tolist()) == {10, 20, 30}
    assert len({float(latent[0, 0, 0]) for latent in batch["latent"]}) == 5
    network = Answers(batch["noise"] + 0.5)
    assert float(task.loss(network, batch)["loss"]) == pytest.approx(0.25, rel=1e-5)
    assert network.asked["condition"].equal(batch["condition"])


@pytest.fixture(scope="module")
def codec_task(chest: Callable[..., np.ndarray]) -> CodecTask:
    """Crops of 32 and cells of 16 from one chest of 64 x 64."""
    hu = torch.from_numpy(chest((6, 64, 64))).clamp(-1000, 1000)
    network = {"latent_channels": 4, "encoder_width": 8, "encoder_blocks": 1, "decoder_width": 8, "decoder_blocks": 1}
    recipe = CodecRecipe(network={**network, "fine_width": 8}, size=64, crop=32, cell=16, cells_per_crop=3)
    return CodecTask(recipe, [VolumeSlices("chest", hu, (3.0, 1.0, 1.0))])


def test_codec_examples_are_crops_and_cells(codec_task: CodecTask) -> None:
    """Crops are cut from slices, cells are slices shrunk whole; both in range, turned at will."""
    slices = codec_task.volumes[0].unit(slice(None))
    example = codec_task.example(generator_for(1))
    assert example["crop"].shape == (1, 32, 32) and example["crop_noise"].shape == (4, 4, 4)
    assert example["cells"].shape == (3, 1, 16, 16) and example["cells_noise"].shape == (3, 4, 2, 2)
    assert example["cells"].abs().max() <= 1
    values = set(slices.flatten().tolist())
    assert set(example["crop"].flatten().tolist()) <= values
    for cell in example["cells"]:
        assert min(abs(float(cell.mean() - image.mean())) for image in slices) < 0.02


def test_codec_loss_is_reconstruction_and_divergence(codec_task: CodecTask) -> None:
    """By hand, for a network that errs by 0.5 and whose posterior is N(1, 1)."""

    class Off(nn.Module):
        def forward(self, images: Tensor, noise: Tensor, coarse: None) -> tuple[Tensor, Tensor, Tensor, None]:
            return images + 0.5, torch.ones_like(noise), torch.zeros_like(noise), coarse

    terms = codec_task.loss(Off(), batch_of(codec_task, 2))
    expected = {"l1": 0.5, "mse": 0.25, "kl": 0.5, "crop_mse": 0.25, "cell_mse": 0.25, "loss": 0.75 + 0.5e-4}
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-4)


def test_a_saved_codec_gives_latents_of_unit_variance(codec_task: CodecTask, tmp_path: Path) -> None:
    """Measured on the training data, channel by channel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = codec_task.build()
    codec_task.save(network, tmp_path / "codec")
    codec = load_codec(tmp_path / "codec")
    images = torch.stack([codec_task.example(generator_for(9, i))["crop"] for i in range(64)])
    latent = codec.encode(images).transpose(0, 1).flatten(1)
    assert latent.mean(dim=1).abs().max() < 0.5
    assert latent.std(dim=1).numpy() == pytest.approx([1] * 4, abs=0.4)


@pytest.fixture(scope="module")
def light_task(codec_task: CodecTask, tiny_model: Path) -> CodecTask:
    """The tiny model's encoder, kept, before a decoder of other sizes, and an encoder for coarse slices."""
    network = {**codec_task.recipe.network, "fine_width": 8, "decoder_fine_width": 4, "coarse_width": 8}
    recipe = codec_task.recipe.model_copy(
        update={"network": {**network, "coarse_blocks": 1}, "encoder_of": str(tiny_model / "codec")}
    )
    return CodecTask(recipe, codec_task.volumes)


def test_a_kept_encoder_is_not_trained_and_latents_stay(
    light_task: CodecTask, tiny_model: Path, tmp_path: Path
) -> None:
    """All else is; the saved codec encodes to the last bit as the one whose encoder it has."""
    from ctgrid.methods.training.loop import fit

    optimisation = Optimisation(steps=3, batch_size=2, learning_rate=1e-2, ema_decay=0.0)
    fit(light_task, optimisation, 0, tmp_path)
    before, after = load_codec(tiny_model / "codec"), load_codec(tmp_path / "model")
    images = torch.rand(2, 1, 32, 32, generator=generator_for(3)) * 2 - 1
    assert after.encode(images).equal(before.encode(images))
    assert after.identity == before.identity
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = light_task.build().state_dict()
    trained = after.network.state_dict()
    moved = {name.split(".")[0] for name, tensor in trained.items() if not tensor.equal(fresh[name])}
    assert moved == {"decoder", "coarse_encoder"}


def test_the_encoder_of_coarse_slices_learns_enlarged_ones(light_task: CodecTask) -> None:
    """Its loss is the squared error of its guess, in units of each channel's spread; only it takes the gradient."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = light_task.build()
    batch = batch_of(light_task, 2)
    terms = light_task.loss(network, batch)
    coarse = downsample(batch["crop"], 4).clamp(-1, 1)
    wanted = network.posterior(enlarge(coarse, 4))[0]
    expected = ((network.coarse_encoder(coarse) - wanted) / 0.05).square().mean()
    assert terms["coarse"].item() == pytest.approx(expected.item(), rel=1e-4)
    terms["coarse"].backward()
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None} == {"coarse_encoder"}


@pytest.mark.parametrize("network", [{"encoder_width": 4}, {"latent_channels": 2}])
def test_an_encoder_of_other_sizes_cannot_be_kept(light_task: CodecTask, network: dict[str, int]) -> None:
    """The message says what to copy."""
    recipe = light_task.recipe.model_copy(update={"network": {**light_task.recipe.network, **network}})
    with pytest.raises(CtgridError, match=r"has other sizes than codec\.network asks for; copy its latent_channels"):
        CodecTask(recipe, light_task.volumes).build()


def test_an_encoder_of_another_class_cannot_be_kept(light_task: CodecTask) -> None:
    """Whatever class that is."""
    task = CodecTask(light_task.recipe, light_task.volumes)
    task.kept = torch.nn.Identity()
    with pytest.raises(CtgridError, match="is a Identity, a network of UnshuffleCodec is needed"):
        task.build()
