"""Raw and averaged weights in one file: the average is taken, or what is ambiguous refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import build_dit
from ctgrid.stages.weights.checkpoints import read_checkpoint

RAW = {
    name: tensor.clone()
    for name, tensor in build_dit("S/8", latent_size=32, in_channels=4, depth=1).state_dict().items()
}
EMA = {name: tensor if name == "pos_embed" else tensor + 1 for name, tensor in RAW.items()}
BIAS = "final_layer.linear.bias"


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before every name."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


DOTLESS = {f"model_ema.{name.replace('.', '')}": t for name, t in EMA.items() if name != "pos_embed"}
TOLD_APART: dict[str, Any] = {
    "lightning": {"state_dict": under("model.", RAW) | under("ema_model.", EMA)},
    "flat": RAW | under("ema.", EMA),
    "module": under("module.", RAW) | under("ema.module.", EMA),
    "behind": under("net.", RAW) | under("net_ema.", EMA),
    "lucidrains": under("ema.online_model.", RAW) | under("ema.ema_model.", EMA),
    "latent diffusion": {"state_dict": under("model.", RAW) | DOTLESS | {"model_ema.decay": torch.tensor(0.9)}},
    "mappings": {"state_dict": RAW, "state_dict_ema": EMA, "optimizer": {"lr": 1}},
    "published": {"model": RAW, "ema": EMA},
}


@pytest.mark.parametrize("kind", TOLD_APART)
def test_the_average_is_taken_and_the_raw_ones_on_request(kind: str, tmp_path: Path) -> None:
    torch.save(TOLD_APART[kind], tmp_path / "x.pt")
    averaged = read_checkpoint(tmp_path / "x.pt")
    assert torch.equal(averaged.tensors[BIAS], EMA[BIAS])
    assert averaged.decisions["weights"] == "ema of ema, model"
    assert torch.equal(read_checkpoint(tmp_path / "x.pt", weights="model").tensors[BIAS], RAW[BIAS])


def test_sets_in_safetensors_are_told_apart(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(
        under("model.", RAW) | {k: v.clone() for k, v in under("model_ema.", EMA).items()}, tmp_path / "x.safetensors"
    )
    assert torch.equal(read_checkpoint(tmp_path / "x.safetensors").tensors[BIAS], EMA[BIAS])


@pytest.mark.parametrize(
    "content",
    [
        under("student.", RAW) | under("teacher.", EMA),
        RAW | under("ema_a.", EMA) | under("ema_b.", EMA),
        under("model.", RAW) | {"ema.shadow.0": torch.zeros(7)},
        {"model": RAW, "ema": {"decay": 0.9, "shadow_params": [torch.zeros(7)]}},
    ],
)
def test_what_cannot_be_told_apart_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CtgridError, match=r"x\.pt: (holds|keeps) .*save"):
        read_checkpoint(tmp_path / "x.pt")
