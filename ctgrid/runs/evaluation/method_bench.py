"""Denoising methods loaded once, run and timed; what their results depend on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ctgrid.base.machine import version_of
from ctgrid.base.record import fingerprint
from ctgrid.methods.denoising.choice import Choice
from ctgrid.methods.denoising.diffusion import ALL_FROM_HU, NONE_BELOW_HU, diffusion_identity
from ctgrid.methods.denoising.methods import Loading
from ctgrid.methods.denoising.result import Denoiser
from ctgrid.methods.denoising.trust.maps import table_hash
from ctgrid.runs.evaluation.denoising_plan import NOISY, Evaluation
from ctgrid.runs.evaluation.noise import Noise
from ctgrid.runs.evaluation.outside import case_name, result_of
from ctgrid.runs.evaluation.results import case_hash
from ctgrid.scan.volume import Volume

PROTOCOL = "denoising@2"
"""Version of what is measured; part of every case's hash. 2: every method goes by the noise of the whole scan."""


@dataclass
class MethodBench:
    """Methods that were loaded, each once."""

    loading: Loading
    loaded: dict[str, Denoiser] = field(default_factory=dict)

    @cached_property
    def networks(self) -> dict[str, Any]:
        """What a network's result depends on: files, precision, ctgrid's version and its settings of diffusion."""
        from ctgrid.stages.models.bundle import digest_of_model

        weights = self.loading.weights
        return {
            "loading": asdict(self.loading),
            "version": version_of("ctgrid"),
            "diffusion": diffusion_identity() | {"prior_hu": [NONE_BELOW_HU, ALL_FROM_HU]},
            "model": digest_of_model(self.loading.model),
            "weights": None if weights is None else fingerprint(weights)["sha256"],
        }

    def load(self, names: Iterable[str]) -> None:
        """Load methods, before anything is written."""
        for choice in (Choice.parse(name) for name in names if name != NOISY):
            if choice.name not in self.loaded:
                self.loaded[choice.name] = choice.method.load(self.loading)

    def timed(
        self,
        name: str,
        scan: Volume,
        strength: float | Literal["auto"],
        seed: int,
        only: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, float, float]:
        """Return a loaded method's result in HU, the noise that it assumed, and the seconds it took.

        Args:
            name: of the method, with settings.
            scan: what it sees.
            strength: the noise that it is told.
            seed: where it draws numbers.
            only: numbers of the slices to finish, where the method can leave others out.
        """
        choice = Choice.parse(name)
        given = {"seed": seed, "only": only} if only is not None else {"seed": seed}
        extra = {key: value for key, value in given.items() if key in choice.method.keywords}
        started = time.perf_counter()
        result = self.loaded[choice.name].run(scan, strength, **{**extra, **choice.settings})
        return result.volume.hu, result.noise_hu, time.perf_counter() - started


def hash_of(plan: Evaluation, source: str, noise: Noise, method: str, bench: MethodBench, scan: str = "") -> str:
    """Return the hash of what determines a case: protocol, scan, slices, noise, method and what it was told."""
    facts: dict[str, Any] = {"protocol": PROTOCOL, "source": source, "hu": plan.hu, "slices": plan.slices}
    facts |= {"seed": plan.seed, "noise": str(noise), "method": method}
    if method in plan.outside:
        facts["result"] = fingerprint(result_of(plan.outside[method], case_name(scan, str(noise))))["sha256"]
    elif method != NOISY:
        facts["strength"] = plan.strength
        if plan.trust:
            facts["trust"] = table_hash(plan.loading.model)
        choice = Choice.parse(method)
        if choice.method.classical:
            from ctgrid.methods.denoising.baselines.classical import CLASSICAL

            facts["tuned"] = CLASSICAL[choice.name].tuned
        else:
            facts |= bench.networks
    return case_hash(**facts)
