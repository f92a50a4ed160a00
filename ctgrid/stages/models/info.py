"""What a model is, from its files alone: nothing is built, no weights are copied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.codecs.families import FAMILIES
from ctgrid.stages.models.bundle import GAPS, PARTS
from ctgrid.stages.models.manifest import digest_of
from ctgrid.stages.models.sources import resolve_model
from ctgrid.stages.networks.own import CONFIG_FILE
from ctgrid.stages.weights.checkpoints import read_checkpoint
from ctgrid.stages.weights.convert import facts_of, summary
from ctgrid.stages.weights.weights import STEM, read_json


def model_info(name: str | Path, *, heads: int | None = None) -> dict[str, Any]:
    """Describe a model, a stage, a codec, a training run or a checkpoint file.

    Args:
        name: ``embedded``, a path, or ``hub:owner/name`` of a model fetched before.
        heads: attention heads, where nothing tells.

    Returns:
        ``path``, ``kind``, ``parameters``, ``files`` (SHA-256 by name) and ``sha256`` (of the file, or over all
        files); of a whole model also ``codec``,
        ``stage1``, ``stage2``; of a stage ``stage``, ``config``, ``positions``, ``dtype``, ``facts`` and
        ``decisions``, which say where each comes from; of a codec ``class``, ``latent_channels``, ``downsample``
        and ``scaling_factor``.

    Raises:
        CtgridError: where there is no model, or it cannot be read.
    """
    info = _info(resolve_model(name), heads)
    hashes = info["files"]
    return {**info, "sha256": next(iter(hashes.values())) if len(hashes) == 1 else digest_of(hashes)}


def _info(path: Path, heads: int | None) -> dict[str, Any]:
    if path.is_dir() and all((path / part / CONFIG_FILE).is_file() for part in PARTS):
        return _bundle(path, heads)
    for folder in (path, path / "model"):
        if _is_codec(folder):
            return {**_codec(folder), "path": str(path), "kind": "codec" if folder == path else "training run"}
    return _stage(path, heads)


def _stage(path: Path, heads: int | None) -> dict[str, Any]:
    """Describe a diffusion transformer."""
    checkpoint = read_checkpoint(path, heads=heads)
    facts, source = facts_of(checkpoint, checkpoint)
    return {
        "path": str(path),
        **summary(checkpoint.deciding("facts", source)),
        "facts": facts.as_dict(),
        "files": {file.name: sha256_of(file) for file in checkpoint.files},
    }


def _bundle(path: Path, heads: int | None) -> dict[str, Any]:
    """Describe a folder with codec and both stages, and the gaps' own stage 1 where there is one."""
    parts: dict[str, dict[str, Any]] = {
        "codec": _codec(path / "codec"),
        "stage1": _stage(path / "stage1", heads),
        "stage2": _stage(path / "stage2", heads),
    }
    if (path / GAPS / CONFIG_FILE).is_file():
        parts[GAPS] = _stage(path / GAPS, heads)
    files = {f"{part}/{file}": digest for part, info in parts.items() for file, digest in info["files"].items()}
    total = sum(info["parameters"] for info in parts.values())
    return {"path": str(path), "kind": "model", "parameters": total, **parts, "files": files}


def _is_codec(folder: Path) -> bool:
    config = folder / CONFIG_FILE
    return config.is_file() and _class_of(config) in tuple(FAMILIES)  # what a file names may be anything


def _class_of(config: Path) -> Any:
    try:
        return read_json(config).get("_class_name")
    except CtgridError:
        return None


def _codec(folder: Path) -> dict[str, Any]:
    """Describe a codec's folder."""
    codec = load_codec(folder)
    weights = sorted(file for file in folder.glob(f"{STEM}*") if file.is_file())
    config: Mapping[str, Any] = codec.config
    return {
        "path": str(folder),
        "kind": "codec",
        "class": type(codec.network).__name__,
        "parameters": sum(parameter.numel() for parameter in codec.network.parameters()),
        "latent_channels": codec.latent_channels,
        "downsample": codec.downsample,
        "scaling_factor": config.get("scaling_factor"),
        "files": {file.name: sha256_of(file) for file in (folder / CONFIG_FILE, *weights)},
    }
