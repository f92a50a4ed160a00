"""diffusers' own DiT beside ours with its weights: the same answers, and what cannot be converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.load import load_dit

CLASSES = 7
SMALL: dict[str, Any] = {
    "num_attention_heads": 4,
    "attention_head_dim": 12,
    "in_channels": 4,
    "out_channels": 8,
    "num_layers": 3,
    "sample_size": 16,
    "patch_size": 2,
    "num_embeds_ada_norm": CLASSES,
}


def theirs(tied: bool = True, **config: Any) -> Any:
    """Build diffusers' network without zero weights; tied: every block embeds alike, as in converted stock weights."""
    from diffusers import DiTTransformer2DModel

    generator = torch.Generator().manual_seed(0)
    model = DiTTransformer2DModel(**SMALL | config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=generator)
    if tied:
        for block in model.transformer_blocks:
            block.norm1.emb.load_state_dict(model.transformer_blocks[0].norm1.emb.state_dict())
    return model


def largest_difference(model: Any, ours: DiT) -> float:
    """Return the largest difference of the answers without a class, relative to the largest answer."""
    x = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([0, 417, 999])
    with torch.no_grad():
        expected = model(x, t, class_labels=torch.full((3,), CLASSES)).sample
        return float((ours(x, t) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "config", [{}, {"attention_bias": False}, {"out_channels": None}, {"norm_eps": 1e-3, "patch_size": 4}]
)
def test_answers_are_those_of_diffusers(tmp_path: Path, tied: bool, config: dict[str, Any]) -> None:
    """Goal 1e-4 relative. A network trained by diffusers has another timestep embedding in every block."""
    model = theirs(tied, **config)
    model.save_pretrained(tmp_path)
    ours = load_dit(tmp_path)
    assert largest_difference(model, ours) < 5e-6
    assert ours.config.own_embedders is not tied
    assert (ours.positions_report, ours.config.learned_variance) == ("2d", config.get("out_channels", 8) == 8)
    assert (ours.config.condition_channels, ours.config.heads) == (0, 4)


def test_saved_again_it_answers_the_same(tmp_path: Path) -> None:
    """What differs from published networks is kept in our config."""
    model = theirs(tied=False, norm_eps=1e-3)
    model.save_pretrained(tmp_path / "theirs")
    load_dit(tmp_path / "theirs").save_pretrained(tmp_path / "ours")
    assert largest_difference(model, load_dit(tmp_path / "ours")) < 5e-6


def test_what_the_conversion_takes_care_of_matters(tmp_path: Path) -> None:
    """The published timestep frequencies, or a class, give other answers by far more than the tolerance."""
    model = theirs()
    model.save_pretrained(tmp_path)
    ours = load_dit(tmp_path)
    ours.t_embedder.frequency_shift = 0
    assert largest_difference(model, ours) > 1e-3
    model.transformer_blocks[0].norm1.emb.class_embedder.embedding_table.weight.data[CLASSES] += 1
    assert largest_difference(model, load_dit(tmp_path)) > 1e-3


def test_every_layout_of_the_folder(tmp_path: Path) -> None:
    """A pipeline, shards, ``.bin``, half precision, the class name of older versions."""
    model = theirs()
    model.save_pretrained(tmp_path / "pipeline" / "transformer")
    model.save_pretrained(tmp_path / "shards", max_shard_size="60KB")
    model.save_pretrained(tmp_path / "bin", safe_serialization=False)
    config = tmp_path / "bin" / "config.json"
    values = json.loads(config.read_text(encoding="utf-8")) | {"_class_name": "Transformer2DModel"}
    config.write_text(json.dumps(values), encoding="utf-8")
    assert (tmp_path / "bin" / "diffusion_pytorch_model.bin").exists()
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    for layout in ("pipeline", "shards", "bin"):
        assert largest_difference(model, load_dit(tmp_path / layout)) < 5e-6, layout
    model.half().save_pretrained(tmp_path / "half", variant="fp16")
    assert largest_difference(theirs(), load_dit(tmp_path / "half")) < 5e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation_fn": "geglu"}, "has activation_fn 'geglu'; only 'gelu-approximate'"),
        ({"norm_elementwise_affine": True}, "has norm_elementwise_affine True"),
        ({"norm_type": "ada_norm_single"}, "has norm_type 'ada_norm_single'"),
        ({"sample_size": None}, "sample_size must be a positive number, got None"),
        ({"num_attention_heads": 5}, "width 48 must be a multiple of heads 5"),
        ({"_class_name": "PixArtTransformer2DModel"}, "is 'PixArtTransformer2DModel', expected DiT or"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """By the entry of config.json that says so."""
    theirs().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(CtgridError, match=message) as caught:
        load_dit(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_are_incomplete_are_refused(tmp_path: Path) -> None:
    """A block without its queries; a folder with other weights."""
    from safetensors.torch import load_file, save_file

    theirs().save_pretrained(tmp_path)
    file = tmp_path / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    save_file({name: tensor for name, tensor in state.items() if "blocks.1.attn1.to_q" not in name}, file)
    with pytest.raises(CtgridError, match=r"2 missing \(blocks.1.attn.qkv.*\)"):
        load_dit(tmp_path)
    save_file({"conv.weight": torch.zeros(3)}, file)
    with pytest.raises(CtgridError, match="not the weights of diffusers' DiTTransformer2DModel"):
        load_dit(tmp_path)
