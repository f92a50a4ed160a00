"""Where the outputs of a run are now, and what its record says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid.runs.report.given import Given
from ctgrid.runs.report.html.found import Run, Shown
from ctgrid.runs.report.html.pairs import as_typed, denoised, mapped, output_of, paired, paths


def test_a_relative_name_starts_where_the_command_was_run(tmp_path: Path) -> None:
    run = Run(tmp_path / "run.json", {"working_folder": "/data"})
    assert as_typed("a/b.nii", run) == Path("/data/a/b.nii") and as_typed("/x.nii", run) == Path("/x.nii")
    assert as_typed("a.nii", Run(tmp_path / "run.json", {})) == Path("a.nii")


def test_an_output_is_looked_for_beside_its_record_first(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "a.nii").touch()
    run = Run(new / "run.json", {"working_folder": str(tmp_path)})
    assert output_of("old/a.nii", run) == old / "a.nii"
    (new / "a.nii").touch()
    assert output_of("old/a.nii", run) == new / "a.nii"
    assert output_of("old/gone.nii", run) is None
    assert output_of("new", run) is None  # the folder of the record itself is no output of it


@pytest.mark.parametrize("listed", [None, "a", [3, {"path": 4}, {}]])
def test_records_that_hold_anything_else_name_nothing(listed: Any) -> None:
    assert paths(listed) == []


def test_cases_of_a_denoising_run_are_result_and_scan() -> None:
    whole = {"source": "scan.nii", "outputs": [{"path": "clean.nii"}, {"path": "residual.nii"}]}
    cases = [whole, {"source": "failed.nii", "outputs": []}, {"outputs": [{"path": "x.nii"}]}, 3]
    assert list(denoised({"results": {"cases": cases}})) == [("clean.nii", "scan.nii")]
    assert list(denoised({"results": 3})) == list(denoised({})) == []


def test_maps_of_trust_go_with_their_result(tmp_path: Path) -> None:
    """Those that are there and may be read; a case without any has none."""
    (tmp_path / "other").mkdir()
    for name in ("clean.nii", "scan.nii", "t.nii", "other/c.nii"):
        (tmp_path / name).touch()
    trust = {"path": "t.nii", "changed_path": str(tmp_path / "other" / "c.nii")}
    case = {"source": "scan.nii", "outputs": [{"path": "clean.nii"}], "trust": trust}
    record = {"command": "denoise", "status": "done", "outputs": [], "results": {"cases": [case, {}, 3]}}
    record["working_folder"] = str(tmp_path)
    assert list(mapped(record)) == [("clean.nii", {"trust": "t.nii", "labels": trust["changed_path"]})]
    assert list(mapped({"results": {"cases": [{**case, "trust": 3}, {**case, "trust": {}, "outputs": []}]}})) == []
    (tmp_path / "clean.run.json").write_text(json.dumps(record))
    result = Shown("clean", tmp_path / "clean.nii")
    (shown,) = paired([result], [], Given.of([tmp_path / "clean.nii"]))
    assert shown.before == tmp_path / "scan.nii" and shown.maps == {"trust": tmp_path / "t.nii"}
    (shown,) = paired([result], [], Given.of([tmp_path]))
    assert set(shown.maps) == {"trust", "labels"}
