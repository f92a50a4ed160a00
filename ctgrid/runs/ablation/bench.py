"""What the variants of an ablation share, and what is done with each of them: train, sample, measure."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ctgrid.base.devices import choose_device
from ctgrid.base.documents import plain
from ctgrid.base.files import atomic_output
from ctgrid.base.progress import Progress
from ctgrid.methods.training.config import TrainConfig
from ctgrid.methods.training.data import TrainingData
from ctgrid.methods.training.facts import facts
from ctgrid.methods.training.run import Opened, make_task, train
from ctgrid.methods.training.settled import settled
from ctgrid.runs.ablation.data import Volumes, shown_hu
from ctgrid.runs.ablation.measures import Reference, held_out_loss
from ctgrid.runs.ablation.samples import joints, sample_volumes, through_codec, trained_stages
from ctgrid.runs.ablation.spec import Ablation, Variant, grid_of
from ctgrid.runs.ablation.summary import reference_row, summary_of
from ctgrid.stages.codecs.codecs import load_codec
from ctgrid.stages.models.bundle import Bundle

SAMPLE_SEEDS = 1000
"""Seeds of samples of one training seed; the same for every variant."""


@dataclass(frozen=True)
class VariantBench:
    """All that the variants of an ablation share.

    Attributes:
        ablation: what is asked.
        volumes: real ones.
        reference: what samples are compared with.
        features: name of the features that are compared.
        out: the ablation's folder.
        max_steps: of every training.
        progress: called with (phase, done, total).
        device: where samples are drawn and compared.
        codec_rows: what :meth:`codec_alone` found already.
    """

    ablation: Ablation
    volumes: Volumes
    reference: Reference
    features: str
    out: Path
    max_steps: int | None
    progress: Progress
    device: torch.device
    codec_rows: dict[tuple[int, str, str], dict[str, float]] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        ablation: Ablation,
        recipe: TrainConfig,
        volumes: Volumes,
        out: Path,
        max_steps: int | None,
        progress: Progress,
    ) -> VariantBench:
        """Make the folders, and show the real volumes as samples are shown."""
        from ctgrid.runs.evaluation.fidelity.features import EmbeddedFeatures

        for folder in (out, out / "cache", out / "runs", out / "samples"):
            folder.mkdir(exist_ok=True)
        grid = grid_of(recipe)
        side = ablation.measuring.side_px
        held_out, training = (shown_hu(part, grid, side) for part in (volumes.held_out, volumes.training))
        extent_mm = facts(grid, volumes.taken(None)).extent_mm or 0.0
        device = choose_device("auto")
        features = EmbeddedFeatures(device=device)
        reference = Reference(held_out, training, extent_mm, ablation.measuring, features.slices)
        save_sample(out, "held-out", held_out[0])
        return cls(ablation, volumes, reference, features.name, out, max_steps, progress, device)

    @cached_property
    def real(self) -> dict[str, Any]:
        """What real volumes get; taken once for all rows."""
        return reference_row(self.reference)

    def taken(self, variant: Variant, seed: int) -> TrainingData:
        """Return what a variant is trained on under a seed."""
        return self.volumes.taken(variant.fraction, seed if self.ablation.patients_by_seed else 0)

    def case(self, variant: Variant, recipe: TrainConfig, seed: int) -> str:
        """Return a hash of all that a row depends on."""
        content = {
            "recipe": recipe.model_dump(mode="json"),
            "codec": load_codec(grid_of(recipe).codec).identity,
            "seed": seed,
            "max_steps": self.max_steps,
            "fraction": variant.fraction,
            "sampling": self.ablation.sampling_of(variant).model_dump(),
            "measuring": self.ablation.measuring.model_dump(),
            "features": self.features,
            "training": sorted(v.name for v in self.volumes.training),
            "volumes": self.volumes.digests,
        }
        refiner = self.ablation.refiner(grid_of(recipe))
        if refiner is not None and self.ablation.refinement is not None:
            content["refinement"] = [refiner.model_dump(mode="json"), self.ablation.refinement.steps]
        if self.ablation.patients_by_seed:
            content["taken"] = self.taken(variant, seed).names
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def row(self, variant: Variant, recipe: TrainConfig, seed: int, case: str) -> dict[str, Any]:
        """Train a variant under a seed, sample it and measure; a model that is there already is not trained again."""
        name = f"{variant.name}-seed{seed}"

        def progress(phase: str, done: int, total: int) -> None:
            self.progress(f"{variant.name}, seed {seed}: {phase}", done, total)

        run, trained_here = self.trained(variant, seed, recipe, progress)
        sampling, side = self.ablation.sampling_of(variant), self.ablation.measuring.side_px
        second = self.refined(variant, seed, recipe, progress)
        codec = load_codec(grid_of(recipe).codec).to(self.device)
        bundle = trained_stages(run / "model", codec, None if second is None else second / "model")
        started = time.perf_counter()
        made = sample_volumes(
            bundle,
            sampling,
            [SAMPLE_SEEDS * seed + i for i in range(sampling.samples)],
            side,
            progress,
            None if self.ablation.refinement is None else self.ablation.refinement.steps,
        )
        sample_seconds = time.perf_counter() - started
        save_sample(self.out, name, made[0])
        progress("measuring", 0, 1)
        facts1 = bundle.facts1
        held_out = make_task(settled(recipe, self.device, run), self.volumes.kept_back(), self.out / "cache", progress)
        loss = held_out_loss(held_out, bundle.stage1, self.ablation.measuring.loss_examples)
        return dict(
            plain(
                {
                    "variant": variant.name,
                    "seed": seed,
                    "case": case,
                    "model": run.name,
                    **({} if second is None else {"stage2": second.name}),
                    **self.reference.measure(
                        made, joints(sampling.plan(facts1.slices, facts1.k), sampling.count(facts1.slices))
                    ),
                    "loss": loss,
                    **self.codec_alone(bundle),
                    "parameters": sum(p.numel() for p in bundle.stage1.parameters()),
                    "tokens": (bundle.stage1.latent_size // bundle.stage1.patch_size) ** 2,
                    "passes": len(sampling.plan(facts1.slices, facts1.k)),
                    "training_patients": len(self.taken(variant, seed).names),
                    "trained_on": self.taken(variant, seed).names,
                    "steps": log_of(run)[-1]["step"],
                    "train_seconds": round(sum(s["seconds"] for s in log_of(run)), 1) if trained_here else None,
                    "sample_seconds": round(sample_seconds, 1),
                }
            )
        )

    def trained(self, variant: Variant, seed: int, recipe: TrainConfig, progress: Progress) -> tuple[Path, bool]:
        """Return the run of a trained model, and whether it is the variant's own rather than shared."""
        owner = self.ablation.owner(variant)
        return self._trained("stage1", f"{owner}-seed{seed}", owner == variant.name, variant, seed, recipe, progress)

    def refined(self, variant: Variant, seed: int, recipe: TrainConfig, progress: Progress) -> Path | None:
        """Return the run of the stage 2 behind a variant's stage 1, trained here; None where slices stay coarse."""
        refiner, owner = self.ablation.refiner(grid_of(recipe)), self.ablation.owner(variant)
        if refiner is None:
            return None
        name, own = f"{owner}-stage2-seed{seed}", owner == variant.name
        return self._trained("stage2", name, own, variant, seed, refiner, progress)[0]

    def _trained(
        self,
        kind: Literal["stage1", "stage2"],
        name: str,
        own: bool,
        variant: Variant,
        seed: int,
        recipe: TrainConfig,
        progress: Progress,
    ) -> tuple[Path, bool]:
        """Train under a name, or go on; a model of another variant that is there already is taken as it is."""
        run = self.out / "runs" / name
        if not own and (run / "model").is_dir():
            return run, False
        opened = Opened(self.taken(variant, seed), None, self.out / "cache", recipe.seed)
        config = self.out / "runs" / f"{name}.yaml"
        config.write_text(recipe.model_dump_json(indent=1) + "\n", encoding="utf-8")  # JSON is YAML
        train(
            kind,
            config,
            self.volumes.path,
            run,
            resume=(run / "checkpoints").exists(),
            max_steps=self.max_steps,
            seed=recipe.seed + seed,
            opened=opened,
            progress=progress,
        )
        return run, True

    def codec_alone(self, bundle: Bundle) -> dict[str, float]:
        """Return the distances of held-out slices that were only shrunk and sent through the codec."""
        kind = (bundle.facts1.k, bundle.facts1.cell_encoding, bundle.codec.identity)
        if kind in self.codec_rows:
            return self.codec_rows[kind]
        passed = through_codec(bundle, self.volumes.held_out, self.ablation.measuring.side_px)
        found = self.reference.distances(self.reference.features_of(passed))
        self.codec_rows[kind] = {f"codec_{key}": value for key, value in found.items()}
        return self.codec_rows[kind]

    def results(self, name: str, rows: Sequence[dict[str, Any]], seeds: int | None) -> dict[str, Any]:
        """Return what is written: rows, their summary by variant, and what real volumes would get."""
        ablation = self.ablation
        if seeds is not None:
            ablation = ablation.model_copy(update={"seeds": seeds})
        return dict(
            plain(
                {
                    "kind": "ablation",
                    "name": Path(name).stem,
                    **ablation.model_dump(exclude={"measuring", "sampling", "set"}),
                    "set": ablation.set,
                    "sampling": ablation.sampling.model_dump(),
                    "measuring": ablation.measuring.model_dump(),
                    "features": self.features,
                    "max_steps": self.max_steps,
                    "complete": len(rows) == ablation.seeds * len(ablation.variants),
                    "training": [v.name for v in self.volumes.training],
                    "held_out": [v.name for v in self.volumes.held_out],
                    "reference": self.real,
                    "summary": summary_of(rows, [v.name for v in ablation.variants]),
                    "rows": list(rows),
                }
            )
        )


def log_of(run: Path) -> list[dict[str, Any]]:
    """Return what a run wrote down of each step, those before it was stopped included."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def save_sample(out: Path, name: str, hu: np.ndarray) -> None:
    """Keep one volume (n, s, s) int16 HU for the picture."""
    with atomic_output(out / "samples" / f"{name}.npz", overwrite=True) as temporary:
        np.savez_compressed(temporary, hu=hu)
