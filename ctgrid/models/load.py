"""Load a DiT from a published checkpoint (``.pt``), a safetensors file or a ``save_pretrained`` folder.

Nothing but tensors is ever unpickled. The configuration comes from the tensors' shapes, and from metadata for
what shapes cannot tell (attention heads of an unusual width). A checkpoint's own position table always wins.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.errors import CtgridError
from ctgrid.models.dit import SIZES, DiT
from ctgrid.models.positions import identify_table

logger = logging.getLogger(__name__)

HEADS_OF_WIDTH = {width: heads for width, _, heads in SIZES.values()} | {96: 4}  # 96: the golden tiny models
PREFIXES = ("module.", "_orig_mod.", "model.")
PICKLED = (".pt", ".pth", ".ckpt", ".bin")


def load_dit(path: str | Path, *, heads: int | None = None, cells_per_side: int | None = None) -> DiT:
    """Load a DiT, in float32 and evaluation mode.

    Its ``positions_report`` says which of the three position tables the checkpoint carries.

    Args:
        path: ``.pt`` (a state dict, or a dict with ``ema``, preferred, or ``model``), ``.safetensors``, or a
            folder with ``config.json`` and safetensors weights.
        heads: attention heads, where neither the width nor the metadata tells.
        cells_per_side: K, where the position table does not tell (``2d``): 4 without a condition, else 1.

    Raises:
        CtgridError: if the file is missing, cannot be read safely, or is not a DiT.
    """
    path = Path(path)
    if not path.exists():
        raise CtgridError(f"{path}: no such file or folder; give a .pt, a .safetensors or a model folder")
    if path.is_dir():
        model = _from_folder(path)
    elif path.suffix == ".safetensors":
        model = _from_state(path, *_read_safetensors(path), heads=heads, cells_per_side=cells_per_side)
    elif path.suffix in PICKLED:
        model = _from_state(path, *_read_pickled(path), heads=heads, cells_per_side=cells_per_side)
    else:
        raise CtgridError(f"{path}: unknown kind of file {path.suffix!r}; give a .pt, a .safetensors or a model folder")
    found = identify_table(model.pos_embed, model.cells_per_side) or identify_table(model.pos_embed)
    model.positions_report = found[0] if found else "none of grid, depth_major, 2d"
    logger.info("%s: its position table matches %s", path, model.positions_report)
    return model.float().eval()


def _from_folder(path: Path) -> DiT:
    """Load what ``DiT.save_pretrained`` wrote."""
    if not (path / "config.json").is_file():
        raise CtgridError(f"{path}: no config.json in this folder; save the model with save_pretrained")
    try:
        model = DiT.from_pretrained(path, local_files_only=True, use_safetensors=True)
    except Exception as error:  # diffusers raises many kinds; all mean that the folder is no DiT of ours
        raise CtgridError(f"{path}: cannot load a DiT from this folder: {_one_line(error)}") from error
    assert isinstance(model, DiT)
    for parameter in model.parameters():  # views of the mapped file, unaligned: other last bits
        parameter.data = parameter.data.clone()
    return model


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Read tensors and metadata; the metadata may hold a JSON ``config``."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
            metadata = dict(file.metadata() or {})
        config = json.loads(metadata.pop("config", "{}"))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CtgridError(f"{path}: not a readable safetensors file: {_one_line(error)}") from error
    return state, {**metadata, **config} if isinstance(config, dict) else metadata


def _read_pickled(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Read a torch file that holds only tensors, plain values and the arguments of the training script."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged or hostile pickle fails in any way it likes
        raise CtgridError(
            f"{path}: cannot be read safely as a torch checkpoint (damaged, or holding more than tensors; "
            f"save the state dict alone, best as .safetensors): {_one_line(error)}"
        ) from error
    if not isinstance(content, Mapping):
        raise CtgridError(f"{path}: holds a {type(content).__name__}, not a state dict")
    arguments = content.get("config", content.get("args", {}))
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    for key in ("ema", "model", "state_dict"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return content, dict(arguments) if isinstance(arguments, Mapping) else {}


def _from_state(
    path: Path,
    state: Mapping[str, Any],
    metadata: Mapping[str, Any],
    heads: int | None,
    cells_per_side: int | None,
) -> DiT:
    """Build the model that a state dict fits and fill it."""
    tensors = _clean_keys(path, state)
    config = infer_config(path, tensors, metadata, heads, cells_per_side)
    tensors = _fold_class_branch(tensors)
    model = DiT(**config)
    tensors.setdefault("pos_embed", model.pos_embed)
    own = set(model.state_dict())
    wrong = sorted(own.symmetric_difference(tensors))
    if wrong:
        raise CtgridError(
            f"{path}: not a DiT checkpoint this version knows; keys missing or superfluous: "
            f"{', '.join(wrong[:4])}{' …' if len(wrong) > 4 else ''}"
        )
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise CtgridError(f"{path}: shapes do not fit a DiT: {_one_line(error)}") from error
    return model


def _clean_keys(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Strip wrappers' prefixes and keep the network's tensors."""
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES * 2:
        inside = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        tensors = inside or tensors
    if "x_embedder.proj.weight" not in tensors:
        raise CtgridError(
            f"{path}: no key 'x_embedder.proj.weight' among its {len(tensors)} tensors, so this is not a DiT "
            "checkpoint; give the network's state dict under the published key names"
        )
    return tensors


