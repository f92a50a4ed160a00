"""Small TorchScript detectors with the published ones' interface, and folders of volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid.runs.evaluation.fidelity.protocol import LoadedProtocol, load_protocol
from ctgrid.scan.volume import Volume

AFFINE = np.diag([-6.0, -6.0, 4.0, 1.0])


class ToyInception(nn.Module):
    """uint8 (B, 3, H, W) to features (B, 6): random smooth projections of the picture shrunk to 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("weight", torch.randn(6, 3 * 64, generator=generator) / 14)

    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise RuntimeError("uint8 (B, 3, H, W) wanted")
        if not return_features:
            raise RuntimeError("logits are not what is wanted")
        small = torch.nn.functional.adaptive_avg_pool2d(images.float() / 127.5 - 1.0, [8, 8])
        return torch.tanh(small.flatten(1) @ self.weight.t())


class ToyI3D(nn.Module):
    """uint8 (B, 3, T, H, W) to features (B, 4): brightness, and how much changes from frame to frame."""

    def forward(
        self, clips: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        if clips.dtype != torch.uint8 or clips.dim() != 5 or clips.shape[1] != 3:
            raise RuntimeError("uint8 (B, 3, T, H, W) wanted")
        if not (rescale and resize and return_features):
            raise RuntimeError("rescale, resize and return_features are wanted")
        x = clips.float() / 127.5 - 1.0
        steps = (x[:, :, 1:] - x[:, :, :-1]).abs()
        start, end = x[:, 0, 0].mean([1, 2]), x[:, 0, x.shape[2] - 1].mean([1, 2])
        return torch.stack([x.mean([1, 2, 3, 4]), steps.mean([1, 2, 3, 4]), start, end], dim=1)


@pytest.fixture(scope="session")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both detectors under the published ones' names."""
    folder = tmp_path_factory.mktemp("detectors")
    torch.jit.script(ToyInception()).save(str(folder / "inception-2015-12-05.pt"))
    torch.jit.script(ToyI3D()).save(str(folder / "i3d_torchscript.pt"))
    return folder


@pytest.fixture(scope="session")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., LoadedProtocol]:
    """Return a maker of protocols: the shipped one at 32 pixels, with keys of ``clips`` or others replaced."""
    import yaml

    def make(clips: dict[str, Any] | None = None, **others: Any) -> LoadedProtocol:
        values = yaml.safe_load(load_protocol("stylegan-v@1").path.read_text(encoding="utf-8"))
        values |= {"name": "small", "resolution": 32, **others}
        values["clips"] |= clips or {}
        path = tmp_path_factory.mktemp("protocol") / "small.yaml"
        path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return load_protocol(path)

    return make


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory, chest: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """Return a maker of folders of chests of different patients: ``volumes(seeds, noise_hu, shuffled, slices)``."""

    def make(seeds: range = range(6), noise_hu: float = 0.0, shuffled: bool = False, slices: int = 12) -> Path:
        folder = tmp_path_factory.mktemp("volumes")
        for seed in seeds:
            rng = np.random.default_rng(1000 + seed)
            hu = chest((slices, 32, 32), noise_hu=8.0, seed=seed).astype(np.float64)
            hu[hu > -500] += rng.uniform(-60, 60)  # every patient is a little different
            hu[hu < -600] += rng.uniform(0, 60)
            hu += noise_hu * rng.standard_normal(hu.shape)
            hu = np.clip(hu, -1000, 1000)
            order = rng.permutation(slices) if shuffled else np.arange(slices)
            Volume(np.rint(hu[order]).astype(np.int16), AFFINE).write(folder / f"p{seed:02d}.nii.gz")
        return folder

    return make
