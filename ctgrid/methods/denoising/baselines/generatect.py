"""GenerateCT's diffusion super-resolution as a denoiser, without prompt: the comparison that GriDiT's paper made.

An adapter to the package ``super_resolution`` of GenerateCT's public repository, which is no dependency,
and to its published checkpoint. Slices are shrunk to 128 x 128, which removes much of the noise, and its network
draws 512 x 512 ones from them: 25 steps of v-prediction from pure noise, conditioned on the small slice noised
a little. Its values run from 0 to 1 for -1000 to 1000 HU. The strength of the noise is of no use to it.
"""

from __future__ import annotations

import contextlib
import io
import time
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctgrid.base.causes import reading
from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.result import DenoiseResult, noise_of, untouched
from ctgrid.methods.denoising.settings import DrawnSettings, Strength
from ctgrid.scan.volume import Volume

LOW, HIGH = 128, 512
UNET: dict[str, Any] = {
    "dim": 64,
    "num_resnet_blocks": 2,
    "dim_mults": (1, 2, 4),
    "layer_cross_attns": True,
    "use_linear_attn": False,
    "layer_attns": False,
    "attend_at_middle": False,
    "use_linear_cross_attn": False,
    "memory_efficient": True,
    "channels": 1,
    "attn_heads": 8,
}
"""The published network's sizes.

Its configuration file lists four layers with cross-attention for a network of three; as its script reads the
file, each of the three gets that list, which counts as true.
"""

CASCADE: dict[str, Any] = {
    "image_sizes": (LOW, HIGH),
    "channels": 1,
    "timesteps": (25, 25),
    "condition_on_text": True,
    "random_crop_sizes": (None, None),
    "pred_objectives": "v",
    "lowres_sample_noise_level": 0.1,
}
TEXT_WIDTH = 768
"""Of the text encoder's output; stands in the call, and is dropped before the network uses it."""

INSTALL = (
    "method 'generatect' needs GenerateCT's package: git clone https://github.com/ibrahimethemhamamci/GenerateCT, "
    "then pip install -e GenerateCT/super_resolution (with a torchvision that fits the installed torch)"
)


@dataclass(frozen=True)
class GenerateCT:
    """The second stage of GenerateCT, loaded.

    Attributes:
        cascade: the package's ``Superres``: a placeholder and the network 128 -> 512.
        weights: where its weights came from.
    """

    cascade: Any
    weights: Path

    @classmethod
    def load(cls, weights: Path | None, device: str = "auto") -> GenerateCT:
        """Load the published checkpoint into the installed package.

        Args:
            weights: ``superres_pretrained.pt`` as its authors publish it; averaged weights are used where there.
            device: see :func:`ctgrid.base.devices.choose_device`.

        Raises:
            CtgridError: the package or the checkpoint is missing or another one.
        """
        if weights is None:
            raise CtgridError("method 'generatect' needs --weights FILE: GenerateCT's superres_pretrained.pt")
        if not weights.is_file():
            raise CtgridError(f"{weights} does not exist; GenerateCT's checkpoint is called superres_pretrained.pt")
        from ctgrid.base.devices import choose_device

        cascade = build()
        fill(cascade, weights)
        return cls(cascade.to(choose_device(device)).eval(), weights)

    @torch.no_grad()
    def run(
        self,
        volume: Volume,
        strength: Strength = "auto",
        *,
        seed: int = DrawnSettings.seed,
        progress: Progress = silent,
    ) -> DenoiseResult:
        """Draw every slice anew from its small version.

        Args:
            volume: the scan, of any orientation.
            strength: noted, not used; only of a scan without noise, 0 HU, nothing is drawn.
            seed: of the drawing; slice i draws the same, whatever the others are.
            progress: called after every slice.
        """
        from ctgrid.scan.grid import downsample
        from ctgrid.scan.protocols.generatect import CT_RATE_ORIENTATION
        from ctgrid.scan.protocols.oriented import from_oriented, to_oriented

        started = time.perf_counter()
        noise_hu = noise_of(volume, strength)
        settings = {"method": "generatect", "seed": seed, "steps": CASCADE["timesteps"][1], "prompt": None}
        if noise_hu == 0:
            return untouched(volume, noise_hu, settings)
        unit, way = to_oriented(volume, HIGH, CT_RATE_ORIENTATION)
        for i, image in enumerate(unit):
            small = downsample(torch.from_numpy(np.ascontiguousarray(image))[None, None], HIGH // LOW)
            unit[i] = self.draw((small.clamp(-1, 1) + 1) / 2, seed + i)[0, 0].cpu().numpy() * 2 - 1
            progress("generatect", i + 1, len(unit))
        phases = {"super-resolution": round(time.perf_counter() - started, 3)}
        return DenoiseResult(from_oriented(unit, way), phases, noise_hu, settings)

    def draw(self, small: Tensor, seed: int) -> Tensor:
        """Return one slice (1, 1, 512, 512) for a small one (1, 1, 128, 128), both in [0, 1]."""
        place = next(self.cascade.parameters()).device
        devices = [place] if place.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), contextlib.redirect_stdout(io.StringIO()):
            torch.manual_seed(seed)
            large: Tensor = self.cascade.sample(
                text_embeds=torch.zeros(1, 1, TEXT_WIDTH, device=place),
                text_masks=torch.zeros(1, 1, dtype=torch.bool, device=place),
                start_image_or_video=small.to(place),
                start_at_unet_number=2,
                cond_scale=1.0,
                use_tqdm=False,
                device=place,
            )
        return large.clamp(0, 1)


def build() -> Any:
    """Return the package's cascade with the published sizes, untrained.

    The network was trained with the prompt left out at times; ``cond_drop_prob`` of 1 is how it is told so.

    Raises:
        CtgridError: the package is missing, needs another one, or has another interface.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            package = import_module("super_resolution")
            unets = package.NullUnet(), package.Unet(**UNET, lowres_cond=True)
            cascade = package.Superres(unets=unets, **CASCADE)
    except ImportError as error:
        raise CtgridError(f"{INSTALL}; the import said: {error}") from error
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CtgridError(
            f"GenerateCT's package cannot be used: {reason}. It asks for google/t5-v1_1-base's configuration when "
            "imported (fetch it once while online), and for a torchvision that fits the installed torch"
        ) from error
    except (AttributeError, TypeError, AssertionError) as error:
        raise CtgridError(f"the installed super_resolution is not GenerateCT's public one: {error}") from error
    network = cascade.unets[1]
    network.forward = partial(network.forward, cond_drop_prob=1.0)
    return cascade


def fill(cascade: Any, weights: Path) -> None:
    """Load a checkpoint's weights into the cascade.

    Args:
        cascade: see :func:`build`.
        weights: a file with ``model``, and ``ema`` where averaged weights were kept.

    Raises:
        CtgridError: the file holds something else.
    """
    with reading(weights, "a checkpoint of GenerateCT"):  # a damaged pickle fails in any way it likes
        state = torch.load(weights, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise CtgridError(f"{weights} is no checkpoint of GenerateCT's trainer: it holds no 'model'")
    prefix = "1.ema_model."
    ema = state.get("ema") or {}
    try:
        averaged = {k[len(prefix) :]: v for k, v in ema.items() if k.startswith(prefix)}
        cascade.load_state_dict(state["model"])
        if averaged:
            cascade.unets[1].load_state_dict(averaged)
    except (RuntimeError, AttributeError, TypeError) as error:
        first = " ".join(str(error).split())[:200]
        raise CtgridError(f"{weights} does not fit GenerateCT's published network: {first}") from error
