"""Synthesis with a tiny untrained model: counts, geometry, repeatability, bookkeeping."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.methods.denoising.pipeline import DenoisePipeline
from ctgrid.methods.synthesis.pipeline import Synthesis, SynthesisPipeline
from ctgrid.methods.synthesis.settings import FILL_STEPS, REFINE_NOISE_MM, Settings
from ctgrid.methods.synthesis.video import VideoPipeline
from ctgrid.scan.grid import from_grid, to_grid
from ctgrid.stages.cells import decode_cells, refine, sample_cells, z_of
from ctgrid.stages.diffusion.schedule import LINEAR
from ctgrid.stages.schedules import hierarchical

QUICK: dict[str, Any] = {"steps": 2, "refine_steps": 1, "size": 64}
ONE: dict[str, Any] = {"steps": 1, "sampler": "dpm++"}


@pytest.fixture(scope="module")
def pipeline(tiny_model: Path) -> SynthesisPipeline:
    """Hierarchical: the model knows absolute z."""
    return SynthesisPipeline.load(str(tiny_model), "cpu", "float32")


@pytest.fixture(scope="module")
def relative(make_model: Callable[..., Path]) -> SynthesisPipeline:
    """A model of the paper's kind: relative positions, whole grids encoded, known cells replaced."""
    folder = make_model(absolute_z=False, cell_encoding="grid", conditioning="replace", fov_mm=None, extent_mm=None)
    return SynthesisPipeline.load(str(folder), "cpu", "float32")


def test_repr_is_one_short_line(pipeline: SynthesisPipeline) -> None:
    assert repr(pipeline) == f"SynthesisPipeline({pipeline.bundle.name}, cpu, float32)"
    for kind in (DenoisePipeline, VideoPipeline):
        other = kind(pipeline.bundle, pipeline.device, pipeline.dtype)
        assert repr(other) == f"{kind.__name__}({pipeline.bundle.name}, cpu, float32)"


def network_calls(pipeline: SynthesisPipeline, made: Synthesis) -> list[tuple[int, int]]:
    """Count grids and network calls per grid, pass by pass, from the plan."""
    settings = made.settings
    names = ("slices", "schedule", "control_rows", "interpolate")
    plan = Settings(**{name: settings[name] for name in names}).plan(4)
    later = settings.get("fill_steps") or settings["steps"]
    return [(len(windows), later if number else settings["steps"]) for number, windows in enumerate(plan)]


@pytest.mark.parametrize("slices", [1, 5, 17, 40])
def test_exactly_the_slices_asked_for(pipeline: SynthesisPipeline, slices: int) -> None:
    """And the work for them: 16 tokens a grid, 16 a slice, times network calls."""
    made = pipeline.generate(slices, **QUICK | {"steps": 3, "refine_steps": 2})
    assert made.volume.hu.shape == (slices, 64, 64) and made.volume.hu.dtype == np.int16
    assert -1000 <= made.volume.hu.min() < made.volume.hu.max() <= 1000
    calls = network_calls(pipeline, made)
    assert calls[0] == (1, 3) and (len(calls) > 1) == (slices > 16)
    assert made.dit_token_passes == 16 * sum(grids * steps for grids, steps in calls) + slices * 16 * 2
    assert set(made.phases) == {"stage 1", "coarse", "encode", "stage 2", "decode", "assemble", "write"}
    assert all(seconds >= 0 for seconds in made.phases.values())
    assert made.settings["schedule"] == "hierarchical" and made.settings["control_rows"] is None


def test_the_seed_decides_everything(pipeline: SynthesisPipeline) -> None:
    """The same seed gives the same bytes, another one another volume; torch's own state plays no part."""
    first = pipeline.generate(17, seed=3, **QUICK).volume.hu
    torch.rand(7)
    assert np.array_equal(first, pipeline.generate(17, seed=3, **QUICK).volume.hu)
    other = pipeline.generate(17, seed=4, **QUICK).volume.hu
    assert (first != other).mean() > 0.3


