"""Latents that a store keeps: which of them training by a recipe reads, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress
from ctgrid.data.stored import StoreSlices, in_parallel
from ctgrid.methods.training.config import load_config
from ctgrid.methods.training.data import Recipe, check_settings, is_video
from ctgrid.methods.training.recipes import GridRecipe, RefineRecipe
from ctgrid.stages.codecs.codecs import Codec
from ctgrid.stages.latents.stored import Of, StoredLatents

if TYPE_CHECKING:
    from ctgrid.data.store import Store


def latents_read(recipe: Recipe) -> tuple[Of, ...]:
    """Return which of a store's latents training by a recipe reads: none where it encodes what it draws.

    Stage 1 draws grids from latents of single cells, unless grids are encoded whole or slices vary. Stage 2's
    conditions are degraded anew for every example, so that only its slices can be encoded ahead.
    """
    if isinstance(recipe, GridRecipe):
        return ("coarse",) if recipe.cell_encoding == "cell" and recipe.variants == 1 and not is_video(recipe) else ()
    return ("slices",) if isinstance(recipe, RefineRecipe) and not is_video(recipe) else ()


def latents_wanted(config: str, store: Store) -> tuple[str, tuple[Of, ...]]:
    """Return the codec that a recipe names, and which latents of a store training by it reads.

    Raises:
        CtgridError: where the recipe cannot be read, or the store was not made for it.
    """
    recipe = load_config(config).recipe
    check_settings(store, recipe)
    return getattr(recipe, "codec", ""), latents_read(recipe)


def stored_latents(
    volumes: Sequence[StoreSlices], codec: Codec, of: Of, progress: Progress
) -> list[StoredLatents] | None:
    """Return the latents that a store keeps of these volumes under a codec, or None where it keeps none.

    Raises:
        CtgridError: where some are stale or missing while others are there.
    """
    latents = [StoredLatents(volume, of, codec.identity) for volume in volumes]
    found = in_parallel(_state_of(of, codec), volumes, "checking latents", progress)
    states = {volume.name: state for volume, state in zip(volumes, found, strict=True)}
    if set(states.values()) == {"missing"}:
        return None
    wrong = [name for name, state in states.items() if state != "ready"]
    if wrong:
        stale = sum(state == "stale" for state in states.values())
        raise CtgridError(
            f"{volumes[0].folder.parent}: latents of {of} are stale for {stale} and missing for "
            f"{len(wrong) - stale} of {len(states)} volumes ({wrong[0]}, for one); make them with ctgrid latents, "
            "or remove them with --clear"
        )
    return latents


def _state_of(of: Of, codec: Codec) -> Any:
    return lambda volume: StoredLatents(volume, of, codec.identity).state()


class CellLatents(Sequence[Any]):
    """Stored latents of coarse slices as volumes to draw grids from: indexed by slice numbers, (m, c, s, s)."""

    def __init__(self, latents: Sequence[StoredLatents]) -> None:
        """Take the volumes' latents."""
        self.latents = latents

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: Any) -> Any:
        return _CellLatentsOf(self.latents[index])


class _CellLatentsOf:
    def __init__(self, latents: StoredLatents) -> None:
        self.latents = latents

    def __len__(self) -> int:
        return len(self.latents.volume)

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.latents.mean(index)
