"""Models put together from training runs as they are: which codec, which name, and what does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.bundle import load_bundle
from ctgrid.stages.models.parts import find_parts, model_folder

QUICK: dict[str, Any] = {"slices": 3, "steps": 2, "refine_steps": 1}


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a training run of a part of the tiny model, as ``train`` leaves it."""
    identity = load_codec(tiny_model).identity

    def make(part: str, codec: object = tiny_model, trained_with: str = identity, model: Path = tiny_model) -> Path:
        folder = tmp_path / "runs" / part
        shutil.copytree(model / part, folder / "model")
        recipe = {"kind": part, "optimisation": {}, part: {"codec": str(codec)}}
        (folder / "config.json").write_text(json.dumps(recipe))
        (folder / "data.json").write_text(json.dumps({"codec": trained_with}))
        return folder

    return make


def test_two_runs_are_a_model(run: Callable[..., Path], tiny_model: Path) -> None:
    """With the codec that their recipes name; the same voxels and the same hashes as the packed model."""
    pipeline = SynthesisPipeline.load(device="cpu", stage1=run("stage1"), stage2=run("stage2"))
    whole = SynthesisPipeline.load(str(tiny_model), "cpu")
    assert np.array_equal(pipeline.generate(**QUICK).volume.hu, whole.generate(**QUICK).volume.hu)
    about, other = pipeline.describe(), whole.describe()
    assert about["name"] == "stage1-stage2" and about["files"] == other["files"]
    assert about["source"]["kind"] == "parts" and about["source"]["sha256"] == other["source"]["sha256"]
    assert about["source"]["codec"] == str(tiny_model / "codec")


def test_one_run_replaces_one_part(run: Callable[..., Path], detailed_model: Path) -> None:
    """The rest is the model's own, but for the detail network, which was trained on other results."""
    parts = find_parts(detailed_model, stage2=run("stage2", codec=detailed_model))
    assert (parts.stage1, parts.detail) == (detailed_model / "stage1", None)
    assert parts.stage2.parent.name == "stage2" and parts.name == f"{detailed_model.name}-stage2"
    assert load_bundle(parts).facts1.size == 64
    assert find_parts(detailed_model).detail == detailed_model / "detail"


def test_gaps_go_with_their_stage_1(run: Callable[..., Path], tiny_model: Path, tmp_path: Path) -> None:
    """A model's own are kept beside another stage 2, and left out beside another stage 1."""
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    shutil.copytree(model / "stage1", model / "gaps")
    assert find_parts(model).gaps == model / "gaps"
    assert find_parts(model, stage2=run("stage2", codec=model)).gaps == model / "gaps"
    assert find_parts(model, stage1=run("stage1", codec=model)).gaps is None


def test_the_codec_is_the_one_that_was_trained_with(run: Callable[..., Path], tiny_model: Path) -> None:
    """Another is refused by its identity, one that is gone has to be named."""
    one, two = run("stage1", codec="gone", trained_with="0" * 64), run("stage2", codec="gone")
    with pytest.raises(CtgridError, match=r"was trained with the codec gone, which is not here; name it with --codec"):
        find_parts(stage1=one, stage2=two)
    with pytest.raises(
        CtgridError, match=r"stage1: it was trained with another codec than .*name its own with --codec"
    ):
        load_bundle(find_parts(stage1=one, stage2=two, codec=tiny_model))
    assert load_bundle(find_parts(tiny_model, stage2=two, codec=tiny_model)).name.endswith("stage2-" + tiny_model.name)


def test_what_is_no_part_says_so(run: Callable[..., Path], tiny_model: Path, tmp_path: Path) -> None:
    """A run in place of a model, an unfinished one, a missing one, and stages that were taken for each other."""
    one, two = run("stage1"), run("stage2")
    with pytest.raises(CtgridError, match=r"training run of stage1, not a whole model.*model pack.*--stage1 RUN"):
        model_folder(one)
    with pytest.raises(CtgridError, match=r"nowhere does not exist; --stage1 takes"):
        find_parts(stage1=tmp_path / "nowhere", stage2=two)
    with pytest.raises(CtgridError, match="do not fit together"):
        load_bundle(find_parts(tiny_model, stage1=two, stage2=one))
    shutil.rmtree(one / "model")
    with pytest.raises(CtgridError, match=r"stage1 holds no trained weights"):
        find_parts(stage1=one, stage2=two)
