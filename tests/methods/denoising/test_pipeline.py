"""Denoising with a tiny untrained model: the input's own grid, strength, bookkeeping, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.detail import DetailDenoiser
from ctgrid.methods.denoising.diffusion import ALL_FROM_HU, NONE_BELOW_HU
from ctgrid.methods.denoising.grids import denoise_cells, shrunk
from ctgrid.methods.denoising.paper import PaperPipeline
from ctgrid.methods.denoising.pipeline import DenoisePipeline
from ctgrid.methods.denoising.starts import LOWEST, start_timestep
from ctgrid.scan.geometry import turn
from ctgrid.scan.volume import Volume
from ctgrid.stages.networks.detail_unet import DetailUNet

QUICK: dict[str, Any] = {"steps": 4, "refine_steps": 2, "strength": 100.0}
SCALED = np.diag([-0.9, -0.9, 2.5, 1.0])


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> DenoisePipeline:
    """In float32."""
    return DenoisePipeline.load(str(tiny_model), "cpu", "float32")


@pytest.fixture(scope="module")
def detailed(detailed_model: Path) -> DenoisePipeline:
    """With a detail part."""
    return DenoisePipeline.load(str(detailed_model), "cpu", "float32")


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


@pytest.mark.parametrize("kind", [DenoisePipeline, PaperPipeline])
@pytest.mark.parametrize("codes", ["PLS", "RPI"])
def test_a_model_of_turned_slices_gets_the_scan_turned(
    kind: Any, codes: str, tiny_model: Path, make_model: Callable[..., Path], chest: Callable[..., np.ndarray]
) -> None:
    """As the upright model does with a scan that lies so; the result is the scan's grid again, exactly."""
    upright = kind.load(str(tiny_model), "cpu", "float32")
    turned = kind.load(str(make_model(orientation=codes)), "cpu", "float32")
    scan = Volume(chest((20, 64, 64)), np.diag([-0.9, -0.9, 2.5, 1.0]))
    lying = Volume(np.ascontiguousarray(turn(scan.hu, "LPS", codes)), scan.affine)
    quick = {"steps": 20, "refine_steps": 1, "strength": 300.0}
    only = {z: 19 - z if codes[2] == "I" else z for z in (1, 12)}
    made = turned.run(scan, only=list(only), **quick).volume
    expected = turn(upright.run(lying, only=list(only.values()), **quick).volume.hu, codes, "LPS")
    assert np.array_equal(made.affine, scan.affine)
    assert abs(made.hu.astype(int) - expected).max() <= 1
    assert abs(made.hu.astype(int) - upright.run(scan, only=list(only), **quick).volume.hu).max() > 20


