"""Learning from the scan itself: less error than the network it starts from, seeded, never worse by its own measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ctgrid.methods.denoising import self_taught
from ctgrid.methods.denoising.methods import find_method, load_method
from ctgrid.methods.denoising.self_taught import ALPHA, COUNTED, SelfTaught, learn, lesson_of
from ctgrid.methods.denoising.settings import SelfSettings
from ctgrid.scan.volume import Volume

CPU: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
AFFINE = np.diag([-0.8, -0.8, 2.5, 1.0])


class Smoother(nn.Module):
    """The least of networks: what a 3 x 3 filter of weights of its own takes away is noise."""

    neighbours = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 3, 3, 3))

    def noise_of(self, noisy: Tensor, noise_hu: Tensor, prior: Tensor | None = None) -> Tensor:
        return torch.nn.functional.conv2d(noisy, self.weight, padding=1)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops of 32 pixels, and steps that a filter of 27 weights needs."""
    monkeypatch.setattr(self_taught, "CROP", 32)
    monkeypatch.setattr(self_taught, "LEARNING_RATE", 0.01)


def correlated(around: int = -100, slices: int = 10, level: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """Muscle in fat, or in something else, with noise of coarse grain: clean and noisy, (z, y, x) int16."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    clean = np.broadcast_to(np.where(x**2 + y**2 < 0.9, 40, around), (slices, 64, 64)).astype(np.int16)
    white = np.random.default_rng(0).standard_normal(clean.shape)
    grain = np.stack([gaussian_filter(plane, 0.8) for plane in white])
    return clean, (clean + level * grain / grain.std()).round().astype(np.int16)


def lesson(noisy: np.ndarray, level: float = 40.0) -> self_taught.Lesson:
    return lesson_of(noisy, (0.8, 0.8), np.full(len(noisy), level), 1)


@pytest.mark.usefixtures("small")
def test_it_learns_noise_of_any_grain_without_a_clean_scan() -> None:
    """The filter learned takes out more error than it adds, and its start stays as it was."""
    clean, noisy = correlated()
    start = Smoother()
    taught, facts = learn(start, lesson(noisy), SelfSettings(learn_steps=60), **CPU)
    assert facts["learned"] and facts["steps_done"] == 60 and facts["error_after"] < facts["error_before"]
    assert not start.weight.any() and not taught.training
    stack = torch.from_numpy(noisy[4:7].astype(np.float32))[None] / 1000
    with torch.no_grad():
        found = noisy[5] - 1000 * taught.noise_of(stack, torch.tensor([40.0]))[0, 0].numpy()
    inner = (slice(16, 48), slice(16, 48))
    before, after = (
        float(np.square(image[inner] - clean[5][inner]).mean()) for image in (noisy[5].astype(float), found)
    )
    assert after < 0.75 * before
    again, _ = learn(Smoother(), lesson(noisy), SelfSettings(learn_steps=60), **CPU)
    assert torch.equal(again.learned.weight, taught.learned.weight) and torch.equal(again.shares, taught.shares)
    other, _ = learn(Smoother(), lesson(noisy), SelfSettings(learn_steps=60, seed=1), **CPU)
    assert not torch.equal(other.learned.weight, taught.learned.weight)


@pytest.mark.usefixtures("small")
def test_what_does_not_help_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_taught, "LEARNING_RATE", 50.0)
    start = Smoother()
    taught, facts = learn(start, lesson(correlated()[1]), SelfSettings(learn_steps=5), **CPU)
    assert taught is start and not facts["learned"] and facts["error_after"] == facts["error_before"]
    assert set(facts["shares"].values()) == {0.0}


class Scaled(nn.Module):
    """Says that a share of each value over 40 HU is noise."""

    neighbours = 1

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def noise_of(self, noisy: Tensor, noise_hu: Tensor, prior: Tensor | None = None) -> Tensor:
        return self.share * (noisy[:, 1:2] - 0.04)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("level", [40.0, 24.0])
def test_learning_is_worth_what_less_noise_would_leave_of_it(level: float) -> None:
    """All that differs is removed: right of as much of it as is noise, of which only a part is counted on."""
    _, noisy = correlated(around=40, level=40.0)
    own = replace(lesson(noisy).noise, levels=np.full(10, 40.0), local=np.ones((2, 4, 4)) * level / 40)
    told = replace(lesson(noisy), noise=own)
    shares = self_taught._worth(
        Scaled(0.0), Scaled(1.0), self_taught._unseen(told, np.arange(10), 0), told.noise.along_z, **CPU
    )
    wanted = COUNTED[0] * (1 - own.along_z) ** 2 * (1 + ALPHA**2) * level**2 / (40**2 + (ALPHA * level) ** 2)
    assert shares[2] == pytest.approx(wanted, abs=0.05) and shares[0] == shares[1] == 0


def test_a_blend_takes_its_share_in_every_tissue() -> None:
    """None in air, half in the lung, all in the body; between lung and body in between."""
    blend = self_taught.Blend(Scaled(0.0), Scaled(1.0), np.array([0.0, 0.5, 1.0]))
    for hu, share in ((-1000, 0.0), (-900, 0.25), (-800, 0.5), (-400, 0.75), (0, 1.0), (300, 1.0)):
        noisy = torch.full((1, 3, 8, 8), hu / 1000)
        found = blend.noise_of(noisy, torch.tensor([20.0])) / (noisy[:, 1:2] - 0.04)
        torch.testing.assert_close(found, torch.full_like(found, share), atol=1e-5, rtol=0)


@pytest.mark.usefixtures("small")
def test_minutes_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10000, 50))
    monkeypatch.setattr(self_taught, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    seen: list[tuple[str, int, int]] = []
    how = SelfSettings(learn_steps=400, learn_minutes=2)
    _, facts = learn(Smoother(), lesson(correlated()[1]), how, **CPU, progress=lambda *words: seen.append(words))
    assert facts["steps_done"] == 3 and seen[-1] == ("learning from the scan", 3, 400)


@pytest.mark.usefixtures("small")
def test_where_values_were_cut_off_nothing_is_learned() -> None:
    """A scanner's floor at -1024 HU hides the noise of air."""
    clean, noisy = correlated(around=-900)
    cut = np.where(clean < -500, np.maximum(noisy - 120, -1024), noisy).astype(np.int16)
    assert lesson(noisy).floor_hu is None and lesson(cut).floor_hu == -1024
    seen, wanted, told, counts = lesson(cut).batch(np.arange(10), 8, torch.Generator().manual_seed(0))
    assert seen.shape == (8, 3, 32, 32) and wanted.shape == counts.shape == (8, 1, 32, 32)
    assert 0 < float(counts.mean()) < 1 and float(seen[:, 1:2][counts == 0].mean()) < -0.8
    assert float(told[0]) == pytest.approx(40 * (1 + ALPHA**2) ** 0.5)


@pytest.mark.usefixtures("small")
def test_the_method_as_users_call_it(detailed_model: Path, chest: Callable[..., np.ndarray]) -> None:
    """By name and settings, on any orientation; the record says what was done; too little noise is left alone."""
    scan = Volume(chest((9, 48, 64), noise_hu=60.0), AFFINE).reoriented("SAR")
    method = load_method("self", model=str(detailed_model), device="cpu", dtype="float32")
    assert isinstance(method, SelfTaught) and find_method("self").partial
    result = method.run(scan, 60.0, learn_steps=2, only=[1, 4])
    assert result.volume.shape == scan.shape and result.settings["learning"]["steps_done"] == 2
    upright, made = scan.reoriented("LPS").hu, result.volume.reoriented("LPS").hu
    changed = [z for z in range(9) if not np.array_equal(upright[z], made[z])]
    assert changed in ([1, 4], [])  # an untrained network may not have learned in two steps
    assert method.run(scan, 1.0).settings["untouched"]
    assert {"learn_steps", "learn_minutes", "seed"} <= set(find_method("self").keywords)
