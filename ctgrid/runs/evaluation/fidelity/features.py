"""``ctgrid-features``: features from the embedded codec's encoder, pooled. Always there; never called FID or FVD.

A slice is shrunk to 256 x 256 (antialiased bicubic) and encoded to a latent z (c, 32, 32). It is described by

- content: the mean of z in 4 x 4 cells (what is where);
- structure: the logarithm of the standard deviation over space of z averaged over 4 x 4 latents, and of the root mean
  square of what z differs from those averages;
- texture: of the encoder's fine stage x (w, 64, 64), the logarithm of the lower quartile over soft tissue of what x
  differs from its means over 2 x 2. Edges fill less than three quarters of soft tissue, so this is the grain between.

A clip is described by the mean over its slices of z's spatial mean and standard deviation, by the standard deviation
over its slices of the former, by the mean over its steps of the mean |z(next slice) - z|, and by the mean and standard
deviation over its steps of the same for z averaged over 4 x 4: the order of slices shows in the last three, above the
noise in the last two.

Version 1 had no texture, and the standard deviations as they are: noise below 200 HU hardly moved its slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ctgrid.base.errors import CtgridError
from ctgrid.scan.protocols.resample import normalise

if TYPE_CHECKING:
    from ctgrid.stages.codecs.codecs import Codec

NAME, VERSION = "ctgrid-features", 2
SIDE = 256  # pixels of a slice that is encoded
CELLS = 4  # cells per side in which the latent is averaged
COARSE = 4  # latents per side that are averaged for coarse structure
TISSUE = (-0.3, 0.3)  # of normalised HU, -300 to 300 HU: where texture is looked at
FEWEST_TISSUE = 16  # places; a slice with fewer is looked at everywhere
QUARTILE = 0.25
WEIGHT = 0.5  # of content and of texture, so that no part drowns the others in real chests
BATCH = 8  # slices encoded at once


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the encoder makes of n slices, float64 on the CPU: latents z (n, c, 32, 32) and texture (n, w)."""

    z: Tensor
    texture: Tensor


