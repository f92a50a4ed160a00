"""What is asked of ``ctgrid train``, ``plan`` and ``ablation`` beside the recipe: in Python and on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import OUTPUT, WHAT, WHERE
from ctgrid.scan.reading import Metadata


def read_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``key=value`` of recipes, the values as YAML.

    Raises:
        CtgridError: for what is not so.
    """
    import yaml

    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise CtgridError(f"--set: {text!r} is not KEY=VALUE")
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise CtgridError(f"--set: {text!r}: the value is not YAML") from None
    return found


class Overriding(Checked):
    """Settings with ``overrides`` of a recipe."""

    overrides: Any

    def __post_init__(self) -> None:
        """Refuse what is no change of a recipe."""
        super().__post_init__()
        read_overrides(self.overrides)


Config = Annotated[str | None, Setting("The recipe; embedded-KIND if not given.", metavar="NAME|FILE", panel=WHAT)]


@dataclass(frozen=True)
class TrainSettings(Overriding):
    """How a training run goes; see :func:`ctgrid.methods.training.run.train`.

    Attributes:
        config: a shipped recipe's name or a YAML file; None is ``embedded-KIND``.
        init: weights to start from.
        metadata: tables of the collection.
        max_steps: in place of the recipe's.
        seed: likewise.
        resume: go on from the newest checkpoint.
        split: only the volumes of a part.
        fraction: percent of the patients.
        overrides: ``key=value`` of the recipe.
        gray: of videos, luma in place of colour.
    """

    config: Config = None
    init: Annotated[
        str | None,
        Setting(
            "Start from these: DiT or GriDiT .pt, a model, run or diffusers folder; the recipe's KIND.start.",
            metavar="WEIGHTS",
        ),
    ] = None
    metadata: Metadata = ()
    max_steps: Annotated[int | None, Setting("Instead of the recipe's steps.", least=1)] = None
    seed: Annotated[int | None, Setting("Instead of the recipe's seed.", least=0, most=2**32 - 1)] = None
    resume: Annotated[bool, Setting("Go on from the run's newest checkpoint.", panel=OUTPUT)] = False
    split: Annotated[
        str | None, Setting("Only these volumes; also FILE.txt, ct-rate:train.", metavar="FILE:PART", panel=WHAT)
    ] = None
    fraction: Annotated[
        float | None, Setting("Only so many of the patients; 10 are among the 60.", metavar="PERCENT", panel=WHAT)
    ] = None
    overrides: Annotated[
        tuple[str, ...],
        Setting("Change the recipe, such as optimisation.steps=100.", metavar="KEY=VALUE", flag="--set"),
    ] = ()
    gray: Annotated[bool, Setting("Video recipes: luma instead of colour.")] = False


@dataclass(frozen=True)
class PlanSettings(Overriding):
    """Of which recipe is foretold what it takes, and where it will run.

    Attributes:
        config: a shipped recipe's name or a YAML file.
        processes: that share the work.
        flops_per_second: what one sustains; None measures it here.
        overrides: ``key=value`` of the recipe.
    """

    config: Annotated[str, Setting("The recipe.", metavar="NAME|FILE", panel=WHAT)]
    processes: Annotated[int, Setting("Processes that share the work.", least=1, panel=WHERE)] = 1
    flops_per_second: Annotated[
        float | None,
        Setting(
            "What a process sustains on the machine planned for; measured here if not given.",
            metavar="NUMBER",
            panel=WHERE,
        ),
    ] = None
    overrides: Annotated[
        tuple[str, ...],
        Setting("Change the recipe, such as optimisation.batch_size=8.", metavar="KEY=VALUE", flag="--set"),
    ] = ()


@dataclass(frozen=True)
class AblationSettings(Overriding):
    """How an ablation's variants are trained; see :func:`ctgrid.runs.ablation.run.run_ablation`.

    Attributes:
        split: the part trained on; None draws one.
        max_steps: stop each training after so many.
        seeds: trainings of each variant; None takes the ablation's.
        overrides: ``key=value`` of every variant's recipe.
        resume: keep what is done, and go on.
    """

    split: Annotated[
        str | None, Setting("Train on this part, compare with valid; else drawn.", metavar="FILE:train", panel=WHAT)
    ] = None
    max_steps: Annotated[int | None, Setting("Stop each training after so many.", least=1)] = None
    seeds: Annotated[int | None, Setting("Trainings of each variant.", least=1, panel=WHAT)] = None
    overrides: Annotated[
        tuple[str, ...],
        Setting("Change every variant's recipe; as in ctgrid train.", metavar="KEY=VALUE", flag="--set"),
    ] = ()
    resume: Annotated[bool, Setting("Keep what is done in --out, and go on.", panel=OUTPUT)] = False
