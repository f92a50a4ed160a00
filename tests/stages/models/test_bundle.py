"""A model as a folder: facts, loading, packing, and what does not fit together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.stages.models.bundle import GAPS, load_bundle, model_folder, pack
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.load import load_dit


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def change(path: Path, **values: object) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_stages_of_two_orientations_do_not_fit(model: Path) -> None:
    change(model / "stage2" / "stage.json", orientation="PLS")
    with pytest.raises(CtgridError, match="orientation of both stages' slices differ, LPS and PLS"):
        load_bundle(model)


def test_a_bundle_is_ready_to_run(tiny_model: Path) -> None:
    """Evaluation mode, no gradients, float32, facts of both stages, hashes of all weights."""
    bundle = load_bundle(tiny_model)
    for network in (bundle.codec.network, bundle.stage1, bundle.stage2):
        assert not network.training
        assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())
    assert (bundle.stage1.cells_per_side, bundle.stage2.cells_per_side) == (4, 1)
    assert (bundle.facts1.prediction, bundle.facts1.extent_mm) == ("v", 300.0)
    name = "diffusion_pytorch_model.safetensors"
    expected = {f"{part}/{name}": sha256_of(tiny_model / part / name) for part in ("codec", "stage1", "stage2")}
    assert bundle.describe()["files"] == expected
    assert json.loads(json.dumps(bundle.describe())) == bundle.describe()
    assert bundle.describe()["source"]["folder"] == str(tiny_model)


def test_missing_folders_and_parts_are_named(model: Path, tmp_path: Path) -> None:
    """With what a model folder holds."""
    with pytest.raises(CtgridError, match="nowhere: no such model folder; use 'embedded'"):
        model_folder(tmp_path / "nowhere")
    shutil.rmtree(model / "stage1")
    (model / "codec" / "config.json").unlink()
    with pytest.raises(CtgridError, match="this model lacks codec, stage1"):
        load_bundle(model)


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("stage2/stage.json", {"size": 128}, "sizes of slices of both stages differ, 64 and 128"),
        ("stage2/stage.json", {"k": 2}, "k of both stages differ, 4 and 2"),
    ],
)
def test_facts_that_contradict_each_other_are_refused(
    file: str, values: dict[str, object], words: str, model: Path
) -> None:
    """Before anything is sampled."""
    change(model / file, **values)
    with pytest.raises(CtgridError, match=words):
        load_bundle(model)


@pytest.mark.parametrize(
    ("part", "config", "words"),
    [
        ("stage1", {"in_channels": 8}, "stage 1's latent channels and the codec's differ, 8 and 4"),
        ("stage1", {"latent_size": 16}, "stage 1's latent size and its grids' differ, 128 and 64"),
        ("stage1", {"cells_per_side": 2}, "stage 1's cells per side and its k differ, 2 and 4"),
        ("stage2", {"condition_channels": 0}, "stage 2's condition channels and the codec's differ, 0 and 4"),
    ],
)
def test_networks_that_do_not_fit_are_refused(part: str, config: dict[str, int], words: str, model: Path) -> None:
    """A stage trained with another codec, at another size or for other grids."""
    fitting = {"latent_size": 8, "in_channels": 4, "patch_size": 2, "width": 32, "depth": 1, "heads": 2}
    fitting |= {"cells_per_side": 4} if part == "stage1" else {"cells_per_side": 1, "condition_channels": 4}
    DiT(**(fitting | config)).save_pretrained(model / part)
    with pytest.raises(CtgridError, match=words):
        load_bundle(model)


def as_runs(model: Path, folder: Path) -> dict[str, Path]:
    """Lay the parts of a model out as training runs do."""
    for part in ("codec", "stage1", "stage2"):
        shutil.copytree(model / part, folder / part / "model")
    return {part: folder / part for part in ("codec", "stage1", "stage2")}


@pytest.mark.parametrize("half", [False, True])
def test_packing_runs_makes_a_model(half: bool, tiny_model: Path, tmp_path: Path) -> None:
    """The same networks and facts; with ``half`` rounded to 16 bits and half the size."""
    out = pack(**as_runs(tiny_model, tmp_path), out=tmp_path / "packed", half=half)
    assert sorted(p.name for p in out.iterdir()) == ["codec", "stage1", "stage2"]
    before, after = load_bundle(tiny_model), load_bundle(out)
    assert (before.facts1, before.facts2) == (after.facts1, after.facts2)
    assert before.codec.config["latents_std"] == after.codec.config["latents_std"]
    for one, two in ((before.stage1, after.stage1), (before.stage2, after.stage2)):
        for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
            assert torch.equal(a.half().float() if half else a, b), name
    sizes = [sum(p.stat().st_size for p in f.rglob("*.safetensors")) for f in (tiny_model, out)]
    assert sizes[1] < 0.6 * sizes[0] if half else sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_packing_over_a_model_needs_leave(tiny_model: Path, model: Path, make_model: Callable[..., Path]) -> None:
    """And then replaces the parts."""
    parts = {part: tiny_model / part for part in ("codec", "stage1", "stage2")}
    change(model / "stage1" / "stage.json", fov_mm=1.0)
    with pytest.raises(CtgridError, match=r"codec exists; pass --overwrite"):
        pack(**parts, out=model)
    assert load_bundle(model).facts1.fov_mm == 1.0
    pack(**parts, out=model, overwrite=True)
    assert load_bundle(model).facts1.fov_mm == 320.0


@pytest.mark.parametrize("lacking", ["codec", "stage2", "parent", "fit"])
def test_packing_fails_before_it_writes(lacking: str, tiny_model: Path, tmp_path: Path) -> None:
    """A missing part, a missing folder, parts that do not fit: nothing is left behind."""
    parts, out = as_runs(tiny_model, tmp_path / "runs"), tmp_path / "packed"
    words = {"parent": "does not exist; create it first", "fit": "do not fit together"}.get(lacking, "no trained")
    if lacking == "parent":
        out = tmp_path / "nowhere" / "packed"
    elif lacking == "fit":
        change(parts["stage1"] / "model" / "stage.json", size=32)
    else:
        shutil.rmtree(parts[lacking] / "model")
    with pytest.raises(CtgridError, match=words):
        pack(**parts, out=out)
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


@pytest.fixture
def with_gaps(model: Path) -> Path:
    """The tiny model with a stage 1 of other weights that fills gaps in 3 calls."""
    shutil.copytree(model / "stage1", model / GAPS)
    change(model / GAPS / "stage.json", fill_steps=3, fill_spacing="snr")
    network = load_dit(model / GAPS)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05, generator=torch.Generator().manual_seed(1))
    network.save_pretrained(model / GAPS)
    return model


def test_gaps_may_have_a_stage_1_of_their_own(with_gaps: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Loaded with its facts, hashed, described, packed; without it stage 1 fills them."""
    plain, bundle = load_bundle(tiny_model), load_bundle(with_gaps)
    usual = bundle.facts1.slices
    assert plain.filler(usual) == (plain.stage1, plain.facts1) and "gaps" not in plain.describe()
    assert bundle.filler(usual) == (bundle.gaps, bundle.facts_gaps) and bundle.gaps is not bundle.stage1
    assert bundle.filler(2 * usual) == bundle.filler(usual // 2) == (bundle.stage1, bundle.facts1)
    keyframes = bundle.facts1.k**2
    assert [plain.coarse_count(n) for n in (1, usual, 2 * usual)] == [1, usual, 2 * usual]
    assert [bundle.coarse_count(n) for n in (1, keyframes)] == [1, keyframes], "no gaps between keyframes"
    assert [bundle.coarse_count(n) for n in (usual - 1, usual // 2, 2 * usual)] == [usual - 1, usual, usual]
    assert bundle.describe()["gaps"]["fill_steps"] == 3
    assert {name.partition("/")[0] for name in bundle.hashes} == {"codec", "stage1", "stage2", "gaps"}
    parts = {part: with_gaps / part for part in ("codec", "stage1", "stage2", "gaps")}
    assert load_bundle(pack(**parts, out=tmp_path / "packed")).hashes == bundle.hashes


def test_gaps_that_do_not_fit_are_refused(with_gaps: Path) -> None:
    change(with_gaps / GAPS / "stage.json", slices=7)
    with pytest.raises(CtgridError, match=r"gaps: it does not fit stage 1: slices differs, 7 and"):
        load_bundle(with_gaps)
    change(with_gaps / GAPS / "stage.json", fill_spacing="odd")
    with pytest.raises(CtgridError, match=r"spacing.*odd"):
        load_bundle(with_gaps)
