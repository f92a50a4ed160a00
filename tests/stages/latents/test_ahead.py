"""What the stages train on: coarse volumes, latents, pairs, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ctgrid.base.draws import generator_for
from ctgrid.data.framing import Poses
from ctgrid.data.volumes import VolumeSlices
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.latents import ahead as latents
from ctgrid.stages.latents.ahead import cached, coarse_volumes, encode, refine_pairs


@pytest.fixture(scope="module")
def codec(tiny_model: Path) -> Codec:
    """The tiny model's."""
    return load_codec(tiny_model / "codec")


@pytest.fixture(scope="module")
def volumes(chest: Callable[..., np.ndarray]) -> list[VolumeSlices]:
    """Two chests of 64 x 64."""
    hu = [torch.from_numpy(chest((n, 64, 64), seed=n)).clamp(-1000, 1000) for n in (5, 9)]
    return [VolumeSlices(f"v{i}", values, (3.0, 1.0, 1.0)) for i, values in enumerate(hu)]


def test_coarse_volumes_are_framed_shrunk_and_resampled(volumes: list[VolumeSlices]) -> None:
    """Every volume comes straight first, then posed; the draws follow the generator."""
    options: dict[str, Any] = {"size": 64, "k": 4, "slices": 12, "variants": 3, "fov_mm": 64.0}
    made = coarse_volumes(volumes, **options, generator=generator_for(1))
    assert made.shape == (6, 12, 16, 16) and made.dtype == torch.float16
    again = coarse_volumes(volumes, **options, generator=generator_for(1))
    other = coarse_volumes(volumes, **options, generator=generator_for(2))
    assert torch.equal(made, again)
    straight, posed = [0, 3], [1, 2, 4, 5]
    assert torch.equal(made[straight], other[straight])
    assert not any(torch.equal(made[i], other[i]) for i in posed)
    assert (made[0] - made[1]).abs().mean() > 0.01


def test_variants_are_deformed_but_for_the_first(volumes: list[VolumeSlices]) -> None:
    """Straight volumes stay what they are."""
    options: dict[str, Any] = {"size": 64, "k": 4, "slices": 12, "variants": 2, "fov_mm": 64.0}
    plain = coarse_volumes(volumes, **options, generator=generator_for(1))
    bent = coarse_volumes(volumes, **options, deformation_mm=4.0, generator=generator_for(1))
    assert torch.equal(plain[[0, 2]], bent[[0, 2]])
    assert (plain[1] - bent[1]).abs().mean() > 0.01


def test_every_second_variant_is_mirrored(volumes: list[VolumeSlices]) -> None:
    """In the same drawn pose as without."""
    options: dict[str, Any] = {"size": 64, "k": 4, "slices": 12, "variants": 3, "fov_mm": 64.0}
    plain = coarse_volumes(volumes[:1], **options, generator=generator_for(1))
    mirrored = coarse_volumes(volumes[:1], **options, mirrored=True, generator=generator_for(1))
    assert torch.equal(plain[[0, 2]], mirrored[[0, 2]])
    torch.testing.assert_close(plain[1].flip(-1), mirrored[1], atol=2e-3, rtol=0)


def test_variants_take_the_poses_they_are_let(volumes: list[VolumeSlices]) -> None:
    """All have as many slices, also where some were left out at the feet."""
    options: dict[str, Any] = {"size": 64, "k": 4, "slices": 12, "variants": 2, "fov_mm": 64.0}
    plain = coarse_volumes(volumes, **options, generator=generator_for(1))
    posed = coarse_volumes(volumes, **options, poses=Poses(0.3, 0.1, 0.4), generator=generator_for(1))
    assert posed.shape == plain.shape and torch.equal(plain[[0, 2]], posed[[0, 2]])
    assert (plain[1] - posed[1]).abs().mean() > 0.01


def test_slices_are_resampled_as_cells_along_z() -> None:
    """A ramp from slice to slice stays one: N slices share out the same extent (``align_corners=False``)."""
    ramp = torch.arange(6).mul(100)[:, None, None].expand(6, 32, 32).short()
    volume = VolumeSlices("ramp", ramp, (2.0, 1.0, 1.0))
    made = coarse_volumes([volume], size=32, k=4, slices=12, variants=1, fov_mm=32.0, generator=generator_for(0))
    centres = (np.arange(12) + 0.5) / 2 - 0.5
    expected = np.interp(centres, np.arange(6), np.arange(6) * 0.1)
    assert made[0, :, 4, 4].float().numpy() == pytest.approx(expected, abs=1e-3)


