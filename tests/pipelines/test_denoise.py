"""Denoising with a tiny untrained model: the input's own grid, strength, bookkeeping, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.errors import CtgridError
from ctgrid.grid import to_grid
from ctgrid.pipelines import denoise as denoising
from ctgrid.pipelines.denoise import HIGHEST, LOWEST, DenoisePipeline, denoise, grid_rows, start_timestep
from ctgrid.volume import Volume

QUICK: dict[str, Any] = {"steps": 4, "refine_steps": 2, "strength": 100.0}
SCALED = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> DenoisePipeline:
    """In float32."""
    return DenoisePipeline.load(str(tiny_model), "cpu", "float32")


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("shape", [(18, 64, 64), (18, 40, 56), (2, 96, 80), (7, 33, 64)])
def test_the_result_lies_on_the_inputs_grid(
    shape: tuple[int, int, int],
    dtype: type[np.generic],
    pipeline: DenoisePipeline,
    chest: Callable[..., np.ndarray],
    oblique_affine: np.ndarray,
) -> None:
    """Shape, affine and dtype; oblique, not square, larger or smaller than the model's, fewer than a grid."""
    volume = Volume(chest(shape).astype(dtype), oblique_affine)
    made = pipeline.run(volume, **QUICK)
    assert made.volume.shape == shape and made.volume.hu.dtype == dtype
    assert np.allclose(made.volume.affine, oblique_affine, rtol=0, atol=1e-9)
    assert np.isfinite(made.volume.hu).all()
    assert -1000 <= made.volume.hu.min() < made.volume.hu.max() <= 1000
    assert not np.array_equal(made.volume.hu, volume.hu)


