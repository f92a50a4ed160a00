"""Training recipes: frozen, checked, and read from YAML."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ctgrid.base.causes import reading
from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.families import meant
from ctgrid.base.keys import first_problem
from ctgrid.methods.training.optimisation import Monitor, Optimisation, Validation
from ctgrid.methods.training.recipes import (
    CodecRecipe,
    DetailRecipe,
    Frozen,
    GridRecipe,
    RefineRecipe,
)

Kind = Literal["codec", "stage1", "stage2", "detail"]

MOST_EXTENDS = 20

MOST_SEED = 2**32 - 1
"""NumPy takes no larger one."""


class TrainConfig(Frozen):
    """A whole recipe: what is trained, on what, and how."""

    kind: Kind
    seed: int = Field(0, ge=0, le=MOST_SEED)
    optimisation: Optimisation
    validation: Validation = Field(default_factory=lambda: Validation.model_validate({}))
    monitor: Monitor = Field(default_factory=lambda: Monitor.model_validate({}))
    codec: CodecRecipe | None = None
    stage1: GridRecipe | None = None
    stage2: RefineRecipe | None = None
    detail: DetailRecipe | None = None
    exclude: tuple[str, ...] = Field((), description="volumes left out: names without suffix")

    @property
    def recipe(self) -> CodecRecipe | GridRecipe | RefineRecipe | DetailRecipe:
        """The part that belongs to ``kind``, with its defaults where the file leaves it out."""
        part = getattr(self, self.kind)
        if part is not None:
            return part
        parts = {"codec": CodecRecipe, "stage1": GridRecipe, "stage2": RefineRecipe, "detail": DetailRecipe}
        return parts[self.kind]()


def read_recipe(name: str | Path) -> str:
    """Return the YAML text of a shipped recipe or of a file.

    Raises:
        CtgridError: for an unknown name or an unreadable file.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return text_of(path, "a recipe")
    shipped = {f.name.removesuffix(".yaml"): f for f in files("ctgrid_configs").iterdir() if ".yaml" in f.name}
    if str(name) not in shipped:
        known = f"{', '.join(sorted(shipped))}{meant(name, shipped)}"
        raise CtgridError(f"config {str(name)!r} is neither a file nor a shipped name; shipped: {known}")
    return shipped[str(name)].read_text(encoding="utf-8")


def read_values(name: str | Path, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a recipe's keys, those of the recipe that it ``extends`` underneath.

    Raises:
        CtgridError: unknown name, not YAML, not a mapping, or a circle of recipes.
    """
    if str(name) in seen:
        raise CtgridError(f"{name}: recipes extend each other in a circle: {' -> '.join((*seen, str(name)))}")
    values = parsed_yaml(read_recipe(name), name)
    if not isinstance(values, dict):
        raise CtgridError(f"{name}: a config is a mapping of keys to values, got {type(values).__name__}")
    base = values.pop("extends", None)
    if len(seen) > MOST_EXTENDS:
        raise CtgridError(f"{name}: recipes extend each other more than {MOST_EXTENDS} deep")
    return values if base is None else _merged(read_values(str(base), (*seen, str(name))), values)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, group by group."""
    both = {k: _merged(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **over, **both}


def load_config(name: str | Path, kind: Kind | None = None, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a recipe by shipped name (``embedded-codec``) or from a YAML file.

    A recipe may say ``extends: NAME`` and hold only what differs from that one.

    Args:
        name: a name in the shipped ``configs/`` or a path to a YAML file.
        kind: what the command trains; must agree with the file's ``kind``.
        overrides: dotted keys to new values, for example ``{"optimisation.steps": 10}``.

    Raises:
        CtgridError: unknown name, unreadable YAML, unknown or wrong keys.
    """
    values = read_values(name)
    for key, value in (overrides or {}).items():
        *parents, leaf = key.split(".")
        group: Any = values
        for parent in parents:
            group = group.setdefault(parent, {})
            if not isinstance(group, dict):
                raise CtgridError(f"{name}: cannot set {key!r}: {parent!r} is not a group of keys")
        group[leaf] = value
    with reading(name, "a recipe"):
        try:
            config = TrainConfig.model_validate(values)
        except ValidationError as error:
            raise CtgridError(f"{name}: {first_problem(error, TrainConfig)}") from error
    if kind is not None and config.kind != kind:
        raise CtgridError(
            f"{name}: this config trains {config.kind!r}, not {kind!r}; choose the matching command or config"
        )
    return config