def test_the_seed_decides_and_the_batch_does_not(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """Also where the last grid overlaps the one before: 40 slices are two grids and a half."""
    volume = Volume(chest((40, 64, 64)), SCALED)
    first = pipeline.run(volume, seed=1, **QUICK).volume.hu.astype(int)
    images = torch.from_numpy(np.clip(volume.hu, -1000, 1000).astype(np.float32) / 1000)[:, None]
    small = shrunk(images, 4)
    single, together = (denoise_cells(pipeline.bundle, small, 300, 2, seed=1, batch_size=n)[0] for n in (1, 3))
    assert torch.allclose(single, together, atol=1e-4)
    assert np.array_equal(first, pipeline.run(volume, seed=1, **QUICK).volume.hu)
    one, other = (pipeline.run(volume, seed=seed, start="noised", **QUICK).volume.hu for seed in (1, 2))
    assert not np.array_equal(one, other)
    for size in (1, 64):
        assert abs(pipeline.run(volume, seed=1, batch_size=size, **QUICK).volume.hu - first).max() <= 1


def test_work_is_counted(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """By hand: three grids for 40 slices, 16 tokens each, and 16 a slice, times network calls."""
    calls: list[tuple[str, int, int]] = []
    volume = Volume(chest((40, 64, 64)), SCALED)
    made = pipeline.run(volume, batch_size=2, **QUICK, progress=lambda *call: calls.append(call))
    coarse, fine = made.settings["network_calls"]
    assert made.dit_token_passes == 3 * 16 * coarse + 40 * 16 * fine
    assert set(made.phases) == {"estimate noise", "preprocess", "starts", "stage 1", "stage 2", "postprocess"}
    assert made.noise_hu == 100.0 and made.settings["strength"] == 100.0
    assert ("stage 1", 3, 3) in calls and calls[-1] == ("stage 2", 40, 40)


def test_more_noise_starts_higher(pipeline: DenoisePipeline, chest: Callable[..., np.ndarray]) -> None:
    """Auto takes the estimate."""
    volume = Volume(chest((6, 128, 128), noise_hu=60.0), SCALED)
    noised = {"start": "noised", "refine_start": "noised"}
    auto = pipeline.run(volume, steps=4, refine_steps=2, **noised)
    assert auto.noise_hu == pytest.approx(60, rel=0.15)
    weak, strong = (pipeline.run(volume, **QUICK | noised | {"strength": s}).settings for s in (5, 400))
    starts = [settings["start_timesteps"] for settings in (weak, auto.settings, strong)]
    assert starts == sorted(starts) and starts[0] == [LOWEST, LOWEST]
    assert starts[1] < starts[2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": -1.0}, "strength must be 'auto' or a noise level in HU, 0 to 5000, got -1"),
        ({"strength": float("nan")}, "got nan"),
        ({"strength": float("inf")}, "got inf"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"refine_steps": -2}, "refine_steps must be at least 1, got -2"),
        ({"start": "pure"}, "start must be matched or noised, got 'pure'"),
        ({"refine_start": 0.5}, "refine_start must be matched or noised, got 0.5"),
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


def test_phases_change_the_coarse_part_and_are_counted(pipeline: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """By hand: 40 slices begin grids at 0, 8, 16, 24 in two phases, and at 0, 16, 24 in one."""
    volume = Volume(chest((40, 64, 64)), SCALED)
    one, two = (pipeline.run(volume, phases=n, refine=False, **QUICK) for n in (1, 2))
    coarse = one.settings["network_calls"][0]
    assert (one.dit_token_passes, two.dit_token_passes) == (3 * 16 * coarse, 4 * 16 * coarse)
    assert (one.settings["phases"], two.settings["phases"]) == (1, 2)
    assert not np.array_equal(one.volume.hu, two.volume.hu)
    with pytest.raises(CtgridError, match=r"phases must be 1 to 16, the cells of a grid, got 17"):
        pipeline.run(volume, phases=17, **QUICK)


def test_stage_2_can_be_left_out(pipeline: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """What remains are coarse slices, enlarged: smoother than refined ones."""
    volume = Volume(chest((4, 64, 64)), SCALED)
    rough, fine = (pipeline.run(volume, refine=refine, **QUICK) for refine in (False, True))
    assert (rough.settings["refine"], fine.settings["refine"]) == (False, True)
    ripple = [np.abs(np.diff(made.volume.hu.astype(float), axis=2)).mean() for made in (rough, fine)]
    assert ripple[0] < ripple[1]


def test_only_some_slices(detailed: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """Are the same as when all are done; the others stay as they are."""
    volume = Volume(chest((18, 64, 64), noise_hu=40), SCALED)
    for detail in (False, True):
        whole = detailed.run(volume, detail=detail, diffuse_from=0, **QUICK).volume.hu.astype(int)
        some = detailed.run(volume, detail=detail, diffuse_from=0, only=[3, 11], **QUICK).volume.hu.astype(int)
        assert np.abs(some[[3, 11]] - whole[[3, 11]]).max() <= 1
        if detail:
            others = np.delete(np.arange(18), [3, 11])
            assert np.array_equal(some[others], volume.hu[others])


def test_the_detail_step_takes_noise_from_the_scan_itself(detailed: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """Metal and padding survive, which the diffusion result cannot hold; the prior counts."""
    hu = chest((6, 64, 64), noise_hu=40).astype(np.int16)
    hu[:, 30:34, 30:34] = 3000
    hu[:, :4, :4] = hu[:, -4:, -4:] = -2000
    volume = Volume(hu, SCALED)
    made = detailed.run(volume, detail=True, phases=2, diffuse_from=0, **QUICK)
    assert made.settings["detail"] and made.settings["diffusion"] and made.settings["method"] == "grid-detail"
    assert made.volume.hu[:, 30:34, 30:34].min() > 2000
    assert np.array_equal(made.volume.hu[hu == -2000], hu[hu == -2000])
    assert "detail" in made.phases
    other = detailed.run(volume, detail=True, phases=2, diffuse_from=0, refine=False, **QUICK)
    assert not np.array_equal(made.volume.hu, other.volume.hu)


def test_little_noise_goes_without_diffusion(detailed: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """Below the level from which it helps the result is that of the detail network alone, and the record says so."""
    volume = Volume(chest((6, 64, 64), noise_hu=40).astype(np.int16), SCALED)
    made = detailed.run(volume, 40.0, detail=True)
    network = DetailDenoiser(detailed.bundle.detail, detailed.device, detailed.dtype, "here", detailed.bundle.folder)
    assert np.array_equal(made.volume.hu, network.run(volume, 40.0).volume.hu)
    assert made.settings["diffusion"] is False and made.dit_token_passes == 0 and "stage 1" not in made.phases
    always, noisier = detailed.run(volume, 40.0, detail=True, diffuse_from=0), detailed.run(volume, 250.0, detail=True)
    assert always.settings["diffusion"] and noisier.settings["diffusion"] and noisier.dit_token_passes > 0


@pytest.fixture(scope="module")
def hintless(detailed: DenoisePipeline) -> DenoisePipeline:
    """A model whose detail network takes no diffusion result."""
    network = DetailUNet(widths=(8, 8), down=(1, 1), up=(1,), hinted=False).eval()
    return replace(detailed, bundle=replace(detailed.bundle, detail=network))


@pytest.mark.parametrize(
    ("strength", "how", "share"),
    [
        (249.0, {}, None),
        (NONE_BELOW_HU, {"diffuse_from": 0}, None),
        (400.0, {"refine": False}, None),
        (400.0, {"diffuse_from": 500.0}, None),
        (425.0, {}, 0.5),
        (ALL_FROM_HU, {}, 1.0),
    ],
)
def test_stage_2_is_mixed_into_the_result_of_a_network_that_takes_no_hints(
    strength: float, how: dict[str, Any], share: float | None, hintless: DenoisePipeline, chest: Callable[..., Any]
) -> None:
    """From a level on, in a share that grows with the noise; the record says so, and stage 1 has no part in it."""
    hu = chest((6, 64, 64), noise_hu=40).astype(np.int16)
    hu[:, 30:34, 30:34] = 3000
    hu[:, :4, :4] = hu[:, -4:, -4:] = -2000
    volume = Volume(hu, SCALED)
    made = hintless.run(volume, strength, detail=True, **how)
    network = DetailDenoiser(hintless.bundle.detail, hintless.device, hintless.dtype, "here", hintless.bundle.folder)
    alone = network.run(volume, strength).volume.hu.astype(int)
    assert (made.settings["diffusion"], made.settings["hinted"]) == (share is not None, False)
    assert made.settings.get("prior_share") == share
    assert "stage 1" not in made.phases and (made.dit_token_passes > 0) == (share is not None)
    if share is None:
        assert np.array_equal(made.volume.hu, alone)
        return
    changed = made.volume.hu.astype(int)
    assert not np.array_equal(changed, alone)
    assert np.array_equal(changed[hu == -2000], hu[hu == -2000]), "padding stays"
    assert (alone - changed)[:, 31:33, 31:33].max() <= 2000 * share + 1, "what lies beyond stage 2's range is not lost"
    some = hintless.run(volume, strength, detail=True, only=[1, 4], **how).volume.hu
    assert np.abs(some[[1, 4]].astype(int) - changed[[1, 4]]).max() <= 1
    assert np.array_equal(some[[0, 2, 3, 5]], hu[[0, 2, 3, 5]])


@pytest.mark.parametrize("strength", [0, 2.5])
def test_a_scan_without_noise_comes_back(strength: float, detailed: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """To the voxel; no network is asked."""
    volume = Volume(chest((6, 64, 64)), SCALED, {"source": "here"})
    made = detailed.run(volume, strength, detail=True)
    assert np.array_equal(made.volume.hu, volume.hu) and made.volume.hu is not volume.hu
    assert made.settings["untouched"] and made.dit_token_passes == 0
    assert made.volume.record == volume.record


def test_a_model_without_detail_says_so(pipeline: DenoisePipeline, chest_volume: Volume) -> None:
    """In one line, before any work."""
    with pytest.raises(CtgridError, match="this model has no detail part"):
        pipeline.run(chest_volume, detail=True, **QUICK)


def test_the_papers_algorithm(tiny_model: Path, chest: Callable[..., np.ndarray]) -> None:
    """Grids side by side, the last filled up; stage 2 from pure noise by two steps; nothing of the scan is kept."""
    paper = PaperPipeline.load(str(tiny_model), "cpu", "float32")
    hu = chest((20, 64, 64))
    made = paper.run(Volume(hu, SCALED), 100.0, steps=4)
    coarse, fine = made.settings["network_calls"]
    assert made.dit_token_passes == 2 * 16 * coarse + 20 * 16 * fine and fine == 2
    assert made.volume.shape == hu.shape and made.settings["method"] == "grid-paper"
    again = paper.run(Volume(hu, SCALED), 100.0, steps=4, batch_size=3)
    assert np.abs(again.volume.hu.astype(int) - made.volume.hu).max() <= 1
    other = hu.copy()
    other[16:] = hu[15::-1][:4]  # only the second grid
    changed = paper.run(Volume(other, SCALED), 100.0, steps=4)
    assert np.abs(changed.volume.hu[:16].astype(int) - made.volume.hu[:16]).max() <= 1
    assert not np.array_equal(changed.volume.hu[16:], made.volume.hu[16:])


def test_the_papers_algorithm_takes_t0_and_sampler(tiny_model: Path, chest: Callable[..., np.ndarray]) -> None:
    """t0 is the user's or follows the noise; DDPM takes as many calls; a scan without noise goes through as well."""
    paper = PaperPipeline.load(str(tiny_model), "cpu", "float32")
    scan = Volume(chest((16, 64, 64)), SCALED)
    quick = {"steps": 10, "refine_steps": 1}
    clean = paper.run(scan, 0.0, **quick)
    assert "untouched" not in clean.settings and clean.dit_token_passes > 0
    assert not np.array_equal(clean.volume.hu, scan.hu)
    far = paper.run(scan, 0.0, t0=500, **quick)
    assert (far.settings["start_timestep"], far.settings["network_calls"]) == (500, [5, 1])
    ddpm = paper.run(scan, 0.0, t0=500, sampler="ddpm", **quick)
    assert (ddpm.settings["sampler"], ddpm.dit_token_passes) == ("ddpm", far.dit_token_passes)
    assert not np.array_equal(ddpm.volume.hu, far.volume.hu)
    with pytest.raises(CtgridError, match="t0 must be"):
        paper.run(scan, t0=1000)
    with pytest.raises(CtgridError, match="sampler"):
        paper.run(scan, sampler="euler")


@pytest.mark.parametrize("detail", [False, True])
def test_a_scan_without_noise_comes_back_as_it_is(
    detail: bool, detailed: DenoisePipeline, chest: Callable[..., Any]
) -> None:
    """Below 3 HU nothing is computed, and the settings say so; a copy, not the scan itself."""
    volume = Volume(chest((4, 64, 64)), SCALED)
    made = detailed.run(volume, **QUICK | {"strength": 0.0}, detail=detail)
    assert np.array_equal(made.volume.hu, volume.hu) and made.volume.hu is not volume.hu
    assert made.settings["untouched"] and made.dit_token_passes == 0
    assert "untouched" not in detailed.run(volume, **QUICK | {"strength": 3.0}, detail=detail).settings


def test_matched_starts_follow_the_latents_own_noise(pipeline: DenoisePipeline, chest: Callable[..., Any]) -> None:
    """Measured, not assumed: the timestep whose noise it is; and no noise is added, so that the seed says nothing."""
    volume = Volume(chest((17, 64, 64), noise_hu=80), SCALED)
    made = pipeline.run(volume, **QUICK)
    assert (made.settings["start"], made.settings["refine_start"]) == ("matched", "matched")
    assert made.settings["start_timesteps"] == [start_timestep(n) for n in made.settings["latent_noise"]]
    more = pipeline.run(volume, **QUICK | {"strength": 300.0})
    assert all(a > b for a, b in zip(more.settings["latent_noise"], made.settings["latent_noise"], strict=True))
    steady = {"start": "matched", "refine_start": "matched"}
    one, other = (denoise_with_levels(pipeline, volume, seed, **steady) for seed in (1, 2))
    assert np.array_equal(one, other)
    for part in steady:
        one, other = (denoise_with_levels(pipeline, volume, seed, **{**steady, part: "noised"}) for seed in (1, 2))
        assert not np.array_equal(one, other)


def denoise_with_levels(pipeline: DenoisePipeline, volume: Volume, seed: int, **settings: Any) -> np.ndarray:
    """Return the result where the measured noise of latents, which a seed moves a little, is held."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DenoisePipeline, "_latent_noise", lambda *_: (0.2, 0.4))
        return pipeline.run(volume, **QUICK | settings, seed=seed).volume.hu
