"""Training on a store: the same runs as on a folder, exact resume, stored latents, and data that must not change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.draws import generator_for, integer
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.data.degrade import Way, degrade, draw_degradation, enlarge, shrink
from ctgrid.data.store import Store, StoreSettings
from ctgrid.data.store.prepare import prepare
from ctgrid.data.store.splits import Split
from ctgrid.data.stored import stored_volumes
from ctgrid.data.volumes import VolumeSlices
from ctgrid.methods.training.data import Selection, TrainingData, open_data
from ctgrid.methods.training.facts import common_orientation
from ctgrid.methods.training.inputs import Inputs, grid_task, refine_task, thick_scans
from ctgrid.methods.training.recipes import CodecRecipe, GridRecipe, RefineRecipe
from ctgrid.methods.training.run import train
from ctgrid.methods.training.stored_latents import CellLatents
from ctgrid.scan.geometry import centred_affine
from ctgrid.scan.grid import from_grid
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.latents.stored import write_latents

Read = Callable[[Path], Any]
NAMES = ("train_1_a_1", "train_1_b_1", "train_2_a_1", "valid_3_a_1")
NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
SIZES: dict[str, Any] = {"network": NETWORK, "size": 64, "slices": 24}


@pytest.fixture(autouse=True)
def few_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure a codec's latents on few examples, each of which reads a store three times, at every checkpoint."""
    monkeypatch.setattr("ctgrid.methods.training.codec.STATISTICS_EXAMPLES", 4)


@pytest.fixture(scope="module")
def store(make_store: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Four volumes of three patients, of the recipes' sizes; not to be changed."""
    return make_store(tmp_path_factory.mktemp("store") / "x.zarr", *NAMES, size=64, slices=24)


@pytest.fixture(scope="module")
def codec(tiny_model: Path) -> Codec:
    """The tiny model's."""
    return load_codec(tiny_model / "codec")


@pytest.fixture
def start(recipe: Callable[..., Path], tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train a kind on data into ``tmp_path / name`` and return that folder; stages use the tiny model's codec."""

    def run(kind: str, data: Path, name: str, *, changes: dict[str, Any] | None = None, **options: Any) -> Path:
        overrides = {} if kind == "codec" else {f"{kind}.codec": str(tiny_model / "codec")}
        out = tmp_path / name
        train(kind, recipe(kind), data, out, overrides=overrides | (changes or {}), **options)  # type: ignore[arg-type]
        return out

    return run


def opened(store: Store, recipe: Any) -> TrainingData:
    """Open a whole store."""
    return open_data(Selection(store.path), recipe)


def grid_recipe(tiny_model: Path, **changes: Any) -> GridRecipe:
    """Return a recipe of stage 1 for the store."""
    return GridRecipe(codec=str(tiny_model / "codec"), **({**SIZES, "cell_encoding": "cell"} | changes))


@pytest.mark.parametrize("kind", ["codec", "stage1", "stage2"])
def test_a_run_on_a_store_resumes_exactly(
    kind: str, store: Store, start: Callable[..., Path], log_of: Read, weights_of: Read
) -> None:
    """To the last bit, as on a folder; nothing is made ahead."""
    whole = start(kind, store.path, "whole")
    start(kind, store.path, "parts", max_steps=3)
    parts = start(kind, store.path, "parts", resume=True)
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3, 4, 5, 6]
    assert log_of(parts) == log_of(whole) and weights_of(parts) == weights_of(whole)
    assert not (whole / "latents.safetensors").exists()


@pytest.mark.parametrize("cell_encoding", ["cell", "grid"])
def test_grids_are_encoded_as_the_recipe_says(cell_encoding: Any, store: Store, codec: Codec, tiny_model: Path) -> None:
    """Each cell by itself, or the whole picture."""
    recipe = grid_recipe(tiny_model, cell_encoding=cell_encoding)
    task = grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = torch.stack([task.example(generator_for(1, i))["grid"] for i in range(3)])
    assert batch.shape == (3, 1, 64, 64)
    latent = task.encoded(batch)
    if cell_encoding == "grid":
        assert torch.equal(latent, codec.encode(batch))
    else:
        assert torch.allclose(from_grid(latent, 4), codec.encode(from_grid(batch, 4)), atol=1e-5)


def test_thick_scans_are_told_apart() -> None:
    """By number; where all are thick none is left out, and that is said."""

    def scan(distance_mm: float) -> VolumeSlices:
        return VolumeSlices("scan", torch.zeros(1, 4, 4, dtype=torch.int16), (distance_mm, 1.0, 1.0))

    scans = [scan(1.0), scan(5.0), scan(3.5), scan(3.6)]
    assert thick_scans(scans, 3.5) == [1, 3]
    assert thick_scans(scans, None) == []
    with pytest.warns(CtgridWarning, match=r"slices of all scans lie over 3\.5 mm apart"):
        assert thick_scans([scans[1], scans[3]], 3.5) == []


@pytest.mark.parametrize("key", ["deformation_mm", "window_spacing_mm"])
def test_what_needs_whole_scans_is_refused_of_a_store(store: Store, tiny_model: Path, key: str) -> None:
    """Its slices are deformed no more, and the distance that they were taken at is not theirs."""
    recipe = grid_recipe(tiny_model, **{key: 4.0})
    with pytest.raises(CtgridError, match=rf"{key} is for a folder of scans"):
        grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))


