"""The detail step on the patient's own grid: what it may change, and what it must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.detail import DetailDenoiser, padding_values, remove_noise, slice_levels
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.bundle import load_bundle, load_detail, pack
from ctgrid.stages.networks.detail import DetailNet

PLACE: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float32}
AFFINE = np.diag([-0.7, -0.7, 2.5, 1.0])


class TenHu(torch.nn.Module):
    """Stands for a network that finds 10 HU of noise, up and down by columns, and remembers what it saw."""

    neighbours = 1

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def noise_of(self, noisy: torch.Tensor, noise_hu: torch.Tensor, prior: torch.Tensor | None = None) -> torch.Tensor:
        self.seen.append(noisy)
        return torch.full_like(noisy[:, 1:2], 0.01) * columns(noisy.shape[-1])


def columns(count: int) -> torch.Tensor:
    """Return 1 and -1 by turns."""
    return 1 - 2.0 * (torch.arange(count) % 2)


@pytest.fixture(scope="module")
def network(detailed_model: Path) -> DetailNet:
    """Random weights."""
    return load_detail(detailed_model)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_result_is_the_input_less_the_noise(dtype: type[np.generic]) -> None:
    """Everywhere, far beyond what the network sees, but for padding."""
    hu = np.full((3, 12, 16), -1000, dtype)
    hu[:, 2:8, 2:12] = 40
    hu[:, 4, 4], hu[:, 5, 5], hu[:, 6, 6] = 3000, -1400, 1050
    hu[:, 0, 0] = hu[:, -1, -1] = -3024
    stub: Any = TenHu()
    result = remove_noise(Volume(hu, AFFINE), stub, 50.0, **PLACE)
    expected = np.where(hu == -3024, hu, hu - 10 * columns(16).numpy())
    assert result.hu.dtype == dtype
    assert result.hu == pytest.approx(expected, abs=1e-3)
    assert np.array_equal(result.hu[hu == -3024], hu[hu == -3024])
    seen = torch.cat(stub.seen)
    assert (float(seen.min()), float(seen.max())) == (pytest.approx(-1.2), pytest.approx(1.2))  # 1000 HU and 4 x 50


def test_neighbours_are_axial_and_end_slices_repeat() -> None:
    """Whatever way the scan is stored."""
    upright = np.broadcast_to(np.arange(5, dtype=np.int16)[:, None, None] * 100, (5, 8, 12)).copy()
    for codes in ("LPS", "SAR", "ARI"):
        stub: Any = TenHu()
        volume = Volume(upright, AFFINE).reoriented(codes)
        result = remove_noise(volume, stub, 50.0, **PLACE, batch_size=2)
        assert [round(v * 10) for v in torch.cat(stub.seen)[:, :, 0, 0].flatten().tolist()] == [
            *(0, 0, 1),
            *(0, 1, 2),
            *(1, 2, 3),
            *(2, 3, 4),
            *(3, 4, 4),
        ]
        removed = volume.reoriented("LPS").hu - result.reoriented("LPS").hu
        assert result.orientation == codes and (removed == 10 * columns(12).numpy()).all()


@pytest.mark.parametrize("shape", [(1, 7, 9), (5, 33, 64), (4, 64, 50)])
def test_any_size_any_batch_any_orientation(
    shape: tuple[int, int, int], network: DetailNet, chest: Callable[..., np.ndarray], oblique_affine: np.ndarray
) -> None:
    """Sizes that are no multiple of four; one by one equals together; turned equals straight."""
    volume = Volume(chest(shape, noise_hu=50), oblique_affine)
    prior = Volume(chest(shape, noise_hu=0), oblique_affine)
    straight = remove_noise(volume, network, 50.0, prior, **PLACE, batch_size=1)
    assert straight.shape == shape and np.array_equal(straight.affine, volume.affine)
    assert not np.array_equal(straight.hu, volume.hu)
    together = remove_noise(volume, network, 50.0, prior, **PLACE, batch_size=8)
    assert np.abs(together.hu.astype(int) - straight.hu).max() <= 1
    turned = remove_noise(volume.reoriented("SAR"), network, 50.0, prior.reoriented("SAR"), **PLACE, batch_size=1)
    assert np.array_equal(turned.reoriented(volume.orientation).hu, straight.hu)


def test_prior_and_level_count(network: DetailNet, chest: Callable[..., np.ndarray]) -> None:
    """Each changes the result; a prior lies on the scan's grid."""
    volume = Volume(chest((3, 32, 40), noise_hu=50), AFFINE)
    prior = Volume(chest((3, 32, 40), noise_hu=0), AFFINE)
    results = [
        remove_noise(volume, network, level, hint, **PLACE).hu
        for level, hint in ((50.0, None), (50.0, prior), (200.0, None))
    ]
    assert not np.array_equal(results[0], results[1]) and not np.array_equal(results[0], results[2])
    with pytest.raises(CtgridError, match="the diffusion result has shape"):
        remove_noise(volume, network, 50.0, Volume(prior.hu[:2], AFFINE), **PLACE)


