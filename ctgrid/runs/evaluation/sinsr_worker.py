"""Runs SinSR's public code in an environment of its own, and enlarges slices for ctgrid on request.

Started as a script by :mod:`ctgrid.runs.evaluation.sinsr` with the Python that SinSR is installed for, so nothing of
ctgrid is imported here. What is asked and answered are lines of JSON on standard input and output; images lie in
``.npy`` files. It ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

MULTIPLE = 64
"""SinSR's sampler pads images to multiples of this, by reflection."""


class Enlarger:
    """SinSR in one step, as ``inference.py --one_step`` of its repository runs it; fp16 on CUDA."""

    def __init__(self, code: Path, weights: Path, autoencoder: Path, device: str) -> None:
        """Build both networks by the checkout's ``configs/SinSR.yaml`` and load their weights.

        Raises:
            Exception: of any kind, where the code or the files are others; the caller says so.
        """
        import yaml

        sys.path.insert(0, str(code))
        config = yaml.safe_load((code / "configs" / "SinSR.yaml").read_text(encoding="utf-8"))
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        self.k = int(config["diffusion"]["params"]["sf"])
        self.diffusion = _made(config["diffusion"])
        self.network = _filled(_made(config["model"]), weights).to(self.device).eval()
        self.codec = _filled(_made(config["autoencoder"]), autoencoder).to(self.device).eval()
        if self.device.type == "cuda":
            self.network.dtype = torch.float16
            self.network.convert_to_fp16()
            self.codec = self.codec.half()

    @torch.no_grad()
    def enlarge(self, images: np.ndarray, seed: int) -> np.ndarray:
        """Enlarge gray images, one by one from the same noise.

        Args:
            images: (B, s, s) float32 in [-1, 1].
            seed: of the noise.

        Returns:
            (B, k s, k s) float32 in [-1, 1]: the mean of the three channels.
        """
        made = []
        for image in torch.from_numpy(images).to(self.device):
            torch.manual_seed(seed)
            colour = self.sampled(image[None, None].repeat(1, 3, 1, 1))
            made.append(colour.float().clamp(-1, 1).mean(dim=1).cpu())
        return np.asarray(torch.cat(made).numpy())

    def sampled(self, image: Tensor) -> Tensor:
        """Return one RGB image (1, 3, s, s) in [-1, 1] enlarged, by SinSR's own sampling."""
        side = image.shape[-1]
        missing = -side % MULTIPLE
        if missing >= side:
            raise ValueError(
                f"slices of {side} pixels are too small, they are padded to {side + missing} by reflection"
            )
        padded = torch.nn.functional.pad(image, (0, missing, 0, missing), mode="reflect") if missing else image
        made: Tensor = self.diffusion.p_sample_loop(
            y=padded,
            model=self.network,
            first_stage_model=self.codec,
            clip_denoised=False,
            model_kwargs={"lq": padded},
            one_step=True,
        )
        return made[..., : side * self.k, : side * self.k]


def _made(part: dict[str, Any]) -> Any:
    """Return what a part of the configuration names, called with its parameters."""
    module, _, name = part["target"].rpartition(".")
    return getattr(import_module(module), name)(**part.get("params", {}))


def _filled(network: Any, path: Path) -> Any:
    """Load a network's weights, whatever else the file holds.

    Raises:
        ValueError: where tensors are missing or of another shape.
    """
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} is no checkpoint of tensors")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    try:
        missing = network.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit: {' '.join(str(error).split())[:200]}") from error
    if missing:
        raise ValueError(f"{path} lacks {len(missing)} of the network's tensors, such as {missing[0]}")
    return network


def serve(asked: IO[str], answered: IO[str], arguments: list[str]) -> None:
    """Load SinSR, say so, and answer until the input ends.

    Args:
        asked: lines ``{"images": FILE, "made": FILE, "seed": N}``.
        answered: gets ``{"k": K, "torch": VERSION}``, then ``{}`` for each, or ``{"error": REASON}``.
        arguments: the checkout, both files of weights, and the device.
    """

    def answer(content: dict[str, Any]) -> None:
        answered.write(json.dumps(content) + "\n")
        answered.flush()

    code, weights, autoencoder, device = arguments
    try:
        enlarger = Enlarger(Path(code), Path(weights), Path(autoencoder), device)
        answer({"k": enlarger.k, "torch": torch.__version__})
        for line in asked:
            request = json.loads(line)
            np.save(request["made"], enlarger.enlarge(np.load(request["images"]), request["seed"]))
            answer({})
    except Exception as error:  # other people's code fails in any way; one line of it goes back
        answer({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"})


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies, contextlib.redirect_stdout(sys.stderr):
        os.dup2(2, 1)  # what the code prints is no reply
        serve(sys.stdin, replies, sys.argv[1:])