@pytest.mark.parametrize("way", ["ctgrid", "published"])
def test_stage_2_degrades_a_batch_as_one_by_one(way: Way, store: Store, codec: Codec, tiny_model: Path) -> None:
    """Conditions are the codec's latents of the enlarged, degraded coarse slice of the same slice."""
    recipe = RefineRecipe(codec=str(tiny_model / "codec"), degradation=way, **SIZES)
    task = refine_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = [task.example(generator_for(2, i)) for i in range(4)]
    stacked = {key: torch.stack([example[key] for example in batch]) for key in batch[0]}
    for i, example in enumerate(batch):
        generator = generator_for(2, i)
        volume = store.volume(NAMES[integer(0, 4, generator)])
        row = integer(0, 24, generator)
        image = torch.from_numpy(volume.read_slices(row)).float() / 1000
        assert torch.equal(example["slice"], image)
        small = torch.from_numpy(volume.read_coarse(row)).float() / 1000
        coarse = small[None].clamp(-1, 1) if way == "ctgrid" else shrink(image[None], 4, way)
        condition = degrade(enlarge(coarse, 4)[0], draw_degradation(generator), way)
        assert torch.allclose(task.condition(stacked)[i], codec.encode(condition[None])[0], atol=1e-3)
        assert torch.allclose(task.latent(stacked)[i], codec.encode(image[None])[0], atol=1e-5)


def test_conditions_may_pass_through_the_codec_first(store: Store, codec: Codec, tiny_model: Path) -> None:
    """As stage 1's output does; those drawn so, and no others."""
    recipe = RefineRecipe(codec=str(tiny_model / "codec"), codec_share=0.5, **SIZES)
    task = refine_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    batch = [task.example(generator_for(3, i)) for i in range(8)]
    stacked = {key: torch.stack([example[key] for example in batch]) for key in batch[0]}
    direct = task.condition({**stacked, "through_codec": torch.zeros(8, dtype=torch.bool)})
    different = (task.condition(stacked) - direct).abs().amax(dim=(1, 2, 3)) > 1e-6
    assert torch.equal(different, stacked["through_codec"]) and 0 < int(different.sum()) < 8


def test_stored_latents_are_used_where_they_fit(
    make_store: Callable[..., Any], codec: Codec, tiny_model: Path, tmp_path: Path
) -> None:
    """They are the latents that would be made; poses and whole grids need the images."""
    store = make_store(tmp_path / "x.zarr", "a", "b", size=64, slices=24)
    recipes = [grid_recipe(tiny_model, **c) for c in ({}, {"variants": 2}, {"cell_encoding": "grid"})]
    before = grid_task(recipes[0], Inputs(opened(store, recipes[0]), Path("unused"), 5))
    write_latents(store, codec)
    tasks = [grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5)) for recipe in recipes]
    assert [isinstance(task.coarse, CellLatents) for task in tasks] == [True, False, False]
    drawn, made = (task.example(generator_for(4))["grid"] for task in (tasks[0], before))
    assert drawn.shape == (4, 8, 8)
    assert torch.allclose(drawn, before.encoded(made[None])[0], atol=0.01 * float(drawn.abs().max()))
    refine = RefineRecipe(codec=str(tiny_model / "codec"), **SIZES)
    example = refine_task(refine, Inputs(opened(store, refine), Path("unused"), 5)).example(generator_for(5))
    assert "latent" in example and "slice" not in example