def test_the_result_is_turned_back(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """A scan stored in another orientation gives the same voxels at the same places."""
    volume = Volume(chest((17, 64, 64)), SCALED)
    straight = pipeline.run(volume, **QUICK).volume
    turned = pipeline.run(volume.reoriented("SAR"), **QUICK).volume
    assert turned.orientation == "SAR"
    assert np.array_equal(turned.reoriented("LPS").hu, straight.hu)


def test_the_seed_decides_and_the_batch_does_not(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """Also where the last grid overlaps the one before: 40 slices are two grids and a half."""
    volume = Volume(chest((40, 64, 64)), SCALED)
    first = pipeline.run(volume, seed=1, **QUICK).volume.hu.astype(int)
    images = torch.from_numpy(np.clip(volume.hu, -1000, 1000).astype(np.float32) / 1000)[:, None]
    single, together = (
        denoising.denoise_cells(pipeline.bundle, images, 300, 2, seed=1, batch_size=n)[0] for n in (1, 3)
    )
    assert torch.allclose(single, together, atol=1e-4)
    assert np.array_equal(first, pipeline.run(volume, seed=1, **QUICK).volume.hu)
    assert not np.array_equal(first, pipeline.run(volume, seed=2, **QUICK).volume.hu)
    for size in (1, 64):
        assert abs(pipeline.run(volume, seed=1, batch_size=size, **QUICK).volume.hu - first).max() <= 1


def test_work_is_counted(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """By hand: three grids for 40 slices, 16 tokens each, and 16 a slice, times network calls."""
    calls: list[tuple[str, int, int]] = []
    volume = Volume(chest((40, 64, 64)), SCALED)
    made = pipeline.run(volume, batch_size=2, **QUICK, progress=lambda *call: calls.append(call))
    coarse, fine = made.settings["network_calls"]
    assert made.dit_token_passes == 3 * 16 * coarse + 40 * 16 * fine
    assert set(made.phases) == {"estimate noise", "preprocess", "stage 1", "stage 2", "postprocess"}
    assert made.noise_hu == 100.0 and made.settings["strength"] == 100.0
    assert ("stage 1", 3, 3) in calls and calls[-1] == ("stage 2", 40, 40)


def test_more_noise_starts_higher(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """Auto takes the estimate; no noise at all changes the slices least."""
    volume = Volume(chest((6, 128, 128), noise_hu=60.0), SCALED)
    auto = pipeline.run(volume, steps=4, refine_steps=2)
    assert auto.noise_hu == pytest.approx(60, rel=0.15)
    weak, strong = (pipeline.run(volume, **QUICK | {"strength": s}).settings for s in (0, 400))
    starts = [settings["start_timesteps"] for settings in (weak, auto.settings, strong)]
    assert starts == sorted(starts) and starts[0] == [LOWEST, LOWEST]
    assert starts[1] < starts[2]


def test_start_is_the_level_with_that_much_noise() -> None:
    """From the linear schedule itself, computed here step by step."""
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - beta)
    for ratio in (0.1, 0.3, 1.0):
        t = start_timestep(ratio)
        assert np.sqrt((1 - alpha_bar[t]) / alpha_bar[t]) == pytest.approx(ratio, rel=0.02)
    assert (start_timestep(0.0), start_timestep(1e9)) == (LOWEST, HIGHEST)


@pytest.mark.parametrize("count", [2, 5, 15, 16, 17, 40, 48])
def test_grids_cover_all_slices(count: int) -> None:
    """In order; the last one ends with the last slice; short volumes are mirrored, never padded with air."""
    rows = grid_rows(count, 16)
    assert rows.shape == (-(-count // 16), 16)
    assert set(rows.flatten().tolist()) == set(range(count))
    steps = rows.diff(dim=1)
    assert (steps == 1).all() if count >= 16 else (steps.abs() <= 1).all()
    assert rows[0, 0] == 0 and (count < 16 or rows[-1, -1] == count - 1)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_slices_in_several_grids_become_their_mean(
    batch_size: int, pipeline: DenoisePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a sampler that numbers all cells: the last of two grids moves back over twelve slices of the first."""
    numbers = iter(torch.arange(32.0).split(16 * min(batch_size, 2)))

    def number_cells(model: Any, noisy: torch.Tensor, **options: Any) -> torch.Tensor:
        return to_grid(next(numbers)[:, None, None, None].expand(-1, 4, 2, 2).contiguous())

    monkeypatch.setattr(denoising, "sample", number_cells)
    images = torch.zeros(20, 1, 64, 64)
    cells, _ = denoising.denoise_cells(pipeline.bundle, images, 300, 2, seed=0, batch_size=batch_size)
    expected = [*range(4), *[(i + 12 + i) / 2 for i in range(4, 16)], *range(28, 32)]
    assert cells[:, 0, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": -1.0}, "strength must be 'auto' or a noise level in HU, 0 or more, got -1"),
        ({"strength": float("nan")}, "got nan"),
        ({"strength": float("inf")}, "got inf"),
        ({"batch_size": 0}, "batch_size, steps and refine_steps must be at least 1, got 0"),
        ({"steps": 0}, "must be at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(
    settings: dict[str, Any], words: str, pipeline: DenoisePipeline, chest_volume: Volume
) -> None:
    """In one clear line each."""
    with pytest.raises(CtgridError, match=words):
        pipeline.run(chest_volume, **QUICK | settings)


def test_scans_that_are_none_are_refused(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """One slice, and values without air as in MR."""
    with pytest.raises(CtgridError, match=r"1 slice\(s\) of 2 needed"):
        pipeline.run(Volume(chest((1, 64, 64)), SCALED), **QUICK)
    with pytest.raises(CtgridError, match="no air near -1000 HU"):
        pipeline.run(Volume(np.abs(chest((6, 64, 64)) % 600), SCALED), **QUICK)


def test_a_single_call_reads_and_denoises(
    tiny_model: Path, pipeline: DenoisePipeline, chest: Callable[..., np.ndarray], tmp_path: Path
) -> None:
    """A path or a volume; the same as the pipeline."""
    volume = Volume(chest((5, 64, 64)), SCALED)
    path = volume.write(tmp_path / "scan.nii.gz")
    options: dict[str, Any] = {"model": str(tiny_model), "device": "cpu", "seed": 3, **QUICK}
    by_path, by_volume = denoise(path, **options), denoise(volume, **options)
    assert np.array_equal(by_path.hu, by_volume.hu)
