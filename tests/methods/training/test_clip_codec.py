"""The 3-D autoencoder's training: what it draws, learns and saves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.checks import check_network
from ctgrid.methods.training.clip_codec import ClipCodecTask, ClipVAE
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.empty import empty_task
from ctgrid.methods.training.recipes import CodecRecipe
from ctgrid.stages.codecs.codecs import load_codec

NETWORK = {"block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}


def recipe(**changes: object) -> CodecRecipe:
    return CodecRecipe.model_validate({"clips": True, "size": 32, "crop": 32, "cell": 16, "network": NETWORK} | changes)


def volume(slices: int) -> VolumeSlices:
    """Return a volume of one texture, to which every slice adds its number; the corner is bare."""
    texture = torch.randint(-400, 400, (32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.int16)
    texture[:8, :8] = texture[:8, -8:] = 0
    hu = torch.arange(slices, dtype=torch.int16)[:, None, None] + texture
    return VolumeSlices("v", hu, (1.0, 1.0, 1.0))


def test_clips_are_neighbouring_slices() -> None:
    """Sixteen of a volume that has so many, from anywhere, equal in all channels; the noise fits the latent."""
    task = ClipCodecTask(recipe(), [volume(3), volume(40)])
    starts = set()
    for number in range(20):
        example = task.example(generator_for(0, number))
        assert example["clip"].shape == (3, 16, 16, 16) and example["noise"].shape == (16, 4, 2, 2)
        steps = example["clip"][:, :, 0, 0].diff(dim=1) * 1000
        assert torch.allclose(steps, torch.ones(3, 15), atol=1e-2)
        starts.add(round(float(example["clip"][0, 0, 0, 0]) * 1000))
    assert len(starts) > 10 and max(starts) <= 24


def test_it_learns_and_is_saved_as_a_codec_of_unit_latents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps lower the loss; the folder loads as a codec whose latents are about normal."""
    monkeypatch.setattr("ctgrid.methods.training.clip_codec.STATISTICS_EXAMPLES", 2)
    torch.manual_seed(0)
    task = ClipCodecTask(recipe(), [volume(24)])
    network = task.build()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    batch = {key: value[None] for key, value in task.example(generator_for(0, 1)).items()}
    losses: list[float] = []
    for _ in range(3):
        terms = task.loss(network, batch)
        optimiser.zero_grad()
        terms["loss"].backward()
        optimiser.step()
        losses.append(float(terms["loss"].detach()))
    assert losses[-1] < losses[0] and set(terms) == {"loss", "l1", "mse", "kl"}
    assert task.picture(network, generator_for(0, 2), 1).shape == (64, 128)
    task.save(network.eval(), tmp_path / "model")
    codec = load_codec(tmp_path)
    assert codec.grid_side == 4 and codec.config["scaling_factor"] != 1.15258426
    grid = torch.stack([volume(24).small(i, 16) for i in range(16)]).reshape(4, 4, 16, 16)
    latent = codec.encode(grid.permute(0, 2, 1, 3).reshape(1, 1, 64, 64))
    assert abs(float(latent.mean())) < 1 and 0.3 < float(latent.std()) < 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CtgridError, match="no volume has the 16 slices"):
        ClipCodecTask(recipe(), [volume(15)])
    with pytest.raises(CtgridError, match="keeps no encoder"):
        ClipCodecTask(recipe(encoder_of="embedded"), [volume(20)])
    with pytest.raises(CtgridError, match="no AutoencoderKLCogVideoX has these sizes"):
        ClipCodecTask(recipe(network={"widths": 3}), [volume(20)]).build()


def test_the_shipped_recipe_fits() -> None:
    """It passes what a run is refused for, and its clips are the codec's."""
    recipe = load_config("ablation-clip-codec", "codec")
    assert isinstance(check_network(recipe), ClipVAE)
    task = empty_task(recipe)
    assert isinstance(task, ClipCodecTask)
    assert task.example(generator_for(0, 0))["clip"].shape == (3, 16, 64, 64)
