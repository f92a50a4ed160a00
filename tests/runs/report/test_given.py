"""Reports and previews read only what was named and what really lies in the folders that were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctgrid import CtgridError, Volume, write_report
from ctgrid.runs.report.given import Given
from ctgrid.runs.report.html.collect import collect
from ctgrid.runs.report.html.report import Options
from ctgrid.runs.report.preview import volumes_of

PNG = b"\x89PNG\r\n\x1a\n" + b"a picture of somebody else"


@pytest.fixture
def private(tmp_path: Path, chest_volume: Volume) -> Path:
    """Return a folder of somebody else's pictures and volumes."""
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "shot.png").write_bytes(PNG)
    chest_volume.write(folder / "patient.nii.gz")
    chest_volume.write(folder / "series")
    (folder / "results.json").write_text('{"kind": "volumes", "measures": [{"measure": "secret", "value": 1}]}')
    return folder


def record(folder: Path, outputs: list[Path], **more: Any) -> Path:
    """Write what a stranger may write into a run's folder."""
    folder.mkdir(exist_ok=True)
    listed = [{"path": str(path)} for path in outputs]
    content = {"command": "denoise", "status": "done", "outputs": listed, "working_folder": "/", **more}
    (folder / "run.json").write_text(json.dumps(content))
    return folder


def test_a_foreign_record_embeds_nothing_of_the_machine(private: Path, tmp_path: Path) -> None:
    names = ("shot.png", "patient.nii.gz", "series")
    for outputs in ([private / name for name in names], [Path("..") / "private" / name for name in names]):
        run = record(tmp_path / "run", outputs, working_folder=str(tmp_path / "run"), command="synthesize")
        out = tmp_path / "page.html"
        written = write_report([run], out, Options(), overwrite=True)
        assert not written.found.pictures and not written.found.volumes
        assert len([note for note in written.notes if "outside the inputs" in note]) == 3
        text = out.read_text()
        assert "data:image/png" not in text and "viewer-data" not in text


def test_a_foreign_record_gives_no_scan_from_elsewhere(private: Path, tmp_path: Path, chest_volume: Volume) -> None:
    (tmp_path / "run").mkdir()
    made = chest_volume.write(tmp_path / "run" / "out.nii.gz")
    case = {"source": str(private / "patient.nii.gz"), "outputs": [{"path": "out.nii.gz"}]}
    run = record(tmp_path / "run", [Path("out.nii.gz")], results={"cases": [case]})
    for inputs in ([run], [made], [run / "run.json"]):
        (shown,) = collect(inputs).volumes
        assert shown.before is None and "name it too" in shown.notes[0]
    (pair,) = collect([run, private / "patient.nii.gz"]).volumes
    assert pair.before == private / "patient.nii.gz"


def test_links_out_of_a_folder_are_not_followed(private: Path, tmp_path: Path, make_store: Any) -> None:
    folder = record(tmp_path / "in", [Path("shot.png"), Path("patient.nii.gz"), Path("series")], command="synthesize")
    for name in ("shot.png", "patient.nii.gz", "series", "results.json"):
        (folder / name).symlink_to(private / name)
    found = collect([folder])
    assert not found.pictures and not found.volumes and not found.results
    (folder / "run.json").unlink()
    with pytest.raises(CtgridError, match="outside the inputs"):
        collect([folder])
    with pytest.raises(CtgridError, match="links out"):
        volumes_of(folder)
    store = make_store(tmp_path / "s.zarr", "a")
    (store.path / "b").symlink_to(make_store(tmp_path / "other.zarr", "b").path / "b")
    assert [one.name for one in volumes_of(store.path, everything=True)] == ["a"]


def test_links_inside_a_folder_are_fine(tmp_path: Path, chest_volume: Volume) -> None:
    chest_volume.write(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").symlink_to("a.nii.gz")
    (tmp_path / "loop").symlink_to(tmp_path)
    given = Given.of([tmp_path])
    assert given.holds(tmp_path) and given.holds(tmp_path / "b.nii.gz")
    assert not given.holds(tmp_path.parent / "x") and not given.holds(tmp_path / ".." / "x")
    assert Given.of([tmp_path / "a.nii.gz"]).holds(tmp_path / "b.nii.gz")
