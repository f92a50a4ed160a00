"""``ctgrid-features``: features from the embedded codec's encoder, pooled. Always there; never called FID or FVD.

A slice is shrunk to 256 x 256 (antialiased bicubic) and encoded to a latent z (c, 32, 32). It is described by the
mean of z in 4 x 4 cells, and by the standard deviation over space of z and of z averaged over 4 x 4 latents: what is
where, how much detail, how much coarse structure. A clip is described by the mean over its slices of z's spatial mean
and standard deviation, by the standard deviation over its slices of the former, by the mean over its steps of the mean
|z(next slice) - z|, and by the mean and standard deviation over its steps of the same for z averaged over 4 x 4: the
order of slices shows in the last three, above the noise in the last two.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn.functional import interpolate

from ctgrid.errors import CtgridError
from ctgrid.preprocess.resample import normalise

if TYPE_CHECKING:
    from ctgrid.models.codecs import Codec

NAME, VERSION = "ctgrid-features", 1
SIDE = 256  # pixels of a slice that is encoded
CELLS = 4  # cells per side in which the latent is averaged
COARSE = 4  # latents per side that are averaged for coarse structure
BATCH = 8  # slices encoded at once


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
            CtgridError: as :func:`ctgrid.models.codecs.load_codec`.
        """
        from ctgrid.models.codecs import load_codec

        self.codec = (load_codec(codec) if isinstance(codec, str) else codec).to(device)
        self.batch_size = batch_size
        self._last: tuple[np.ndarray, Tensor] | None = None

    @property
    def sha256(self) -> str:
        """Hash of the encoder's class, config and weights."""
        return self.codec.identity

    @property
    def name(self) -> str:
        """Name with version and the encoder's hash: features of different names must not be compared."""
        return f"{NAME}@{VERSION}+{self.sha256[:12]}"

    def slices(self, hu: np.ndarray) -> np.ndarray:
        """Return features (n, 18 c) float64 of slices (n, S, S) in HU, c being the latent's channels."""
        z = self.latents(hu)
        cells = reduce(z, "n c (h p) (w q) -> n (c h w)", "mean", h=CELLS, w=CELLS)
        parts = [cells, z.std(dim=(2, 3), correction=0), _coarse(z).std(dim=(2, 3), correction=0)]
        return torch.cat(parts, dim=1).numpy()

    def clips(self, hu: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Return features of clips of one volume.

        Args:
            hu: (n, S, S) in HU.
            indices: (m, T) slice numbers of m clips.

        Returns:
            (m, 6 c) float64, c being the latent's channels.
        """
        z = self.latents(hu)
        mean, std, coarse = z.mean(dim=(2, 3)), z.std(dim=(2, 3), correction=0), _coarse(z)

        def described(clip: list[int]) -> Tensor:
            fine, large = (torch.stack([_step(x, a, b) for a, b in pairwise(clip)]) for x in (z, coarse))
            parts = [mean[clip].mean(0), std[clip].mean(0), mean[clip].std(0, correction=0)]
            return torch.cat([*parts, fine.mean(0), large.mean(0), large.std(0, correction=0)])

        return torch.stack([described(clip) for clip in indices.tolist()]).numpy()

    @torch.no_grad()
    def latents(self, hu: np.ndarray) -> Tensor:
        """Return normalised latents (n, c, 32, 32), float64 on the CPU, of slices (n, S, S) in HU.

        Raises:
            CtgridError: for another shape.
        """
        if self._last is not None and self._last[0] is hu:
            return self._last[1]
        if hu.ndim != 3 or 0 in hu.shape:
            raise CtgridError(f"slices must have shape (n, S, S) in HU, got {hu.shape}")
        encoded = []
        for i in range(0, len(hu), self.batch_size):
            images = rearrange(torch.from_numpy(normalise(hu[i : i + self.batch_size])), "b h w -> b 1 h w")
            if images.shape[-2:] != (SIDE, SIDE):
                images = interpolate(images, size=(SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)
            encoded.append(self._encode(images.to(self.codec.device)))
        z = torch.cat(encoded)
        self._last = (hu, z)
        return z

    def _encode(self, images: Tensor) -> Tensor:
        from ctgrid.evaluation.fidelity.detectors import exact

        with exact():
            return self.codec.encode(images).double().cpu()


def _coarse(z: Tensor) -> Tensor:
    """Average latents (n, c, h, w) over squares of :data:`COARSE`."""
    return reduce(z, "n c (h p) (w q) -> n c h w", "mean", p=COARSE, q=COARSE)


def _step(z: Tensor, first: int, second: int) -> Tensor:
    """Return the mean absolute difference (c,) of two slices' latents."""
    return (z[second] - z[first]).abs().mean(dim=(1, 2))


def slice_features(
    codec: str = "embedded", batch_size: int = BATCH, device: torch.device | str = "cpu"
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from slices (n, S, S) in HU to features (n, d) float64; see :class:`EmbeddedFeatures`.

    Args:
        codec: ``embedded``, or what :func:`ctgrid.models.codecs.load_codec` takes.
        batch_size: slices encoded at once.
        device: where to compute.

    Raises:
        CtgridError: where there is no such codec.
    """
    return EmbeddedFeatures(codec, device, batch_size).slices
