"""Ablations are read from YAML, and those that cannot work are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.training.checks import check_network
from ctgrid.runs.ablation.run import check_alike
from ctgrid.runs.ablation.spec import grid_of, load_ablation, shipped_ablations

PAPERS = ("control-rows", "data-claim", "data-fraction", "k", "k-paper", "naive", "positions")


def test_the_papers_ablations_are_shipped() -> None:
    """By the names that the command takes."""
    assert set(PAPERS) <= set(shipped_ablations())


def stand_in(name: str) -> SimpleNamespace:
    """Stand for a codec, of clips where its name says so."""
    return SimpleNamespace(grid_side=4 if name == "clip-codec" else None)


@pytest.mark.parametrize("name", shipped_ablations())
def test_every_shipped_variant_can_be_built_and_compared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes, networks and plans fit; variants differ in what they say and do."""
    monkeypatch.setattr("ctgrid.runs.ablation.run.load_codec", stand_in)
    ablation = load_ablation(name)
    recipes = {variant.name: ablation.recipe(variant) for variant in ablation.variants}
    check_alike(ablation, recipes)
    for recipe in recipes.values():
        check_network(recipe)
    assert len({variant.says for variant in ablation.variants}) == len(ablation.variants)
    differ = {(recipes[v.name].model_dump_json(), str(v.sampling), v.fraction) for v in ablation.variants}
    assert len(differ) == len(ablation.variants)


def test_control_rows_share_one_model() -> None:
    """Variants that differ in sampling alone are trained once."""
    ablation = load_ablation("control-rows")
    assert {ablation.owner(variant) for variant in ablation.variants} == {"r1"}
    fractions = load_ablation("data-fraction")
    assert len({fractions.owner(variant) for variant in fractions.variants}) == 5


def test_the_naive_baseline_has_the_grids_budget() -> None:
    """Equal width, depth and tokens; only the layout and what follows from it differ."""
    ablation = load_ablation("naive")
    channels, grid = (grid_of(ablation.recipe(variant)) for variant in ablation.variants)
    assert (channels.layout, grid.layout) == ("channels", "grid")
    assert channels.network["patch_size"] * grid.k == grid.network["patch_size"]
    assert {**channels.network, "patch_size": 0} == {**grid.network, "patch_size": 0}


def test_overrides_win(spec: Callable[..., Path]) -> None:
    """What the user sets replaces what the ablation and its variants set."""
    ablation = load_ablation(spec())
    recipe = ablation.recipe(ablation.variants[2], {"stage1.network.absolute_z": False, "optimisation.steps": 7})
    assert not grid_of(recipe).network["absolute_z"] and recipe.optimisation.steps == 7


def test_the_papers_sampling_interpolates_half_of_every_grid() -> None:
    """With its control rows, whatever K."""
    ablation = load_ablation("k-paper")
    rows = {}
    for variant in ablation.variants:
        sampling, k = ablation.sampling_of(variant), grid_of(ablation.recipe(variant)).k
        rows[k] = sampling.control_rows
        assert all(window.known.sum() == k * k // 2 for window in sampling.plan(201, k)[-1])
    assert rows == {2: 1, 4: 3, 8: 4}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampling": {"step": 3}}, "sampling.step: unknown key"),
        ({"variants": [{"name": "a", "says": ""}]}, "at least 2"),
        ({"variants": [{"name": "a", "says": ""}] * 2}, "one name"),
        ({"variants": [{"name": "A b", "says": ""}, {"name": "c", "says": ""}]}, "variants.0.name"),
        ({"variants": [{"name": "a", "says": "", "sampling": {"x": 1}}, {"name": "b", "says": ""}]}, "unknown key"),
    ],
)
def test_wrong_files_are_refused(changes: dict[str, object], reason: str, spec: Callable[..., Path]) -> None:
    """One line that names the key."""
    with pytest.raises(CtgridError, match=reason):
        load_ablation(spec(**changes))


def test_overrides_may_be_of_one_variant(spec: Callable[..., Path]) -> None:
    """Its name stands before the key; a name that no variant has is refused."""
    ablation = load_ablation(spec())
    found = [grid_of(ablation.recipe(v, {"r3:stage1.prediction": "x0"})).prediction for v in ablation.variants]
    assert found == ["v", "x0", "v"]
    with pytest.raises(CtgridError, match="unknown variant 'r4'; known: r1, r3, z"):
        ablation.recipe(ablation.variants[0], {"r4:stage1.prediction": "x0"})


def test_clips_are_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline II samples its 16 slices alone; longer ones are refused before anything is read."""
    monkeypatch.setattr("ctgrid.runs.ablation.run.load_codec", stand_in)
    ablation = load_ablation("naive-3d")
    recipes = {variant.name: ablation.recipe(variant) for variant in ablation.variants}
    assert len(ablation.sampling.plan(96, 4)) == 1 and ablation.sampling.count(8) == 8
    longer = ablation.model_copy(update={"sampling": ablation.sampling.model_copy(update={"slices": 20})})
    with pytest.raises(CtgridError, match=r"variant vae-3d: codec clip-codec .* set sampling\.slices to 16"):
        check_alike(longer, recipes)


def test_what_must_be_made_first_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Baseline II needs a 3-D autoencoder, which its own command makes."""
    monkeypatch.chdir(tmp_path)
    ablation = load_ablation("naive-3d")
    words = "variant vae-3d: its codec cannot be used: clip-codec: .*; ctgrid train codec --config ablation-clip-codec"
    with pytest.raises(CtgridError, match=words):
        check_alike(ablation, {variant.name: ablation.recipe(variant) for variant in ablation.variants})


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(CtgridError, match="naive, naive-3d, positions"):
        load_ablation("nothing")
    with pytest.raises(CtgridError, match="cannot read"):
        load_ablation(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"set": {"stage1.size": 128}}, "stage1.size differ"),
        ({"sampling": {"control_rows": 4}}, "control_rows"),
        ({"sampling": {"schedule": "hierarchical"}}, "absolute_z"),
        ({"set": {"stage1.layout": "channels"}}, "unknown_share to 1"),
        ({"set": {"stage1.nothing": 1}}, "unknown key"),
    ],
)
def test_variants_that_do_not_fit_are_refused(
    change: dict[str, object], reason: str, spec: Callable[..., Path]
) -> None:
    """Before volumes are read."""
    ablation = load_ablation(spec(variants=[{"name": "a", "says": ""}, {"name": "b", "says": "", **change}]))
    with pytest.raises(CtgridError, match=reason):
        check_alike(ablation, {variant.name: ablation.recipe(variant) for variant in ablation.variants})
