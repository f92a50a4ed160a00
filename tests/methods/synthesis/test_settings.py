"""What a synthesis can be asked for: what models decide, what excludes what, and what volumes depend on."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.methods.synthesis.settings import REFINE_NOISE_MM, Settings
from ctgrid.stages.diffusion.samplers import SAMPLERS
from ctgrid.stages.models.facts import StageFacts
from ctgrid.stages.orders import usual_control_rows
from ctgrid.stages.schedules import plan_grids


def model(absolute: bool = True, **known: Any) -> Any:
    """Return what of a model its settings depend on."""
    facts = StageFacts(size=64, k=4, **known)
    stage = SimpleNamespace(absolute_z=absolute)
    parts = {"stage1": stage, "facts1": facts, "facts2": facts, "filler": lambda slices: (stage, facts)}
    return SimpleNamespace(name="toy", **parts, coarse_count=lambda slices: slices)


def test_gaps_are_filled_as_their_own_network_says() -> None:
    """Where nobody asks for another number of calls, or other places."""
    toy = model()
    toy.filler = lambda slices: (toy.stage1, StageFacts(size=64, k=4, fill_steps=6, fill_spacing="snr"))
    assert Settings().resolved(toy).filling == {"steps": 6, "sampler": "dpm++", "spacing": "snr"}
    asked = Settings(fill_steps=2, fill_spacing="even").resolved(toy)
    assert asked.filling == {"steps": 2, "sampler": "dpm++", "spacing": "even"}


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_what_is_resolved_leaves_nothing_open_and_resolves_to_itself(absolute: bool, sampler: str) -> None:
    """So that a record tells all, as JSON."""
    bundle = model(absolute)
    settings = Settings(sampler=sampler).resolved(bundle)
    assert settings.resolved(bundle) == settings
    assert (settings.schedule, settings.pixels) == ("hierarchical" if absolute else "autoregressive", 64)
    assert None not in {**settings.sampling, **settings.refining}.values()
    assert settings.spacing == ("even" if SAMPLERS[sampler].spacing == "linspace" else SAMPLERS[sampler].spacing)
    assert json.loads(json.dumps(settings.as_dict(), allow_nan=False)) == settings.as_dict()


def test_volumes_as_stage_1_makes_them_are_those_of_before_bodies_varied() -> None:
    """Sets that were begun then go on; records tell all the same."""
    plain, varied = Settings(habitus=0).resolved(model(habitus=1.0)), Settings().resolved(model(habitus=1.0))
    assert "habitus" not in plain.identity() and plain.as_dict()["habitus"] == 0
    assert varied.identity()["habitus"] == 1.0


def test_sampling_ends_where_the_model_asks_for_it_or_the_user() -> None:
    """At no noise else; sets that were begun before there was a choice go on."""
    assert Settings().resolved(model()).sampling["stop"] == 0 and "stop" not in Settings().resolved(model()).identity()
    early = Settings().resolved(model(stop=271))
    assert early.sampling["stop"] == early.identity()["stop"] == 271
    assert Settings(stop=0).resolved(model(stop=271)).sampling["stop"] == 0
    assert Settings(stop=90).resolved(model()).sampling["stop"] == 90
    for stop in (-1, 1000):
        with pytest.raises(CtgridError, match="stop must"):
            Settings(stop=stop)


@pytest.mark.parametrize("asked", [{"interpolate": True}, {"control_rows": 2}])
def test_settings_of_algorithm_1_choose_its_schedule(asked: dict[str, Any]) -> None:
    """Also in a model that could do without."""
    settings = Settings(slices=40, **asked).resolved(model())
    rows = asked.get("control_rows", usual_control_rows(4))
    wanted = plan_grids("autoregressive", 40, 4, control_rows=rows, interpolate="interpolate" in asked)
    assert (
        settings.schedule == "autoregressive"
        and settings.control_rows == rows
        and repr(settings.plan(4)) == repr(wanted)
    )


def test_a_models_own_sampler_is_that_of_stage_1_alone() -> None:
    """Who names one means both stages, unless stage 2 has its own."""
    own = model(sampler="ddim", steps=7)
    first = Settings().resolved(own)
    assert (first.sampler, first.steps, first.refine_sampler) == ("ddim", 7, "dpm++")
    named = Settings(sampler="ddim", steps=3).resolved(model())
    assert (named.sampler, named.steps, named.refine_sampler) == ("ddim", 3, "ddim")
    assert Settings(sampler="ddim", refine_sampler="dpm++").resolved(own).refine_sampler == "dpm++"


def test_noise_of_stage_2_changes_along_z_in_ct_alone() -> None:
    assert Settings().resolved(model()).noise_mm == REFINE_NOISE_MM
    assert Settings().resolved(model(content="video")).noise_mm == math.inf
    assert Settings(refine_noise_mm=1.5).resolved(model(content="video")).noise_mm == 1.5


def test_volumes_depend_on_all_but_the_batch() -> None:
    """And not on which of two names the spacing has; infinity is a word, which JSON can hold."""
    bundle = model()
    asked: dict[str, Any] = {"spacing": "even", "refine_noise_mm": math.inf}
    identity = Settings(**asked).resolved(bundle).identity()
    assert identity == Settings(**asked | {"spacing": "linspace", "batch_size": 1}).resolved(bundle).identity()
    assert identity["refine_noise_mm"] == "inf" and "batch_size" not in identity
    for other in ({"slices": 7}, {"steps": 3}, {"refine_level": 0.5}, {"size": 32}, {"control_rows": 1}):
        assert Settings(**asked | other).resolved(bundle).identity() != identity


@pytest.mark.parametrize(
    ("asked", "absolute", "words"),
    [
        ({"refine_level": 0}, True, r"refine_level must be a share of the schedule in \(0, 1\], got 0"),
        ({"schedule": "hierarchical", "interpolate": True}, True, "interpolate belongs to schedule 'autoregressive'"),
        ({"schedule": "hierarchical", "control_rows": 1}, True, "control_rows belongs to schedule 'autoregressive'"),
        ({"schedule": "autoregressive", "fill_steps": 2}, True, "fill_steps belongs to schedule 'hierarchical'"),
        ({"schedule": "hierarchical"}, False, "toy: schedule 'hierarchical' needs absolute z"),
        ({"fill_steps": 2}, False, "toy knows no absolute z and fills no gaps: leave fill_steps out"),
    ],
)
def test_what_excludes_each_other_is_refused(asked: dict[str, Any], absolute: bool, words: str) -> None:
    with pytest.raises(CtgridError, match=words):
        Settings(**asked).resolved(model(absolute))
