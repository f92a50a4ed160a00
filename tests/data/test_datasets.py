"""Torch datasets over a store: what an item holds, and that it depends on seed, epoch and index alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.data.datasets import CodecDataset, GridDataset, RefineDataset, StoreDataset
from ctgrid.data.degrade import degrade, draw_degradation, enlarge
from ctgrid.data.store import Store
from ctgrid.scan.grid import from_grid

DATASETS = (GridDataset, RefineDataset, CodecDataset)


@pytest.fixture(scope="module")
def store(make_store: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two volumes of 20 slices of 32 x 32, coarse 16 x 16."""
    return make_store(tmp_path_factory.mktemp("store") / "x.zarr", "a", "b", k=2)


def make(kind: type[StoreDataset], store: Store, **options: Any) -> Any:
    """Make a dataset of a kind with sizes that fit."""
    return kind(store, **({"crop": 16} if kind is CodecDataset else {}), **options)


def same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    """Tell whether two items are equal."""
    return one.keys() == two.keys() and all(
        torch.equal(one[key], two[key]) if isinstance(one[key], torch.Tensor) else one[key] == two[key] for key in one
    )


def test_a_grid_holds_the_slices_it_names(store: Store) -> None:
    """Random start and stride, ascending: never flipped; every volume once an epoch."""
    dataset = GridDataset(store, strides=(1, 5), per_volume=20, seed=1)
    assert len(dataset) == 40
    starts, steps = set(), set()
    for item in dataset:
        index = item["z_index"]
        cells = from_grid(item["grid"][None], 2)[:, 0]
        expected = torch.from_numpy(store.volume(item["name"]).read_coarse(index.numpy())).float() / 1000
        assert torch.equal(cells, expected.clamp(-1, 1))
        (step,) = set(index.diff().tolist())
        starts.add(int(index[0]))
        steps.add(step)
    assert steps == {1, 5} and len(starts) > 8
    assert sorted(item["name"] for item in GridDataset(store)) == ["a", "b"]


def test_a_pair_is_a_slice_and_its_degraded_coarse_one(store: Store) -> None:
    """As Listing 1 has it, on torch tensors; each slice once an epoch."""
    dataset = RefineDataset(store, seed=2)
    assert len(dataset) == 40
    seen = set()
    for index in range(0, 40, 7):
        item = dataset[index]
        volume, row = store.volume(item["name"]), int(item["z_index"])
        seen.add((item["name"], row))
        assert torch.equal(item["slice"][0], torch.from_numpy(volume.read_slices(row)[0]).float() / 1000)
        coarse = torch.from_numpy(volume.read_coarse(row)).float() / 1000
        drawn = draw_degradation(generator_for(2, 0, index))
        assert torch.equal(item["condition"], degrade(enlarge(coarse[None].clamp(-1, 1), 2)[0], drawn))
    assert len(seen) == 6


def test_pairs_as_the_published_code_has_them(store: Store) -> None:
    """Shrunk from the slice without antialiasing, gray three times with noise of its own, 8 bits before the blur."""
    dataset = RefineDataset(store, seed=2, degradation="published")
    item = dataset[9]
    drawn = draw_degradation(generator_for(2, 0, 9))
    small = interpolate(item["slice"][None], size=(16, 16), mode="bicubic").clamp(-1, 1)
    large = enlarge(small, 2)[0].expand(3, -1, -1)
    assert item["condition"].shape == (3, 32, 32)
    assert torch.equal(item["condition"], degrade(large, drawn, "published"))
    assert not torch.equal(item["condition"][0], item["condition"][1])
    assert torch.equal(item["slice"], RefineDataset(store, seed=2)[9]["slice"])


def test_a_crop_is_cut_from_its_slice(store: Store) -> None:
    """Beside the whole coarse slice."""
    item = CodecDataset(store, crop=16, seed=3)[25]
    assert (item["name"], int(item["z_index"])) == ("b", 5)
    image = torch.from_numpy(store.volume("b").read_slices(5)[0]).float() / 1000
    windows = image.unfold(0, 16, 1).unfold(1, 16, 1)
    assert (windows == item["crop"][0]).flatten(2).all(-1).any()
    assert item["cell"].shape == (1, 16, 16)


@pytest.mark.parametrize("kind", DATASETS)
def test_items_depend_on_seed_epoch_and_index(kind: type[StoreDataset], store: Store) -> None:
    """And on nothing else; another epoch or seed draws anew."""
    dataset, again, other = make(kind, store, seed=5), make(kind, store, seed=5), make(kind, store, seed=6)
    first = [dataset[i] for i in range(len(dataset))]
    assert all(same(again[i], first[i]) for i in reversed(range(len(first))))
    assert not all(same(other[i], first[i]) for i in range(len(first)))
    dataset.set_epoch(1)
    assert not all(same(dataset[i], first[i]) for i in range(len(first)))
    dataset.set_epoch(0)
    assert same(dataset[1], first[1]) and same(dataset[-1], first[-1])
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_workers_give_the_same_items_and_see_the_epoch(store: Store) -> None:
    """Two persistent workers, two epochs."""
    dataset = GridDataset(store, per_volume=3, seed=7)
    loader = DataLoader(dataset, batch_size=2, num_workers=2, persistent_workers=True)
    for epoch in range(2):
        dataset.set_epoch(epoch)
        grids = torch.cat([batch["grid"] for batch in loader])
        assert torch.equal(grids, torch.stack([dataset[i]["grid"] for i in range(6)]))


def test_monai_takes_the_datasets(store: Store) -> None:
    """Its dictionary transforms work on their items."""
    data = pytest.importorskip("monai.data")
    from monai.transforms import ScaleIntensityd

    source = GridDataset(store, seed=8)
    wrapped = data.Dataset(source, ScaleIntensityd("grid", minv=0.0, maxv=1.0))
    item = wrapped[1]
    assert (float(item["grid"].min()), float(item["grid"].max())) == (0.0, 1.0)
    assert torch.equal(item["z_index"], source[1]["z_index"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: GridDataset(s, ["nobody"]), "no volume 'nobody'"),
        (lambda s: GridDataset(s, []), "no volume to draw from"),
        (lambda s: GridDataset(s, strides=()), "strides"),
        (lambda s: GridDataset(s, seed=-1), "seeds must be 0 or more"),
        (lambda s: RefineDataset(s, noise_levels=(5, 2)), "noise_levels"),
        (lambda s: RefineDataset(s, degradation="listing"), "unknown degradation 'listing'; known: ctgrid, published"),
        (lambda s: CodecDataset(s, crop=64), "crop 64 does not fit slices of 32"),
        (lambda s: GridDataset("nowhere.zarr"), "nowhere.zarr does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: Callable[[Store], Any], words: str, store: Store) -> None:
    """In one clear line each."""
    with pytest.raises(CtgridError, match=words):
        call(store)
