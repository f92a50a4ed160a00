"""How the codec is trained: crops and cells, its loss, an encoder that is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import enlarge
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.codec import CodecTask
from ctgrid.methods.training.optimisation import Optimisation
from ctgrid.methods.training.recipes import CodecRecipe
from ctgrid.scan.grid import downsample
from ctgrid.stages.codecs.codecs import load_codec

from .examples import batch_of


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
