"""The run record: complete, plain JSON, never lost, and only there when something was done."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from ctgrid.base.documents import plain
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.machine import peak_memory_mib
from ctgrid.base.record import RunRecord, fingerprint, move_aside, recorded


def test_record_of_a_good_run(tmp_path: Path) -> None:
    """Times, phases, files and versions end up in the file."""
    data = tmp_path / "out.bin"
    with recorded(RunRecord("demo", tmp_path / "run.json", ["demo", "--x"], seed=4)) as record:
        with record.timed("work"):
            data.write_bytes(b"abc")
        record.add_phases({"work": 1.0, "rest": 2.0})
        record.add_output(data, shape=(1, 2))
    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert content["status"] == "done" and content["argv"] == ["demo", "--x"] and content["seed"] == 4
    assert content["started"] <= content["ended"]
    assert content["phases"] == pytest.approx({"work": 1.0, "rest": 2.0}, abs=0.2)
    digest = sha256(b"abc").hexdigest()
    assert content["outputs"] == [{"path": str(data), "bytes": 3, "sha256": digest, "shape": [1, 2]}]
    assert {"ctgrid", "python", "torch", "numpy", "diffusers", "platform", "threads"} == set(content["versions"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.bin", "run.json"]


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_failed_run(tmp_path: Path, error: type[BaseException], status: str) -> None:
    """No record without an output; with one, the record says how the run ended."""
    path = tmp_path / "run.json"
    with pytest.raises(error), recorded(RunRecord("demo", path)):
        raise error
    assert not path.exists()
    (tmp_path / "a").write_text("a")
    with pytest.raises(error), recorded(RunRecord("demo", path)) as record:
        record.add_output(tmp_path / "a")
        raise error
    assert json.loads(path.read_text(encoding="utf-8"))["status"] == status


def test_older_records_are_renamed(tmp_path: Path) -> None:
    """run.json is the newest; run-1.json, run-2.json follow in order."""
    for seed in range(3):
        RunRecord("demo", tmp_path / "run.json", seed=seed).end("done")
    seeds = {p.name: json.loads(p.read_text(encoding="utf-8"))["seed"] for p in tmp_path.iterdir()}
    assert seeds == {"run-1.json": 0, "run-2.json": 1, "run.json": 2}


def test_move_aside_loses_nothing_under_competition(tmp_path: Path) -> None:
    """Many jobs may finish in one folder."""
    path = tmp_path / "run.json"

    def put(n: int) -> None:
        own = tmp_path / f"job{n}"
        own.mkdir()
        for i in range(20):
            move_aside(path)
            (own / "run.json").write_text(f"{n}.{i}")
            try:
                path.hardlink_to(own / "run.json")  # fails where another job was faster
            except FileExistsError:
                kept.append(f"{n}.{i}")
            (own / "run.json").unlink()

    kept: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(4)))
    found = [p.read_text(encoding="utf-8") for p in tmp_path.glob("run*.json")]
    assert sorted(found + kept) == sorted(f"{n}.{i}" for n in range(4) for i in range(20))


def test_fingerprint_of_a_folder(tmp_path: Path) -> None:
    """A folder's hash changes with a byte and with a name, and not with the time."""
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    first = fingerprint(tmp_path)
    assert (first["files"], first["bytes"]) == (2, 2)
    (tmp_path / "b").write_bytes(b"2")
    assert fingerprint(tmp_path) == first
    (tmp_path / "b").write_bytes(b"3")
    second = fingerprint(tmp_path)
    (tmp_path / "b").rename(tmp_path / "c")
    assert len({first["sha256"], second["sha256"], fingerprint(tmp_path)["sha256"]}) == 3


def test_plain_values() -> None:
    """Whatever a pipeline puts into its settings becomes valid JSON."""
    odd = {"p": Path("x"), "t": (1, 2), 3: np.float32(0.5), "a": np.eye(2), "n": float("nan")}
    text = json.dumps(plain(odd), allow_nan=False)
    assert json.loads(text) == {"p": "x", "t": [1, 2], "3": 0.5, "a": [[1, 0], [0, 1]], "n": "nan"}


def test_peak_memory_is_in_mib() -> None:
    """This process holds NumPy: more than 15 MiB, less than 100 GiB."""
    assert 15 < peak_memory_mib()["process"] < 100 * 1024


def test_a_place_that_is_taken_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    with (
        pytest.raises(CtgridError, match=r"cannot write the record .*run\.json: a folder has that name"),
        recorded(RunRecord("x", tmp_path / "run.json")),
    ):
        raise AssertionError("the work was begun")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_an_output_without_its_record_is_taken_back(tmp_path: Path) -> None:
    """Where it was not there before: what a file of that name held is gone, and its successor stays."""
    for name in ("new", "old"):
        folder = tmp_path / name
        folder.mkdir()
        out = folder / "x.nii"
        if name == "old":
            out.write_text("before")
        with (
            pytest.raises(CtgridError, match=r"rename the record|cannot write"),
            recorded(RunRecord("x", folder / "run.json"), out),
        ):
            out.write_text("after")
            (folder / "run.json").mkdir()  # somebody else's, meanwhile
            (folder / "run.json" / "x").touch()
        assert out.exists() == (name == "old")
        assert not (folder / "run-1.json").exists()


def test_a_working_folder_that_is_gone_is_recorded_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with recorded(RunRecord("x", tmp_path / "run.json")):
        pass
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["working_folder"] is None
    monkeypatch.chdir(tmp_path)


def test_a_phase_that_leaves_something_behind_has_its_record_kept(tmp_path: Path) -> None:
    """Once something was done in it; other phases do not count."""
    record, heard = RunRecord("x", tmp_path / "run.json"), []
    told = record.kept_from("training", lambda *step: heard.append(step))
    for step, kept in ((("reading", 3, 4), False), (("wide: training", 0, 2), False), (("wide: training", 1, 2), True)):
        told(*step)
        assert record.worth_keeping is kept
    told("drawing", 0, 1)
    assert record.worth_keeping and len(heard) == 4


def test_warnings_are_noted_and_still_shown(tmp_path: Path) -> None:
    """Those of ctgrid, each as often as it was given."""
    record = RunRecord("x", tmp_path / "run.json")
    with pytest.warns(UserWarning) as shown, record.noting_warnings():
        for _ in range(2):
            warnings.warn("damaged", CtgridWarning, stacklevel=1)
        warnings.warn("another", UserWarning, stacklevel=1)
    assert [str(one.message) for one in shown] == ["damaged", "damaged", "another"]
    assert record.decisions == {"warnings": ["damaged", "damaged"]}
