"""Whole runs of tiny recipes: logs, exact resume, and what is refused before anything is made."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base import precision
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.methods.training.config import Kind
from ctgrid.methods.training.run import train
from ctgrid.stages.models.bundle import load_bundle, pack

pytestmark = pytest.mark.usefixtures("few_examples")

Run = Callable[..., Path]
Read = Callable[[Path], Any]
GRID = {"stage1.cell_encoding": "grid", "stage1.prediction": "epsilon", "stage1.network.learned_variance": True}
RUNS = [("codec", {}), ("stage1", {}), ("stage1", GRID), ("stage2", {})]


@pytest.mark.parametrize(("kind", "changes"), RUNS)
def test_a_run_in_two_parts_equals_one_in_a_single_part(
    kind: str, changes: dict[str, Any], run: Run, log_of: Read, weights_of: Read
) -> None:
    """Losses, learning rates, gradients and both sets of weights, to the last bit."""
    whole = run(kind, "whole", changes=changes)
    parts = run(kind, "parts", changes=changes, max_steps=3)
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3]
    run(kind, "parts", changes=changes, resume=True)
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3, 4, 5, 6]
    assert log_of(parts) == log_of(whole)
    assert weights_of(parts) == weights_of(whole)


KILLED = """
import os, signal, sys
from ctgrid.methods.training.codec import CodecTask
from ctgrid.methods.training.run import train

how, *arguments = sys.argv[1:]

def save(task, network, folder, real=CodecTask.save):
    real(task, network, folder)
    if how == "killed" and folder.parent.name == ".step_00000006.new":
        os.kill(os.getpid(), signal.SIGKILL)

CodecTask.save = save
train("codec", *arguments, resume=how == "resumed")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_run_killed_while_it_saves_resumes_exactly(
    recipe: Callable[..., Path], scans: Path, tmp_path: Path, log_of: Read, weights_of: Read, forked: Any
) -> None:
    """Half of the second checkpoint was written: the first counts. Every part is a fresh process, as after a crash."""

    def start(how: str, out: Path) -> int:
        return int(forked(KILLED, how, recipe("codec"), scans, out).wait().returncode)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start("whole", whole) == 0
    assert start("killed", killed) == -signal.SIGKILL
    assert sorted(p.name for p in (killed / "checkpoints").iterdir()) == [".step_00000006.new", "step_00000003"]
    assert not (killed / "model").exists()
    assert start("resumed", killed) == 0
    assert log_of(killed) == log_of(whole)
    assert weights_of(killed) == weights_of(whole)


@pytest.mark.parametrize("kind", ["codec", "stage1", "stage2"])
def test_micro_batches_make_the_same_run(kind: str, run: Run, log_of: Read) -> None:
    """Four examples at once or two and two, known cells and all."""
    changes = {"optimisation.steps": 2, "optimisation.accumulate": 2}
    one, two = run(kind, "one", changes={"optimisation.steps": 2}), run(kind, "two", changes=changes)
    for a, b in zip(log_of(one), log_of(two), strict=True):
        assert list(a.values()) == pytest.approx(list(b.values()), rel=2e-3, abs=1e-6)


@pytest.mark.parametrize(("kind", "steps"), [("codec", 60), ("stage1", 40), ("stage2", 40)])
def test_the_loss_falls(kind: str, steps: int, run: Run, log_of: Read) -> None:
    """On two small scans every stage learns something within seconds."""
    changes = {"optimisation.steps": steps, "optimisation.batch_size": 8, "optimisation.checkpoint_every": 1000}
    losses = [line["loss"] for line in log_of(run(kind, "long", changes=changes))]
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    assert last < 0.8 * first


