"""The adapter to GenerateCT's package, beside a stand-in with the same interface."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctgrid import CtgridError, Volume
from ctgrid.methods.denoising.baselines import generatect
from ctgrid.methods.denoising.baselines.generatect import GenerateCT
from ctgrid.methods.denoising.methods import load_method


class Unet(nn.Module):
    """Adds a learned number and a little of the noise; counts how it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        assert settings == {**generatect.UNET, "lowres_cond": True}
        self.bias = nn.Parameter(torch.zeros(1))
        self.drops: list[float] = []

    def forward(self, x: Tensor, *, lowres: Tensor, cond_drop_prob: float = 0.0) -> Tensor:
        self.drops.append(cond_drop_prob)
        return lowres + self.bias + 0.001 * x


class NullUnet(nn.Module):
    """Holds a place."""

    def __init__(self) -> None:
        super().__init__()
        self.dummy_parameter = nn.Parameter(torch.zeros(1))


class Superres(nn.Module):
    """Samples in one step what the real one does in 25."""

    def __init__(self, unets: tuple[nn.Module, ...], **settings: Any) -> None:
        super().__init__()
        assert settings == generatect.CASCADE
        self.unets = nn.ModuleList(unets)
        self.seen: list[Tensor] = []

    def sample(
        self,
        *,
        text_embeds: Tensor,
        text_masks: Tensor,
        start_image_or_video: Tensor,
        start_at_unet_number: int,
        cond_scale: float,
        use_tqdm: bool,
        device: torch.device,
    ) -> Tensor:
        print("the real one prints shapes")
        assert start_at_unet_number == 2 and cond_scale == 1.0 and not use_tqdm
        assert text_embeds.shape == (1, 1, 768) and not text_masks.any()
        assert start_image_or_video.shape == (1, 1, 128, 128)
        assert start_image_or_video.min() >= 0 and start_image_or_video.max() <= 1
        self.seen.append(start_image_or_video)
        large = nn.functional.interpolate(start_image_or_video, size=512, mode="nearest")
        return self.unets[1](torch.randn(large.shape), lowres=large)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the stand-in as ``super_resolution``."""
    module = ModuleType("super_resolution")
    vars(module).update(Unet=Unet, NullUnet=NullUnet, Superres=Superres)
    monkeypatch.setitem(sys.modules, "super_resolution", module)
    yield


@pytest.fixture
def checkpoint(package: None, tmp_path: Path) -> Path:
    """Save a checkpoint as the package's trainer does, whose averaged weights differ from the others."""
    cascade = Superres((NullUnet(), Unet(**generatect.UNET, lowres_cond=True)), **generatect.CASCADE)
    ema = {"1.ema_model.bias": torch.tensor([0.05]), "1.online_model.bias": torch.tensor([9.0]), "1.step": 3}
    path = tmp_path / "superres_pretrained.pt"
    torch.save({"model": cascade.state_dict(), "steps": torch.tensor([0, 7]), "ema": ema, "time_elapsed": 1.5}, path)
    return path


@pytest.fixture
def scan(chest: Any) -> Volume:
    """Return three slices that have no side of 512."""
    return Volume(chest((12, 96, 128))[4:7], np.diag([-0.8, -0.8, 2.0, 1.0]))


def test_slices_go_through_128_pixels_from_0_to_1(
    checkpoint: Path, scan: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result lies on the scan's grid; averaged weights are used; the prompt is dropped; nothing is printed."""
    method = load_method("generatect", weights=checkpoint, device="cpu")
    assert isinstance(method, GenerateCT)
    result = method.run(scan, 50.0)
    assert capsys.readouterr().out == ""
    assert result.volume.shape == scan.shape and result.volume.hu.dtype == scan.hu.dtype
    assert len(method.cascade.seen) == 3 and method.cascade.unets[1].drops == [1.0, 1.0, 1.0]
    lung = np.abs(scan.hu + 850) < 40
    assert float(result.volume.hu[lung].mean()) == pytest.approx(-850 + 0.05 * 2000, abs=30)
    assert result.settings["prompt"] is None and result.noise_hu == 50.0


def test_the_seed_names_the_drawing_of_each_slice(checkpoint: Path, scan: Volume) -> None:
    """The same seed gives the same slices; the global generator is left alone."""
    method = GenerateCT.load(checkpoint, "cpu")
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    a, b, c = (method.run(scan, 50.0, seed=s).volume.hu for s in (5, 5, 6))
    assert torch.equal(torch.rand(1), wanted)
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights, the file, the package: one line each, with what to do."""
    with pytest.raises(CtgridError, match="needs --weights FILE"):
        load_method("generatect")
    with pytest.raises(CtgridError, match="does not exist"):
        load_method("generatect", weights=tmp_path / "nothing.pt")
    (tmp_path / "x.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "super_resolution", None)
    with pytest.raises(CtgridError, match=r"git clone .*GenerateCT.* pip install -e"):
        load_method("generatect", weights=tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no checkpoint", "is not a checkpoint of GenerateCT"),
        ({"other": 1}, "holds no 'model'"),
        ({"model": {}}, "does not fit"),
        ({"model": {}, "ema": [1]}, "does not fit"),
        ({"model": {}, "ema": {1: 2}}, "does not fit"),
    ],
)
def test_other_files_are_refused(package: None, content: Any, words: str, tmp_path: Path) -> None:
    """A checkpoint of something else is named as that."""
    path = tmp_path / "other.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CtgridError, match=words) as caught:
        GenerateCT.load(path, "cpu")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
