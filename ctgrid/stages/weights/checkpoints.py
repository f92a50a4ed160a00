"""What a DiT checkpoint is, whatever its format: published files, diffusers' folders, ours, training runs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.limits import check_bytes
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.networks.own import CONFIG_FILE, STEM
from ctgrid.stages.networks.positions import identify_table, position_table
from ctgrid.stages.weights.diffusers_dit import config_from_diffusers, is_diffusers_dit, tensors_from_diffusers
from ctgrid.stages.weights.published import dtype_of, fold_class_branch, infer_config, network_tensors
from ctgrid.stages.weights.weights import Weights, WeightsName, read_file, read_folder, read_json

OWN_KINDS = ("ctgrid folder", "training run")
UNKNOWN = "unknown"
"""Reported for a position table that is none of grid, depth_major and 2d."""


@dataclass(frozen=True)
class Checkpoint:
    """A DiT as it lies in its files: nothing is copied into memory yet.

    Attributes:
        path: what was asked for.
        kind: which format it is.
        files: the files that were read, ``config.json`` included.
        config: arguments of :class:`DiT`; ``heads`` is None where nothing tells.
        tensors: its state dict under our names, the position table included.
        positions: ``grid``, ``depth_major``, ``2d`` or ``unknown``: what the position table is.
        dtype: number format of the tensors.
        metadata: what the file said besides, such as the arguments of the training script.
        decisions: how what shapes do not tell was decided, in words.
    """

    path: Path
    kind: str
    files: tuple[Path, ...]
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    positions: str
    dtype: torch.dtype
    metadata: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> int:
        """2 where the network takes a condition, else 1."""
        return 2 if self.config["condition_channels"] else 1

    @property
    def parameters(self) -> int:
        """How many numbers were trained; the position table is none of them."""
        return sum(tensor.numel() for name, tensor in self.tensors.items() if name != "pos_embed")

    def deciding(self, what: str, how: str) -> Checkpoint:
        """Return this checkpoint with one more decision on record."""
        return replace(self, decisions={**self.decisions, what: how})


def read_checkpoint(
    path: str | Path,
    *,
    heads: int | None = None,
    cells_per_side: int | None = None,
    weights: WeightsName | None = None,
) -> Checkpoint:
    """Read a DiT's configuration and find its tensors; see :func:`ctgrid.stages.models.load_dit` for the arguments.

    Raises:
        CtgridError: if the file is missing, cannot be read safely, or is not a DiT.
    """
    path = Path(path)
    if not path.exists():
        raise CtgridError(f"{path}: no such file or folder; give a .pt, a .safetensors or a model folder")
    folder = _folder_of(path)
    if folder is None:
        found = read_file(path, weights)
        kind = "training checkpoint" if found.used else "state dict"
        return _from_published(path, kind, found, heads, cells_per_side)
    if weights == "model":
        raise CtgridError(f"{folder}: a model folder holds one set of weights; leave --weights out")
    config = read_json(folder / CONFIG_FILE)
    if is_diffusers_dit(config):
        return _from_diffusers(path, folder, config, heads, cells_per_side)
    if config.get("_class_name") == "DiT":
        return _from_ours(path, folder, config, {"heads": heads, "cells_per_side": cells_per_side})
    name = config.get("_class_name", "none")
    raise CtgridError(f"{folder / CONFIG_FILE}: its _class_name is {name!r}, expected DiT or DiTTransformer2DModel")


def _folder_of(path: Path) -> Path | None:
    """Return the model folder that a path means; None for a file that stands alone.

    A training run means the model in it, a diffusers pipeline its transformer, a weights file beside a
    ``config.json`` its folder.

    Raises:
        CtgridError: where the path is neither.
    """
    if not path.is_dir():
        beside = path.name.startswith(f"{STEM}.") and (path.parent / CONFIG_FILE).is_file()
        return path.parent if beside and path.is_file() else None
    for inside in ("model", "transformer"):
        if (path / inside / CONFIG_FILE).is_file():
            return path / inside
    if (path / CONFIG_FILE).is_file() and not (path / "checkpoints").is_dir():
        return path
    ready = sorted(path.glob(f"checkpoints/step_*/model/{CONFIG_FILE}"))
    if ready:
        raise CtgridError(
            f"{path}: this run has not published a model yet; its newest checkpoint is {ready[-1].parent}"
        )
    if (path / "stage1").is_dir() or (path / "stage2").is_dir():
        raise CtgridError(f"{path}: a whole model; name one of its stages, such as {path / 'stage1'}")
    files = sorted(p.name for p in path.iterdir() if p.suffix in (".pt", ".safetensors", ".bin"))
    hint = (
        f"give one of its files ({', '.join(files[:3])})" if files else "give a model folder, a .pt or a .safetensors"
    )
    raise CtgridError(f"{path}: no config.json in this folder; {hint}")


def _from_published(path: Path, kind: str, found: Weights, heads: int | None, cells_per_side: int | None) -> Checkpoint:
    """Read published key names."""
    tensors = network_tensors(path, found.tensors)
    dtype = dtype_of(tensors)
    tensors, classes = fold_class_branch(tensors, found.metadata)
    config, source = infer_config(path, tensors, found.metadata, heads, cells_per_side)
    decisions = {
        "weights": f"{found.used} of {', '.join(found.available)}" if found.used else "the only ones",
        "heads": source,
        "class_branch": classes,
    }
    return _checkpoint(path, kind, found.files, config, tensors, dtype, found.metadata, decisions)


def _from_diffusers(
    path: Path, folder: Path, config: Mapping[str, Any], heads: int | None, cells_per_side: int | None
) -> Checkpoint:
    """Read a folder of diffusers' ``DiTTransformer2DModel``."""
    ours = config_from_diffusers(folder / CONFIG_FILE, config)
    found = read_folder(folder)
    tensors, classes = tensors_from_diffusers(folder, found.tensors, ours["latent_size"])
    arguments, source = infer_config(folder, tensors, ours, heads, cells_per_side)
    arguments |= {name: ours[name] for name in ("norm_eps", "frequency_shift")}
    decisions = {"weights": "the only ones", "heads": source, "class_branch": classes}
    dtype, files = dtype_of(found.tensors), (folder / CONFIG_FILE, *found.files)
    return _checkpoint(path, "diffusers folder", files, arguments, tensors, dtype, dict(config), decisions)


