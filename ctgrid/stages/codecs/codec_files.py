"""Codecs in other people's files: folders of diffusers of any age, TAESD's own pair of files, single files.

Layouts and key names follow the public files; nothing is read but tensors and JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctgrid.base.documents import dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.remains import scratch
from ctgrid.stages.models.sources import EMBEDDED, is_single_file, resolve_model

SUBFOLDERS = ("codec", "vae", "model")
"""Where a codec lies inside a model of ours, a pipeline of diffusers, a training run."""
TAESD = ("taesd_encoder", "taesd_decoder")
SUFFIXES = (".safetensors", ".pth")


def codec_path(name: str | Path) -> Path:
    """Return the folder or file of a codec.

    Args:
        name: ``embedded``, ``hub:owner/name[@revision]``, a file of weights, or a folder: of a codec, or one with
            ``codec``, ``vae`` or ``model`` inside.

    Raises:
        CtgridError: where nothing is there.
    """
    path = resolve_model(name)
    if path.is_dir() and not _names_class(path) and taesd_pair(path) is None:
        inside = [path / sub for sub in SUBFOLDERS if (path / sub / "config.json").exists()]
        path = inside[0] if inside else path
    return path


def _names_class(folder: Path) -> bool:
    """Tell a network's ``config.json`` from a training run's."""
    return "_class_name" in dict_of(folder / "config.json")


def codec_weights(path: Path) -> list[Path]:
    """Return the files of a codec's weights, for hashing: safetensors where there are any."""
    if is_single_file(path):
        return [path]
    found = [sorted(path.glob(f"*{suffix}")) for suffix in (".safetensors", ".bin", ".pth")]
    return next((files for files in found if files), [])


def taesd_pair(folder: Path) -> tuple[Path, Path] | None:
    """Return TAESD's own files, encoder and decoder, where a folder has both."""
    for suffix in SUFFIXES:
        encoder, decoder = (folder / f"{stem}{suffix}" for stem in TAESD)
        if encoder.is_file() and decoder.is_file():
            return encoder, decoder
    return None


def class_of(folder: Path) -> str:
    """Return the class that a folder's ``config.json`` names.

    Raises:
        CtgridError: where it names none.
    """
    name = dict_of(folder / "config.json").get("_class_name")
    if not isinstance(name, str):
        raise CtgridError(f"{folder}: no codec here; expected a config.json with a _class_name")
    return name


def from_taesd_pair(encoder: Path, decoder: Path) -> torch.nn.Module:
    """Read TAESD in its own layout: two sequences of layers, the decoder's first a clamp without weights.

    Raises:
        CtgridError: where the tensors are not those of TAESD.
    """
    from ctgrid.stages.weights.weights import read_file

    tensors: dict[str, Tensor] = {}
    for path, side, shift in ((encoder, "encoder", 0), (decoder, "decoder", 1)):
        for key, value in read_file(path).tensors.items():
            index, _, rest = key.partition(".")
            if not index.isdigit():
                raise CtgridError(f"{path}: key {key!r} is not of TAESD, whose layers are numbered")
            tensors[f"{side}.layers.{int(index) - shift}.{rest}"] = value
    channels = _latent_channels(tensors, encoder)
    from diffusers import AutoencoderTiny  # takes seconds, which a wrong file need not

    return _filled(AutoencoderTiny(latent_channels=channels), tensors, encoder.parent)


def from_single_file(path: Path) -> torch.nn.Module:
    """Read an SD VAE from one file, under diffusers' key names or the original ones; sizes come from the shapes.

    Raises:
        CtgridError: where the tensors are not those of an SD VAE.
    """
    from ctgrid.stages.weights.weights import read_file

    tensors = dict(read_file(path).tensors)
    for prefix in ("first_stage_model.", "vae."):
        inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        tensors = inside or tensors
    original = any(key.startswith("encoder.down.") for key in tensors)
    config = _sizes(tensors, "encoder.down.{}.block.{}" if original else "encoder.down_blocks.{}.resnets.{}", path)
    from diffusers import AutoencoderKL

    if not original:
        return _filled(_built(AutoencoderKL, config, tensors, path), tensors, path)
    with scratch() as folder:  # diffusers knows the original names, given sizes and a file
        from safetensors.torch import save_file

        network = _built(AutoencoderKL, config, tensors, path)
        network.save_config(folder)
        file = folder / "vae.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, file)
        try:
            loaded = AutoencoderKL.from_single_file(str(file), config=str(folder), local_files_only=True)
        except Exception as error:  # diffusers raises many kinds; all mean that the file is no SD VAE
            raise CtgridError(f"{path}: cannot be read as an SD VAE: {_line(error)}") from error
        state = {key: value.clone() for key, value in loaded.state_dict().items()}
    return _filled(network, state, path)


def _sizes(tensors: dict[str, Tensor], block: str, path: Path) -> dict[str, Any]:
    """Read the arguments of ``AutoencoderKL`` off the shapes."""
    key = f"{block}.conv1.weight"
    widths: list[int] = []
    while key.format(len(widths), 0) in tensors:
        widths.append(int(tensors[key.format(len(widths), 0)].shape[0]))
    layers = sum(key.format(0, n) in tensors for n in range(16))
    if not widths or "decoder.conv_in.weight" not in tensors:
        raise CtgridError(f"{path}: not an SD VAE: no encoder and decoder among its {len(tensors)} tensors")
    return {
        "latent_channels": int(tensors["decoder.conv_in.weight"].shape[1]),
        "block_out_channels": widths,
        "layers_per_block": layers,
        "norm_num_groups": min(32, widths[0]),
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
    }


def _latent_channels(tensors: dict[str, Tensor], path: Path) -> int:
    first = tensors.get("decoder.layers.0.weight")
    if first is None or first.ndim != 4:
        raise CtgridError(f"{path.parent}: not TAESD: its decoder does not begin with a convolution")
    return int(first.shape[1])


def _built(network_class: Any, config: dict[str, Any], tensors: dict[str, Tensor], path: Path) -> Any:
    """Build a network of sizes that were read off the tensors, no larger than these."""
    from ctgrid.stages.weights.bounded import bounded_by

    try:
        with bounded_by(tensors):
            return network_class(**config)
    except (RuntimeError, ValueError, TypeError) as error:
        raise CtgridError(f"{path}: no {network_class.__name__} has these tensors: {_line(error)}") from error


def _filled(network: Any, tensors: dict[str, Tensor], path: Path) -> torch.nn.Module:
    try:
        network.load_state_dict({key: value.float() for key, value in tensors.items()})
    except RuntimeError as error:
        raise CtgridError(f"{path}: the tensors do not fit a {type(network).__name__}: {_line(error)}") from error
    assert isinstance(network, torch.nn.Module)
    return network


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def name_of(name: str | Path, path: Path) -> str:
    """Return how records call a codec: as the user named it, or the folder's name."""
    return str(name) if str(name) == EMBEDDED or str(name).startswith("hub:") else path.name
