"""A whole ablation: rows, shared models and latents, resuming, and folders that hold something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from ctgrid.base.errors import CtgridError
from ctgrid.runs.ablation import bench
from ctgrid.runs.ablation.run import run_ablation
from ctgrid.runs.ablation.summary import reference_row, report, summary_of
from ctgrid.runs.results.ablation import MEASURES
from ctgrid.stages.models.facts import StageFacts

pytestmark = pytest.mark.usefixtures("quick_features")


@pytest.fixture
def started(spec: Callable[..., Path], scans: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the tiny ablation into ``tmp_path / "out"``."""
    return lambda **options: run_ablation(spec(), scans, tmp_path / "out", **options)


def test_every_variant_and_seed_is_measured(started: Callable[..., Any], tmp_path: Path) -> None:
    """On disk as returned; variants that differ in sampling share a model and its loss, all share latents."""
    results = started(seeds=2)
    out = tmp_path / "out"
    assert json.loads((out / "results.json").read_text(encoding="utf-8")) == results
    assert [(r["variant"], r["seed"]) for r in results["rows"]] == [(v, s) for s in (0, 1) for v in ("r1", "r3", "z")]
    assert results["complete"] and results["seeds"] == 2
    one, three, absolute = results["rows"][:3]
    assert (one["model"], three["model"], absolute["model"]) == ("r1-seed0", "r1-seed0", "z-seed0")
    assert three["train_seconds"] is None and one["loss"] == three["loss"] != absolute["loss"]
    assert one["fd"] != three["fd"] and one["passes"] == 2 and three["passes"] == 3
    assert results["rows"][3]["loss"] != one["loss"], "another seed is another model"
    for row in results["rows"]:
        assert all(isinstance(row[m.key], float) and np.isfinite(row[m.key]) for m in MEASURES)
    assert len(list((out / "cache").iterdir())) == 2, "latents of training and of held-out volumes, once each"
    assert set(results["held_out"]).isdisjoint(results["training"])


def test_the_report_says_what_was_measured(started: Callable[..., Any]) -> None:
    """Every mean stands in the table."""
    results = started()
    text = report(results)
    for variant in results["variants"]:
        assert f"| {variant['name']} " in text and variant["says"] in text
        assert f"{results['summary'][variant['name']]['fd']['mean']:.2f}" in text
    assert "as r1" in text and "Not complete" not in text
    results["rows"].pop()
    assert "Not complete" in report({**results, "complete": False})


def test_resuming_keeps_what_is_done(started: Callable[..., Any], tmp_path: Path) -> None:
    """No row is computed again, a missing one is; more seeds go on from fewer; other steps are measured anew."""
    before = started()
    path = tmp_path / "out" / "results.json"
    stopped = json.loads(path.read_text(encoding="utf-8"))
    stopped["rows"] = stopped["rows"][:1]
    path.write_text(json.dumps(stopped))
    after = started(resume=True)
    assert after["rows"][0] == before["rows"][0]
    for old, new in zip(before["rows"][1:], after["rows"][1:], strict=True):
        assert new["case"] == old["case"]
        assert all(new[m.key] == pytest.approx(old[m.key], rel=1e-6) for m in MEASURES)
    with pytest.raises(CtgridError, match="--resume"):
        started()