@pytest.mark.parametrize("damage", ["stale", "missing"])
def test_latents_that_do_not_fit_are_never_used(
    damage: str, make_store: Callable[..., Any], codec: Codec, tiny_model: Path, tmp_path: Path
) -> None:
    """Nor passed over in silence; those of another codec are no latents of this one."""
    import zarr

    store = make_store(tmp_path / "x.zarr", "a", "b", size=64, slices=24)
    write_latents(store, codec, ("coarse",), ["a"] if damage == "missing" else None)
    zarr.open_array(store.path / "b" / "coarse", mode="r+")[0, 0, 0] += 1
    recipe = grid_recipe(tiny_model)
    with pytest.raises(CtgridError, match=f"{damage} for 1 .*ctgrid latents, or remove them with --clear"):
        grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5))
    other = GridRecipe(**{**recipe.model_dump(), "codec": "embedded"})
    task = grid_task(other, Inputs(opened(store, other), Path("unused"), 5))
    assert not isinstance(task.coarse, CellLatents)


def test_facts_come_from_the_store(store: Store, tiny_model: Path) -> None:
    """Its slices have their own field of view; spacings are 2, 3, 4 and 5 mm, slices 1.5 mm apart."""
    recipe = grid_recipe(tiny_model)
    facts = grid_task(recipe, Inputs(opened(store, recipe), Path("unused"), 5)).facts
    assert (facts.fov_mm, facts.extent_mm, facts.slices) == (64 * 3.5, 24 * 1.5, 24)


def test_split_and_fraction_choose_volumes(store: Store, start: Callable[..., Path], tmp_path: Path) -> None:
    """On a store and in the run's record; what validates is the split's other part."""
    split = Split({"train": ("train_1", "train_2"), "valid": ("valid_3",)}).write(tmp_path / "s.yaml")
    out = start("codec", store.path, "run", max_steps=1, split=f"{split}:train", fraction=50)
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert len(record["volumes"]) in (1, 2) and set(record["volumes"]) < set(NAMES[:3])
    assert (record["kind"], record["split"], record["fraction"]) == ("store", f"{split}:train", 50)
    recipe = CodecRecipe(size=64, crop=32, cell=16)
    held_out = Selection(store.path, split=f"{split}:train", fraction=50).held_out(recipe)
    assert held_out is not None and [p.name for p in held_out.choose(recipe)] == ["valid_3_a_1"]
    assert Selection(store.path, split="ct-rate:valid").held_out(recipe) is None
    assert Selection(store.path).held_out(recipe) is None


def test_split_chooses_among_a_folders_scans(scans: Path, start: Callable[..., Path], tmp_path: Path) -> None:
    """By the same names, before anything is read."""
    (tmp_path / "list.txt").write_text("scan1\n", encoding="utf-8")
    out = start("codec", scans, "run", max_steps=1, split=str(tmp_path / "list.txt"))
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert list(record["volumes"]) == ["scan1"] and record["kind"] == "folder"


def test_a_run_goes_on_with_its_own_data_only(
    make_store: Callable[..., Any], start: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """A changed volume, one more, or another share of them: refused, and the run stays as it was."""
    import zarr

    store = make_store(tmp_path / "x.zarr", "a", "b", "c", size=64, slices=24)
    out = start("codec", store.path, "run", max_steps=2, fraction=60)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    used = sorted(json.loads((out / "data.json").read_text(encoding="utf-8"))["volumes"])
    with pytest.raises(CtgridError, match=r"cannot resume, 1 volume\(s\) of the data are others .*--fraction"):
        start("codec", store.path, "run", resume=True)
    zarr.open_array(store.path / used[0] / "slices", mode="r+")[5, 5, 5] += 1
    with pytest.raises(CtgridError, match=rf"cannot resume, 1 volume\(s\) of the data are others .*\({used[0]}\)"):
        start("codec", store.path, "run", resume=True, fraction=60)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    (out / "data.json").unlink()  # a run of an older ctgrid
    start("codec", store.path, "run", resume=True, fraction=60, max_steps=3)
    assert (out / "data.json").exists()


def test_a_run_goes_on_with_its_own_codec_only(
    store: Store, start: Callable[..., Path], tiny_model: Path, tmp_path: Path
) -> None:
    """The folder has the same name, the weights have not."""
    import shutil

    mine = tmp_path / "codec"
    shutil.copytree(tiny_model / "codec", mine)
    changes = {"stage2.codec": str(mine)}
    start("stage2", store.path, "run", max_steps=2, changes=changes)
    network = load_codec(mine).network
    next(network.parameters()).data[0] += 1
    network.save_pretrained(mine)  # type: ignore[operator]
    with pytest.raises(CtgridError, match="cannot resume, the codec has other weights"):
        start("stage2", store.path, "run", resume=True, changes=changes)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (
            "stage1",
            {"stage1.size": 128},
            "made with size 64, the recipe's stage1.size is 128; pass --set stage1.size=64",
        ),
        ("stage1", {"stage1.slices": 30}, "--set stage1.slices=24"),
        ("stage1", {"stage1.k": 2}, "--set stage1.k=4"),
        ("stage2", {"stage2.k": 2}, "--set stage2.k=4"),
        ("codec", {"codec.size": 72}, "--set codec.size=64"),
        ("codec", {"exclude": ["train_1_a"]}, "holds no volume 'train_1_a'; did you mean train_1_a_1"),
        ("codec", {"exclude": list(NAMES)}, "every volume here is excluded"),
    ],
)
def test_a_store_of_another_make_is_refused(
    kind: str, changes: dict[str, Any], words: str, store: Store, start: Callable[..., Path], tmp_path: Path
) -> None:
    """With what to change; nothing is left behind."""
    with pytest.raises(CtgridError, match=words):
        start(kind, store.path, "run", changes=changes)
    assert not (tmp_path / "run").exists()


