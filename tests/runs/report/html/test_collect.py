"""What inputs are: runs with what they left behind, results, volumes, pairs before and after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctgrid import Volume
from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.collect import collect


@pytest.fixture
def denoised(tmp_path: Path, chest_volume: Volume) -> Callable[..., tuple[Path, Path]]:
    """Return a maker of a scan and the folder of a denoising run on it, as ``ctgrid denoise`` leaves it."""

    def make(folder: str = "run") -> tuple[Path, Path]:
        out = tmp_path / folder
        out.mkdir(parents=True)
        scan = chest_volume.write(tmp_path / "scan.nii.gz", overwrite=True)
        for name in ("scan.nii.gz", "residual.nii.gz"):
            chest_volume.write(out / name)
        (out / "scan_compared.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        outputs = [{"path": f"{folder}/{n}"} for n in ("scan.nii.gz", "residual.nii.gz", "scan_compared.png")]
        case = {"status": "done", "source": "scan.nii.gz", "outputs": outputs, "noise_hu": 20.0}
        record = {
            **{"command": "denoise", "status": "done", "working_folder": str(tmp_path), "seconds": 2.0},
            **{"outputs": outputs, "inputs": [{"path": "scan.nii.gz"}], "results": {"cases": [case]}},
        }
        (out / "run.json").write_text(json.dumps(record))
        return scan, out

    return make


def test_denoising_run_gives_its_pair_and_not_the_residual(denoised: Any) -> None:
    scan, run = denoised()
    found = collect([run, scan])
    (pair,) = found.volumes
    assert (pair.path, pair.before) == (run / "scan.nii.gz", scan)
    assert found.pictures == [run / "scan_compared.png"] and found.runs[0].command == "denoise"


def test_two_volumes_are_a_pair_where_the_record_beside_them_says_so(denoised: Any) -> None:
    scan, run = denoised()
    found = collect([scan, run / "scan.nii.gz"])
    assert [(v.path, v.before) for v in found.volumes] == [(run / "scan.nii.gz", scan)]


def test_moved_run_still_finds_its_outputs(denoised: Any, tmp_path: Path) -> None:
    scan, run = denoised()
    run = run.rename(tmp_path / "elsewhere")
    (pair,) = collect([run, scan]).volumes
    assert (pair.path, pair.before) == (run / "scan.nii.gz", scan)
    scan.unlink()
    (alone,) = collect([run]).volumes
    assert alone.before is None and "no longer" in alone.notes[0]


def test_folder_of_runs_stands_for_them_each_once(denoised: Any, tmp_path: Path) -> None:
    denoised("one")
    _, second = denoised("two")
    found = collect([tmp_path, second, second / "run.json"])
    assert [run.path.parent.name for run in found.runs] == ["one", "two"]
    assert len(found.volumes) == 2


def test_results_are_found_alone_and_in_folders(samples: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(samples["denoising"]))
    (tmp_path / "nodules.json").write_text(json.dumps(samples["nodules"]))
    found = collect([tmp_path / "results.json", tmp_path])
    assert [one.kind.name for one in found.results] == ["denoising", "nodules"] and not found.volumes


def test_folder_of_volumes(chest_volume: Volume, tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nrrd"):
        chest_volume.write(tmp_path / name)
    found = collect([tmp_path, tmp_path / "b.nii.gz"])
    assert [shown.name for shown in found.volumes] == ["a", "b"]
    assert not found.volumes[0].given


def test_what_is_none_of_these_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="does not exist"):
        collect([tmp_path / "missing"])
    with pytest.raises(CtgridError, match="no store, no scan"):
        collect([tmp_path])
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CtgridError, match="no run record"):
        collect([tmp_path])


def test_folder_that_mixes_everything(
    denoised: Any, make_store: Any, samples: dict[str, Any], chest_volume: Volume, tmp_path: Path
) -> None:
    scan, run = denoised("deep/down/run")
    make_store(tmp_path / "deep" / "of <b> & 'c'.zarr", "p", "q")
    chest_volume.write(tmp_path / "loose.nii.gz")
    (tmp_path / "results.json").write_text(json.dumps(samples["denoising"]))
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "run.json").write_text("{}")
    chest_volume.write(tmp_path / "foreign" / "theirs.nii.gz")
    found = collect([tmp_path])
    assert [one.path for one in found.runs] == [run / "run.json"] and len(found.results) == 1
    assert sorted(shown.name for shown in found.volumes) == ["loose", "p", "q", "scan", "theirs"]  # no residual
    (pair,) = (shown for shown in found.volumes if shown.before is not None)
    assert (pair.path, pair.before) == (run / "scan.nii.gz", scan)
    (note,) = found.notes
    assert "foreign/run.json is no run record" in note


def test_what_a_run_does_not_tell_of_is_not_passed_over_in_silence(
    denoised: Any, make_store: Any, chest_volume: Volume
) -> None:
    _, run = denoised()
    assert collect([run]).notes == []
    make_store(run / "s.zarr", "p")
    other = chest_volume.write(run / "other.nii.gz")
    (note,) = collect([run]).notes
    assert "its run.json tells nothing of other.nii.gz, s.zarr" in note
    assert collect([run, other, run / "s.zarr"]).notes == [] == collect([run / "run.json"]).notes


def save_record(path: Path, command: str, output: Path, source: Path | None = None) -> None:
    outputs = [{"path": str(output)}]
    cases = [{"status": "done", "source": str(source), "outputs": outputs}] if source else []
    content = {"command": command, "status": "done", "outputs": outputs, "inputs": [], "results": {"cases": cases}}
    path.write_text(json.dumps(content), encoding="utf-8")


def test_an_older_output_finds_its_own_record(chest_volume: Volume, tmp_path: Path) -> None:
    """Beside it; in a record that was renamed; in the folder's record of former versions, or one before that."""
    folder = tmp_path / "here"
    folder.mkdir()
    scan = chest_volume.write(folder / "scan.nii.gz")
    for name, record in (
        ("first.nii.gz", "first.run.json"),
        ("second.nii.gz", "second.run-1.json"),
        ("third.nii.gz", "run-1.json"),
        ("fourth.nii.gz", "run.json"),
    ):
        save_record(folder / record, "denoise", chest_volume.write(folder / name), scan)
    save_record(folder / "second.run.json", "convert", folder / "second.nrrd")  # of a namesake
    save_record(folder / "look.preview.run.json", "preview", folder / "first.nii.gz")
    names = ["first", "second", "third", "fourth"]
    for inputs in ([folder], [scan, *(folder / f"{name}.nii.gz" for name in names)]):
        found = collect(inputs)
        assert {shown.name: shown.before for shown in found.volumes} == dict.fromkeys(names, scan)
        assert found.notes == []
    runs = [run.path.name for run in collect([folder]).runs]
    assert runs == ["run.json", "run-1.json", "first.run.json", "second.run-1.json"]
    (folder / "run.json").unlink()
    assert [run.path.name for run in collect([tmp_path]).runs] == runs[1:]


