"""One small interface over every autoencoder: images in [-1, 1] <-> normalised latents.

Behind it stand diffusers' ``AutoencoderKL`` (SD VAE) and ``AutoencoderTiny`` (TAESD), and our own ``UnshuffleCodec``,
of which the embedded one has a single channel. Images are gray, which a network of three channels sees three times;
:meth:`Codec.colour` gives a codec of RGB images.
"""

from __future__ import annotations

import json
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.codecs.unshuffle_codec import DOWNSAMPLE, ENCODER_CONFIG, UnshuffleCodec
from ctgrid.stages.models.sources import describe_source
from ctgrid.stages.weights.own import load_own, moved

SD_SCALING = 0.18215
"""Scaling factor of the SD VAE's latents, used where a codec's own config names none."""


class Codec:
    """An autoencoder with its scaling: ``encode`` gives unit-variance latents, ``decode`` takes them.

    Attributes:
        latent_channels: channels c of a latent.
        downsample: image side over latent side, 8 for every supported codec.
        channels: C of the images, 1 for gray or 3 for RGB.
        name: class of the network and where it came from, for records.
    """

    def __init__(self, network: torch.nn.Module, name: str, channels: Literal[1, 3] = 1) -> None:
        """Wrap a network; use :func:`load_codec` to read one from a folder."""
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self.channels = channels
        self.config: dict[str, Any] = dict(network.config)  # type: ignore[arg-type]
        self.latent_channels = int(self.config["latent_channels"])
        blocks = self.config.get("block_out_channels") or self.config.get("encoder_block_out_channels")
        self.downsample = 2 ** (len(blocks) - 1) if blocks else DOWNSAMPLE
        self._own = isinstance(network, UnshuffleCodec)
        self._network_channels = int(self.config.get("image_channels" if self._own else "in_channels", 3))

    def colour(self) -> Codec:
        """Return the same network as a codec of RGB images (B, 3, H, W).

        Raises:
            CtgridError: where the network has one channel.
        """
        if self._network_channels != 3:
            raise CtgridError(
                f"codec {self.name} is gray, it cannot encode colour; pass --gray, or name one of three channels "
                "such as hub:stabilityai/sd-vae-ft-mse"
            )
        return Codec(self.network, self.name, channels=3)

    def to(self, device: torch.device | str) -> Codec:
        """Move the network to a device and return this codec."""
        moved(self.network, device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the network's class, config and weights: what latents depend on, whatever file it came from.

        Of our own codec only what the encoder is made of counts, so that latents outlive another decoder.
        """
        config = {key: value for key, value in self.config.items() if not key.startswith("_")}
        weights = self.network.state_dict()
        if self._own:
            config = {key: config[key] for key in ENCODER_CONFIG}
            weights = {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}
        named = json.dumps([type(self.network).__name__, config], sort_keys=True, default=str)
        state = sha256(named.encode())
        for name, tensor in sorted(weights.items()):
            values = tensor.detach().cpu().contiguous()
            state.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            state.update(values.view(-1).view(torch.uint8).numpy().data)
        return state.hexdigest()

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images to the posterior mean, normalised.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``.

        Returns:
            (B, latent_channels, H/8, W/8) float32, about zero mean and unit variance.

        Raises:
            CtgridError: where the shape does not fit.
        """
        return self.posterior(images)[0]

    @torch.no_grad()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images to mean and variance of the posterior, both of normalised latents.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``.

        Returns:
            Mean and variance, each (B, latent_channels, H/8, W/8) float32; the variance is zero where a codec
            has none (``AutoencoderTiny``).

        Raises:
            CtgridError: where the shape does not fit.
        """
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise CtgridError(f"codec.encode: images must be (B, {self.channels}, H, W), got {tuple(images.shape)}")
        if images.shape[2] % self.downsample or images.shape[3] % self.downsample:
            raise CtgridError(
                f"codec.encode: height and width must be multiples of {self.downsample}, "
                f"got {images.shape[2]} x {images.shape[3]}; pad or resize the images first"
            )
        network: Any = self.network
        if self.channels != self._network_channels:
            images = images.repeat(1, self._network_channels, 1, 1)
        if self._own:
            centre, spread = network.normalisation()
            mean, log_variance = (part.float() for part in network.posterior(images))
            return (mean - centre) / spread, log_variance.exp() / spread.square()
        encoded = network.encode(images)
        if not hasattr(encoded, "latent_dist"):
            latent = (encoded.latents.float() - self._shift) * self._scaling
            return latent, torch.zeros_like(latent)
        posterior = encoded.latent_dist
        mean = (posterior.mode().float() - self._shift) * self._scaling
        return mean, posterior.var.float() * self._scaling**2

    @torch.no_grad()
    def described(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images, and show what the encoder sees before it goes coarse.

        Args:
            images: (B, C, H, W) in [-1, 1]; H and W multiples of ``downsample``, C what the network takes.

        Returns:
            The encoder's fine stage (B, w, H/4, W/4), and normalised latents (B, latent_channels, H/8, W/8), both
            float32.

        Raises:
            CtgridError: for a codec that is not ctgrid's own.
        """
        network: Any = self.network
        if not self._own:
            raise CtgridError(f"codec {self.name} shows no fine stage; take one of ctgrid's own, such as embedded")
        centre, spread = network.normalisation()
        fine, mean, _ = network.described(images)
        return fine.float(), (mean.float() - centre) / spread

    def reads_coarse(self, factor: int) -> bool:
        """Tell whether the codec has an encoder of its own for images shrunk ``factor`` times."""
        return self._own and self.config.get("coarse_width") is not None and self.config["coarse_factor"] == factor

    @torch.no_grad()
    def encode_coarse(self, coarse: Tensor) -> Tensor:
        """Encode shrunk images to about the latents that they would have if enlarged first, at a sixth of the cost.

        Args:
            coarse: (B, C, h, w) in [-1, 1], shrunk by a factor f that :meth:`reads_coarse` holds for.

        Returns:
            (B, latent_channels, h f/8, w f/8) float32, normalised.

        Raises:
            CtgridError: where the codec has no such encoder.
        """
        network: Any = self.network
        if not self._own or network.coarse_encoder is None:
            raise CtgridError(f"codec {self.name} has no encoder for coarse slices; enlarge them and use encode")
        centre, spread = network.normalisation()
        return (network.coarse_encoder(coarse).float() - centre) / spread

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Decode normalised latents (B, c, h, w) to images (B, C, 8h, 8w), float32 in [-1, 1]."""
        if latent.ndim != 4 or latent.shape[1] != self.latent_channels:
            raise CtgridError(
                f"codec.decode: latents must be (B, {self.latent_channels}, h, w), got {tuple(latent.shape)}"
            )
        network: Any = self.network
        if self._own:
            mean, std = network.normalisation()
            images = network.reconstruct(latent * std + mean).float()
        else:
            images = network.decode(latent / self._scaling + self._shift).sample.float()
        if self.channels != self._network_channels:
            images = images.mean(dim=1, keepdim=True)
        return images.clamp(-1, 1)

    @property
    def _scaling(self) -> float:
        return float(self.config.get("scaling_factor") or SD_SCALING)

    @property
    def _shift(self) -> float:
        return float(self.config.get("shift_factor") or 0.0)


def load_codec(name: str | Path) -> Codec:
    """Read a codec, in float32 and evaluation mode; nothing is downloaded.

    Args:
        name: ``embedded``, ``hub:owner/name[@revision]`` of one fetched before, a folder or a file: diffusers'
            layout (``config.json`` that names ``UnshuffleCodec``, ``AutoencoderKL`` or ``AutoencoderTiny``, beside
            safetensors or ``.bin``), also in ``codec``, ``vae`` or ``model`` inside the folder; TAESD's own pair
            of files; or an SD VAE in a single file.

    Raises:
        CtgridError: where the folder, its config or its weights are missing or of another class.
    """
    from ctgrid.stages.codecs import codec_files

    path = codec_files.codec_path(name)
    pair = codec_files.taesd_pair(path)
    if path.is_file():
        network = codec_files.from_single_file(path)
    elif pair and not (path / "config.json").exists():
        network = codec_files.from_taesd_pair(*pair)
    else:
        network = _from_folder(path)
    return Codec(network, name=f"{type(network).__name__}:{codec_files.name_of(name, path)}")


def codec_source(name: str | Path) -> dict[str, Any]:
    """Return where a codec comes from and the SHA-256 of its weights, for run records.

    Args:
        name: as :func:`load_codec` takes it.
    """
    from ctgrid.stages.codecs.codec_files import codec_path, codec_weights

    path = codec_path(name)
    hashes = {file.name: sha256_of(file) for file in codec_weights(path)}
    return {**describe_source(name, hashes), "files": hashes}


def _from_folder(folder: Path) -> torch.nn.Module:
    """Read a codec in diffusers' layout."""
    from ctgrid.stages.codecs.codec_files import class_of

    class_name = class_of(folder)
    network_class: Any
    if class_name == "UnshuffleCodec":
        return load_own(UnshuffleCodec, folder, "codec")
    if class_name == "AutoencoderKL":
        from diffusers import AutoencoderKL as network_class
    elif class_name == "AutoencoderTiny":
        from diffusers import AutoencoderTiny as network_class
    else:
        raise CtgridError(
            f"{folder}: codec class {class_name} is not supported; use UnshuffleCodec, AutoencoderKL or AutoencoderTiny"
        )
    options = {"local_files_only": True, "use_safetensors": any(folder.glob("*.safetensors"))}  # else .bin
    try:
        network, report = network_class.from_pretrained(
            folder, torch_dtype=torch.float32, output_loading_info=True, **options
        )
    except Exception as error:  # diffusers and pickle raise many kinds; all mean that the weights are not readable
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CtgridError(f"{folder}: the codec's weights could not be read: {reason}") from error
    missing = sorted(report["missing_keys"])
    if missing:  # diffusers would leave them at random values
        raise CtgridError(f"{folder}: the weights lack {len(missing)} of the codec's tensors, such as {missing[0]}")
    assert isinstance(network, torch.nn.Module)
    return network