@pytest.mark.parametrize("which", ["pipeline", "relative"])
def test_the_batch_size_changes_rounding_at_most(which: str, request: pytest.FixtureRequest) -> None:
    """Each grid and slice has noise of its own; grids that were encoded whole are decoded whole."""
    pipeline = request.getfixturevalue(which)
    volumes = [pipeline.generate(40, batch_size=size, **QUICK).volume.hu.astype(int) for size in (1, 7, 64)]
    assert abs(np.diff(volumes[0], axis=0)).mean() > 2  # or what stage 1 makes would not show
    for volume in volumes[1:]:
        assert abs(volume - volumes[0]).max() <= 1


@pytest.mark.parametrize("slices", [40, 201])
def test_grids_of_a_pass_do_not_see_each_other(pipeline: SynthesisPipeline, slices: int) -> None:
    """Whatever a batch holds, known cells are those of earlier passes."""
    plan = Settings(slices).resolved(pipeline.bundle).plan(4)
    single, together = (
        sample_cells(pipeline.bundle, plan, slices, seeds=[0], steps=2, filling=ONE, batch_size=n)[0][0]
        for n in (1, 64)
    )
    assert torch.allclose(single, together, atol=1e-5)
    assert single.flatten(1).abs().sum(dim=1).min() > 0


def test_neighbouring_slices_share_their_noise(pipeline: SynthesisPipeline) -> None:
    """Stage 2 takes one noise for all slices: equal coarse slices give equal fine ones."""
    coarse = torch.zeros(3, 1, 16, 16)
    fine, _ = refine(pipeline.bundle, coarse, seed=1, steps=2, start=LINEAR.timestep(0.6))
    assert torch.allclose(fine[0], fine[1], atol=1e-5) and torch.allclose(fine[0], fine[2], atol=1e-5)
    other, _ = refine(pipeline.bundle, coarse, seed=2, steps=2, start=LINEAR.timestep(0.6))
    assert (fine - other).abs().mean() > 1e-3


def test_noise_that_changes_along_z_makes_equal_coarse_slices_differ(pipeline: SynthesisPipeline) -> None:
    """The further apart the more; a slice is what it is alone."""
    coarse, places = torch.zeros(3, 1, 16, 16), [0.0, 1.0, 40.0]
    fine, _ = refine(pipeline.bundle, coarse, seed=1, steps=2, z_mm=places, noise_mm=4.0)
    near, far = ((fine[0] - fine[i]).abs().mean() for i in (1, 2))
    assert 0 < near < 0.8 * far
    alone, _ = refine(pipeline.bundle, coarse[:1], seed=1, steps=2, z_mm=places[1:2], noise_mm=4.0)
    assert torch.allclose(alone[0], fine[1], atol=1e-5)


def test_settings_reach_the_noise_of_stage_2(pipeline: SynthesisPipeline) -> None:
    """The length is recorded; left out, it is one of CT; infinity is what older versions made."""
    made = {mm: pipeline.generate(6, seed=0, refine_noise_mm=mm, **QUICK) for mm in (None, REFINE_NOISE_MM, 0.0, inf)}
    recorded = {mm: one.settings["refine_noise_mm"] for mm, one in made.items()}
    assert recorded == {None: REFINE_NOISE_MM, REFINE_NOISE_MM: REFINE_NOISE_MM, 0.0: 0.0, inf: "inf"}
    hu = {mm: one.volume.hu.astype(int) for mm, one in made.items()}
    assert np.array_equal(hu[None], hu[REFINE_NOISE_MM])
    assert abs(hu[None] - hu[inf]).mean() > 1 and abs(hu[None] - hu[0.0]).mean() > 1
    identities = [Settings(refine_noise_mm=mm).resolved(pipeline.bundle).identity() for mm in (None, 0.0, inf)]
    assert json.loads(json.dumps(identities, allow_nan=False)) == identities
    assert len({str(one) for one in identities}) == 3  # volumes of other noise are not taken over
    video = replace(pipeline.bundle, facts1=replace(pipeline.bundle.facts1, content="video"))
    assert Settings().resolved(video).noise_mm == inf  # frames are not millimetres apart


def test_what_the_model_asks_for_gives_way_to_the_user(pipeline: SynthesisPipeline) -> None:
    """Network calls of gaps, as of keyframes."""
    facts = replace(pipeline.bundle.facts1, steps=7, fill_steps=3)
    asking = replace(pipeline.bundle, facts1=facts)
    assert (Settings().resolved(asking).steps, Settings().resolved(asking).fill_steps) == (7, 3)
    own = Settings(steps=5, fill_steps=2).resolved(asking)
    assert (own.steps, own.fill_steps) == (5, 2)
    assert Settings().resolved(pipeline.bundle).fill_steps == FILL_STEPS


