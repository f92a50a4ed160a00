"""diffusers' ``DiTTransformer2DModel`` under our names: the same network, spelled differently.

Three things differ besides the names, all of them arguments of our :class:`~ctgrid.stages.networks.dit.DiT`: the lowest
timestep frequency, the epsilon of the second normalisation, and that every block embeds timestep and class by
weights of its own. In converted stock weights these are all the same; where diffusers trained them they differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.positions import position_table
from ctgrid.stages.weights.published import fold_class_branch

CLASS_NAMES = ("DiTTransformer2DModel", "Transformer2DModel")
TOP = {
    "pos_embed.proj": "x_embedder.proj",
    "pos_embed.pos_embed": "pos_embed",
    "proj_out_1": "final_layer.adaLN_modulation.1",
    "proj_out_2": "final_layer.linear",
}
INSIDE = {
    "norm1.linear": "adaLN_modulation.1",
    "attn1.to_out.0": "attn.proj",
    "ff.net.0.proj": "mlp.fc1",
    "ff.net.2": "mlp.fc2",
}
TIME = {"linear_1": "mlp.0", "linear_2": "mlp.2"}


def is_diffusers_dit(config: Mapping[str, Any]) -> bool:
    """Tell a DiT's ``config.json`` by diffusers, under its present and its earlier class name."""
    name = config.get("_class_name")
    return name == CLASS_NAMES[0] or (name == CLASS_NAMES[1] and config.get("norm_type") == "ada_norm_zero")


def config_from_diffusers(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Turn diffusers' config into arguments of our DiT; those that shapes tell are left out.

    Raises:
        CtgridError: for a variant of the network that ours cannot be.
    """
    wanted = {
        "activation_fn": "gelu-approximate",
        "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False,
    }
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise CtgridError(f"{path}: has {key} {config[key]!r}; only {value!r} makes a DiT that can be converted")
    numbers = {"num_attention_heads": 16, "sample_size": 32, "in_channels": 4, "norm_eps": 1e-5}
    values = {key: config.get(key, default) for key, default in numbers.items()}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise CtgridError(f"{path}: {key} must be a positive number, got {value!r}")
    return {
        "heads": int(values["num_attention_heads"]),
        "latent_size": int(values["sample_size"]),
        "norm_eps": float(values["norm_eps"]),
        "frequency_shift": 1,
        "unconditional": config.get("out_channels") in (None, values["in_channels"]),
    }


def tensors_from_diffusers(
    path: Path, tensors: Mapping[str, Tensor], latent_size: int
) -> tuple[dict[str, Tensor], str]:
    """Rename diffusers' tensors, stack queries, keys and values, fold the class branch of every embedder.

    Args:
        path: named in errors.
        tensors: as diffusers names them.
        latent_size: side of the latent; diffusers keeps no position table, its positions are ``2d``.

    Returns:
        The tensors under published names, and what became of the class branch in words.

    Raises:
        CtgridError: where the tensors are not those of a DiT.
    """
    found: dict[str, Tensor] = {}
    embedders: dict[int, dict[str, Tensor]] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        block = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)\.(weight|bias)", name)
        if block is None:
            stem, _, kind = name.rpartition(".")
            found[f"{TOP[stem]}.{kind}" if stem in TOP else TOP.get(name, name)] = tensor
            continue
        number, inner, kind = int(block[1]), block[2], block[3]
        if inner.startswith("norm1.emb.timestep_embedder."):
            layer = inner.rpartition(".")[2]
            embedders.setdefault(number, {})[f"t_embedder.{TIME.get(layer, layer)}.{kind}"] = tensor
        elif inner == "norm1.emb.class_embedder.embedding_table":
            embedders.setdefault(number, {})["y_embedder.embedding_table.weight"] = tensor
        elif inner in ("attn1.to_q", "attn1.to_k", "attn1.to_v"):
            parts.setdefault(f"blocks.{number}.attn.qkv.{kind}", {})[inner[-1]] = tensor
        else:
            found[f"blocks.{number}.{INSIDE.get(inner, inner)}.{kind}"] = tensor
    for name, three in parts.items():
        if sorted(three) == ["k", "q", "v"]:
            found[name] = torch.cat([three[part] for part in "qkv"])
    for name in [key for key in found if key.endswith("attn.qkv.weight")]:  # attention_bias False
        found.setdefault(name.replace("weight", "bias"), torch.zeros(len(found[name]), dtype=found[name].dtype))
    if "x_embedder.proj.weight" not in found or 0 not in embedders:
        raise CtgridError(f"{path}: not the weights of diffusers' DiTTransformer2DModel")
    folded = {number: fold_class_branch(own, {}) for number, own in embedders.items()}
    found |= folded[0][0]
    if any(differ(folded[0][0], own) for own, _ in folded.values()):
        found |= {
            f"blocks.{number}.{name}": tensor for number, (own, _) in folded.items() for name, tensor in own.items()
        }
    width, _, patch, _ = found["x_embedder.proj.weight"].shape
    found.setdefault("pos_embed", position_table(width, latent_size // patch, 1, "2d")[None])
    return found, folded[0][1]


def differ(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Tell whether two sets of tensors differ in names or values."""
    return one.keys() != other.keys() or any(not torch.equal(one[name], other[name]) for name in one)
