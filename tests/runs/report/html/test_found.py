"""What a report holds: each thing once, nothing from outside the inputs, all of it safe from being written over."""

from __future__ import annotations

from pathlib import Path

from ctgrid.runs.report.given import Given
from ctgrid.runs.report.html.found import MOST_NAMES, Found, Run, Shown, some
from ctgrid.runs.results.files import read_results


def test_everything_is_held_once_by_where_it_really_lies(tmp_path: Path) -> None:
    scan = tmp_path / "scan.nii"
    scan.touch()
    link = tmp_path / "link.nii"
    link.symlink_to(scan)
    found = Found()
    assert found.add_volume(Shown("a", scan)) and not found.add_volume(Shown("b", link))
    assert [shown.name for shown in found.volumes] == ["a"]
    assert found.add_picture(scan)  # another kind of thing


def test_what_lies_outside_is_left_out_and_noted_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    outside = tmp_path / "other" / "run.json"
    found = Found(given=Given.of([tmp_path / "in"]))
    assert not found.add_run(Run(outside, {})) and not found.add_run(Run(outside, {}))
    assert not found.runs and [note for note in found.notes if str(outside) in note] == found.notes
    assert len(found.notes) == 1 and "lies outside the inputs" in found.notes[0]
    assert found.add_run(Run(tmp_path / "in" / "run.json", {}))


def test_every_file_that_is_shown_is_listed(tmp_path: Path) -> None:
    found = Found()
    results = read_results(tmp_path / "results.json", {"kind": "toy", "rows": [{"a": 1}]})
    found.add_run(Run(tmp_path / "run.json", {}))
    found.add_results(results)
    found.add_picture(tmp_path / "a.png")
    found.add_volume(Shown("after", tmp_path / "after.nii", before=tmp_path / "before.nii"))
    names = ["run.json", "results.json", "a.png", "after.nii", "before.nii"]
    assert [path.name for path in found.files()] == names


def test_many_names_are_counted() -> None:
    names = [str(i) for i in range(MOST_NAMES + 2)]
    assert some(names) == "0, 1, 2, 3, 4 and 2 more" and some(names[:2]) == "0, 1"