def test_runs_become_a_model(scans: Path, recipe: Callable[..., Path], tmp_path: Path) -> None:
    """Codec, both stages on it, packed and loaded: the facts tell sampling what training did."""
    runs = {kind: tmp_path / kind for kind in ("codec", "stage1", "stage2")}
    summaries = {}
    for kind, out in runs.items():
        changes = {} if kind == "codec" else {f"{kind}.codec": str(runs["codec"])}
        summaries[kind] = train(kind, recipe(kind), scans, out, max_steps=1, overrides=changes)  # type: ignore[arg-type]
    assert summaries["stage1"]["volumes"] == ["scan0", "scan1"]
    assert summaries["stage1"]["config"]["stage1"]["codec"] == str(runs["codec"])
    assert summaries["codec"]["steps"] == 1 and summaries["codec"]["last"]["step"] == 1
    bundle = load_bundle(pack(**runs, out=tmp_path / "model"))
    assert len(bundle.codec.config["latents_mean"]) == len(bundle.codec.config["latents_std"]) == 4
    facts = bundle.facts1
    assert (facts.prediction, facts.size, facts.k, facts.slices) == ("v", 64, 4, 24)
    assert (facts.cell_encoding, facts.conditioning, facts.fov_mm) == ("cell", "clean", 60.0)
    assert facts.extent_mm == pytest.approx((18 * 2 + 22 * 3) / 2)
    assert bundle.stage1.absolute_z and not bundle.stage2.absolute_z


def test_a_run_without_known_cells_says_so(run: Run) -> None:
    """Sampling then replaces known cells, as in the paper."""
    changes = {"stage1.window_share": 0.0, "stage1.unknown_share": 1.0, "stage1.cell_encoding": "grid"}
    facts = json.loads(
        (run("stage1", "run", changes=changes, max_steps=1) / "model" / "stage.json").read_text(encoding="utf-8")
    )
    assert (facts["conditioning"], facts["cell_encoding"]) == ("replace", "grid")


def test_latents_are_made_once(scans: Path, recipe: Callable[..., Path], tiny_model: Path, tmp_path: Path) -> None:
    """Resuming reads them from the run's folder."""
    phases: list[str] = []

    def start(**options: Any) -> list[str]:
        phases.clear()
        changes = {"stage2.codec": str(tiny_model / "codec")}
        progress = lambda phase, done, total: phases.append(phase)  # noqa: E731
        train("stage2", recipe("stage2"), scans, tmp_path / "run", overrides=changes, progress=progress, **options)
        return sorted(set(phases))

    first = start(max_steps=1)
    assert first == ["encoding conditions", "encoding slices", "reading volumes", "training"]
    assert start(max_steps=2, resume=True) == ["reading volumes", "training"]


def test_seed_and_steps_may_be_given_beside_the_recipe(run: Run, log_of: Read) -> None:
    """Another seed is another run; more steps than the recipe's move its end, and the decay with it."""
    one, two = run("codec", "one", max_steps=2), run("codec", "two", max_steps=2, seed=6)
    assert log_of(one)[0]["loss"] != log_of(two)[0]["loss"]
    assert json.loads((two / "config.json").read_text(encoding="utf-8"))["seed"] == 6
    longer = run("codec", "longer", max_steps=8)
    assert json.loads((longer / "config.json").read_text(encoding="utf-8"))["optimisation"]["steps"] == 8
    assert [line["learning_rate"] for line in log_of(longer)][2:] == pytest.approx([0.01] * 5 + [0.005])


