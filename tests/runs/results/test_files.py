"""Files of results are read, and others refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.base import documents
from ctgrid.base.errors import CtgridError
from ctgrid.runs.results.files import is_run, read_json, read_results


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", "3", '[{"volume": 1}]', '{"kind": "volumes", "measures": []}', '{"kind": "x", "rows": 3}'],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(CtgridError, match="holds no results") as caught:
        read_results(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        [{"volume": "v", "noise": "n", "method": "m", "nodules": [3]}],
        {"kind": "ablation", "summary": {"a": {}}, "variants": [{"says": "no name"}]},
        {"kind": "volumes", "measures": [{"measure": "FVD", "value": 1, "confidence": [1]}]},
        {"kind": "super-resolution", "rows": [{"volume": "v", "method": "m", "psnr": 1, "size": "x", "k": 4}]},
    ],
)
def test_damaged_results_are_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CtgridError, match=r"holds no results of kind .* that are whole") as caught:
        read_results(tmp_path / "results.json", content)
    assert "\n" not in str(caught.value)


def test_a_file_is_described_as_its_content_is(samples: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "nodules.json"
    path.write_text(json.dumps(samples["nodules"]))
    results = read_results(path)
    assert results.path == path and results.description == results.kind.describe(samples["nodules"])


def test_what_no_json_has_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"value": NaN, "other": Infinity}')
    assert read_json(path) == {"value": None, "other": None}


def test_large_and_missing_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(CtgridError, match=r"x\.json.*(No such file|does not exist)"):
        read_json(path)
    path.write_text("[1, 2, 3]")
    monkeypatch.setattr(documents, "MOST_BYTES", 4)
    with pytest.raises(CtgridError, match="is not JSON: it is larger than"):
        read_json(path)


def test_a_run_record_is_told_by_its_keys() -> None:
    record = {"command": "train", "status": "done", "outputs": []}
    assert is_run(record) and not is_run({**record}.keys()) and not is_run({"command": "train"})
