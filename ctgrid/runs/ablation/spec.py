"""What an ablation is: a base recipe, its variants, and how their samples are made and measured; read from YAML."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ctgrid.base.causes import reading
from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant, unknown
from ctgrid.base.keys import first_problem
from ctgrid.methods.training.config import TrainConfig, load_config
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.stages.orders import Order
from ctgrid.stages.schedules import SamplingPlan, plan_grids


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sampling(_Frozen):
    """How coarse volumes are sampled from stage 1."""

    schedule: Order = "autoregressive"
    control_rows: int | None = Field(None, gt=0, description="rows carried over; None takes half of a grid")
    interpolate: bool = Field(False, description="Algorithm 2 fills in between what Algorithm 1 made")
    slices: int | None = Field(None, gt=1, description="slices of a sample; None takes the recipe's")
    steps: int = Field(12, gt=0, description="network calls per grid, DPM-Solver++")
    samples: int = Field(6, gt=0, description="volumes per seed")
    batch_size: int = Field(8, gt=0, description="grids at once")

    def count(self, slices: int) -> int:
        """Return the slices of a sample of a model of so many."""
        return min(self.slices or slices, slices)

    def plan(self, slices: int, k: int) -> SamplingPlan:
        """Return the grids of a sample of a model of so many slices, pass by pass.

        Raises:
            CtgridError: for control rows that do not fit K.
        """
        rows = self.control_rows or k // 2
        return plan_grids(
            self.schedule, self.count(slices), k, control_rows=rows, interpolate=self.interpolate, mend=False
        )


class Measuring(_Frozen):
    """How samples are compared with held-out volumes."""

    side_px: int = Field(64, gt=0, description="all slices are brought to this size first")
    feature_slices: int = Field(24, gt=1, description="slices of a volume whose features are compared, evenly spaced")
    loss_examples: int = Field(128, gt=0, description="grids of the validation loss, with equal noise")


class Refinement(_Frozen):
    """Stage 2 behind every variant's stage 1, trained on the same patients; what is compared are its slices."""

    base: str = Field("ablation-stage2", description="shipped recipe of stage 2, or a file")
    set: dict[str, Any] = Field(default_factory=dict, description="dotted keys of that recipe to values")
    steps: int = Field(2, gt=0, description="network calls per slice")


SHARED = ("codec", "size", "k", "scale", "slices", "fov_mm")
"""Keys of stage 1's recipe that its stage 2 has too."""


class Variant(_Frozen):
    """One way to do it.

    Attributes:
        name: of its folder and rows.
        says: what it is, in a few words.
        set: dotted keys of the recipe to values; equal ones share a trained model.
        sampling: keys of :class:`Sampling` to values.
        fraction: percent of the training patients; None takes all.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    says: str
    set: dict[str, Any] = Field(default_factory=dict)
    sampling: dict[str, Any] = Field(default_factory=dict)
    fraction: float | None = Field(None, gt=0, le=100)


class Ablation(_Frozen):
    """A question, the ways to answer it, and what they have in common.

    Attributes:
        title: of the report.
        question: one or two sentences.
        note: what to keep in mind when reading the figures.
        base: shipped recipe of stage 1, or a file.
        set: dotted keys of the recipe to values, of all variants.
        sampling: of all variants.
        measuring: likewise.
        refinement: stage 2 of every variant; None compares coarse slices.
        seeds: trainings of each variant.
        patients_by_seed: shares of the patients are others under every seed, so that the spread over seeds holds the
            spread over who is in them; smaller shares lie inside larger ones of the same seed.
        first: the command that makes what a variant needs, said where it is missing; none for most.
        variants: at least two.
    """

    title: str
    question: str
    note: str = ""
    base: str = "ablation-stage1"
    set: dict[str, Any] = Field(default_factory=dict)
    sampling: Sampling = Field(default_factory=lambda: Sampling.model_validate({}))
    measuring: Measuring = Field(default_factory=lambda: Measuring.model_validate({}))
    refinement: Refinement | None = None
    seeds: int = Field(2, gt=0)
    patients_by_seed: bool = False
    first: str = ""
    variants: tuple[Variant, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _names_differ(self) -> Ablation:
        names = [variant.name for variant in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"two variants have one name: {', '.join(names)}")
        return self

    def recipe(self, variant: Variant, overrides: dict[str, Any] | None = None) -> TrainConfig:
        """Return a variant's whole recipe.

        Args:
            variant: one of the ablation's.
            overrides: dotted keys that replace the ablation's and the variant's; ``NAME:KEY`` those of one variant.

        Raises:
            CtgridError: for unknown keys or variants, or numbers that do not fit.
        """  # noqa: DOC501
        found: dict[str, Any] = {}
        for key, value in (overrides or {}).items():
            name, colon, own = key.rpartition(":")
            if colon and name not in {each.name for each in self.variants}:
                raise unknown(name, "variant", [each.name for each in self.variants])
            if name in ("", variant.name):
                found[own] = value
        return load_config(self.base, "stage1", {**self.set, **variant.set, **found})

    def refiner(self, grid: GridRecipe) -> TrainConfig | None:
        """Return the recipe of the stage 2 that belongs to a stage 1; None where coarse slices are compared.

        Raises:
            CtgridError: for unknown keys, or numbers that do not fit.
        """
        if self.refinement is None:
            return None
        shared = {f"stage2.{key}": getattr(grid, key) for key in SHARED}
        return load_config(self.refinement.base, "stage2", {**shared, **self.refinement.set})

    def sampling_of(self, variant: Variant) -> Sampling:
        """Return how a variant is sampled."""
        return Sampling.model_validate({**self.sampling.model_dump(), **variant.sampling})

    def owner(self, variant: Variant) -> str:
        """Return the first variant that is trained alike: both share its model."""
        return next(v.name for v in self.variants if (v.set, v.fraction) == (variant.set, variant.fraction))


def grid_of(recipe: TrainConfig) -> GridRecipe:
    """Return the part of a stage 1's recipe that says what is trained."""
    assert isinstance(recipe.recipe, GridRecipe)
    return recipe.recipe


def shipped_ablations() -> list[str]:
    """Return the names of the ablations that come with ctgrid, sorted."""
    folder = files("ctgrid_configs") / "ablations"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_ablation(name: str | Path) -> Ablation:
    """Read an ablation by its shipped name, or from a YAML file.

    Raises:
        CtgridError: unknown name, unreadable YAML, unknown or wrong keys, or a variant whose recipe does not fit.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        text = text_of(path, "an ablation")
    elif str(name) in shipped_ablations():
        text = (files("ctgrid_configs") / "ablations" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        known = f"{', '.join(shipped_ablations())}{meant(name, shipped_ablations())}"
        raise CtgridError(f"ablation {str(name)!r} is neither a YAML file nor one of {known}")
    values = parsed_yaml(text, name)
    if not isinstance(values, dict):
        raise CtgridError(f"{name}: an ablation is a mapping of keys to values, got {type(values).__name__}")
    with reading(name, "an ablation"):
        try:
            ablation = Ablation.model_validate(values)
            for variant in ablation.variants:
                ablation.sampling_of(variant)
        except ValidationError as error:
            raise CtgridError(f"{name}: {first_problem(error, Ablation)}") from error
    return ablation
