"""What variants share, and what their rows depend on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.progress import silent
from ctgrid.runs.ablation.bench import VariantBench, log_of, save_sample
from ctgrid.runs.ablation.spec import Ablation, load_ablation

Made = Callable[..., VariantBench]


@pytest.fixture
def ablation(spec: Callable[..., Path]) -> Ablation:
    """The tiny one: two variants that differ in sampling, one in training."""
    return load_ablation(spec())


@pytest.fixture
def bench(ablation: Ablation, tmp_path: Path) -> Made:
    """Make a bench without volumes; keywords replace its fields."""

    def make(**changes: Any) -> VariantBench:
        volumes = SimpleNamespace(training=[SimpleNamespace(name="a")], held_out=[], digests={"a": "1"})
        fields = {"ablation": ablation, "volumes": volumes, "reference": None, "features": "quick", "out": tmp_path}
        fields |= {"max_steps": None, "progress": silent, "device": torch.device("cpu")}
        return VariantBench(**fields | changes)

    return make


def test_a_row_is_known_by_all_that_it_depends_on(ablation: Ablation, bench: Made) -> None:
    """Seed, sampling, steps, volumes, features; not where it lies, nor what its variant is called."""
    one, three, _ = ablation.variants
    recipe = ablation.recipe(one)
    case = bench().case(one, recipe, 0)
    other = SimpleNamespace(training=[SimpleNamespace(name="a")], held_out=[], digests={"a": "2"})
    different = [
        bench().case(one, recipe, 1),
        bench().case(three, recipe, 0),
        bench().case(one.model_copy(update={"fraction": 50.0}), recipe, 0),
        bench(max_steps=1).case(one, recipe, 0),
        bench(features="slow").case(one, recipe, 0),
        bench(volumes=other).case(one, recipe, 0),
    ]
    assert len({case, *different}) == 1 + len(different)
    renamed = one.model_copy(update={"name": "x", "says": "y"})
    assert bench(out=Path("elsewhere")).case(renamed, recipe, 0) == case


def test_the_seed_may_name_the_patients_too(ablation: Ablation, bench: Made) -> None:
    """Where an ablation says so; a row depends on who they are, and not where it does not say so."""
    half = ablation.variants[0].model_copy(update={"fraction": 50.0})
    recipe, asked = ablation.recipe(half), list[int]()

    def taken(fraction: float, seed: int) -> SimpleNamespace:
        asked.append(seed)
        return SimpleNamespace(names=[f"patient {seed}"])

    volumes = SimpleNamespace(training=[], held_out=[], digests={}, taken=taken)
    fixed = bench(volumes=volumes)
    by_seed = bench(volumes=volumes, ablation=ablation.model_copy(update={"patients_by_seed": True}))
    assert fixed.taken(half, 3).names == ["patient 0"] and by_seed.taken(half, 3).names == ["patient 3"]
    assert asked == [0, 3] and fixed.case(half, recipe, 3) != by_seed.case(half, recipe, 3)


def test_a_model_is_trained_once_for_all_that_share_it(
    ablation: Ablation, bench: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first of them; the others take the run as it lies there, also one that has still to be trained."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr("ctgrid.runs.ablation.bench.train", lambda *args, **options: calls.append(options))
    volumes = SimpleNamespace(taken=lambda fraction, seed: None, path=tmp_path)
    (tmp_path / "runs").mkdir()
    one, three, absolute = ablation.variants
    shared = bench(volumes=volumes)
    run, own = shared.trained(one, 2, ablation.recipe(one), silent)
    assert (run.name, own, len(calls)) == ("r1-seed2", True, 1) and not calls[0]["resume"]
    (run / "model").mkdir(parents=True)
    assert shared.trained(three, 2, ablation.recipe(three), silent) == (run, False) and len(calls) == 1
    (tmp_path / "runs" / "z-seed2" / "checkpoints").mkdir(parents=True)
    assert shared.trained(absolute, 2, ablation.recipe(absolute), silent)[1] and calls[1]["resume"]
    assert calls[1]["seed"] == ablation.recipe(absolute).seed + 2


def test_the_codec_is_measured_once_for_each_way_of_encoding(bench: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[Any] = []
    monkeypatch.setattr("ctgrid.runs.ablation.bench.through_codec", lambda *args: passed.append(args))
    reference = SimpleNamespace(features_of=lambda hu: hu, distances=lambda features: {"fd": len(passed)})
    shared = bench(reference=reference)
    codec = SimpleNamespace(identity="one")
    ways = ("cell", "grid", "cell")
    bundles = [SimpleNamespace(facts1=SimpleNamespace(k=4, cell_encoding=way), codec=codec) for way in ways]
    assert [shared.codec_alone(b)["codec_fd"] for b in bundles] == [1, 2, 1]  # type: ignore[arg-type]


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """A sample over an older one; a log of a run that was stopped and gone on with."""
    (tmp_path / "samples").mkdir()
    for value in (1, 2):
        save_sample(tmp_path, "a", np.full((2, 3, 3), value, np.int16))
    with np.load(tmp_path / "samples" / "a.npz") as file:
        assert bool((file["hu"] == 2).all()) and file["hu"].dtype == np.int16
    (tmp_path / "log.jsonl").write_text("".join(json.dumps({"step": n}) + "\n" for n in (1, 2, 3)))
    assert [line["step"] for line in log_of(tmp_path)] == [1, 2, 3]