def test_a_series_is_one_run_in_a_report(chest_volume: Volume, tmp_path: Path) -> None:
    """The records of its volumes tell nothing that the series' own does not."""
    made = [chest_volume.write(tmp_path / f"volume_{i}.nii.gz") for i in range(3)]
    content = {"command": "synthesize", "status": "done", "outputs": [{"path": str(path)} for path in made]}
    (tmp_path / "run.json").write_text(json.dumps(content))
    for path in made:
        save_record(path.with_name(f"{path.name[:-7]}.run.json"), "synthesize", path)
    found = collect([tmp_path])
    assert [run.path.name for run in found.runs] == ["run.json"] and len(found.volumes) == 3 and not found.notes


def test_damaged_parts_of_runs_are_noted(denoised: Any, tmp_path: Path, chest_volume: Volume) -> None:
    _, run = denoised()
    (run / "results.json").write_text("[]")  # of a run that was stopped before its first row
    found = collect([run])
    assert len(found.volumes) == 1 and "holds no results" in found.notes[0]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.json").write_text("no JSON")
    alone = chest_volume.write(tmp_path / "x" / "alone.nii.gz")
    assert [shown.path for shown in collect([alone]).volumes] == [alone]
    with pytest.raises(CtgridError, match="not JSON"):
        collect([tmp_path / "x"])


def test_thousands_of_volumes_are_sorted_out_quickly(denoised: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctgrid.runs.report.html import pairs

    _, run = denoised()
    record = json.loads((run / "run.json").read_text())
    for i in range(50):
        (run / f"{i}.nii.gz").write_bytes(b"")
    outputs = [{"path": f"run/{i}.nii.gz"} for i in range(50)]
    record["results"]["cases"] += [{"source": "scan.nii.gz", "outputs": [one]} for one in outputs]
    (run / "run.json").write_text(json.dumps({**record, "outputs": [*record["outputs"], *outputs]}))
    read: list[Path] = []
    parse = pairs.read_json
    monkeypatch.setattr(pairs, "read_json", lambda path: (read.append(path), parse(path))[1])
    assert len(collect([run]).volumes) == 51
    assert read == [run / "run.json"]  # once, not once a volume
