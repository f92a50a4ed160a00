"""Tensors out of files that may come from anywhere: torch checkpoints, safetensors, sharded folders.

Nothing but tensors, plain values and ``argparse.Namespace`` is ever unpickled, and no file can make a tensor
larger than itself. Tensors stay views of the mapped file until somebody copies them, so that reading one of
the three sets of weights in a checkpoint of 10 GB costs no memory for the others.
"""

from __future__ import annotations

import argparse
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ctgrid.base.causes import out_of_memory, reading
from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.stages.networks.own import STEM
from ctgrid.stages.weights.weight_sets import choose_set

PICKLED = (".pt", ".pth", ".ckpt", ".bin")
SAFETENSORS = ".safetensors"

WeightsName = Literal["ema", "model"]


@dataclass(frozen=True)
class Weights:
    """What a checkpoint holds, under its own names.

    Attributes:
        files: the files it was read from.
        tensors: by name; views of the mapped files.
        metadata: configuration found beside the tensors, such as the arguments of the training script.
        used: which of several sets of weights this is: ``ema``, ``model``, or None where there is one only.
        available: the sets of weights in the file.
    """

    files: tuple[Path, ...]
    tensors: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)
    used: str | None = None
    available: tuple[str, ...] = ()


def read_file(path: Path, weights: WeightsName | None = None) -> Weights:
    """Read a ``.pt`` or ``.safetensors`` file.

    Args:
        path: the file.
        weights: which set of a training checkpoint; None takes ``ema`` where there is one, else ``model``.

    Raises:
        CtgridError: if the file is not there, of another kind, damaged, unsafe, or lacks these weights.
    """
    suffix = path.suffix.lower()
    if suffix not in (*PICKLED, SAFETENSORS):
        raise CtgridError(f"{path}: unknown kind of file {suffix!r}; give a .pt, a .safetensors or a model folder")
    if not path.is_file():
        raise CtgridError(f"{path}: no such file, or not a regular one")
    found = _read_safetensors(path, weights) if suffix == SAFETENSORS else _read_pickled(path, weights)
    if weights is not None and found.used != weights:
        held = " and ".join(found.available) or "one set of weights without a name"
        raise CtgridError(f"{path}: has no {weights!r} weights, it holds {held}; choose other weights, or none")
    check_tensors(path, found.tensors)
    return found


def read_folder(folder: Path) -> Weights:
    """Read the weights that ``save_pretrained`` wrote into a folder: safetensors before ``.bin``, whole or in shards.

    Raises:
        CtgridError: if there are none, several variants only, or a file is missing or damaged.
    """
    for suffix in (SAFETENSORS, ".bin"):
        if (folder / f"{STEM}{suffix}").is_file():
            return read_file(folder / f"{STEM}{suffix}")
        index = folder / f"{STEM}{suffix}.index.json"
        if index.is_file():
            return _read_shards(index)
    variants = sorted([*folder.glob(f"{STEM}.*{SAFETENSORS}"), *folder.glob(f"{STEM}.*.bin")])
    if len(variants) == 1:  # such as diffusion_pytorch_model.fp16.safetensors
        return read_file(variants[0])
    if variants:
        names = ", ".join(path.name for path in variants[:4])
        raise CtgridError(f"{folder}: several variants of the weights ({names}); give one of these files itself")
    raise CtgridError(f"{folder}: no weights in this folder; expected {STEM}.safetensors or .bin, whole or in shards")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CtgridError: if the file cannot be read or holds something else.
    """
    content = json_of(path)
    if not isinstance(content, dict):
        raise CtgridError(f"{path}: holds a {type(content).__name__}, expected a JSON object")
    return content


def check_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are sparse or quantised, or that would grow when copied: views that repeat few values.

    Raises:
        CtgridError: naming the first of them.
    """
    stored: dict[int, int] = {}
    for name, tensor in tensors.items():
        plain = tensor.layout == torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
        if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise CtgridError(f"{path}: {name} is not a plain tensor whose values the file holds; save it again")
        stored[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    if sum(tensor.nbytes for tensor in tensors.values()) > 2 * sum(stored.values()):
        raise CtgridError(f"{path}: its tensors repeat the same few values over and over; this is no checkpoint")


def own_copy(tensor: Tensor) -> Tensor:
    """Return a tensor as contiguous float32 of its own: views of a mapped file lie unaligned, and the file may go."""
    return tensor.to(torch.float32, copy=True).contiguous()


def _read_shards(index: Path) -> Weights:
    """Read weights that an ``….index.json`` says to lie in several files of its folder."""
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise CtgridError(f"{index}: has no 'weight_map' from names to files")
    tensors: dict[str, Tensor] = {}
    files = sorted(set(shards.values()))
    for name in files:
        path = index.parent / name
        if Path(name).name != name or not path.is_file():
            raise CtgridError(f"{index}: its file {name!r} is not in its folder; the weights are incomplete")
        tensors |= read_file(path).tensors
    missing = [name for name in shards if name not in tensors]
    if missing:
        raise CtgridError(f"{index}: {len(missing)} tensors are in none of its files: {', '.join(missing[:4])}")
    return Weights(tuple(index.parent / name for name in files), tensors)


def _read_safetensors(path: Path, weights: WeightsName | None) -> Weights:
    """Read tensors and metadata; the metadata may hold a JSON ``config``."""
    from safetensors import safe_open

    with reading(path, "a readable safetensors file"):
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
            metadata: dict[str, Any] = dict(file.metadata() or {})
        config = json.loads(metadata.pop("config", "{}"))
    metadata |= config if isinstance(config, dict) else {}
    several = choose_set(path, tensors, weights)
    return (
        Weights((path,), tensors, metadata) if several is None else Weights((path,), several[0], metadata, *several[1:])
    )


def _read_pickled(path: Path, weights: WeightsName | None) -> Weights:
    """Read a torch file that holds only tensors, plain values and the arguments of the training script."""
    content = _load(path)
    arguments = content.get("config", content.get("args", {}))
    if isinstance(arguments, argparse.Namespace):
        arguments = vars(arguments)
    metadata = {str(key): value for key, value in arguments.items()} if isinstance(arguments, Mapping) else {}
    several = choose_set(path, content, weights)
    if several is not None:
        return Weights((path,), several[0], metadata, *several[1:])
    names = {"ema": "ema", "model": "model", "state_dict": "model"}
    sets = {names[key]: content[key] for key in names if _holds_tensors(content.get(key))}
    used = weights if weights in sets else next(iter(sets), None)
    chosen = sets[used] if used is not None else content
    tensors = {str(key): value for key, value in chosen.items() if isinstance(value, Tensor)}
    return Weights((path,), tensors, metadata, used, tuple(sets))


def _holds_tensors(content: Any) -> bool:
    return isinstance(content, Mapping) and any(isinstance(value, Tensor) for value in content.values())


def _load(path: Path) -> Mapping[str, Any]:
    """Unpickle a mapping, safely."""
    zipped = zipfile.is_zipfile(path)
    try:
        if zipped:
            with zipfile.ZipFile(path) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise ValueError("its entries are compressed, which torch.save never does")
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a damaged or hostile pickle fails in any way it likes
        if out_of_memory(error):
            raise
        held = re.search(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it holds {held[1]}" if held else reason_of(error)
        raise CtgridError(
            f"{path}: cannot be read safely as a torch checkpoint (damaged, or holding more than tensors; "
            f"save the state dict alone, best as .safetensors): {reason}"
        ) from error
    if not isinstance(content, Mapping):
        raise CtgridError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return content
