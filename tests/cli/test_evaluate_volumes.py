"""``ctgrid evaluate volumes``: what it writes, says and refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ctgrid.scan.volume import Volume
from ctgrid_cli import app

pytestmark = pytest.mark.usefixtures("coarse_measures")

AFFINE = np.diag([-6.0, -6.0, 4.0, 1.0])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep features in a folder of the test's own."""
    monkeypatch.setenv("CTGRID_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folders(tmp_path: Path, chest: Callable[..., np.ndarray]) -> dict[str, Path]:
    """Return folders ``real`` and ``fake`` of three chests each."""
    made = {}
    for name, first, noise in (("real", 0, 10.0), ("fake", 10, 60.0)):
        made[name] = tmp_path / name
        made[name].mkdir()
        for seed in range(first, first + 3):
            hu = chest((6, 32, 32), noise_hu=noise, seed=seed)
            Volume(hu, AFFINE).write(made[name] / f"p{seed}.nii.gz")
        (made[name] / "run.json").write_text("{}", encoding="utf-8")
    return made


def run(folders: dict[str, Path], out: Path, *more: str) -> Result:
    sets = ["--real", str(folders["real"]), "--fake", str(folders["fake"])]
    return CliRunner().invoke(app, ["evaluate", "volumes", *sets, "--out", str(out), *more])


SMALL = ("--measures", "ctgrid-features", "--frames", "4")


def test_results_table_and_record(folders: dict[str, Path], tmp_path: Path, home: Path) -> None:
    out = tmp_path / "out"
    done = run(folders, out, *SMALL, "--json")
    assert done.exit_code == 0, done.output
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert json.loads(done.stdout)["results"] == results
    assert results["kind"] == "volumes"
    assert (results["protocol"]["name"], results["protocol"]["version"]) == ("stylegan-v", 1)
    assert len(results["protocol"]["sha256"]) == 64
    names = [row["measure"] for row in results["measures"]]
    assert names == [f"{k} (ctgrid-features, {what})" for what in ("slices", "clips of 4") for k in ("FD", "KD")]
    row: dict[str, Any] = results["measures"][0]
    assert (row["n_real"], row["n_fake"], row["frames"], row["volumes_real"]) == (18, 18, None, 3)
    assert len(row["detector"]["sha256"]) == 64
    assert [volume["name"] for volume in results["volumes"]["real"]] == ["p0", "p1", "p2"]
    assert "FD (ctgrid-features, slices)" in (out / "table.md").read_text(encoding="utf-8")
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert (record["status"], record["command"]) == ("done", "evaluate volumes")
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "fewer than 2048 samples" in lines[0]
    assert list((home / "cache" / "fidelity").rglob("*.npz"))


def test_it_does_not_overwrite_unasked_and_repeats_to_the_digit(folders: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(folders, out, *SMALL).exit_code == 0
    before = json.loads((out / "results.json").read_text(encoding="utf-8"))["measures"]
    refused = run(folders, out, *SMALL)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert run(folders, out, *SMALL, "--overwrite", "--no-cache").exit_code == 0
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["measures"] == before


@pytest.mark.parametrize(
    ("more", "match", "code"),
    [
        (("--protocol", "fvd"), "no protocol 'fvd'", 1),
        (("--frames", "many"), "'many': write whole numbers", 2),
        (("--frames", ",,"), "',,': write whole numbers", 2),
        (("--frames", "16,1"), "2 to 10000 frames, got 1", 2),
        (("--frames", "99999999999999"), "2 to 10000 frames, got 99999999999999", 2),
        (("--measures", "fvd"), "no detector i3d_torchscript.pt", 1),
        (("--measures", "frechet"), "unknown measure 'frechet'", 2),
        (("--measures", "memorisation"), "--train", 1),
        (("--detectors", "nowhere"), "nowhere is not a folder", 1),
        (("--pin-detector", "i3d_torchscript=12"), "NAME=SHA256", 2),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(
    folders: dict[str, Path], tmp_path: Path, more: tuple[str, ...], match: str, code: int
) -> None:
    done = run(folders, tmp_path / "out", *more)
    assert done.exit_code == code
    assert match in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_else_lies_in_the_folder_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    """Another command's record is moved aside, its picture is not called ours, its table stops us."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text('{"command": "simulate"}', encoding="utf-8")
    (out / "mine.png").write_bytes(b"picture")
    assert run(folders, out, *SMALL).exit_code == 0
    assert json.loads((out / "run-1.json").read_text(encoding="utf-8")) == {"command": "simulate"}
    record = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert sorted(Path(one["path"]).name for one in record["outputs"]) == ["results.json", "table.md"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "table.md").write_text("mine", encoding="utf-8")
    assert "--overwrite" in run(folders, other, *SMALL).stderr
    assert [path.name for path in other.iterdir()] == ["table.md"]


def test_other_spacing_along_z_is_said(folders: dict[str, Path], tmp_path: Path) -> None:
    """On stderr and in the table, not in results.json alone."""
    for folder in folders.values():
        sorted(folder.glob("*.nii.gz"))[-1].unlink()
    for path in folders["fake"].glob("*.nii.gz"):
        volume = Volume.read(path)
        Volume(volume.hu, volume.affine @ np.diag([1, 1, 2.5, 1])).write(path, overwrite=True)
    done = run(folders, tmp_path / "out", "--measures", "ct")
    assert done.exit_code == 0 and "compare only at one spacing" in done.stderr
    assert "compare only at one spacing" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


@pytest.fixture
def results_of(folders: dict[str, Path], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that measures and gives the results, without those parts that tell of the run."""

    def measured(name: str, *more: str) -> dict[str, Any]:
        done = run(folders, tmp_path / name, *more)
        assert (tmp_path / name / "results.json").is_file(), done.output
        content = json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))
        return {key: content[key] for key in ("volumes", "measures", "ct", "memorisation")}

    return measured


def test_bad_volumes_stop_no_run_and_its_figures_are_of_the_others(
    folders: dict[str, Path], results_of: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """No CT among the generated, a cut file among the real and among those trained on: named, exit 1."""
    train = tmp_path / "train"
    shutil.copytree(folders["real"], train)
    asked = (*SMALL, "--measures", "ctgrid-features,ct,memorisation", "--train", str(train))
    good = results_of("good", *asked)
    Volume(np.full((6, 32, 32), 50, dtype=np.int16), AFFINE).write(folders["fake"] / "p99.nii.gz")
    whole = (folders["real"] / "p0.nii.gz").read_bytes()
    (folders["real"] / "p98.nii.gz").write_bytes(whole[: len(whole) // 2])
    (train / "p97.nii.gz").write_bytes(whole[:-5])
    done = run(folders, tmp_path / "out", *asked)
    assert done.exit_code == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "p98.nii.gz" in last and "and 2 more; " in last and "holds the figures of the others" in last
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [Path(line.split()[0].rstrip(":")).name for line in results["failed"]] == [
        "p98.nii.gz",
        "p99.nii.gz",
        "p97.nii.gz",
    ]
    assert results["failed"] == results["left_out"][-3:]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["results"]["failed"] == results["failed"]
    assert "p99.nii.gz" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert results_of("again", *asked) == good


def test_two_volumes_must_be_left(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("p0.nii.gz", "p1.nii.gz"):
        (folders["real"] / name).write_bytes(b"")
    done = run(folders, tmp_path / "out", *SMALL)
    assert done.exit_code == 1 and not (tmp_path / "out").exists()
    assert "p1.nii.gz is not a readable NIfTI file" in done.stderr
    assert "1 volumes can be read, but distributions take two at least" in done.stderr


def test_results_never_lie_inside_an_input(folders: dict[str, Path], tmp_path: Path) -> None:
    inside = run(folders, folders["fake"] / "out", *SMALL)
    assert "lies inside the input folder" in inside.stderr


def test_fetching_is_on_request_only_and_offline_says_so(home: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "fetch-detectors", "--offline"])
    assert done.exit_code == 1
    assert "i3d_torchscript.pt is not in" in done.stderr


def test_scans_outside_the_real_frame_are_said(folders: dict[str, Path], tmp_path: Path) -> None:
    """The chests here have six slices each."""
    done = run(folders, tmp_path / "out", *SMALL, "--real-frame", "generatect")
    assert done.exit_code == 1
    assert "protocol generatect leaves out every volume here" in done.stderr and not (tmp_path / "out").exists()
