"""The small convolutional autoencoder that ships with ctgrid.

Full-resolution convolutions are what an autoencoder costs on a CPU, so this one has none: the image is
folded 4x4 into channels (pixel-unshuffle) before the first convolution, and unfolded after the last.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, silu

from ctgrid.stages.networks.own import Count, OwnNetwork, Size, keeps_arguments

STEM = 4
"""Side of the pixel-unshuffle stem; the one strided convolution behind it makes the total reduction 8."""

DOWNSAMPLE = 2 * STEM

ENCODER_CONFIG = (
    *("latent_channels", "encoder_width", "encoder_blocks", "fine_width", "fine_blocks", "image_channels"),
    *("latents_mean", "latents_std"),
)
"""What of the config latents depend on."""


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))), with the last convolution starting at zero."""

    def __init__(self, width: int) -> None:
        """Make a block of ``width`` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        return x + self.conv2(silu(self.conv1(silu(x))))


class UnshuffleCodec(OwnNetwork):
    """Autoencoder of images, C = 1 gray or 3 RGB: (B, C, H, W) in [-1, 1] to (B, latent_channels, H/8, W/8) and back.

    ``latents_mean`` and ``latents_std`` (one number per latent channel, in the config) normalise the
    latents to zero mean and unit variance; they are measured at the end of training.

    With ``coarse_width`` there is a second, small encoder for slices shrunk ``coarse_factor`` times: it guesses the
    latent that the enlarged slice would have, in a sixth of the time.
    """

    @keeps_arguments
    def __init__(
        self,
        latent_channels: Size = 8,
        encoder_width: Size = 128,
        encoder_blocks: Count = 3,
        decoder_width: Size = 160,
        decoder_blocks: Count = 4,
        fine_width: Size = 64,
        fine_blocks: Count = 1,
        latents_mean: list[float] | None = None,
        latents_std: list[float] | None = None,
        image_channels: Size = 1,
        decoder_fine_width: Size | None = None,
        coarse_width: Size | None = None,
        coarse_blocks: Count = 3,
        coarse_factor: Size = 4,
    ) -> None:
        """Make the network; see ``configs/embedded-codec.yaml`` for the shipped sizes."""
        super().__init__()
        folded = STEM * STEM * image_channels
        decoder_fine = fine_width if decoder_fine_width is None else decoder_fine_width
        self.encoder = nn.Sequential(
            nn.Conv2d(folded, fine_width, 3, padding=1),
            *(ResidualBlock(fine_width) for _ in range(fine_blocks)),
            nn.Conv2d(fine_width, encoder_width, 4, stride=2, padding=1),
            *(ResidualBlock(encoder_width) for _ in range(encoder_blocks)),
            nn.SiLU(),
            nn.Conv2d(encoder_width, 2 * latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, decoder_width, 3, padding=1),
            *(ResidualBlock(decoder_width) for _ in range(decoder_blocks)),
            nn.Conv2d(decoder_width, 4 * decoder_fine, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(decoder_fine) for _ in range(fine_blocks)),
            nn.SiLU(),
            nn.Conv2d(decoder_fine, folded, 3, padding=1),
        )
        self.coarse_encoder: nn.Sequential | None = None
        if coarse_width is not None:
            if DOWNSAMPLE % coarse_factor:
                raise ValueError(f"coarse_factor must divide {DOWNSAMPLE}, got {coarse_factor}")
            self.coarse_encoder = nn.Sequential(
                nn.PixelUnshuffle(DOWNSAMPLE // coarse_factor),
                nn.Conv2d(image_channels * (DOWNSAMPLE // coarse_factor) ** 2, coarse_width, 3, padding=1),
                *(ResidualBlock(coarse_width) for _ in range(coarse_blocks)),
                nn.SiLU(),
                nn.Conv2d(coarse_width, latent_channels, 3, padding=1),
            )

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (B, C, H, W), H and W multiples of 8, to mean and log-variance (B, c, H/8, W/8)."""
        return self.described(images)[1:]

    def described(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode images (B, C, H, W), H and W multiples of 8, and show what the encoder sees before it goes coarse.

        Returns:
            The encoder's fine stage (B, fine_width, H/4, W/4); mean and log-variance (B, c, H/8, W/8).
        """
        stages = 1 + self.config["fine_blocks"]
        fine = self.encoder[:stages](pixel_unshuffle(images, STEM))
        mean, log_variance = self.encoder[stages:](fine).chunk(2, dim=1)
        return fine, mean, log_variance.clamp(-20.0, 10.0)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """Decode raw (not normalised) latents (B, c, h, w) to images (B, C, 8h, 8w), not clipped."""
        return pixel_shuffle(self.decoder(latents), STEM)

    def forward(
        self, images: Tensor, noise: Tensor, coarse: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Reconstruct images from a sample of the posterior, as training does.

        Args:
            images: (B, C, H, W) in [-1, 1].
            noise: (B, c, H/8, W/8) standard normal.
            coarse: (B, C, H/f, W/f), the images shrunk ``coarse_factor`` times, for the second encoder.

        Returns:
            The reconstruction (B, C, H, W), the posterior's mean and log-variance, and the second encoder's guess
            (B, c, H/8, W/8); None without ``coarse``.
        """
        mean, log_variance = self.posterior(images)
        latents = mean + noise * torch.exp(0.5 * log_variance)
        guess = None if coarse is None or self.coarse_encoder is None else self.coarse_encoder(coarse)
        return self.reconstruct(latents), mean, log_variance, guess

    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Return the latents' mean and standard deviation, each (1, c, 1, 1)."""
        channels = self.config["latent_channels"]
        mean = self.config["latents_mean"] or [0.0] * channels
        std = self.config["latents_std"] or [1.0] * channels
        device = next(self.parameters()).device
        view = (1, channels, 1, 1)
        return torch.tensor(mean, device=device).view(view), torch.tensor(std, device=device).view(view)