def test_a_run_goes_on_with_its_own_recipe_only(run: Run, log_of: Read) -> None:
    """More steps are fine; anything else would be another run, and starting anew would destroy this one."""
    out = run("codec", "run", max_steps=2)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with pytest.raises(CtgridError, match="holds a run already; pass --resume"):
        run("codec", "run")
    for changes, words in (
        ({"codec.crop": 24}, "codec.crop"),
        ({"optimisation.batch_size": 2}, "optimisation.batch_size"),
    ):
        with pytest.raises(CtgridError, match=f"cannot resume, the recipe differs in {words}; "):
            run("codec", "run", resume=True, changes=changes)
    with pytest.raises(CtgridError, match="cannot resume, the recipe differs in seed"):
        run("codec", "run", resume=True, seed=9)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    run("codec", "run", resume=True, changes={"optimisation.steps": 3, "optimisation.keep_last": 1})
    assert len(log_of(out)) == 3


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("codec", {"codec.network.widht": 3}, "codec.network: .*widht"),
        ("stage1", {"stage1.network.heads": 5}, "stage1.network: width 32 must be a multiple of heads 5"),
        ("stage1", {"stage1.network.patch_size": 4}, "stage1.network: latent_size 8 must be a multiple"),
        ("stage1", {"stage1.codec": "nowhere"}, "nowhere: no "),
        ("stage2", {"stage2.network.latent_size": 8}, "stage2.network: .*latent_size"),
        ("stage2", {"stage2.network.skip": "maybe"}, "stage2.network: skip is true or false, got 'maybe'"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    kind: str, changes: dict[str, Any], words: str, run: Run, tmp_path: Path
) -> None:
    """Before a volume is read, and nothing is left behind."""
    with pytest.raises(CtgridError, match=words):
        run(kind, "run", changes=changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("data", ["missing", "empty", "broken"])
def test_missing_or_damaged_data_leave_nothing_behind(data: str, recipe: Callable[..., Path], tmp_path: Path) -> None:
    """The folder or file is named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "scan.nii.gz").write_bytes(b"not a scan")
    with pytest.raises(CtgridError, match="broken/scan.nii.gz" if data == "broken" else data):
        train("codec", recipe("codec"), tmp_path / data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_was_there_stays(recipe: Callable[..., Path], tmp_path: Path) -> None:
    """A failed start removes only what it made."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "notes.txt").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "scan.nii.gz").write_bytes(b"not a scan")
    with pytest.raises(CtgridError, match=r"scan\.nii\.gz"):
        train("codec", recipe("codec"), tmp_path / "data", out)
    with pytest.raises(CtgridError, match="missing"):
        train("codec", recipe("codec"), tmp_path / "missing", out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        ("nowhere/run", {}, "nowhere: this folder does not exist"),
        ("file", {}, "file: is a file"),
        ("run", {"max_steps": 0}, "max_steps must be at least 1, got 0"),
    ],
)
def test_folders_and_steps_that_cannot_be(
    out: str, options: dict[str, Any], words: str, recipe: Callable[..., Path], scans: Path, tmp_path: Path
) -> None:
    """In one clear line each."""
    (tmp_path / "file").touch()
    kind: Kind = "codec"
    with pytest.raises(CtgridError, match=words):
        train(kind, recipe(kind), scans, tmp_path / out, **options)
    assert not (tmp_path / "run").exists()


def precision_of(folder: Path) -> str:
    return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["optimisation"]["precision"])


@pytest.mark.precision
def test_precision_is_decided_recorded_and_kept(run: Run, log_of: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hardware at hand; a run that is moved to other hardware keeps its own, and its latents, with a warning."""
    auto = {"optimisation.precision": "auto"}
    logs = {}
    for there, decided in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr(precision, "_processor_multiplies_in", lambda dtype, there=there: there)
        out = run("stage1", decided, max_steps=1, changes=auto)
        assert precision_of(out) == decided
        logs[decided] = log_of(out)
        latents = out / "latents.safetensors"
        before = latents.stat().st_mtime_ns
        monkeypatch.setattr(precision, "_processor_multiplies_in", lambda dtype, there=there: not there)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run("stage1", decided, max_steps=2, resume=True, changes=auto)
        assert [e.category for e in caught].count(CtgridWarning) == (decided == "bf16")
        assert precision_of(out) == decided and len(log_of(out)) == 2
        assert latents.stat().st_mtime_ns == before
    assert logs["bf16"] != logs["no"]


def test_precision_that_cannot_be_trained_in_is_refused(run: Run, tmp_path: Path) -> None:
    """Before anything is read or written."""
    if torch.cuda.is_available():
        pytest.skip("a CUDA GPU trains in fp16")
    with pytest.raises(CtgridError, match=r"optimisation\.precision 'fp16' trains on CUDA GPUs only"):
        run("codec", "run", changes={"optimisation.precision": "fp16"})
    assert not (tmp_path / "run").exists()