def test_an_empty_store_is_refused(make_store: Callable[..., Any], start: Callable[..., Path], tmp_path: Path) -> None:
    """And how to fill it."""
    with pytest.raises(CtgridError, match="holds no volume yet; fill it with ctgrid prepare"):
        start("codec", make_store(tmp_path / "y.zarr", size=64, slices=24).path, "run")


def test_a_misspelt_name_to_exclude_is_refused(scans: Path, start: Callable[..., Path]) -> None:
    """It would be trained on; what shipped recipes leave out need not be there."""
    with pytest.raises(CtgridError, match="holds no volume 'scan2'; did you mean scan"):
        start("codec", scans, "run", changes={"exclude": ["scan2"]})
    out = start("codec", scans, "run", changes={"exclude": ["lungfcp_0001", "scan0"]}, max_steps=1)
    record = json.loads((out / "data.json").read_text(encoding="utf-8"))
    assert list(record["volumes"]) == ["scan1"]


def test_a_stage_knows_how_the_slices_of_its_store_lie(
    tmp_path: Path, codec: Codec, tiny_model: Path, chest: Callable[..., Any]
) -> None:
    """Protocol generatect keeps each file's own order; a trained stage, its folder and its steps say so."""
    for name, codes in (("a", "RAS"), ("b", "RAS"), ("c", "RAS"), ("d", "LPI")):
        scan = Volume(chest((100, 64, 64), seed=ord(name)), centred_affine("LPS", (3.0, 5.0, 5.0), (100, 64, 64)))
        (tmp_path / "scans").mkdir(exist_ok=True)
        scan.reoriented(codes).write(tmp_path / "scans" / f"{name}.nii.gz")
    prepare([tmp_path / "scans"], tmp_path / "x.zarr", StoreSettings(size=64, k=4), workers=1)
    store = Store.open(tmp_path / "x.zarr")
    common = {**SIZES, "slices": 201, "codec": str(tiny_model / "codec")}
    fine = refine_task(RefineRecipe(**common), Inputs(opened(store, RefineRecipe(**common)), tmp_path / "f", 0))
    assert (fine.facts.protocol, fine.facts.orientation) == ("generatect", "ARS")
    for absolute, stride in ((False, 3.0), (True, 1.0)):
        recipe = GridRecipe(**{**common, "network": {**NETWORK, "absolute_z": absolute}, "strides": (1, 2, 4, 12)})
        task = grid_task(recipe, Inputs(opened(store, recipe), tmp_path / "c", 0))
        assert (task.facts.orientation, task.facts.stride, task.facts.extent_mm) == ("ARS", stride, 300.0)
    whole = {volume.name: volume.in_memory().hu for volume in stored_volumes(store, ["a", "d"])}
    for name, hu in whole.items():  # in memory they are upright
        upright = Volume.read(tmp_path / "scans" / f"{name}.nii.gz").reoriented("LPS").hu.clip(-1000, 1000)
        for z in (60, 150):
            near, far = (abs(hu[at].numpy().astype(int) - upright[z // 2]).mean() for at in (z, 200 - z))
            assert near < 40 < far
    with pytest.raises(CtgridError, match=r"x\.zarr: slices of its volumes lie .* \(2 ARS, 1 PLI\)"):
        common_orientation(["ARS", "PLI", "ARS"], "x.zarr")


def test_a_folder_is_framed_upright(scans: Path, tiny_model: Path, tmp_path: Path) -> None:
    recipe = RefineRecipe(**SIZES, codec=str(tiny_model / "codec"))
    task = refine_task(recipe, Inputs(open_data(Selection(scans), recipe), tmp_path / "latents", 0))
    assert (task.facts.protocol, task.facts.orientation) == ("canonical", "LPS")