def test_fewer_steps_are_another_case(started: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """``max_steps`` ends every training early, and says so. Real volumes are measured once, not for every row."""
    measured: list[Any] = []

    def counted(real: Any) -> dict[str, Any]:
        measured.append(real)
        return reference_row(real)

    monkeypatch.setattr(bench, "reference_row", counted)
    results = started(max_steps=1)
    assert {row["steps"] for row in results["rows"]} == {1}
    assert len(results["rows"]) > len(measured) == 1


def test_a_stage_2_behind_every_variant(spec: Callable[..., Path], scans: Path, tmp_path: Path) -> None:
    """Of the variant's own K, shared where stage 1 is, taken up on resuming; slices are then whole ones."""
    network = {"patch_size": 2, "width": 24, "depth": 1, "heads": 2, "learned_variance": False}
    optimisation = {"steps": 2, "batch_size": 2, "checkpoint_every": 2, "ema_decay": 0.5}
    base = {"kind": "stage2", "stage2": {"network": network, "degradations": 1}, "optimisation": optimisation}
    (tmp_path / "second.yaml").write_text(yaml.safe_dump(base))
    variants = [
        {"name": "k4", "says": "4 x 4"},
        {"name": "k4b", "says": "the same", "sampling": {"control_rows": 3}},
        {"name": "k2", "says": "2 x 2", "set": {"stage1.k": 2}},
    ]
    how = {
        "refinement": {"base": str(tmp_path / "second.yaml"), "steps": 1},
        "measuring": {"side_px": 64, "feature_slices": 6, "loss_examples": 4},
    }
    path = spec(variants=variants, **how)
    results = run_ablation(path, scans, tmp_path / "out", max_steps=1)
    assert [row["stage2"] for row in results["rows"]] == ["k4-stage2-seed0", "k4-stage2-seed0", "k2-stage2-seed0"]
    factors = [StageFacts.read(tmp_path / "out" / "runs" / f"{k}-stage2-seed0" / "model").factor for k in ("k4", "k2")]
    assert factors == [4, 2]
    with np.load(tmp_path / "out" / "samples" / "k2-seed0.npz") as made:
        fine = made["hu"]
    assert fine.shape == (24, 64, 64)
    assert run_ablation(path, scans, tmp_path / "out", max_steps=1, resume=True)["rows"] == results["rows"]


def test_wrong_folders_are_refused(spec: Callable[..., Path], scans: Path, tmp_path: Path) -> None:
    """A missing parent, a file, and results of something else."""
    with pytest.raises(CtgridError, match="does not exist"):
        run_ablation(spec(), scans, tmp_path / "no" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(CtgridError, match="is a file"):
        run_ablation(spec(), scans, tmp_path / "file")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.json").write_text("[]")
    with pytest.raises(CtgridError, match="not the results of an ablation"):
        run_ablation(spec(), scans, tmp_path / "out", resume=True)


def test_a_summary_has_mean_and_spread() -> None:
    """Measures that a variant lacks are left out."""
    rows = [{"variant": "a", "fd": 1.0, "seam": None}, {"variant": "a", "fd": 3.0, "seam": None}]
    summary = summary_of(rows, ["a", "b"])
    assert summary == {"a": {"seeds": 2, "fd": {"mean": 2.0, "min": 1.0, "max": 3.0}}}


def test_a_clips_autoencoder_stands_beside_grids(spec: Callable[..., Path], scans: Path, tmp_path: Path) -> None:
    """Naive baseline II, whole: trained on clips' latents, sampled as single clips, measured with its own codec."""
    from diffusers import AutoencoderKLCogVideoX

    torch.manual_seed(0)
    sizes = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    AutoencoderKLCogVideoX(**sizes).save_pretrained(tmp_path / "clips")
    clips = {"stage1.codec": str(tmp_path / "clips"), "stage1.cell_encoding": "grid", "stage1.layout": "channels"}
    name = spec(
        set={"stage1.unknown_share": 1.0, "optimisation.steps": 1},
        sampling={"slices": 16, "samples": 1, "steps": 1},
        variants=[
            {"name": "vae-3d", "says": "clips", "set": {**clips, "stage1.network.patch_size": 1}},
            {"name": "grid", "says": "grids"},
        ],
    )
    results = run_ablation(name, scans, tmp_path / "out")
    clip, grid = results["rows"]
    assert (clip["passes"], grid["passes"], clip["tokens"], grid["tokens"]) == (1, 1, 4, 16)
    assert clip["seam"] is None and clip["codec_fd"] != grid["codec_fd"] and np.isfinite(clip["fd"])
    with np.load(tmp_path / "out" / "samples" / "vae-3d-seed0.npz") as kept:
        assert kept["hu"].shape == (16, 16, 16)
