"""Both stages and the codec on clips: what they draw, colour through and through, and exact resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ctgrid.base.draws import generator_for
from ctgrid.base.errors import CtgridError
from ctgrid.data.degrade import degrade, draw_degradation, enlarge
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.data import Selection, open_data
from ctgrid.methods.training.empty import empty_task
from ctgrid.methods.training.plan import imagine
from ctgrid.methods.training.run import make_task, train
from ctgrid.scan.grid import from_grid
from ctgrid.stages.codecs.codecs import Codec, load_codec
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec
from ctgrid.stages.orders import usual_control_rows

pytestmark = pytest.mark.usefixtures("few_examples")

NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
STAGE = {"network": NETWORK, "prediction": "v", "size": 64, "k": 4, "slices": 18}
CODEC = {"latent_channels": 4, "encoder_width": 8, "encoder_blocks": 1, "decoder_width": 8, "decoder_blocks": 1}
RECIPES: dict[str, Any] = {
    "codec": {"network": CODEC | {"fine_width": 8}, "size": 64, "crop": 32, "cell": 16, "cells_per_crop": 2},
    "stage1": STAGE,
    "stage2": {**STAGE, "codec_share": 0.5},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour frames of 24 x 36, 18 to 20 of them, three clips to train on and one to test; one too short."""
    root = tmp_path_factory.mktemp("clips")
    for number, (name, count) in enumerate(
        {"train/a": 18, "train/b": 20, "train/c": 19, "train/d": 4, "test/e": 17}.items()
    ):
        (root / name).mkdir(parents=True)
        for i in range(count):
            frame = np.full((24, 36, 3), (10 * i, 50 * number, 200 - 9 * i), np.uint8)
            frame[4:12, 8 + i % 8 : 16 + i % 8] = (250, 20 * number, 90)
            Image.fromarray(frame).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def colour_codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained codec of three channels."""
    folder = tmp_path_factory.mktemp("codec")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, image_channels=3).save_pretrained(folder)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write a tiny recipe of a kind for clips."""

    def write(kind: str, **video: Any) -> Path:
        path = tmp_path / f"{kind}.yaml"
        steps = {"steps": 4, "batch_size": 2, "learning_rate": 1e-3, "ema_decay": 0.9, "checkpoint_every": 2}
        part = {**RECIPES[kind], "video": {"layout": "folder", **video}}
        look = {"every": 4, "examples": 2, "picture_steps": 2}
        content = {"kind": kind, "seed": 5, "optimisation": steps, "monitor": {"tensorboard": False}, kind: part}
        content["validation"] = look
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def task_of(path: Path, data: Path, changes: dict[str, Any]) -> Any:
    """Return the task of a recipe, and its configuration."""
    config = load_config(path, None, changes)
    opened = open_data(Selection(data, config.exclude), config.recipe)
    return make_task(config, opened, Path("unused"), lambda *_: None), config.recipe


def test_stage_1_draws_consecutive_frames_of_a_clip(
    clips: Path, recipe: Callable[..., Path], colour_codec: Path
) -> None:
    """In colour, in order, from every clip that is long enough, straight and mirrored."""
    task, _ = task_of(recipe("stage1"), clips, {"stage1.codec": str(colour_codec)})
    assert len(task.coarse) == 6 and task.codec.channels == 3
    seen = set()
    for i in range(24):
        example = task.example(generator_for(0, i))
        assert example["grid"].shape == (3, 64, 64)
        cells = from_grid(example["grid"][None], 4)
        red = (cells[:, 0, -1, -1] + 1) * 127.5  # the ground brightens by ten from frame to frame
        assert torch.allclose(red.diff(), torch.full((15,), 10.0), atol=0.6)
        assert torch.allclose(red / 10, example["z_index"], atol=0.1)
        left, right = cells[:, 0, :8, :8].mean(), cells[:, 0, :8, 8:].mean()
        seen.add(bool(left > right))
    assert seen == {True, False}
    latents = task.encoded(torch.stack([example["grid"]] * 2))
    assert latents.shape == (2, 4, 8, 8)
    facts = task.facts
    assert (facts.content, facts.channels, facts.conditioning, facts.fov_mm) == ("video", 3, "replace", None)


def test_grids_larger_than_frames(clips: Path, recipe: Callable[..., Path], colour_codec: Path) -> None:
    """With ``scale`` cells are frames shrunk so often, whatever K: 2 with 4 x 4 cells gives grids twice the frames."""
    grids = {"stage1.codec": str(colour_codec), "stage1.size": 32, "stage1.scale": 2}
    task, part = task_of(recipe("stage1", mirror=False), clips, grids)
    example = task.example(generator_for(0, 1))
    assert (part.grid_size, part.cell_size, part.factor) == (64, 16, 2)
    assert example["grid"].shape == (3, 64, 64) and example["noise"].shape == (4, 8, 8)
    red = (from_grid(example["grid"][None], 4)[:, 0, -1, -1] + 1) * 127.5
    assert torch.allclose(red / 10, example["z_index"], atol=0.1)
    assert task.build().latent_size == 8 and (task.facts.k, task.facts.scale) == (4, 2)
    frames = {"stage2.codec": str(colour_codec), "stage2.size": 32, "stage2.scale": 2, "stage2.codec_share": 0.0}
    task, _ = task_of(recipe("stage2"), clips, frames)
    example = task.example(generator_for(0, 1))
    assert example["image"].shape == (3, 32, 32) and example["coarse"].shape == (3, 16, 16)
    assert task.condition({name: value[None] for name, value in example.items()}).shape == (1, 4, 4, 4)
    with pytest.raises(CtgridError, match=r"stage1: size 32 is no multiple of scale 5"):
        load_config(recipe("stage1"), None, {"stage1.size": 32, "stage1.scale": 5})


