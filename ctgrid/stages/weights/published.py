"""The published format of DiT and GriDiT checkpoints: key names, and the configuration behind the shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import SIZES
from ctgrid.stages.networks.positions import identify_table

HEADS_OF_WIDTH = {width: heads for width, _, heads in SIZES.values()} | {96: 4}  # 96: the golden tiny models
WRAPPED = re.compile(r"(^|\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|ema_model)\.")
PATCHES, OUTPUT = "x_embedder.proj.weight", "final_layer.linear.weight"
CLASSES, TIME_BIAS, POSITIONS = "y_embedder.embedding_table.weight", "t_embedder.mlp.2.bias", "pos_embed"
VAE_DOWNSAMPLE = 8


def network_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the network's tensors out of wrappers: DDP, ``torch.compile``, FSDP, EMA, an attribute ``model``.

    Raises:
        CtgridError: where there is no DiT inside, or a tensor of it holds no floating-point numbers.
    """
    found = {}
    for name, tensor in tensors.items():
        while (bare := WRAPPED.sub(r"\1", name)) != name:
            name = bare
        found[name] = tensor
    while inside := {k.removeprefix("model."): v for k, v in found.items() if k.startswith("model.")}:
        found = inside
    if PATCHES not in found:
        held = ", ".join(list(found)[:3])
        raise CtgridError(
            f"{path}: no key {PATCHES!r} among its {len(found)} tensors{f' ({held}, …)' if held else ''}, so this is "
            "not a DiT checkpoint; give the network's state dict under the published key names"
        )
    for name, tensor in found.items():
        if not tensor.is_floating_point() or tensor.element_size() < 2:
            raise CtgridError(f"{path}: {name} holds {str(tensor.dtype).removeprefix('torch.')}, not weights")
    return found


