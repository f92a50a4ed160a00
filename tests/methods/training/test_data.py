"""The data of a run: chosen by split, fraction and name; another set is another run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.store import Store
from ctgrid.data.store.splits import Split
from ctgrid.methods.training.data import Selection
from ctgrid.methods.training.recipes import CodecRecipe
from ctgrid.stages.codecs.codecs import load_codec

from .stores import NAMES

Read = Callable[[Path], Any]


def test_split_and_fraction_choose_volumes(store: Store, start: Callable[..., Path], tmp_path: Path) -> None:
    """On a store and in the run's record; what validates is the split's other part."""
    split = Split({"train": ("train_1", "train_2"), "valid": ("valid_3",)}).write(tmp_path / "s.yaml")
    out = start("codec", store.path, "run", max_steps=1, split=f"{split}:train", fraction=50)
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert len(record["volumes"]) in (1, 2) and set(record["volumes"]) < set(NAMES[:3])
    assert (record["kind"], record["split"], record["fraction"]) == ("store", f"{split}:train", 50)
    recipe = CodecRecipe(size=64, crop=32, cell=16)
    held_out = Selection(store.path, split=f"{split}:train", fraction=50).held_out(recipe)
    assert held_out is not None and [p.name for p in held_out.choose(recipe)] == ["valid_3_a_1"]
    assert Selection(store.path, split="ct-rate:valid").held_out(recipe) is None
    assert Selection(store.path).held_out(recipe) is None


def test_split_chooses_among_a_folders_scans(scans: Path, start: Callable[..., Path], tmp_path: Path) -> None:
    """By the same names, before anything is read."""
    (tmp_path / "list.txt").write_text("scan1\n", encoding="utf-8")
    out = start("codec", scans, "run", max_steps=1, split=str(tmp_path / "list.txt"))
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert list(record["volumes"]) == ["scan1"] and record["kind"] == "folder"


def test_a_run_goes_on_with_its_own_data_only(
    make_store: Callable[..., Any], start: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """A changed volume, one more, or another share of them: refused, and the run stays as it was."""
    import zarr

    store = make_store(tmp_path / "x.zarr", "a", "b", "c", size=64, slices=24)
    out = start("codec", store.path, "run", max_steps=2, fraction=60)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    used = sorted(json.loads((out / "data.json").read_text(encoding="utf-8"))["volumes"])
    with pytest.raises(CtgridError, match=r"cannot resume, 1 volume\(s\) of the data are others .*--fraction"):
        start("codec", store.path, "run", resume=True)
    zarr.open_array(store.path / used[0] / "slices", mode="r+")[5, 5, 5] += 1
    with pytest.raises(CtgridError, match=rf"cannot resume, 1 volume\(s\) of the data are others .*\({used[0]}\)"):
        start("codec", store.path, "run", resume=True, fraction=60)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    (out / "data.json").unlink()  # a run of an older ctgrid
    start("codec", store.path, "run", resume=True, fraction=60, max_steps=3)
    assert (out / "data.json").exists()


def test_a_run_goes_on_with_its_own_codec_only(
    store: Store, start: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The folder has the same name, the weights have not."""
    import shutil

    mine = tmp_path / "codec"
    shutil.copytree(tiny_model / "codec", mine)
    changes = {"stage2.codec": str(mine)}
    start("stage2", store.path, "run", max_steps=2, changes=changes)
    network = load_codec(mine).network
    next(network.parameters()).data[0] += 1
    network.save_pretrained(mine)  # type: ignore[operator]
    with pytest.raises(CtgridError, match="cannot resume, the codec has other weights"):
        start("stage2", store.path, "run", resume=True, changes=changes)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (
            "stage1",
            {"stage1.size": 128},
            "made with size 64, the recipe's stage1.size is 128; pass --set stage1.size=64",
        ),
        ("stage1", {"stage1.slices": 30}, "--set stage1.slices=24"),
        ("stage1", {"stage1.k": 2}, "--set stage1.k=4"),
        ("stage2", {"stage2.k": 2}, "--set stage2.k=4"),
        ("codec", {"codec.size": 72}, "--set codec.size=64"),
        ("codec", {"exclude": ["train_1_a"]}, "holds no volume 'train_1_a'; did you mean train_1_a_1"),
        ("codec", {"exclude": list(NAMES)}, "every volume here is excluded"),
    ],
)
def test_a_store_of_another_make_is_refused(
    kind: str, changes: dict[str, Any], words: str, store: Store, start: Callable[..., Path], tmp_path: Path
) -> None:
    """With what to change; nothing is left behind."""
    with pytest.raises(CtgridError, match=words):
        start(kind, store.path, "run", changes=changes)
    assert not (tmp_path / "run").exists()


def test_an_empty_store_is_refused(make_store: Callable[..., Any], start: Callable[..., Path], tmp_path: Path) -> None:
    """And how to fill it."""
    with pytest.raises(CtgridError, match="holds no volume yet; fill it with ctgrid prepare"):
        start("codec", make_store(tmp_path / "y.zarr", size=64, slices=24).path, "run")


def test_a_misspelt_name_to_exclude_is_refused(scans: Path, start: Callable[..., Path]) -> None:
    """It would be trained on; what shipped recipes leave out need not be there."""
    with pytest.raises(CtgridError, match="holds no volume 'scan2'; did you mean scan"):
        start("codec", scans, "run", changes={"exclude": ["scan2"]})
    out = start("codec", scans, "run", changes={"exclude": ["lungfcp_0001", "scan0"]}, max_steps=1)
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert list(record["volumes"]) == ["scan1"]
