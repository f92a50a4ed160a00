"""What tests of training on a store share: its volumes, recipes of its sizes, and opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctgrid.data.store import Store
from ctgrid.methods.training.data import Selection, open_data
from ctgrid.methods.training.recipes import GridRecipe
from ctgrid.methods.training.volumes import TrainingData

NAMES = ("train_1_a_1", "train_1_b_1", "train_2_a_1", "valid_3_a_1")
NETWORK = {"patch_size": 2, "width": 32, "depth": 1, "heads": 2, "learned_variance": False}
SIZES: dict[str, Any] = {"network": NETWORK, "size": 64, "slices": 24}


def opened(store: Store, recipe: Any) -> TrainingData:
    """Open a whole store."""
    return open_data(Selection(store.path), recipe)


def grid_recipe(tiny_model: Path, **changes: Any) -> GridRecipe:
    """Return a recipe of stage 1 for the store."""
    return GridRecipe(codec=str(tiny_model / "codec"), **({**SIZES, "cell_encoding": "cell"} | changes))