def fold_class_branch(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """Drop the class branch of a stock DiT, adding its "no class" embedding to the timestep's bias.

    The stock network is modulated by t + y; with y fixed to the last row (no class) that is a shift of the
    bias, so the result is exactly its unconditional prediction. A network trained without dropping classes
    (``class_dropout_prob`` 0 in the metadata) has no such row: the mean of all classes stands in.

    Returns:
        The tensors without the branch, and what was done in words.
    """
    rest = {key: value for key, value in tensors.items() if not key.startswith("y_embedder.")}
    classes = tensors.get(CLASSES)
    if classes is None or classes.ndim != 2 or TIME_BIAS not in rest or classes.shape[1:] != rest[TIME_BIAS].shape:
        return rest, "none" if len(rest) == len(tensors) else "dropped"
    always = metadata.get("class_dropout_prob") == 0
    embedding = classes.float().mean(dim=0) if always else classes[-1].float()
    rest[TIME_BIAS] = rest[TIME_BIAS].float() + embedding
    which = "the mean of all classes" if always else "the embedding of 'no class'"
    return rest, f"dropped: {which} (of {len(classes)} rows) was added to the timestep's bias"


def infer_config(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    heads: int | None = None,
    cells_per_side: int | None = None,
) -> tuple[dict[str, Any], str]:
    """Read the arguments of :class:`DiT` off the shapes of a state dict.

    Args:
        path: named in errors.
        tensors: published key names.
        metadata: ``num_heads`` or ``heads``, ``input_size``, ``latent_size`` or ``image_size``, ``model``
            (``DiT-XL/2``) and ``unconditional`` are read.
        heads: overrides what is found.
        cells_per_side: overrides what is found.

    Returns:
        The arguments (``heads`` is None where nothing tells), and how the heads were found.

    Raises:
        CtgridError: if a key is missing, or the latent size cannot be told.
    """
    try:
        width, fed, patch, other = tensors[PATCHES].shape
        rows = tensors[OUTPUT].shape[0]
        hidden = tensors["blocks.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise CtgridError(f"{path}: not a DiT checkpoint under the published key names: it lacks {error}") from error
    except (ValueError, IndexError) as error:
        raise CtgridError(f"{path}: not a DiT checkpoint: {PATCHES} must be (width, channels, patch, patch)") from error
    if not width * fed * patch or patch != other or rows % patch**2:
        raise CtgridError(f"{path}: not a DiT checkpoint: {rows} outputs and patches of {patch} x {other} do not fit")
    table = tensors.get(POSITIONS)
    size = _latent_size(path, table, patch, metadata)
    found = identify_table(table, cells_per_side) if table is not None else None
    grid = bool(metadata.get("unconditional")) or (found is not None and found[0] != "2d" and found[1] > 1)
    channels, condition, learned = _channels(path, fed, rows // patch**2, grid)
    positions = found[0] if found else "grid"
    if cells_per_side is None:
        cells_per_side = found[1] if found and positions != "2d" else (1 if condition else 4)
        cells_per_side = cells_per_side if size % (patch * cells_per_side) == 0 else 1
    heads, source = _heads(path, width, metadata, heads)
    config = {
        "latent_size": size,
        "in_channels": channels,
        "condition_channels": condition,
        "patch_size": patch,
        "width": width,
        "depth": len({m[1] for m in (re.match(r"blocks\.(\d+)\.", key) for key in tensors) if m}),
        "heads": heads,
        "mlp_ratio": hidden / width,
        "cells_per_side": cells_per_side,
        "positions": positions,
        "learned_variance": learned,
        "own_embedders": any(re.match(r"blocks\.\d+\.t_embedder\.", key) for key in tensors),
    }
    return config, source


def _latent_size(path: Path, table: Tensor | None, patch: int, metadata: Mapping[str, Any]) -> int:
    """Find the side of the latent: from the position table, else from the metadata."""
    if table is not None:
        side = math.isqrt(table.shape[-2]) if table.ndim in (2, 3) else 0
        if not side or side * side != table.shape[-2]:
            raise CtgridError(f"{path}: pos_embed is {tuple(table.shape)}, not a table of a square image's tokens")
        return side * patch
    size = metadata.get("latent_size", metadata.get("input_size"))
    if size is None and "image_size" in metadata:
        size = metadata["image_size"] / VAE_DOWNSAMPLE if isinstance(metadata["image_size"], int) else None
    if not isinstance(size, int | float) or size != int(size) or size < 1:
        raise CtgridError(f"{path}: has no pos_embed, and no latent_size in its metadata")
    return int(size)


def _channels(path: Path, fed: int, given: int, grid: bool) -> tuple[int, int, bool]:
    """Tell latent channels, condition channels and learned variance from the channels fed and given.

    Published networks learn the variance, so as many out as in means half of them are the condition, unless
    the position table is that of a grid, which takes none.

    Raises:
        CtgridError: for numbers that fit no such network.
    """
    if given == 2 * fed:
        return fed, 0, True
    if given == fed and fed % 2 == 0 and not grid:
        return fed // 2, fed // 2, True
    if given == fed:
        return fed, 0, False
    if fed == 2 * given:
        return given, given, False
    raise CtgridError(f"{path}: {fed} channels in and {given} out fit no DiT with or without a condition")


def _heads(path: Path, width: int, metadata: Mapping[str, Any], heads: int | None) -> tuple[int | None, str]:
    """Find the number of attention heads, which no shape tells, and say where."""
    named = re.search(r"\b(S|B|L|XL)/\d", str(metadata.get("model", "")))
    recorded = metadata.get("num_heads", metadata.get("heads"))
    source = "unknown"
    if heads is not None:
        source = "given"
    elif recorded is not None:
        heads, source = _count(recorded), "recorded in the checkpoint"
        if heads is None:
            raise CtgridError(f"{path}: records {str(recorded)[:40]!r} as its number of heads; pass --heads")
    elif named and SIZES[named[1]][0] == width:
        heads, source = SIZES[named[1]][2], f"its recorded name {metadata['model']}"
    elif width in HEADS_OF_WIDTH:
        heads, source = HEADS_OF_WIDTH[width], f"the published size of width {width}"
    if heads is not None and (heads < 1 or width % heads):
        raise CtgridError(f"{path}: its width {width} must be a multiple of heads {heads} ({source}); pass --heads")
    return heads, source


def _count(value: Any) -> int | None:
    """Read a whole number, or a text that is one."""
    text = str(value)
    return int(text) if not isinstance(value, bool) and re.fullmatch(r"\d{1,6}", text) else None


def dtype_of(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """Return the number format that all tensors but the position table share, float32 where they differ."""
    found = {tensor.dtype for name, tensor in tensors.items() if name != POSITIONS}
    only = found.pop() if len(found) == 1 else torch.float32
    return only if only in (torch.float16, torch.bfloat16) else torch.float32