def test_bodies_vary_as_far_as_model_or_user_says(pipeline: SynthesisPipeline) -> None:
    """A volume's body is its seed's, whatever is made beside it; 0 is what stage 1 makes."""
    asking = replace(pipeline, bundle=replace(pipeline.bundle, facts1=replace(pipeline.bundle.facts1, habitus=0.8)))
    assert [Settings(habitus=h).resolved(asking.bundle).habitus for h in (None, 0, 0.5)] == [0.8, 0, 0.5]
    assert Settings().resolved(pipeline.bundle).habitus == 0
    plain = pipeline.generate(20, seed=1, **QUICK).volume.hu
    assert np.array_equal(plain, asking.generate(20, seed=1, habitus=0, **QUICK).volume.hu)
    varied = asking.generate(20, seed=1, **QUICK)
    assert varied.settings["habitus"] == 0.8
    assert not np.array_equal(plain, varied.volume.hu)
    both = np.zeros((2, 20, 64, 64), np.int16)

    def receive(volume: int, first: int, arrival: Callable[[], np.ndarray]) -> None:
        part = arrival()
        both[volume, first : first + len(part)] = part

    asking.stream([0, 1], Settings(slices=20, **QUICK), receive)
    assert np.abs(both[1].astype(int) - varied.volume.hu).max() <= 1


def test_movies_have_no_bodies(make_model: Callable[..., Path]) -> None:
    """Neither asked for nor from a model."""
    bundle = VideoPipeline.load(str(make_model(content="video")), "cpu", "float32").bundle
    assert Settings().resolved(bundle).habitus == 0
    with pytest.raises(CtgridError, match="makes movies, which have no habitus"):
        Settings(habitus=1).resolved(bundle)


def test_gaps_are_sampled_their_own_way(pipeline: SynthesisPipeline) -> None:
    """By dpm++ unless the user says otherwise, of gaps or of all; a recorded way gives itself again."""
    asking = replace(pipeline.bundle, facts1=replace(pipeline.bundle.facts1, sampler="ddpm"))
    free = Settings().resolved(asking)
    assert (free.sampler, free.fill_sampler, free.fill_spacing) == ("ddpm", "dpm++", "even")
    assert Settings(spacing="karras").resolved(asking).fill_spacing == "karras"
    assert Settings(sampler="ddim").resolved(asking).fill_sampler == "ddim"
    assert Settings(fill_sampler="ddpm").resolved(asking).filling["sampler"] == "ddpm"
    assert free.resolved(asking) == free
    made = [
        pipeline.generate(20, seed=0, fill_sampler=name, fill_steps=2, **QUICK).volume.hu for name in ("ddpm", "ddim")
    ]
    assert (made[0] != made[1]).any()
    with pytest.raises(CtgridError, match="fill_sampler belongs to schedule 'hierarchical'"):
        Settings(schedule="autoregressive", fill_sampler="ddim")


@pytest.mark.parametrize(("slices", "size"), [(1, 64), (20, 64), (12, 40)])
def test_geometry(pipeline: SynthesisPipeline, slices: int, size: int) -> None:
    """LPS, centred on the origin, the extent and field of view of the training volumes, whatever the size."""
    volume = pipeline.generate(slices, **QUICK | {"size": size}).volume
    assert volume.shape == (slices, size, size)
    assert volume.orientation == "LPS"
    assert volume.spacing_mm == pytest.approx((300 / slices, 320 / size, 320 / size))
    assert np.count_nonzero(volume.affine[:3, :3]) == 3
    corners = [volume.affine @ [*index, 1] for index in ((0, 0, 0), (size - 1, size - 1, slices - 1))]
    assert np.add(*corners)[:3] == pytest.approx([0, 0, 0], abs=1e-9)


