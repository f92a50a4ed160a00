"""``ctgrid grids``, ``latents`` and ``split``: what a store gives, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctgrid.data.store import Store

NAMES = ("train_1_a_1", "train_2_a_1", "valid_3_a_1")


@pytest.fixture
def store(make_store: Callable[..., Any], tmp_path: Path) -> Store:
    """Three volumes of 20 slices: grids of 2 x 2 cells of 16 pixels."""
    return make_store(tmp_path / "x.zarr", *NAMES, k=2)


def test_grids_are_written_and_recorded(ctgrid: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    """Again: nothing is written twice."""
    out = tmp_path / "out"
    result = ctgrid("grids", store.path, "--out", out, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert record["results"]["grids"] == record["results"]["written"] == len(list(out.glob("*.png"))) == 15
    assert record["decisions"]["bits"] == 8 and record["settings"]["window_hu"] == [-1000, 1000]
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["command"] == "grids"
    again = ctgrid("grids", store.path, "--out", out)
    assert again.stdout.startswith(f"{out}: 15 grids of 3 volumes (15 were there already), 8 bits of 7.84 HU\n")


@pytest.mark.parametrize(
    ("options", "volumes"),
    [
        (["--volumes", "train_2_a_1", "--volumes", "valid_3_a_1"], {"train_2_a_1", "valid_3_a_1"}),
        (["--split", "ct-rate:valid"], {"valid_3_a_1"}),
        (["--stride", "5", "--window", "-160,240"], set(NAMES)),
    ],
)
def test_options_choose(
    options: list[str], volumes: set[str], ctgrid: Callable[..., Any], store: Store, tmp_path: Path
) -> None:
    """Volumes, stride, window."""
    assert ctgrid("grids", store.path, "--out", tmp_path / "out", *options).exit_code == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["volumes"]) == volumes
    if "--stride" in options:
        assert manifest["volumes"]["train_1_a_1"][1]["slices"] == [1, 6, 11, 16]
        assert manifest["window_hu"] == [-160, 240]


def test_latents_are_made_once_and_can_be_cleared(
    ctgrid: Callable[..., Any], store: Store, tiny_model: Path, tmp_path: Path
) -> None:
    """With a record beside the store, so that the store holds nothing but data."""
    codec = tiny_model / "codec"
    result = ctgrid("latents", store.path, "--codec", codec, "--json")
    record = json.loads(result.stdout)
    assert {k: record["results"][k] for k in ("made", "renewed", "kept")} == {"made": 3, "renewed": 0, "kept": 0}
    assert (tmp_path / "x.zarr.latents.run.json").exists()
    told = json.loads(ctgrid("info", store.path, "--json").stdout)
    assert [(entry["of"], entry["volumes"], entry["stale"]) for entry in told["latents"]] == [
        ("coarse", 3, 0),
        ("slices", 3, 0),
    ]
    assert "3 were there" in ctgrid("latents", store.path, "--codec", codec, "--of", "coarse").stdout
    assert "removed from 3 volumes" in ctgrid("latents", store.path, "--codec", "all", "--clear").stdout
    assert json.loads(ctgrid("info", store.path, "--json").stdout)["latents"] == []


def test_latents_of_a_part(
    ctgrid: Callable[..., Any], fails: Callable[..., str], store: Store, tiny_model: Path
) -> None:
    """Of the volumes that training by that part reads, and no others."""
    common = "latents", store.path, "--codec", tiny_model / "codec", "--of", "coarse"
    assert "1 volumes made" in ctgrid(*common, "--split", "ct-rate:valid").stdout
    assert "2 volumes made" in ctgrid(*common, "--split", "ct-rate:train").stdout
    assert "not both" in fails(*common, "--split", "ct-rate:train", "--clear", code=2)
    assert "nowhere.txt" in fails(*common, "--split", "nowhere.txt")


def test_latents_that_a_recipe_reads(
    ctgrid: Callable[..., Any], fails: Callable[..., str], store: Store, tiny_model: Path, tmp_path: Path
) -> None:
    """Of slices for stage 2, of coarse ones for a stage 1 of single cells, none where grids are encoded whole."""
    settings, codec = store.settings, str(tiny_model / "codec")
    sizes = {"size": settings.size, "k": settings.k, "slices": settings.slices, "codec": codec}
    written = {
        "whole": {"kind": "stage1", "stage1": {**sizes, "cell_encoding": "grid"}},
        "cells": {"kind": "stage1", "stage1": {**sizes, "cell_encoding": "cell"}},
        "fine": {"kind": "stage2", "stage2": sizes},
        "other": {"kind": "stage2", "stage2": {**sizes, "k": 2 * settings.k}},
    }
    for name, recipe in written.items():
        content = {**recipe, "optimisation": {"steps": 1, "batch_size": 1}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def made(name: str) -> list[tuple[str, int]]:
        assert ctgrid("latents", store.path, "--config", tmp_path / f"{name}.yaml").exit_code == 0
        told = json.loads(ctgrid("info", store.path, "--json").stdout)["latents"]
        return [(entry["of"], entry["volumes"]) for entry in told]

    assert made("whole") == []
    assert made("fine") == [("slices", 3)]
    assert made("cells") == [("coarse", 3), ("slices", 3)]
    assert "was made with k" in fails("latents", store.path, "--config", tmp_path / "other.yaml")
    assert "--config" in fails("latents", store.path, "--config", "x.yaml", "--of", "coarse", code=2)


def test_a_split_is_written_for_train(ctgrid: Callable[..., Any], store: Store, tmp_path: Path) -> None:
    """By patient, deterministic; not written over."""
    out = tmp_path / "parts.yaml"
    record = json.loads(ctgrid("split", store.path, "--out", out, "--valid", 34, "--json").stdout)
    parts = yaml.safe_load(out.read_text(encoding="utf-8"))
    assert sorted([*parts["train"], *parts["valid"]]) == sorted(NAMES) and len(parts["valid"]) == 1
    assert record["results"] == {"train": {"volumes": 2, "patients": 2}, "valid": {"volumes": 1, "patients": 1}}
    assert ctgrid("split", store.path, "--out", out).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["grids", "nowhere.zarr", "--out", "out"], "nowhere.zarr does not exist", 1),
        (["grids", "folder", "--out", "out"], "folder is not a ctgrid store", 1),
        (["grids", "x.zarr", "--out", "no/out"], "no does not exist; create it first", 1),
        (["grids", "x.zarr", "--out", "file"], "file: it is a file", 1),
        (["grids", "x.zarr", "--out", "x.zarr/out"], "lies inside the input folder", 1),
        (["train", "codec", "--data", "x.zarr", "--out", "x.zarr/run"], "lies inside the input folder", 1),
        (["grids", "x.zarr", "--out", "out", "--volumes", "nobody"], "no volume 'nobody'", 1),
        (["grids", "x.zarr", "--out", "out", "--stride", "9"], "fill no grid", 1),
        (["grids", "x.zarr", "--out", "out", "--fraction", "0"], "got 0", 1),
        (["grids", "x.zarr", "--out", "out", "--window", "5,5"], "lo < hi", 2),
        (["grids", "x.zarr", "--out", "out", "--volumes", "a", "--fraction", "10"], "not both", 2),
        (["latents", "x.zarr", "--codec", "nowhere"], "nowhere", 1),
        (["latents", "folder"], "folder is not a ctgrid store", 1),
        (["split", "x.zarr", "--out", "parts.txt"], "must end in .yaml", 1),
        (["split", "x.zarr", "--out", "parts.yaml", "--valid", "100"], "between 0 and 1", 1),
        (["split", "x.zarr", "--out", "parts.yaml", "--patient", "("], "regular expression", 1),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str],
    words: str,
    code: int,
    fails: Callable[..., str],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checked before anything is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert words in fails(*arguments, code=code)
