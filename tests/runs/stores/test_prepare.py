"""``ctgrid prepare`` from Python: rows as they are known, a record that counts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.stores.prepare import prepare_scans

SMALL: dict[str, Any] = {"protocol": "canonical", "size": 16, "slices": 8}


def test_rows_are_told_and_counted(scans: Callable[..., Path], tmp_path: Path) -> None:
    """One source or several; what is in the store already is not done again."""
    folder = scans("a", "b", slices=10)
    told: list[str] = []
    record = prepare_scans(folder, tmp_path / "x.zarr", on_row=lambda row: told.append(row["name"]), **SMALL)
    assert sorted(told) == ["a", "b"] and record.results["ok"] == 2
    assert record.settings["inputs"] == [str(folder)] and record.settings["workers"] == 1
    assert [Path(one["path"]).name for one in record.outputs] == ["x.zarr", "x.report.jsonl"]
    again = prepare_scans([folder], tmp_path / "x.zarr", **SMALL)
    assert again.results["already_there"] == 2 and (tmp_path / "x.run-1.json").exists()


def test_a_failure_leaves_a_record_only_beside_something_done(scans: Callable[..., Path], tmp_path: Path) -> None:
    folder = scans("a", slices=10)
    bad = tmp_path / "z.nii.gz"
    bad.write_bytes(b"no image")
    with pytest.raises(CtgridError, match=r"z\.nii\.gz"):
        prepare_scans(bad, tmp_path / "x.zarr", **SMALL)
    assert not (tmp_path / "x.zarr").exists() and not list(tmp_path.glob("*.run.json"))
    with pytest.raises(CtgridError, match="--strict"):
        prepare_scans([folder / "a.nii.gz", bad], tmp_path / "x.zarr", strict=True, **SMALL)
    told = json.loads((tmp_path / "x.run.json").read_text())
    assert (told["status"], told["results"]["ok"], told["results"]["failed"]) == ("failed", 1, 1)


def test_settings_of_the_store_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    for changes, words in (
        ({"size": 30, "k": 4}, "no multiple"),
        ({"slices": 20, "protocol": "generatect"}, "201 slices"),
    ):
        with pytest.raises(CtgridError, match=words):
            prepare_scans(tmp_path / "none", tmp_path / "x.zarr", **(SMALL | changes))
