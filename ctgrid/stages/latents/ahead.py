"""Cached codec latents: what the diffusion stages train on, computed once per run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.base.draws import uniform
from ctgrid.base.files import atomic_output
from ctgrid.base.precision import autocast, available
from ctgrid.base.progress import Progress, silent
from ctgrid.data.degrade import Way, degrade, draw_degradation, enlarge, shrink
from ctgrid.data.framing import SMALL, Poses, draw_deformation, draw_pose, frame
from ctgrid.data.volumes import VolumeSlices
from ctgrid.scan.grid import downsample
from ctgrid.stages.codecs.codecs import Codec

BATCH_PIXELS = 8 * 512 * 512
"""Pixels encoded at once."""


def coarse_volumes(
    volumes: list[VolumeSlices],
    *,
    size: int,
    k: int,
    slices: int,
    variants: int,
    fov_mm: float,
    generator: torch.Generator,
    deformation_mm: float = 0.0,
    mirrored: bool = False,
    poses: Poses = SMALL,
    progress: Progress = silent,
) -> Tensor:
    """Return (volumes x variants, slices, size/k, size/k) float16: framed, shrunk, resampled along z.

    The first variant of a volume lies straight, the others in drawn ``poses``, and smoothly deformed where
    ``deformation_mm`` says how far. With ``mirrored`` every second one is mirrored, left to right.
    """
    coarse = []
    total = len(volumes) * variants
    for volume in volumes:
        for variant in range(variants):
            pose = draw_pose(generator, poses) if variant else None
            bent = draw_deformation(volume, fov_mm, deformation_mm, generator) if variant and deformation_mm else None
            framed = frame(volume, fov_mm, size, pose, bent)
            framed = framed.flip(-1) if mirrored and variant % 2 else framed
            small = downsample(framed[:, None], k).clamp(-1, 1)[:, 0]
            along_z = interpolate(
                rearrange(small, "z h w -> 1 (h w) z"), size=slices, mode="linear", align_corners=False
            )
            coarse.append(rearrange(along_z, "1 (h w) z -> z h w", h=size // k).half())
            progress("coarse slices", len(coarse), total)
    return torch.stack(coarse)


def encode(
    codec: Codec, images: Tensor, compute: torch.dtype, progress: Progress = silent, phase: str = "encoding"
) -> Tensor:
    """Encode images in [-1, 1] to normalised latents (n, c, H/8, W/8), float16, batch by batch.

    Args:
        codec: on the device to compute on.
        images: (n, H, W), or (n, C, H, W).
        compute: number format of the codec's arithmetic; float32 stands in for one that its device lacks.
        progress: called after every batch.
        phase: its name.
    """
    compute = available(compute, codec.device)
    images = images if images.ndim == 4 else images[:, None]
    size = max(1, BATCH_PIXELS // (images.shape[-1] * images.shape[-2]))
    latents = []
    for first in range(0, len(images), size):
        batch = images[first : first + size].float().to(codec.device)
        with autocast(codec.device, compute):
            latents.append(codec.encode(batch).half().cpu())
        progress(phase, min(first + size, len(images)), len(images))
    return torch.cat(latents)


def refine_pairs(
    volumes: list[VolumeSlices],
    codec: Codec,
    *,
    size: int,
    k: int,
    poses: int = 1,
    degradations: int,
    codec_share: float,
    noise_levels: tuple[int, int],
    blur_share: float,
    way: Way = "ctgrid",
    fov_mm: float,
    generator: torch.Generator,
    compute: torch.dtype,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Encode every slice as scanned and framed in drawn poses, with its coarse versions.

    Args:
        volumes: slices of ``size`` x ``size`` pixels.
        codec: encodes both sides.
        size: S.
        k: the coarse side is S/k.
        poses: drawn for each volume.
        degradations: coarse versions of each slice.
        codec_share: share of coarse versions that pass through the codec at S/k, as stage 1's output does.
        noise_levels: see :func:`ctgrid.data.degrade.draw_degradation`.
        blur_share: likewise.
        way: of the degradation; ``published`` draws noise for every channel that the codec has.
        fov_mm: the frame's field of view.
        generator: source of all draws.
        compute: see :func:`encode`.
        progress: called while encoding.

    Returns:
        Latents of the slices (n, c, S/8, S/8) and of their coarse versions (n, degradations, c, S/8, S/8),
        both float16.
    """
    images = torch.cat(
        [
            part
            for v in volumes
            for part in (
                v.unit(slice(None)).half(),
                *(framed_half(v, fov_mm, size, generator) for _ in range(poses)),
            )
        ]
    )
    fine = encode(codec, images, compute, progress, "encoding slices")
    conditions = codec.widest() if way == "published" else codec
    coarse = torch.empty(len(images), degradations, *fine.shape[1:], dtype=torch.float16)
    batch = 8
    for first in range(0, len(images), batch):
        part = images[first : first + batch, None].float()
        small = shrink(part, k, way)
        with autocast(codec.device, available(compute, codec.device)):
            again = codec.decode(codec.encode(small.to(codec.device))).cpu()
        for version in range(degradations):
            through = torch.tensor([uniform(generator) < codec_share for _ in part]).view(-1, 1, 1, 1)
            large = enlarge(torch.where(through, again, small), k).expand(-1, conditions.channels, -1, -1)
            degraded = [degrade(image, draw_degradation(generator, noise_levels, blur_share), way) for image in large]
            coarse[first : first + batch, version] = encode(conditions, torch.stack(degraded), compute)
        progress("encoding conditions", min(first + batch, len(images)), len(images))
    return fine, coarse


def framed_half(volume: VolumeSlices, fov_mm: float, size: int, generator: torch.Generator) -> Tensor:
    """Return the framed slices in a drawn pose, float16."""
    return frame(volume, fov_mm, size, draw_pose(generator)).half()


def cached(path: Path, identity: dict[str, object], make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of a file, or make and store them where it is missing or of another identity.

    Args:
        path: a safetensors file; or a folder, where each identity has a file of its own.
        identity: everything the tensors depend on, JSON-able.
        make: computes the tensors.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    path = path / f"latents-{key[:16]}.safetensors" if path.is_dir() else path
    with suppress(SafetensorError, OSError), safe_open(str(path), "pt") as stored:  # what is damaged is made anew
        if (stored.metadata() or {}).get("identity") == key:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    tensors = make()
    with atomic_output(path, overwrite=True) as partial:
        save_file(tensors, str(partial), metadata={"identity": key})
    return tensors