def test_stage_2_draws_frames_with_coarse_ones(clips: Path, recipe: Callable[..., Path], colour_codec: Path) -> None:
    """Degraded as CT slices are, each channel with noise of its own."""
    task, part = task_of(recipe("stage2"), clips, {"stage2.codec": str(colour_codec), "stage2.codec_share": 0.0})
    examples = [task.example(generator_for(1, i)) for i in range(3)]
    batch = {key: torch.stack([e[key] for e in examples]) for key in examples[0]}
    assert batch["image"].shape == (3, 3, 64, 64) and batch["coarse"].shape == (3, 3, 16, 16)
    seen: list[torch.Tensor] = []
    task.codec.encode = lambda images: seen.append(images) or images  # type: ignore[method-assign,func-returns-value]
    task.condition(batch)
    for i, (image, coarse) in enumerate(zip(seen[0], batch["coarse"], strict=True)):
        generator = generator_for(1, i)
        clip = task.views.clip(int(torch.randint(0, 6, (), generator=generator)))
        int(torch.randint(0, len(clip), (), generator=generator))
        drawn = draw_degradation(generator, part.noise_levels, part.blur_share)
        large = enlarge(coarse[None], 4)[0]
        first = degrade(large[:1], drawn)
        assert torch.allclose(image[:1], first, atol=1e-5)  # the first channel's noise is that of a gray slice
        noise = image - large
        assert not torch.allclose(noise[0], noise[1], atol=1e-3)


