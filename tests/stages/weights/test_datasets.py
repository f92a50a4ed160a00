"""What the published models were trained on: told by name, by folder, by sizes; facts that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.stages.weights.datasets import DATASETS, find_dataset, usual_k


@pytest.mark.parametrize(
    ("name", "stage", "latent", "metadata", "path", "wanted", "told"),
    [
        ("taichi", 1, 64, {"data_path": "/ct-rate"}, "x.pt", "taichi", "as asked for"),
        (None, 1, 64, {"data_path": "/data/CT_RATE/train"}, "sky.pt", "ct-rate", "told by the folder"),
        (None, 1, 64, {}, "Minecraft-s1.pt", "minecraft", "told by its file's name"),
        (None, 2, 32, {"sr_scale": 2}, "m.pt", "sky", "told by its frames of 256 pixels"),
        (None, 2, 64, {"sr_scale": 2}, "m.pt", "ct-rate", "as nothing tells another"),
        (None, 1, 64, {"data_path": "/sky/and/taichi"}, "m.pt", "ct-rate", "as nothing tells another"),
    ],
)
def test_a_data_set_is_told_by_what_there_is(
    name: str | None, stage: int, latent: int, metadata: dict[str, Any], path: str, wanted: str, told: str
) -> None:
    found, how = find_dataset(name, stage, latent, metadata, Path("/any/sky/folder") / path)
    assert found is DATASETS[wanted] and how.startswith(told)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(CtgridError, match=r"unknown published data set 'skyy'.*sky"):
        find_dataset("skyy", 1, 64, {}, Path("m.pt"))


@pytest.mark.parametrize(
    ("name", "stage", "latent", "k", "size", "scale"),
    [
        ("ct-rate", 1, 64, 4, 512, None),
        ("ct-rate", 2, 64, 4, 512, None),
        ("sky", 1, 64, 4, 256, 2),
        ("sky", 2, 32, 4, 256, 2),
        ("minecraft", 1, 64, 8, 128, 2),
        ("minecraft", 2, 16, 8, 128, 2),
    ],
)
def test_frames_are_as_large_as_the_papers(
    name: str, stage: int, latent: int, k: int, size: int, scale: int | None
) -> None:
    facts = DATASETS[name].facts(stage, latent, k)
    assert (facts.size, facts.k, facts.scale) == (size, k, scale)
    assert (facts.content, facts.channels) == (("ct", 1) if name == "ct-rate" else ("video", 3))
    with pytest.raises(CtgridError, match=r"so K is a multiple of 4, not 2; give another --k or --dataset"):
        DATASETS["minecraft"].facts(1, 64, 2)


def test_k_follows_from_the_enlargement() -> None:
    assert usual_k(DATASETS["minecraft"], {"sr_scale": 2}) == 8 and usual_k(DATASETS["ct-rate"], {"sr_scale": 8}) == 8
    for metadata in ({}, {"sr_scale": 0}, {"sr_scale": "2"}):
        assert usual_k(DATASETS["taichi"], metadata) == 4
