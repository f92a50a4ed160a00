"""Pairs for the detail network: the very diffusion it is used with, kept only as long as that stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.progress import silent
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.denoising import diffusion
from ctgrid.methods.denoising.methods import METHODS
from ctgrid.methods.denoising.pipeline import DenoisePipeline
from ctgrid.methods.denoising.settings import DIFFUSION
from ctgrid.methods.training.detail import DetailTask, detail_task
from ctgrid.methods.training.recipes import DetailRecipe

Ask = dict[str, Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """The keywords of every run of the pipeline."""
    calls: list[Ask] = []
    run = DenoisePipeline.run

    def spied(self: DenoisePipeline, *scan: Any, **settings: Any) -> Any:
        calls.append(settings)
        return run(self, *scan, **settings)

    monkeypatch.setattr(DenoisePipeline, "run", spied)
    return calls


@pytest.fixture
def make(detailed_model: Path, chest: Callable[..., np.ndarray], tmp_path: Path) -> Callable[..., DetailTask]:
    """Make the task of a scan of 60 slices, with pairs kept in one file; keywords change the recipe."""
    model = tmp_path / "model"
    shutil.copytree(detailed_model, model)
    volume = VolumeSlices("scan", torch.from_numpy(chest((60, 64, 64))).to(torch.int16), (2.0, 1.0, 1.0))

    def task(**changes: Any) -> DetailTask:
        options: Ask = {"model": str(model), "size": 64, "crop": 32, "versions": 1, "low_dose_share": 0.0}
        recipe = DetailRecipe(**(options | changes))
        return detail_task(recipe, [volume], {"scan": volume.digest()}, tmp_path / "pairs.safetensors", 3, silent)

    return task


def test_pairs_are_diffused_as_the_method_does(make: Callable[..., DetailTask], asked: list[Ask]) -> None:
    """All settings that the preset names, from the one constant; absolute z counts in the whole scan."""
    task = make()
    (settings,) = asked
    assert settings.items() >= DIFFUSION.as_dict().items()
    assert "detail" not in settings and settings["strength"] == task.pairs[0].noise_hu
    first, slices = settings["place"]
    assert slices == 60 and 0 <= first <= 12
    assert task.pairs[0].clean.shape == (48, 64, 64)


def test_the_method_takes_the_same_preset(detailed_model: Path, chest_volume: Any, asked: list[Ask]) -> None:
    """So that nobody can change one without the other."""
    from ctgrid.methods.denoising.methods import Loading

    METHODS["grid-detail"].load(Loading(str(detailed_model), "cpu")).run(chest_volume, 100.0)
    assert asked[0].items() >= DIFFUSION.as_dict().items() and asked[0]["detail"] is True


def test_pairs_are_made_anew_when_what_they_hang_on_changes(
    make: Callable[..., DetailTask], asked: list[Ask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting, a tuned constant, the weights of a stage; not the crop, nor the detail network itself."""
    make()
    make(crop=16)
    (tmp_path / "model" / "detail" / "config.json").unlink()
    make()
    assert len(asked) == 1
    monkeypatch.setattr("ctgrid.methods.training.detail.diffusion_identity", lambda: {"phases": 4})
    make()
    assert len(asked) == 2
    monkeypatch.undo()
    monkeypatch.setattr(diffusion, "STAGE2_ERROR", 0.25)
    config = tmp_path / "model" / "stage2" / "config.json"
    for change in (lambda: None, lambda: config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")):
        change()
        before = (tmp_path / "pairs.safetensors").stat().st_mtime_ns
        make()
        assert (tmp_path / "pairs.safetensors").stat().st_mtime_ns != before


def test_fresh_noise_is_another_every_time(make: Callable[..., DetailTask], asked: list[Ask]) -> None:
    """White, of a level of its own, on the volumes themselves; nothing is diffused where no example wants it."""
    from ctgrid.base.draws import generator_for

    task = make(alone_share=1.0, fresh_share=1.0, levels_hu=(80.0, 90.0))
    assert not asked and not task.pairs
    examples = [task.example(generator_for(i)) for i in range(4)]
    levels = {float(example["true_hu"]) for example in examples}
    assert len(levels) == 4 and all(79 <= level <= 127 for level in levels)
    assert all(float(example["present"]) == 0 for example in examples)
    for example in examples:
        middle = example["images"][1:2] - example["target"]  # what lies below, in 1000 HU
        assert float((middle * 1000 - (middle * 1000).round()).abs().max()) < 1e-3
        assert 0.02 < float(example["target"].std()) < 0.13
    kept = make(alone_share=1.0, fresh_share=0.0, levels_hu=(80.0, 90.0))
    assert float(kept.example(generator_for(0))["true_hu"]) == pytest.approx(kept.pairs[0].noise_hu)
    assert make(alone_share=0.0, fresh_share=1.0).example(generator_for(0))["present"] == 1


def test_fields_of_noise_are_made_once(
    make: Callable[..., DetailTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the volumes; examples are drawn from them, and told a map."""
    from ctgrid.base.draws import generator_for

    settings: Ask = {"alone_share": 1.0, "fresh_share": 1.0, "fields": 1, "field_share": 1.0}
    task = make(**settings)
    assert (tmp_path / "fields.safetensors").is_file() and len(task.fresh.fields) == 2
    monkeypatch.delattr("ctgrid.methods.training.detail.make_fields")
    again = make(**settings)
    one, other = (made.example(generator_for(4)) for made in (task, again))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert one["noise_hu"].shape == (4, 4) and 8 <= float(one["true_hu"]) <= 900


def test_the_share_of_all_noise_that_was_added_is_what_counts(make: Callable[..., DetailTask]) -> None:
    """A network that predicts all noise is right where half of it was added and a scan's own is to be removed too."""
    batch = {
        "images": torch.zeros(2, 4, 32, 32),
        "target": torch.full((2, 1, 32, 32), 0.1),
        "noise_hu": torch.full((2, 4, 4), 20.0),
        "true_hu": torch.tensor([20.0, 20.0]),
        "added": torch.full((2, 64), 0.5),
        "present": torch.zeros(2),
    }

    def twice(images: torch.Tensor, noise_hu: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        return 2 * batch["target"]

    parts = (0.0, 0.5, 1.0)
    tasks = [make(remove_own=part, alone_share=1.0, fresh_share=1.0) for part in parts]
    found = [float(task.loss(twice, batch)["rmse_hu"]) for task in tasks]  # type: ignore[arg-type]
    assert found == pytest.approx([100, 100 / 3, 0], abs=1e-3)