@pytest.mark.parametrize("kind", ["codec", "stage1", "stage2"])
@pytest.mark.parametrize("gray", [False, True])
def test_a_run_resumes_exactly(
    kind: str,
    gray: bool,
    clips: Path,
    recipe: Callable[..., Path],
    colour_codec: Path,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    """In colour with a codec of three channels, in gray with one of one; the record names what was skipped."""
    codec = str(tiny_model / "codec" if gray else colour_codec)
    changes = {} if kind == "codec" else {f"{kind}.codec": codec}
    options: dict[str, Any] = {"overrides": changes, "config": recipe(kind, gray=gray), "data": clips}
    train(kind, out=tmp_path / "whole", **options)  # type: ignore[arg-type]
    train(kind, out=tmp_path / "parts", max_steps=2, **options)  # type: ignore[arg-type]
    summary = train(kind, out=tmp_path / "parts", resume=True, **options)  # type: ignore[arg-type]
    weights = [{p.name: p.read_bytes() for p in (tmp_path / run / "model").iterdir()} for run in ("whole", "parts")]
    assert weights[0] == weights[1]
    assert len((tmp_path / "whole" / "validation.jsonl").read_text(encoding="utf-8").splitlines()) == 1  # on clip e
    assert [p.name for p in (tmp_path / "whole" / "pictures").iterdir()] == ["step_00000004.png"]
    least = 1 if kind == "codec" else 16
    assert summary["volumes"] == (["a", "b", "c", "d"] if least == 1 else ["a", "b", "c"])
    record = json.loads((tmp_path / "whole" / "data.json").read_text(encoding="utf-8"))
    assert (record["kind"], record["part"]) == ("video", "train")
    assert list(record["skipped"]) == ([] if least == 1 else ["d"])
    if kind == "codec":
        trained = load_codec(tmp_path / "whole")
        assert trained.config["image_channels"] == (1 if gray else 3)


def test_another_clip_is_another_run(
    clips: Path, recipe: Callable[..., Path], colour_codec: Path, tmp_path: Path
) -> None:
    """Resuming on other frames is refused, by name."""
    options: dict[str, Any] = {"overrides": {"stage1.codec": str(colour_codec)}, "config": recipe("stage1")}
    train("stage1", data=clips, out=tmp_path / "run", max_steps=2, **options)
    other = tmp_path / "other"
    import shutil

    shutil.copytree(clips, other)
    shutil.rmtree(other / "train" / "b")
    with pytest.raises(CtgridError, match=r"cannot resume, 1 volume.* \(b\)"):
        train("stage1", data=other, out=tmp_path / "run", resume=True, **options)


def test_colour_needs_a_codec_of_three_channels(clips: Path, recipe: Callable[..., Path], tmp_path: Path) -> None:
    """One line, before a clip is read, and nothing is left; gray is an option."""
    with pytest.raises(CtgridError, match=r"codec UnshuffleCodec:embedded is gray, .* pass --gray"):
        train("stage1", recipe("stage1"), clips, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_validation_looks_at_the_published_test_part(clips: Path, recipe: Callable[..., Path]) -> None:
    """Where there is one."""
    config = load_config(recipe("stage1"))
    held_out = Selection(clips).held_out(config.recipe)
    assert held_out is not None and [p.name for p in held_out.choose(config.recipe)] == ["e"]
    assert Selection(clips / "train").held_out(config.recipe) is None
    tested = load_config(recipe("stage1", part="test"))
    assert Selection(clips).held_out(tested.recipe) is None
    assert [p.name for p in Selection(clips).choose(tested.recipe)] == ["e"]


def test_absolute_z_is_the_frame_in_its_piece(clips: Path, recipe: Callable[..., Path], colour_codec: Path) -> None:
    """Clips are cut to the recipe's slices, so that z lies in [0, slices); what is shorter is skipped."""
    changes = {"stage1.codec": str(colour_codec), "stage1.network.absolute_z": True, "stage1.video.mirror": False}
    task, _ = task_of(recipe("stage1"), clips, changes)
    assert [len(task.coarse[i]) for i in range(len(task.coarse))] == [18, 18, 18]
    assert task.facts.slices == 18
    changes |= {"stage1.slices": 20}
    task, _ = task_of(recipe("stage1"), clips, changes)
    assert [view.clip.name for view in task.coarse] == ["b"]


def test_a_store_is_no_video(recipe: Callable[..., Path], make_store: Callable[..., Any], tmp_path: Path) -> None:
    """Refused with both named."""
    store = make_store(tmp_path / "s.zarr", "scan")
    with pytest.raises(CtgridError, match="a store holds CT volumes"):
        Selection(store.path).choose(load_config(recipe("stage1")).recipe)


@pytest.mark.parametrize("data", ["sky", "taichi", "minecraft"])
@pytest.mark.parametrize("stage", ["stage1", "stage2"])
@pytest.mark.parametrize("tiny", [False, True])
def test_shipped_recipes(data: str, stage: str, tiny: bool) -> None:
    """The paper's grids, relative positions, colour; mirrored only where nothing reads left to right.

    Grids of 512 pixels whatever the frames', which stage 2 enlarges twice; the tiny ones have the same shape.
    """
    config = load_config(f"{'tiny-' if tiny else ''}video-{data}-{stage}", stage)  # type: ignore[arg-type]
    part: Any = config.recipe
    size, k, cell = (128, 8, 64) if data == "minecraft" else (256, 4, 128)
    shrunk = 4 if tiny else 1
    assert (part.size, part.k, part.factor) == (size // shrunk, k, 2)
    assert (part.cell_size, part.grid_size) == (cell // shrunk, 512 // shrunk)
    assert usual_control_rows(part.k) == (4 if data == "minecraft" else 3)
    assert part.video.layout == data and part.video.part == "train" and not part.video.gray
    assert part.video.mirror is (data != "minecraft")
    assert not part.network.get("absolute_z")


@pytest.mark.parametrize("gray", [False, True])
def test_recipes_can_be_planned_without_clips(gray: bool) -> None:
    """The codec's task without data has the channels that training would have."""
    changes = {"codec.video.gray": gray, "optimisation.batch_size": 1, "optimisation.precision": "no"}
    config = load_config("video-codec", None, changes)
    found = imagine(empty_task(config), config.optimisation, 0)
    assert found.parameters > 1e6 and found.flops > 0


def test_gray_on_a_recipe_for_ct_is_refused() -> None:
    """``--gray`` does not turn CT into video."""
    with pytest.raises(CtgridError, match=r"stage1\.video\.layout: Field required"):
        load_config("ct-rate-stage1", None, {"stage1.video.gray": True})


def test_colour_codecs_keep_colour() -> None:
    """Three channels in, three out; gray images through the same network come back gray."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = UnshuffleCodec(4, 8, 1, 8, 1, 8, 1, image_channels=3)
    gray, colour = Codec(network, "tiny"), Codec(network, "tiny").colour()
    images = torch.rand(2, 3, 16, 24, generator=generator_for(0)) * 2 - 1
    assert colour.decode(colour.encode(images)).shape == images.shape
    one = images[:, :1]
    assert torch.equal(gray.encode(one), colour.encode(one.expand(-1, 3, -1, -1)))
    latent = gray.encode(one)
    assert torch.allclose(gray.decode(latent), colour.decode(latent).mean(dim=1, keepdim=True), atol=1e-6)
    with pytest.raises(CtgridError, match=r"must be \(B, 3, H, W\), got \(2, 1, 16, 24\)"):
        colour.encode(one)
    assert colour.identity == gray.identity
    with pytest.raises(CtgridError, match="is gray, it cannot encode colour"):
        Codec(UnshuffleCodec(4, 8, 1, 8, 1, 8, 1), "tiny").colour()