class EmbeddedFeatures:
    """Features of one codec on one device; the latents of the volume looked at last are kept."""

    def __init__(
        self, codec: Codec | str = "embedded", device: torch.device | str = "cpu", batch_size: int = BATCH
    ) -> None:
        """Load a codec.

        Args:
            codec: a codec of gray images, or its name.
            device: where to compute.
            batch_size: slices encoded at once.

        Raises:
            CtgridError: as :func:`ctgrid.stages.codecs.codecs.load_codec`.
        """
        from ctgrid.stages.codecs.codecs import load_codec

        self.codec = (load_codec(codec) if isinstance(codec, str) else codec).to(device)
        self.batch_size = batch_size
        self._last: tuple[np.ndarray, Encoded] | None = None

    @property
    def sha256(self) -> str:
        """Hash of the encoder's class, config and weights."""
        return self.codec.identity

    @property
    def name(self) -> str:
        """Name with version and the encoder's hash: features of different names must not be compared."""
        return f"{NAME}@{VERSION}+{self.sha256[:12]}"

    def slices(self, hu: np.ndarray) -> np.ndarray:
        """Return features (n, 18 c + w) float64 of slices (n, S, S) in HU, c latent channels and w fine ones."""
        encoded = self.encoded(hu)
        z = encoded.z
        structure = [_coarse(z).std(dim=(2, 3), correction=0), _detail(z, COARSE).square().mean(dim=(2, 3)).sqrt()]
        logs = [torch.log(part + 0.01) for part in structure]
        texture = torch.log(encoded.texture + 0.003)
        return torch.cat([WEIGHT * _cells(z), *logs, WEIGHT * texture], dim=1).numpy()

    def content(self, hu: np.ndarray) -> np.ndarray:
        """Return (n, 18 c) float64 of slices (n, S, S) in HU that say what is where, by which copies are looked for.

        Cell means, and the standard deviations over space of z and of its averages: noise and sharpness move them
        little.
        """
        z = self.encoded(hu).z
        parts = [_cells(z), z.std(dim=(2, 3), correction=0), _coarse(z).std(dim=(2, 3), correction=0)]
        return torch.cat(parts, dim=1).numpy()

    def clips(self, hu: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return features of clips of one volume.

        Args:
            hu: (n, S, S) in HU.
            indices: (m, T) slice numbers of m clips.

        Returns:
            (m, 6 c) float64, c being the latent's channels.
        """
        z = self.encoded(hu).z
        mean, std, coarse = z.mean(dim=(2, 3)), z.std(dim=(2, 3), correction=0), _coarse(z)

        def described(clip: list[int]) -> Tensor:
            fine, large = (torch.stack([_step(x, a, b) for a, b in pairwise(clip)]) for x in (z, coarse))
            parts = [mean[clip].mean(0), std[clip].mean(0), mean[clip].std(0, correction=0)]
            return torch.cat([*parts, fine.mean(0), large.mean(0), large.std(0, correction=0)])

        return torch.stack([described(clip) for clip in indices.tolist()]).numpy()

    @torch.no_grad()
    def encoded(self, hu: np.ndarray) -> Encoded:
        """Encode slices (n, S, S) in HU.

        Raises:
            CtgridError: for another shape, or a codec that is not ctgrid's own.
        """
        if self._last is not None and self._last[0] is hu:
            return self._last[1]
        if hu.ndim != 3 or 0 in hu.shape:
            raise CtgridError(f"slices must have shape (n, S, S) in HU, got {hu.shape}")
        z, texture = [], []
        for i in range(0, len(hu), self.batch_size):
            images = rearrange(torch.from_numpy(normalise(hu[i : i + self.batch_size])), "b h w -> b 1 h w")
            if images.shape[-2:] != (SIDE, SIDE):
                images = interpolate(images, size=(SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
            fine, latents = self._encode(images.to(self.codec.device))
            z.append(latents.double().cpu())
            texture.append(_texture(fine.double().cpu(), images))
        made = Encoded(torch.cat(z), torch.cat(texture))
        self._last = (hu, made)
        return made

    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        from ctgrid.runs.evaluation.fidelity.detectors import exact

        with exact():
            return self.codec.described(images)


def _texture(fine: Tensor, images: Tensor) -> Tensor:
    """Return the lower quartile (B, w) of the grain of fine stages (B, w, h, h) over the soft tissue of images."""
    tissue = avg_pool2d(images, images.shape[-1] // fine.shape[-1])
    inside = ((tissue > TISSUE[0]) & (tissue < TISSUE[1])).flatten(1)
    grain = _detail(fine, 2).abs().flatten(2)
    rows = []
    for one, where in zip(grain, inside, strict=True):
        chosen = one[:, where] if int(where.sum()) >= FEWEST_TISSUE else one
        rows.append(chosen.kthvalue(1 + int(QUARTILE * (chosen.shape[1] - 1)), dim=1).values)
    return torch.stack(rows)


def _detail(x: Tensor, side: int) -> Tensor:
    """Return what x (n, c, h, w) differs from its means over squares of ``side``."""
    return x - avg_pool2d(x, side).repeat_interleave(side, 2).repeat_interleave(side, 3)


def _cells(z: Tensor) -> Tensor:
    """Return the means of latents (n, c, h, w) in cells, (n, c :data:`CELLS` ²)."""
    return reduce(z, "n c (h p) (w q) -> n (c h w)", "mean", h=CELLS, w=CELLS)


def _coarse(z: Tensor) -> Tensor:
    """Average latents (n, c, h, w) over squares of :data:`COARSE`."""
    return reduce(z, "n c (h p) (w q) -> n c h w", "mean", p=COARSE, q=COARSE)


def _step(z: Tensor, first: int, second: int) -> Tensor:
    """Return the mean absolute difference (c,) of two slices' latents."""
    return (z[second] - z[first]).abs().mean(dim=(1, 2))
