"""Noise like a scan's own: its grain, its strength from place to place, its likeness between slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ctgrid.base.draws import generator_for
from ctgrid.scan.own_noise import LEAST_WINDOWS, OwnNoise, measure_own_noise

SPACING = (0.8, 0.8)
BOX = (slice(0, 128), slice(0, 128))


def noisy(grain: float, along_z: float = 0.0, slices: int = 10, loud: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Soft tissue with a lung in it, and noise of a grain that is louder on the right; return both scan and noise."""
    white = np.random.default_rng(1).standard_normal((slices + 1, 128, 128))
    share = 0.5 * np.arcsin(2 * along_z)
    white = np.cos(share) * white[:-1] + np.sin(share) * white[1:]
    fine = np.stack([gaussian_filter(plane, grain) for plane in white])
    noise = 40 * fine / fine.std() * np.linspace(1, loud, 128)
    hu = np.full(noise.shape, 40.0)
    hu[:, 40:90, 30:70] = -850
    return (hu + noise).round().astype(np.int16), noise


def lag(values: np.ndarray) -> float:
    """Return how alike neighbouring pixels are."""
    return float((values[..., 1:] * values[..., :-1]).mean() / np.square(values).mean())


@pytest.mark.parametrize("grain", [0.4, 1.0])
def test_drawn_noise_is_as_strong_and_as_coarse(grain: float) -> None:
    hu, noise = noisy(grain)
    own = measure_own_noise(hu, SPACING, np.full(10, 40.0))
    assert own.windows >= LEAST_WINDOWS and own.along_z < 0.1
    drawn = own.draw(0, 10, BOX, generator_for(3)).numpy()
    assert drawn.std() == pytest.approx(noise.std(), rel=0.08)
    assert lag(drawn) == pytest.approx(lag(noise), abs=0.06)
    assert abs((drawn * noise).mean()) < 0.02 * noise.var()
    assert torch.equal(own.draw(2, 3, BOX, generator_for(3)), own.draw(2, 3, BOX, generator_for(3)))


def test_streaks_are_drawn_as_streaks() -> None:
    """Noise that is coarser along x than along y."""
    _, noise = noisy(0.6)
    streaks = np.stack([gaussian_filter(plane, (0, 1.5)) for plane in noise])
    streaks *= 40 / streaks.std()
    drawn = measure_own_noise((40 + streaks).astype(np.int16), SPACING, np.full(10, 40.0)).draw(
        0, 4, BOX, generator_for(1)
    )
    across = lag(drawn.numpy()), lag(drawn.numpy().swapaxes(1, 2))
    assert (
        across == pytest.approx((lag(streaks), lag(streaks.swapaxes(1, 2))), abs=0.08) and across[0] > across[1] + 0.3
    )


def test_edges_that_moved_are_no_noise() -> None:
    """Fat and muscle that differ from slice to slice: neither louder nor coarser noise, nor like the slice beside."""
    _, noise = noisy(0.7)
    x = np.arange(128)[None]
    anatomy = np.stack([np.where((x + 7 * z) % 48 < 24, 60, -20).repeat(128, 0) for z in range(10)])
    own = measure_own_noise((anatomy + noise).round().astype(np.int16), SPACING, np.full(10, 60.0))
    drawn = own.draw(0, 10, BOX, generator_for(2)).numpy()
    assert drawn.std() == pytest.approx(noise.std(), rel=0.2) and own.along_z < 0.1


def test_it_is_loud_where_the_scan_is() -> None:
    """Inside the lung too, where no soft tissue tells."""
    hu, noise = noisy(0.7, loud=3.0)
    drawn = measure_own_noise(hu, SPACING, np.full(10, float(noise.std()))).draw(0, 8, BOX, generator_for(0)).numpy()
    ratio = np.array([drawn[:, :, at : at + 32].std() / noise[:8, :, at : at + 32].std() for at in range(0, 128, 32)])
    assert np.abs(ratio - 1).max() < 0.25
    assert drawn[:, :, 96:].std() / drawn[:, :, :32].std() > 1.6


def test_levels_of_slices_count() -> None:
    own = OwnNoise(np.ones((8, 8)), np.array([10.0, 40.0]), np.ones((1, 8, 8)), 0.0, 0)
    drawn = own.draw(0, 2, BOX, generator_for(0))
    assert float(drawn[1].std() / drawn[0].std()) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("along_z", [0.0, 0.4])
def test_neighbouring_slices_are_as_alike(along_z: float) -> None:
    own = measure_own_noise(noisy(0.7, along_z)[0], SPACING, np.full(10, 40.0))
    assert own.along_z == pytest.approx(along_z, abs=0.06)
    drawn = own.draw(0, 10, BOX, generator_for(1)).numpy()
    alike = (drawn[1:] * drawn[:-1]).mean() / np.square(drawn).mean()
    assert alike == pytest.approx(along_z, abs=0.08)


@pytest.mark.parametrize("hu", [np.full((1, 64, 64), -900), np.full((3, 20, 20), 40), np.full((2, 40, 40), -1000)])
def test_scans_that_tell_little(hu: np.ndarray) -> None:
    """Without soft tissue, without noise, tiny: the usual noise, and nothing that is no number."""
    own = measure_own_noise(hu.astype(np.int16), SPACING, np.full(len(hu), 20.0))
    drawn = own.draw(0, len(hu), (slice(0, 16), slice(4, 20)), generator_for(0))
    assert drawn.shape == (len(hu), 16, 16) and bool(drawn.isfinite().all())
    assert own.windows == 0 and float(drawn.std()) == pytest.approx(20, rel=0.5)
