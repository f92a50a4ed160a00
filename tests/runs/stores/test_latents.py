"""``ctgrid latents`` from Python: made once, of the part that is asked for, and removed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctgrid.base.errors import CtgridError
from ctgrid.runs.stores.latents import store_latents


@pytest.fixture
def store(make_store: Callable[..., Any], tmp_path: Path) -> Path:
    return Path(make_store(tmp_path / "x.zarr", "train_1_a_1", "valid_1_a_1", k=2, slices=4).path)


def test_made_once_kept_and_removed(store: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The record lies beside the store, which holds nothing but data."""
    codec = str(tiny_model / "codec")
    record = store_latents(store, codec=codec, of="coarse", device="cpu")
    assert record is not None and record.results["made"] == 2 and record.settings["of"] == ("coarse",)
    assert (record.settings["device"], record.settings["dtype"]) == ("cpu", "float32")
    assert json.loads((tmp_path / "x.zarr.latents.run.json").read_text())["command"] == "latents"
    again = store_latents(store, codec=codec, device="cpu")
    assert again is not None and again.settings["of"] == ("slices", "coarse")
    assert again.results["made"] + again.results["kept"] == 2
    gone = store_latents(store, codec="all", clear=True)
    assert gone is not None and gone.results == {"removed": 2}
    assert store_latents(store, codec="all", clear=True).results == {"removed": 0}  # type: ignore[union-attr]


def test_only_a_part(store: Path, tiny_model: Path) -> None:
    record = store_latents(store, codec=str(tiny_model / "codec"), of="coarse", split="ct-rate:valid", device="cpu")
    assert record is not None and record.results["made"] == 1


def test_a_recipe_that_reads_none_makes_none(store: Path, tiny_model: Path, tmp_path: Path) -> None:
    stage = {"size": 32, "k": 2, "slices": 4, "codec": str(tiny_model / "codec"), "cell_encoding": "grid"}
    content = {"kind": "stage1", "stage1": stage, "optimisation": {"steps": 1, "batch_size": 1}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content))
    assert store_latents(store, config=str(tmp_path / "c.yaml")) is None
    with pytest.raises(CtgridError, match="nowhere"):
        store_latents(store, codec="nowhere")
    with pytest.raises(CtgridError, match="not a ctgrid store"):
        store_latents(tmp_path)
    assert not list(tmp_path.glob("*.run.json"))
