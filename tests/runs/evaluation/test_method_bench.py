"""Methods that are loaded once, told no more than they take; and what a case's hash depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctgrid.methods.denoising.methods import Loading
from ctgrid.runs.evaluation.denoising_plan import NOISY, Evaluation
from ctgrid.runs.evaluation.method_bench import MethodBench, hash_of
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.scan.volume import Volume

NOISE = Noise("gaussian", 60.0)
PLAN = Evaluation((NOISE,), (NOISY, "tv"))


def test_a_method_is_loaded_once_and_told_what_it_takes(spy: Callable[..., Any]) -> None:
    method, bench = spy(0), MethodBench(Loading())
    bench.load([NOISY, "spy"])
    first = bench.loaded["spy"]
    bench.load(["spy"])
    assert bench.loaded == {"spy": first} and first is method
    scan = Volume(np.zeros((3, 8, 8), np.int16), np.eye(4))
    hu, noise_hu, seconds = bench.timed("spy", scan, 25.0, seed=3, only=[1])
    assert (hu == -10).all() and noise_hu == 25.0 and seconds >= 0 and method.told == [25.0]


def test_a_filters_case_depends_on_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And on its tuned values; not on the model, which filters have none of."""
    bench = MethodBench(Loading())
    plain = hash_of(PLAN, "scan", NOISE, "tv", bench)
    assert plain == hash_of(PLAN, "scan", NOISE, "tv", MethodBench(Loading(model="nowhere")))
    others = [
        hash_of(PLAN, "other", NOISE, "tv", bench),
        hash_of(PLAN, "scan", Noise("gaussian", 50.0), "tv", bench),
        hash_of(PLAN, "scan", NOISE, "nlm", bench),
        hash_of(PLAN, "scan", NOISE, NOISY, bench),
        *(
            hash_of(replace(PLAN, **changes), "scan", NOISE, "tv", bench)
            for changes in ({"seed": 1}, {"strength": 9.0})
        ),
        *(
            hash_of(replace(PLAN, **changes), "scan", NOISE, "tv", bench)
            for changes in ({"hu": "stored"}, {"slices": "1:"})
        ),
    ]
    assert len({plain, *others}) == 1 + len(others)
    from ctgrid.methods.denoising.baselines.classical import CLASSICAL

    monkeypatch.setitem(CLASSICAL, "tv", replace(CLASSICAL["tv"], tuned={}))
    assert hash_of(PLAN, "scan", NOISE, "tv", bench) != plain


def test_doing_nothing_depends_on_no_strength() -> None:
    bench = MethodBench(Loading())
    assert hash_of(PLAN, "s", NOISE, NOISY, bench) == hash_of(replace(PLAN, strength="auto"), "s", NOISE, NOISY, bench)


def test_a_networks_case_depends_on_the_models_files(make_model: Callable[..., Path]) -> None:
    one, other = (MethodBench(Loading(model=str(make_model(absolute_z=absolute)))) for absolute in (True, False))
    assert one.networks["model"] != other.networks["model"] and one.networks["weights"] is None
    assert hash_of(PLAN, "s", NOISE, "grid", one) != hash_of(PLAN, "s", NOISE, "grid", other)
