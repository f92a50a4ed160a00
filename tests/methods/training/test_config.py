"""Recipes: shipped names, files, changes, and errors that name the key."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.config import Kind, TrainConfig, load_config
from ctgrid.methods.training.recipes import GridRecipe


@pytest.mark.parametrize("kind", ["codec", "stage1", "stage2"])
def test_shipped_recipes_load_and_say_what_they_train(kind: Kind) -> None:
    """By name or by path, the same."""
    name = f"embedded-{kind}"
    config = load_config(name, kind)
    assert config.kind == kind
    assert config.recipe is getattr(config, kind) is not None
    assert load_config(Path(str(files("ctgrid_configs") / f"{name}.yaml"))) == config
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


def test_a_file_need_only_say_what_differs(tmp_path: Path) -> None:
    """The rest are the paper's numbers."""
    path = tmp_path / "short.yaml"
    path.write_text("kind: stage1\noptimisation: {steps: 3, batch_size: 2, learning_rate: 1e-3}\n")
    config = load_config(path)
    assert config.recipe == GridRecipe()
    assert (config.optimisation.learning_rate, config.optimisation.ema_decay) == (1e-3, 0.9999)
    recipe = cast(GridRecipe, config.recipe)
    assert (recipe.prediction, recipe.cell_encoding, recipe.k, recipe.slices) == ("epsilon", "grid", 4, 201)


def test_changes_reach_any_depth() -> None:
    """Also into groups that the file leaves out; the shipped recipe itself stays."""
    changes = {"optimisation.steps": 7, "stage1.network.width": 96, "seed": 9, "stage2.k": 2}
    config = load_config("embedded-stage1", "stage1", changes)
    assert config.stage1 is not None and config.stage2 is not None
    assert (config.optimisation.steps, config.stage1.network["width"], config.seed) == (7, 96, 9)
    assert config.stage2.k == 2
    assert load_config("embedded-stage1").stage2 is None


@pytest.mark.parametrize("written", ["no", "'no'", "off"])
def test_choices_called_no_need_no_quotes(written: str, tmp_path: Path) -> None:
    """YAML reads them as false; what is no choice stays refused, and switches stay switches."""
    path = tmp_path / "short.yaml"
    path.write_text(f"kind: stage1\noptimisation: {{steps: 3, batch_size: 2, fused: no, precision: {written}}}\n")
    settings = load_config(path, overrides={"optimisation.compile": True}).optimisation
    assert (settings.precision, settings.fused, settings.compile) == ("no", False, True)
    assert load_config("embedded-stage1", None, {"optimisation.precision": False}).optimisation.precision == "no"
    with pytest.raises(CtgridError, match=r"optimisation\.precision: .*'auto', 'no', 'bf16' or 'fp16'"):
        load_config("embedded-stage1", None, {"optimisation.precision": True})


def test_recipes_cannot_be_changed_afterwards() -> None:
    """They are what a run is identified by."""
    config = load_config("embedded-codec")
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"optimisation.stepz": 3}, r"optimisation\.stepz: unknown key"),
        ({"colour": "red"}, "colour: unknown key"),
        ({"stage1.keyframe": 0.2}, r"stage1\.keyframe: unknown key"),
        ({"seed.value": 3}, "'seed' is not a group of keys"),
        ({"optimisation.steps": 0}, r"optimisation\.steps: .*greater than 0"),
        ({"optimisation.steps": "many"}, r"optimisation\.steps: .*integer"),
        ({"optimisation.precision": "fp8"}, r"optimisation\.precision: .*bf16"),
        ({"optimisation.batch_size": 3, "optimisation.accumulate": 2}, "3 cannot be split into 2 micro-batches"),
        ({"stage1.size": 100}, r"stage1\.size: .*multiple of 8"),
        ({"stage1.strides": [1, 0]}, r"stage1\.strides\.1: .*greater than 0"),
        ({"stage1.strides": []}, r"stage1\.strides: .*at least 1"),
        ({"stage1.keyframe_share": 0.6, "stage1.window_share": 0.5}, "exceed 1 together"),
        ({"stage2.noise_levels": [5, 3]}, "noise_levels must be a lowest and a highest"),
        ({"codec.crop": 1024}, "crop 1024 is larger than the slices, size 512"),
        ({"codec.cells_per_crop": 0}, r"codec\.cells_per_crop: .*greater than 0"),
    ],
)
def test_wrong_recipes_are_one_line_with_the_key(change: dict[str, Any], words: str) -> None:
    """And with the recipe's name in front."""
    with pytest.raises(CtgridError, match=rf"embedded-stage1: .*{words}") as caught:
        load_config("embedded-stage1", "stage1", change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"kind: [stage1\n", "not valid YAML"),
        (b"- kind\n- stage1\n", "a mapping of keys to values, got list"),
        (b"", "got NoneType"),
        (b"\xff\xfe\x00", "is not a recipe"),
        (b"kind: stage1\n", "optimisation: Field required"),
        (b"kind: vae\noptimisation: {steps: 1, batch_size: 1}\n", "kind: .*'codec', 'stage1', 'stage2' or 'detail'"),
    ],
)
def test_files_that_hold_no_recipe_are_named(content: bytes, words: str, tmp_path: Path) -> None:
    """Whatever they hold instead."""
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(CtgridError, match=rf"mine\.yaml:? .*{words}") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped names are listed; a folder that bears one does not stand in its way."""
    with pytest.raises(CtgridError, match="embedded-codec, embedded-codec-light, embedded-detail, "):
        load_config("embedded-vae")
    with pytest.raises(CtgridError, match=r"cannot read .*missing\.yaml: No such file"):
        load_config(tmp_path / "missing.yaml")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "embedded-codec").mkdir()
    assert load_config("embedded-codec").kind == "codec"


def test_a_recipe_of_another_kind_is_refused(recipe: Callable[..., Path]) -> None:
    """Nobody trains stage 2 with stage 1's recipe by mistake."""
    with pytest.raises(CtgridError, match="trains 'stage2', not 'stage1'"):
        load_config(recipe("stage2"), "stage1")


def test_values_of_yaml_are_checked_not_run(tmp_path: Path) -> None:
    """A tag that would build an object is not valid here."""
    path = tmp_path / "evil.yaml"
    path.write_text("kind: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(CtgridError, match="not valid YAML"):
        load_config(path)


def test_the_papers_recipes_train_as_the_paper_does() -> None:
    """All that is not the paper's has its reason in the recipe: here, absolute z and the small ones."""
    one, two = load_config("ct-rate-stage1"), load_config("ct-rate-stage2")
    for config in (one, two):
        settings = config.optimisation
        assert (settings.clip_norm, settings.ema_decay, settings.ema_warmup) == (None, 0.9999, False)
        assert (settings.learning_rate, settings.warmup_start, settings.weight_decay) == (1e-4, 1e-6, 0)
        assert settings.accumulate > 1
    assert one.stage1 is not None and (one.stage1.starts, one.stage1.strides) == ("paper", (1,))
    assert two.stage2 is not None and (two.stage2.degradation, two.stage2.noise_levels) == ("published", (10, 15))
    assert load_config("ct-rate-stage1-absolute-z").stage1.starts == "random"  # type: ignore[union-attr]
    assert load_config("video-sky-stage2").stage2.degradation == "published"  # type: ignore[union-attr]