def test_another_size_is_the_models_own_resized(pipeline: SynthesisPipeline) -> None:
    """Half the size shows the same picture."""
    full = pipeline.generate(5, **QUICK).volume.hu.astype(float)
    half = pipeline.generate(5, **QUICK | {"size": 32}).volume.hu.astype(float)
    means = full.reshape(5, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.corrcoef(means.ravel(), half.ravel())[0, 1] > 0.95


def test_absolute_z_follows_the_rule_of_training_volumes() -> None:
    """201 slices are 0 ... 200; one lies in the middle; two at the quarters; the ends are kept."""
    position = torch.tensor([0.0, 1.0, 100.0, 200.0])
    assert z_of(position, 201, 201).tolist() == position.tolist()
    assert z_of(torch.tensor([-0.5, 0.0, 0.5]), 1, 201).tolist() == [0, 100, 200]
    assert z_of(torch.tensor([0.0, 1.0]), 2, 201).tolist() == pytest.approx([49.75, 150.25])
    assert z_of(torch.tensor([0.0, 401.0, 450.0]), 402, 201).tolist() == [0, 200, 200]


def test_whole_grids_are_decoded_whole(relative: SynthesisPipeline) -> None:
    """Sixteen cells together give what the grid gives, however few at once; cells alone would not."""
    cells = torch.randn(18, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = from_grid(relative.bundle.codec.decode(to_grid(cells[:16])))
    decoded = decode_cells(relative.bundle, cells, 1)
    assert decoded.shape == (18, 1, 16, 16)
    assert torch.allclose(decoded[:16], expected, atol=1e-6)
    assert not torch.allclose(decoded[:16], relative.bundle.codec.decode(cells[:16]), atol=1e-3)


@pytest.mark.parametrize("rows", [1, 3])
def test_relative_positions_go_step_by_step(relative: SynthesisPipeline, rows: int) -> None:
    """Algorithm 1 by default; its spacing falls back to what is written down."""
    made = relative.generate(40, control_rows=rows, **QUICK)
    grids = 1 + -(-(40 - 16) // (4 * (4 - rows)))
    assert made.dit_token_passes == grids * 16 * 2 + 40 * 16
    assert (made.settings["schedule"], made.settings["control_rows"]) == ("autoregressive", rows)
    assert made.volume.shape == (40, 64, 64)
    assert made.volume.spacing_mm == pytest.approx((1.5, 0.75, 0.75))


def test_what_knows_one_distance_of_slices_makes_those_and_others_are_interpolated(pipeline: SynthesisPipeline) -> None:
    """Of three slices for each that a network for gaps made, the middle one is that one; stage 1 makes all its own."""
    bundle = replace(pipeline.bundle, gaps=pipeline.bundle.stage1, facts_gaps=pipeline.bundle.facts1)
    gapped = SynthesisPipeline(bundle, pipeline.device, pipeline.dtype)
    usual, how = bundle.facts1.slices, {**QUICK, "refine_noise_mm": inf}
    asked = ((gapped, usual), (gapped, 3 * usual), (pipeline, 3 * usual))
    whole, thrice, plain = (p.generate(slices, **how) for p, slices in asked)
    assert thrice.volume.shape[0] == 3 * usual
    assert thrice.volume.spacing_mm[0] == pytest.approx(whole.volume.spacing_mm[0] / 3)
    same, other = (v.volume.hu[1::3].astype(int) - whole.volume.hu for v in (thrice, plain))
    assert abs(same).max() <= 1 < abs(other).mean()
    assert thrice.dit_token_passes - whole.dit_token_passes == 2 * usual * 16, "stage 2 alone has more to do"
    bodies = gapped.generate(3 * usual, habitus=1.0, **how).volume.hu
    assert bodies.shape == thrice.volume.shape and not np.array_equal(bodies, thrice.volume.hu)


def test_known_cells_stay_what_they_were(pipeline: SynthesisPipeline) -> None:
    """The keyframes of a volume are those of its first pass alone, to the bit."""
    plan = hierarchical(40)
    (both,), _ = sample_cells(pipeline.bundle, plan, 40, seeds=[5], steps=2)
    (first,), _ = sample_cells(pipeline.bundle, plan[:1], 40, seeds=[5], steps=2)
    keyframes = plan[0][0].target
    assert torch.equal(both[keyframes], first[keyframes])
    assert both.flatten(1).abs().sum(dim=1).min() > 0


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_samplers_and_full_noise(pipeline: SynthesisPipeline, sampler: str) -> None:
    """Every sampler runs through both stages, stage 2 from pure noise as well; all give something else."""
    usual = pipeline.generate(3, **QUICK).volume.hu
    made = pipeline.generate(3, sampler=sampler, refine_level=1.0, **QUICK)
    assert made.settings["sampler"] == sampler
    assert not np.array_equal(made.volume.hu, usual)


def test_a_model_says_how_its_stage_1_is_best_sampled(make_model: Callable[..., Path]) -> None:
    """Stage 2 keeps its own sampler; what the user asks for holds for both."""
    asking = SynthesisPipeline.load(str(make_model(sampler="ddpm", steps=3)), "cpu", "float32")
    names = ("steps", "sampler", "spacing", "refine_steps", "refine_sampler", "refine_spacing")

    def chosen(**asked: Any) -> tuple[Any, ...]:
        settings = asking.resolve(Settings(**asked))
        return tuple(getattr(settings, name) for name in names)

    assert chosen() == (3, "ddpm", "even", 2, "dpm++", "snr")
    assert chosen(sampler="ddim", steps=5) == (5, "ddim", "even", 2, "ddim", "even")
    assert chosen(refine_sampler="ddim", spacing="karras") == (3, "ddpm", "karras", 2, "ddim", "karras")
    made = asking.generate(3, refine_steps=2, size=64)
    as_told = asking.generate(3, sampler="ddpm", steps=3, refine_steps=2, size=64)
    assert made.settings["sampler"] == "ddpm" and made.dit_token_passes == 16 * 3 + 3 * 2 * 16
    assert not np.array_equal(made.volume.hu, as_told.volume.hu)  # there stage 2 is ddpm too


def test_progress_runs_to_its_end(pipeline: SynthesisPipeline) -> None:
    """Phase by phase, never backwards."""
    calls: list[tuple[str, int, int]] = []
    made = pipeline.generate(40, batch_size=8, progress=lambda *call: calls.append(call), **QUICK)
    coarse = sum(-(-grids // 8) * steps for grids, steps in network_calls(pipeline, made))
    for phase, total in (("stage 1", coarse), ("stage 2", 40)):
        done = [call[1:] for call in calls if call[0] == phase]
        assert [d for d, _ in done] == sorted({d for d, _ in done})
        assert done[-1] == (total, total) and {t for _, t in done} == {total}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"slices": 0}, "slices must be at least 1, got 0"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": 1001}, "steps must lie in"),
        ({"refine_level": 0.0}, "refine_level must be a share"),
        ({"refine_start": 1.5}, "refine_level must be at most 1"),
        ({"refine_noise_mm": -1.0}, "refine_noise_mm must be at least 0, got -1"),
        ({"refine_noise_mm": float("nan")}, "refine_noise_mm must be at least 0, got nan"),
        ({"sampler": "euler"}, "unknown sampler 'euler'"),
        ({"spacing": "log"}, "spacing must be one of even, linspace, trailing, snr, karras, got 'log'"),
        ({"schedule": "hierarchical", "interpolate": True}, "interpolate belongs to schedule 'autoregressive'"),
        ({"schedule": "hierarchical", "control_rows": 2}, "control_rows belongs to schedule 'autoregressive'"),
        ({"between": "half"}, "between says what interpolate fills in: set interpolate as well"),
        ({"schedule": "autoregressive", "fill_steps": 2}, "fill_steps belongs to schedule 'hierarchical'"),
        ({"control_rows": 4}, r"control_rows must lie in 1\.\.\.3 for grids of 4 x 4, got 4"),
        ({"schedule": "random"}, "schedule must be one of auto, hierarchical, autoregressive, got 'random'"),
        ({"seed": -1}, "seeds must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(pipeline: SynthesisPipeline, settings: dict[str, Any], words: str) -> None:
    """In one clear line each."""
    with pytest.raises(CtgridError, match=words):
        pipeline.generate(**{"slices": 4, **QUICK, **settings})


def test_keyframes_need_absolute_z(relative: SynthesisPipeline) -> None:
    """The message says what to use instead."""
    with pytest.raises(CtgridError, match=r"needs absolute z.*use 'autoregressive'"):
        relative.generate(20, schedule="hierarchical", **QUICK)


def test_a_pipeline_tells_where_it_runs(pipeline: SynthesisPipeline) -> None:
    """For run records."""
    described = pipeline.describe()
    assert (described["device"], described["dtype"]) == ("cpu", "float32")
    assert len(described["files"]) == 3