@pytest.mark.precision
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_encoding_batch_by_batch_changes_nothing(
    compute: torch.dtype, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the last batch is short."""
    images = torch.rand(5, 32, 32, generator=generator_for(3)) * 2 - 1
    expected = codec.encode(images[:, None])
    monkeypatch.setattr(latents, "BATCH_PIXELS", 2 * 32 * 32)
    calls: list[tuple[str, int, int]] = []
    made = encode(codec, images, compute, lambda *call: calls.append(call), "cells")
    assert made.shape == (5, 4, 4, 4) and made.dtype == torch.float16
    assert torch.allclose(made.float(), expected, atol=0.02 * float(expected.abs().max()))
    assert calls == [("cells", 2, 5), ("cells", 4, 5), ("cells", 5, 5)]


def pairs(volumes: list[VolumeSlices], codec: Codec, **changes: Any) -> tuple[Tensor, Tensor]:
    """Make pairs, by default without noise, blur or a second pass through the codec."""
    options: dict[str, Any] = {"size": 64, "k": 4, "degradations": 2, "codec_share": 0.0, "fov_mm": 60.0}
    options |= {"noise_levels": (0, 0), "blur_share": 0.0, "compute": torch.float32}
    return refine_pairs(volumes, codec, **(options | changes), generator=generator_for(4))


def test_pairs_hold_every_slice_twice_with_its_coarse_versions(volumes: list[VolumeSlices], codec: Codec) -> None:
    """As scanned and framed: 2 x (5 + 9) slices; undegraded versions are alike and near the slice."""
    fine, coarse = pairs(volumes, codec)
    assert fine.shape == (28, 4, 8, 8) and coarse.shape == (28, 2, 4, 8, 8)
    expected = codec.encode(volumes[0].unit(slice(None))[:, None])
    assert torch.allclose(fine[:5].float(), expected, atol=0.02 * float(expected.abs().max()))
    assert torch.equal(coarse[:, 0], coarse[:, 1])
    own = (coarse[:, 0] - fine).abs().mean()
    assert own < (coarse[:, 0] - fine.roll(14, 0)).abs().mean()


def test_pairs_take_as_many_poses_as_asked(volumes: list[VolumeSlices], codec: Codec) -> None:
    """Each of its own draw, behind the slices as scanned; none at all if so asked."""
    count = len(volumes[0].unit(slice(None)))
    alone, several = (pairs(volumes[:1], codec, poses=poses)[0] for poses in (0, 2))
    assert len(alone) == count and len(several) == 3 * count
    own, first, second = several.split(count)
    assert torch.equal(own, alone)
    assert not torch.equal(first, second) and not torch.equal(first, own)


@pytest.mark.parametrize("change", [{"noise_levels": (30, 30)}, {"blur_share": 1.0}, {"codec_share": 1.0}])
def test_each_degradation_reaches_the_conditions(
    change: dict[str, Any], volumes: list[VolumeSlices], codec: Codec
) -> None:
    """And leaves the slices themselves alone."""
    fine, coarse = pairs(volumes[:1], codec, **change)
    plain_fine, plain = pairs(volumes[:1], codec)
    assert torch.equal(fine, plain_fine)
    assert (coarse != plain).flatten(1).any(dim=1).all()


def test_cache_is_made_once_for_an_identity(tmp_path: Path) -> None:
    """Another identity makes it anew; nothing but the file is left."""
    path, made = tmp_path / "latents.safetensors", []

    def make() -> dict[str, Tensor]:
        made.append(1)
        return {"a": torch.full((2,), float(len(made)))}

    for identity, value in (({"x": 1}, 1.0), ({"x": 1}, 1.0), ({"x": 2}, 2.0), ({"x": 2}, 2.0)):
        assert cached(path, identity, make)["a"].tolist() == [value, value]
    assert len(made) == 2
    assert list(tmp_path.iterdir()) == [path]
