"""Noise of evaluations: its level, its seed, its independence of what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.record import fingerprint
from ctgrid.data.pair_table import PAIRS, ScanPair, write_pairs
from ctgrid.runs.evaluation.noise import Noise, clipped, parse_noise
from ctgrid.scan.volume import Volume


@pytest.fixture
def clean(chest: Callable[..., np.ndarray], oblique_affine: np.ndarray) -> Volume:
    """Return a clean chest clipped to the window, beginning with padding."""
    hu = chest((12, 64, 64), noise_hu=0.0)
    hu[:, 0] = -2048
    return clipped(Volume(hu, oblique_affine))


def test_parsing() -> None:
    assert [str(n) for n in parse_noise("gaussian:50,100.5")] == ["gaussian:50", "gaussian:100.5"]
    assert parse_noise("low-dose:0.25") == [Noise("low-dose", 0.25)]


@pytest.mark.parametrize(
    "text", ["", "gaussian", "gaussian:", "gaussian:0", "gaussian:-5", "gaussian:nan", "gaussian:a", "poisson:5"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(CtgridError, match="noise"):
        parse_noise(text)


@pytest.mark.parametrize("text", ["low-dose:1", "low-dose:1.5", "low-dose:0"])
def test_doses_are_fractions(text: str) -> None:
    with pytest.raises(CtgridError, match="fraction of the dose"):
        parse_noise(text)


def test_white_noise_has_its_level_and_is_not_clipped(clean: Volume) -> None:
    noise = Noise("gaussian", 80.0).apply(clean, np.arange(12), seed=4) - clean.hu
    assert noise.dtype == np.float32
    assert noise.std() == pytest.approx(80.0, rel=0.01) and abs(noise.mean()) < 1.5
    assert clean.hu.min() == -1000 and (clean.hu + noise).min() < -1200


def test_a_slice_depends_on_seed_and_index_alone(clean: Volume) -> None:
    every = Noise("gaussian", 50.0).apply(clean, np.arange(12), seed=4)
    some = Noise("gaussian", 50.0).apply(clean, np.array([2, 9]), seed=4)
    assert np.array_equal(every[[2, 9]], some)
    other = Noise("gaussian", 50.0).apply(clean, np.array([2, 9]), seed=5)
    assert not np.allclose(some, other)
    assert not np.allclose(some[0] - clean.hu[2], some[1] - clean.hu[9])
    twice = Noise("gaussian", 100.0).apply(clean, np.array([2, 9]), seed=4)
    assert np.allclose(twice - clean.hu[[2, 9]], 2 * (some - clean.hu[[2, 9]]), atol=1e-3)


def test_low_dose_is_made_of_the_whole_scan(clean: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is the same, whichever slices are measured."""
    calls: list[Any] = []

    def low_dose(volume: Volume, dose: float, seed: int, **_: Any) -> Volume:
        calls.append((volume.shape, dose, seed))
        return Volume((volume.hu + np.arange(12, dtype=np.int16)[:, None, None]).astype(np.int16), volume.affine)

    monkeypatch.setattr("ctgrid.data.simulate.low_dose", low_dose)
    found = Noise("low-dose", 0.25).apply(clean, np.array([3, 5]), seed=7)
    assert calls == [((12, 64, 64), 0.25, 7)]
    assert np.array_equal(found[:, 9, 9] - clean.hu[[3, 5], 9, 9], [3, 5])


def test_noise_of_a_table_of_pairs(tmp_path: Path) -> None:
    """Each dose and kernel is a kind of noise; the noisy scan is found by the clean one's bytes, under any name."""
    rng, affine = np.random.default_rng(0), np.diag([-0.8, -0.8, 2.5, 1.0])
    hu = rng.integers(-900, 900, (4, 8, 8)).astype(np.int16)
    clean = Volume(hu, affine).write(tmp_path / "clean.nii")
    pairs = []
    for dose, cutoff, kernel, more in ((0.1, 0.8, "scan", 11), (0.1, 0.5, "given", 22), (0.25, 0.8, "scan", 33)):
        noisy = Volume(hu + np.int16(more), affine).write(tmp_path / f"{more}.nii")
        digest = fingerprint(clean)["sha256"]
        pairs.append(ScanPair(clean, noisy, dose, cutoff, kernel, 1e5, 1, 4, None, digest, "d"))
    write_pairs(tmp_path / PAIRS, pairs)
    kinds = parse_noise(f"pairs:{tmp_path}")
    assert [str(kind) for kind in kinds] == ["pairs:0.1", "pairs:0.1@0.5", "pairs:0.25"]
    clean.rename(tmp_path / "other.nii")
    scan = clipped(Volume.read(tmp_path / "other.nii").reoriented("LPS"))
    for kind, more in zip(kinds, (11, 22, 33), strict=True):
        found = kind.apply(scan, np.array([1, 2]), seed=0)
        np.testing.assert_array_equal(found, hu[1:3].astype(np.float32) + more)
        assert fingerprint(tmp_path / f"{more}.nii")["sha256"] in kind.bytes_of(tmp_path / "other.nii")
    Volume(hu + np.int16(1), affine).write(tmp_path / "stranger.nii")
    with pytest.raises(CtgridError, match="lists no noisy version of"):
        kinds[0].pair_of(tmp_path / "stranger.nii")
    with pytest.raises(CtgridError, match="cannot read"):
        parse_noise(f"pairs:{tmp_path / 'none.csv'}")
