"""ctgrid's own autoencoder as a codec: latents normalised channel by channel, a fine stage, a coarse encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ctgrid.stages.codecs.adapter import Adapter, config_and_weights
from ctgrid.stages.codecs.unshuffle_codec import DOWNSAMPLE, ENCODER_CONFIG, UnshuffleCodec
from ctgrid.stages.weights.own import load_own


class UnshuffleAdapter(Adapter):
    """An :class:`UnshuffleCodec`."""

    def __init__(self, network: UnshuffleCodec) -> None:
        self.network = network
        self.latent_channels = int(network.config["latent_channels"])
        self.downsample = DOWNSAMPLE
        self.image_channels = int(network.config["image_channels"])
        self.coarse_factor = None if network.coarse_encoder is None else int(network.config["coarse_factor"])

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise what the encoder gives."""
        centre, spread = self.network.normalisation()
        mean, log_variance = (part.float() for part in self.network.posterior(images))
        return (mean - centre) / spread, log_variance.exp() / spread.square()

    def decode(self, latent: Tensor) -> Tensor:
        """Undo the normalisation, then decode."""
        mean, std = self.network.normalisation()
        return self.network.reconstruct(latent * std + mean).float()

    def identifying(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return only what the encoder is made of, so that latents outlive another decoder."""
        config, weights = config_and_weights(self.network)
        encoder = {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}
        return {key: config[key] for key in ENCODER_CONFIG}, encoder

    def described(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's fine stage (B, w, H/4, W/4) and the latents' mean."""
        centre, spread = self.network.normalisation()
        fine, mean, _ = self.network.described(images)
        return fine.float(), (mean.float() - centre) / spread

    def encode_coarse(self, coarse: Tensor) -> Tensor:
        """Guess the latents that the enlarged images would have."""
        assert self.network.coarse_encoder is not None
        centre, spread = self.network.normalisation()
        latent: Tensor = (self.network.coarse_encoder(coarse).float() - centre) / spread
        return latent


def load_unshuffle(folder: Path) -> UnshuffleCodec:
    """Read ctgrid's own autoencoder.

    Raises:
        CtgridError: as :func:`ctgrid.stages.weights.own.load_own`.
    """
    return load_own(UnshuffleCodec, folder, "codec")
