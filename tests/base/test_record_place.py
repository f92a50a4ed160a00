"""Where records lie: one for each output, and what is tried to find it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import older, record_beside, records_in, records_of


@pytest.mark.parametrize(
    ("output", "word", "record"),
    [
        ("a/clean.nii.gz", "", "a/clean.run.json"),
        ("a/Clean.NII.GZ", "", "a/Clean.run.json"),
        ("chest.v1_0000.nii", "", "chest.v1_0000.run.json"),
        ("series", "", "series.run.json"),
        ("chest.zarr", "", "chest.run.json"),
        ("look.png", "preview", "look.preview.run.json"),
    ],
)
def test_beside(output: str, word: str, record: str) -> None:
    assert record_beside(Path(output), word) == Path(record)


def test_candidates_own_first_newest_first(tmp_path: Path) -> None:
    names = ["a.run.json", "a.run-2.json", "a.run-1.json", "run.json", "run-1.json"]
    for name in (*names, "b.run.json", "other.json", ".a.run.json"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in records_of(tmp_path / "a.nii.gz")] == names
    everything = ["run.json", "run-1.json", "a.run.json", "a.run-2.json", "a.run-1.json", "b.run.json"]
    assert [path.name for path in records_in(tmp_path)] == everything
    assert list(records_of(tmp_path / "none" / "a.nii.gz")) == []


def test_a_run_of_many_leaves_a_record_of_each(tmp_path: Path) -> None:
    """Also where it was stopped, and an older one is renamed."""
    for status in ("done", "interrupted"):
        record = RunRecord("toy", tmp_path / "run.json", seed=3)
        try:
            with recorded(record):
                for name in ("a.nii.gz", "b.nii.gz"):
                    (tmp_path / name).write_text(name)
                    record.add_output(tmp_path / name)
                    record.parts[tmp_path / name] = {"seed": 4, "outputs": record.outputs[-1:]}
                if status == "interrupted":
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    whole, each = (json.loads((tmp_path / name).read_text()) for name in ("run.json", "b.run.json"))
    assert whole["status"] == each["status"] == "interrupted" and (whole["seed"], each["seed"]) == (3, 4)
    assert len(whole["outputs"]) == 2 and [Path(o["path"]).name for o in each["outputs"]] == ["b.nii.gz"]
    assert json.loads(older(tmp_path / "b.run.json")[0].read_text())["status"] == "done"