def test_the_network_sees_air_where_padding_is(network: DetailNet, chest: Callable[..., np.ndarray]) -> None:
    """What lies beside it is denoised as beside air."""
    air = chest((3, 32, 40), noise_hu=50)
    corner = np.add.outer(np.arange(32), np.arange(40)) < 12
    corner |= corner[::-1, ::-1]
    air[:, corner] = -1000
    padded = np.where(corner, np.int16(-2000), air)
    with_air, with_padding = (remove_noise(Volume(hu, AFFINE), network, 50.0, **PLACE).hu for hu in (air, padded))
    assert np.array_equal(with_padding[:, ~corner], with_air[:, ~corner]) and (with_padding[:, corner] == -2000).all()


def test_padding_is_a_constant_in_corners() -> None:
    """Air with much noise is none, though it falls below -1500."""
    noisy = np.random.default_rng(0).normal(-1000, 600, (4, 16, 16)).astype(np.float32)
    assert len(padding_values(noisy)) == 0
    noisy[:, 0, 0] = -2000
    assert padding_values(noisy).tolist() == [-2000]
    assert len(padding_values(np.full((4, 16, 16), -1024, np.int16))) == 0


@pytest.mark.precision
def test_the_network_alone(detailed_model: Path, chest: Callable[..., np.ndarray]) -> None:
    """As a method: settings, a hash of its weights, bf16 within rounding of float32."""
    volume = Volume(chest((4, 128, 128), noise_hu=60), AFFINE)
    exact, coarse = (DetailDenoiser.load(str(detailed_model), "cpu", dtype) for dtype in ("float32", "bfloat16"))
    result = exact.run(volume)
    assert result.noise_hu == pytest.approx(60, rel=0.15)
    assert result.settings["method"] == "detail" and "untouched" not in result.settings
    assert np.abs(coarse.run(volume).volume.hu.astype(int) - result.volume.hu).max() <= 8
    assert list(exact.describe()["files"]) == ["detail/diffusion_pytorch_model.safetensors"]
    for level in (0, 2.9):
        still = exact.run(volume, level)
        assert np.array_equal(still.volume.hu, volume.hu) and still.settings["untouched"]


def test_slices_are_denoised_by_their_own_noise(
    network: DetailNet, detailed_model: Path, chest: Callable[..., np.ndarray]
) -> None:
    """Whether the level is estimated or given; where nothing can be told, one that is given holds for all."""
    hu = chest((12, 160, 200), noise_hu=0).astype(np.float32)
    sigmas = np.repeat([30.0, 60.0], 6).astype(np.float32)
    hu += sigmas[:, None, None] * np.random.default_rng(1).standard_normal(hu.shape).astype(np.float32)
    volume = Volume(hu, AFFINE)
    levels, per_slice = slice_levels(volume.reoriented("SAR"), "auto", 45.0)
    assert per_slice is not None and per_slice == pytest.approx(sigmas, rel=0.2)
    assert np.asarray(levels).mean((1, 2)) == pytest.approx(sigmas, rel=0.2)
    doubled, unsaid = slice_levels(volume.reoriented("SAR"), 90.0, 90.0)
    assert unsaid is None and np.asarray(doubled) == pytest.approx(2 * np.asarray(levels), rel=0.1)
    air = Volume(np.full((3, 64, 64), -1000, np.int16), AFFINE)
    assert slice_levels(air, 45.0, 45.0) == (45.0, None)
    each = remove_noise(volume, network, np.asarray(levels), **PLACE).hu
    alone = remove_noise(volume, network, float(np.sqrt(np.square(np.asarray(levels)[8]).mean())), **PLACE).hu
    assert np.allclose(each[8], alone[8], atol=0.01) and not np.allclose(each[2], alone[2], atol=0.01)
    denoiser = DetailDenoiser.load(str(detailed_model), "cpu", "float32")
    assert denoiser.run(volume).noise_per_slice_hu == pytest.approx(sigmas, rel=0.2)
    assert denoiser.run(volume, 45.0).noise_per_slice_hu is None


def test_what_is_missing_is_said(tiny_model: Path, tmp_path: Path) -> None:
    """No part, or one that is damaged: one line with the folder."""
    with pytest.raises(CtgridError, match=r"this model has no detail part .* use --method grid"):
        DetailDenoiser.load(str(tiny_model))
    (tmp_path / "detail").mkdir()
    (tmp_path / "detail" / "config.json").write_text('{"_class_name": "DetailNet"}', encoding="utf-8")
    with pytest.raises(CtgridError, match=r"the detail network.s weights could not be read") as raised:
        DetailDenoiser.load(str(tmp_path))
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_model_may_have_the_part(tiny_model: Path, detailed_model: Path, tmp_path: Path) -> None:
    """A bundle loads it with its hash, and packing takes it along."""
    assert load_bundle(tiny_model).detail is None
    bundle = load_bundle(detailed_model)
    assert isinstance(bundle.detail, DetailNet) and not bundle.detail.training
    assert "detail/diffusion_pytorch_model.safetensors" in bundle.hashes
    parts = {part: detailed_model / part for part in ("codec", "stage1", "stage2", "detail")}
    packed = load_bundle(pack(**parts, out=tmp_path / "packed", half=True)).detail
    assert isinstance(packed, DetailNet)
    assert torch.allclose(packed.tail[-1].weight, bundle.detail.tail[-1].weight, atol=1e-4)
    with pytest.raises(CtgridError, match="no trained detail here"):
        pack(**(parts | {"detail": tmp_path}), out=tmp_path / "other")
