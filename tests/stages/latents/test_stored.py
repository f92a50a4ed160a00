"""Latents kept in a store: what the codec says, for these slices and this codec only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store
from ctgrid.data.stored import stored_volumes
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec
from ctgrid.stages.latents import stored as module
from ctgrid.stages.latents.stored import StoredLatents, latent_codecs, remove_latents, write_latents


@pytest.fixture(scope="module")
def codec(tiny_model: Path) -> Codec:
    """The tiny model's."""
    return load_codec(tiny_model / "codec")


@pytest.fixture
def store(make_store: Callable[..., Any], tmp_path: Path) -> Store:
    """Two volumes of 20 slices, 32 and 8 pixels wide."""
    return make_store(tmp_path / "x.zarr", "a", "b")


def latents_of(store: Store, name: str, of: Any, codec: Codec) -> StoredLatents:
    """Return a volume's latents, there or not."""
    return StoredLatents(stored_volumes(store, [name])[0], of, codec.identity)


@pytest.mark.parametrize(("keep", "tolerance"), [("float16", 2e-3), ("float32", 1e-5)])
@pytest.mark.parametrize("of", ["slices", "coarse"])
def test_latents_are_the_codecs(
    of: Any, keep: Any, tolerance: float, store: Store, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean and variance of every slice, to the number format's precision, however they are batched."""
    monkeypatch.setattr(module, "BATCH_PIXELS", 7 * 32 * 32)
    write_latents(store, codec, (of,), keep=keep)
    latents = latents_of(store, "b", of, codec)
    images = latents.volume.unit(slice(None)) if of == "slices" else latents.volume.coarse(slice(None))
    mean, variance = codec.posterior(images[:, None])
    assert latents.state() == "ready" and latents.attributes["kept"] == keep
    assert torch.allclose(latents.mean(), mean, atol=tolerance * float(mean.abs().max()))
    assert torch.allclose(latents.variance(), variance, rtol=5 * tolerance)
    some = torch.tensor([3, 17, 3])
    assert torch.equal(latents.mean(some), latents.mean()[some])
    assert torch.equal(latents.mean(5), latents.mean()[5])


def test_volumes_are_encoded_once_and_a_stopped_run_goes_on(
    store: Store, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second volume fails: the first is complete, nothing else is left, and the next run makes the rest."""
    calls = []

    def failing(*args: Any, real: Any = module._encode) -> Any:
        calls.append(args[0].volume.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, "_encode", failing)
    with pytest.raises(KeyboardInterrupt):
        write_latents(store, codec, ("slices",))
    assert [latents_of(store, n, "slices", codec).state() for n in "ab"] == ["ready", "missing"]
    assert not [p for p in store.path.iterdir() if p.name.startswith(".")]
    report = write_latents(store, codec, ("slices",))
    assert (report.kept, report.made, report.renewed) == (["a"], ["b"], [])
    assert calls == ["a", "b", "b"]
    assert store.names() == ["a", "b"]


def test_stale_latents_are_found_and_made_anew(store: Store, codec: Codec) -> None:
    """Other slices: stale. Another codec: not there. A volume prepared anew: gone."""
    import zarr

    write_latents(store, codec)
    zarr.open_array(store.path / "a" / "coarse", mode="r+")[4, 2, 2] += 100
    states = {(n, of): latents_of(store, n, of, codec).state() for n in "ab" for of in ("slices", "coarse")}
    assert states == {
        ("a", "slices"): "ready",
        ("a", "coarse"): "stale",
        ("b", "slices"): "ready",
        ("b", "coarse"): "ready",
    }
    before = latents_of(store, "a", "coarse", codec).mean(4)
    report = write_latents(store, codec)
    assert (report.renewed, report.kept, report.made) == (["a"], ["b"], [])
    assert latents_of(store, "a", "coarse", codec).state() == "ready"
    assert not torch.equal(latents_of(store, "a", "coarse", codec).mean(4), before)
    assert write_latents(store, codec, keep="float32").renewed == ["a", "b"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        other = Codec(UnshuffleCodec(4, 8, 1, 8, 1, 8, 1), "other")
    assert latents_of(store, "a", "slices", other).state() == "missing"


def test_the_identity_follows_weights_and_config(codec: Codec, tiny_model: Path, tmp_path: Path) -> None:
    """Not the folder's name or the file format."""
    copy = tmp_path / "copy"
    codec.network.save_pretrained(copy)  # type: ignore[operator]
    (copy / "diffusion_pytorch_model.safetensors").unlink()
    torch.save(codec.network.state_dict(), copy / "diffusion_pytorch_model.bin")
    assert load_codec(tiny_model / "codec").identity == load_codec(copy).identity == codec.identity
    changed = load_codec(tiny_model / "codec")
    next(changed.network.parameters()).data[0] += 1e-6
    assert changed.identity != codec.identity
    config = load_codec(tiny_model / "codec")
    config.network.register_to_config(latents_std=[0.06] * 4)  # type: ignore[operator]
    assert config.identity != codec.identity


def test_latents_can_be_removed(store: Store, codec: Codec) -> None:
    """Those of a codec, or all; the volumes stay as they were."""
    write_latents(store, codec)
    assert remove_latents(store, "0" * 64) == 0
    assert remove_latents(store, codec.identity, ("coarse",)) == 2
    assert [latents_of(store, "a", of, codec).state() for of in ("slices", "coarse")] == ["ready", "missing"]
    assert latent_codecs(store.path / "a") == [codec.identity[:16]]
    assert remove_latents(store) == 2
    assert sorted(p.name for p in (store.path / "a").iterdir()) == ["coarse", "slices", "zarr.json"]


def test_zarr_reads_them_too(store: Store, codec: Codec) -> None:
    """As groups and arrays like any other."""
    import zarr

    write_latents(store, codec, ("slices",))
    group = zarr.open_group(store.path, mode="r")["a"]["latents"][codec.identity[:16]]["slices"]
    assert group["mean"].shape == group["log_variance"].shape == (20, 4, 4, 4)
    assert torch.equal(torch.from_numpy(group["mean"][:]).float(), latents_of(store, "a", "slices", codec).mean())


def test_sizes_the_codec_cannot_take_are_refused(make_store: Callable[..., Any], codec: Codec, tmp_path: Path) -> None:
    """Before anything is written."""
    store = make_store(tmp_path / "y.zarr", "a", size=16, k=4)
    with pytest.raises(CtgridError, match=r"coarse of 4 x 4 pixels cannot be encoded.*choose --of slices"):
        write_latents(store, codec)
    assert write_latents(store, codec, ("slices",)).made == ["a"]