def _fold_class_branch(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the class branch of a stock DiT, adding its "no class" embedding to the timestep's bias.

    The stock network is modulated by t + y; with y fixed to the last row (no class) that is a shift of the
    bias, so the result is exactly its unconditional prediction.
    """
    rest = {key: value for key, value in tensors.items() if not key.startswith("y_embedder.")}
    classes = tensors.get("y_embedder.embedding_table.weight")
    if classes is not None:
        rest["t_embedder.mlp.2.bias"] = rest["t_embedder.mlp.2.bias"] + classes[-1]
        logger.info("class branch removed: the embedding of 'no class' was added to the timestep's bias")
    return rest


def infer_config(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    heads: int | None = None,
    cells_per_side: int | None = None,
) -> dict[str, Any]:
    """Read the arguments of :class:`DiT` off the shapes of a state dict.

    Args:
        path: named in errors.
        tensors: published key names.
        metadata: ``num_heads`` or ``heads``, ``input_size`` or ``latent_size``, and ``model`` (``DiT-XL/2``)
            are read.
        heads: overrides what is found.
        cells_per_side: overrides what is found.

    Raises:
        CtgridError: if a key is missing, or heads or latent size cannot be told.
    """
    try:
        width, fed, patch, _ = tensors["x_embedder.proj.weight"].shape
        given = tensors["final_layer.linear.weight"].shape[0] // patch**2
        hidden = tensors["blocks.0.mlp.fc1.weight"].shape[0]
    except (KeyError, ValueError) as error:
        raise CtgridError(f"{path}: not a DiT checkpoint under the published key names: {error}") from error
    depth = len({key.split(".")[1] for key in tensors if key.startswith("blocks.")})
    channels, condition, learned = _channels(path, fed, given)
    heads = heads or _heads(path, width, metadata)
    table = tensors.get("pos_embed")
    size = metadata.get("latent_size", metadata.get("input_size"))
    if table is not None:
        size = math.isqrt(table.shape[-2]) * patch
    if size is None:
        raise CtgridError(f"{path}: has no pos_embed, and no latent_size in its metadata")
    found = identify_table(table, cells_per_side) if table is not None else None
    positions = found[0] if found else "grid"
    if cells_per_side is None:
        cells_per_side = found[1] if found and positions != "2d" else (1 if condition else 4)
        cells_per_side = cells_per_side if int(size) % (patch * cells_per_side) == 0 else 1
    return {
        "latent_size": int(size),
        "in_channels": channels,
        "condition_channels": condition,
        "patch_size": patch,
        "width": width,
        "depth": depth,
        "heads": heads,
        "mlp_ratio": hidden / width,
        "cells_per_side": cells_per_side,
        "positions": positions,
        "learned_variance": learned,
    }


def _channels(path: Path, fed: int, given: int) -> tuple[int, int, bool]:
    """Tell latent channels, condition channels and learned variance from the channels fed and given.

    Published networks learn the variance, so as many out as in means half of them are the condition.
    """
    if given == 2 * fed:
        return fed, 0, True
    if given == fed and fed % 2 == 0:
        return fed // 2, fed // 2, True
    if given == fed:
        return fed, 0, False
    if fed == 2 * given:
        return given, given, False
    raise CtgridError(f"{path}: {fed} channels in and {given} out fit no DiT with or without a condition")


def _heads(path: Path, width: int, metadata: Mapping[str, Any]) -> int:
    """Find the number of attention heads, which no shape tells."""
    named = str(metadata.get("model", "")).removeprefix("DiT-").partition("/")[0]
    found = metadata.get("num_heads", metadata.get("heads"))
    if found is None and named in SIZES and SIZES[named][0] == width:
        found = SIZES[named][2]
    found = found or HEADS_OF_WIDTH.get(width)
    if found is None:
        raise CtgridError(f"{path}: the heads of a DiT of width {width} are not recorded; pass heads=")
    return int(found)


def _one_line(error: BaseException) -> str:
    """First line of an error's message, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