def _from_ours(path: Path, folder: Path, config: Mapping[str, Any], asked: Mapping[str, int | None]) -> Checkpoint:
    """Read what ``DiT.save_pretrained`` wrote; what was asked for may not contradict it."""
    where = folder / CONFIG_FILE
    given = {name: value for name, value in config.items() if not name.startswith("_")}
    known = {name: p for name, p in inspect.signature(DiT.__init__).parameters.items() if name != "self"}
    for name, value in given.items():
        if name not in known:
            raise CtgridError(f"{where}: {name!r} is no argument of this version's DiT; update ctgrid or remove it")
        sort = type(known[name].default)
        if not isinstance(value, (int, float) if sort is float else sort) or isinstance(value, bool) != (sort is bool):
            raise CtgridError(f"{where}: {name} must be {sort.__name__}, got {value!r}")
        if sort is int and value < (1 if known[name].default > 0 else 0):
            raise CtgridError(f"{where}: {name} must be positive, got {value}")
    found = read_folder(folder)
    tensors = network_tensors(folder, found.tensors)
    full = {name: parameter.default for name, parameter in known.items()} | given
    for name, value in asked.items():
        if value is not None and value != full[name]:
            raise CtgridError(f"{where}: says {name} {full[name]}, so {value} cannot be asked for; leave it out")
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    if full["depth"] != depth:
        raise CtgridError(
            f"{where}: says {full['depth']} blocks, the weights hold {depth}; they do not belong together"
        )
    decisions = {"weights": "the only ones", "heads": "recorded in config.json", "class_branch": "none"}
    kind, files = OWN_KINDS[path == folder.parent], (where, *found.files)
    return _checkpoint(path, kind, files, full, tensors, dtype_of(tensors), {}, decisions)


def check_table(config: Mapping[str, Any], where: str) -> None:
    """Refuse a network whose position table, which follows from its config alone, would take too much memory.

    Args:
        config: arguments of :class:`DiT`.
        where: the file, for messages.

    Raises:
        CtgridError: it would.
    """
    side = config["latent_size"] // max(1, config["patch_size"])
    check_bytes(8 * side**2 * config["width"], f"{where}: the position table that its config asks for takes")


def _checkpoint(
    path: Path,
    kind: str,
    files: tuple[Path, ...],
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    dtype: torch.dtype,
    metadata: dict[str, Any],
    decisions: dict[str, Any],
) -> Checkpoint:
    """Identify the position table, or make one where the checkpoint has none."""
    check_table(config, str(path))
    if "pos_embed" not in tensors:
        side = config["latent_size"] // config["patch_size"]
        table = position_table(config["width"], side, config["cells_per_side"], config["positions"])
        tensors = {**tensors, "pos_embed": table[None]}
    table = tensors["pos_embed"]
    found = None
    if table.ndim in (2, 3):
        found = identify_table(table, config["cells_per_side"]) or identify_table(table)
    positions = found[0] if found else UNKNOWN
    report = positions if found else "none of grid, depth_major, 2d; kept as it is"
    read = Checkpoint(path, kind, files, config, tensors, positions, dtype, metadata, decisions)
    return read.deciding("positions", report)
