"""Several sets of weights in one file: the raw ones and their moving average (EMA), told apart by what stands before
the names of the network's tensors.

Training scripts keep them as mappings (``model``, ``ema``, ``state_dict_ema``) or flat, behind prefixes
(``model.``, ``ema_model.``, ``model_ema.``, ``ema.module.``). Each occurrence of the network's first tensor is a set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ctgrid.base.errors import CtgridError
from ctgrid.stages.weights.published import PATCHES

_AVERAGED = re.compile(r"(^|[._])(ema|averaged|swa)\d*([._]|$)")
_RAW = re.compile(r"(^|[._])online([._]|$)")
Tensors = dict[str, Tensor]


def choose_set(
    path: Path, content: Mapping[Any, Any], wanted: str | None
) -> tuple[Tensors, str, tuple[str, ...]] | None:
    """Return the wanted one of several sets of weights, or None where there are not several.

    Args:
        path: the file, for messages.
        content: names to tensors, or to mappings of names to tensors.
        wanted: ``ema`` or ``model``; None takes ``ema`` where there is one.

    Returns:
        The tensors without what stands before their names, the set's name, and the names of all.

    Raises:
        CtgridError: several sets that cannot be told apart, or an average in a form that is not known.
    """
    flat = _flat(content)
    prefixes = [name.removesuffix(PATCHES) for name in flat if name == PATCHES or name.endswith(f".{PATCHES}")]
    sets: dict[str, list[tuple[str, Tensors]]] = {"ema": [], "model": []}
    for prefix in prefixes:
        longer = tuple(other for other in prefixes if other != prefix and other.startswith(prefix))
        tensors = {
            n.removeprefix(prefix): t for n, t in flat.items() if n.startswith(prefix) and not n.startswith(longer)
        }
        sets["ema" if _is_average(prefix) else "model"].append((prefix, tensors))
    listed = [str(key) for key, value in content.items() if _is_average(str(key)) and _holds_list(value)]
    if listed and sets["model"] and not sets["ema"] and wanted != "model":
        raise CtgridError(
            f"{path}: keeps its moving average as a list without names ({listed[0]}), which cannot be read here; save "
            "the averaged weights alone, or take the raw ones with --weights model"
        )
    if not sets["ema"] and len(sets["model"]) == 1:
        sets["ema"] = _dotless(path, flat, *sets["model"][0], refuse=wanted != "model")
    if sum(map(len, sets.values())) < 2:
        return None
    name = wanted if wanted in sets else ("ema" if sets["ema"] else "model")
    held = ", ".join(repr(prefix or "no prefix") for found in sets.values() for prefix, _ in found)
    if len(sets[name]) != 1:
        raise CtgridError(
            f"{path}: holds {sum(map(len, sets.values()))} sets of weights (under {held}), {len(sets[name])} of them "
            f"{'moving averages' if name == 'ema' else 'raw'}; save the one that is wanted alone, or choose --weights"
        )
    return sets[name][0][1], name, tuple(key for key, found in sets.items() if found)


def _flat(content: Mapping[Any, Any]) -> Tensors:
    flat: Tensors = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            flat[str(key)] = value
        elif isinstance(value, Mapping):
            flat |= {f"{key}.{name}": tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    return flat


def _holds_list(value: Any) -> bool:
    inside = value.values() if isinstance(value, Mapping) else [value]
    return any(isinstance(item, list) and any(isinstance(t, Tensor) for t in item) for item in inside)


def _is_average(prefix: str) -> bool:
    return bool(_AVERAGED.search(prefix)) and not _RAW.search(prefix)


def _dotless(path: Path, flat: Tensors, prefix: str, raw: Tensors, refuse: bool) -> list[tuple[str, Tensors]]:
    """Find an average kept under names without dots, as latent diffusion's code does; what it lacks is not trained."""
    others = {name: t for name, t in flat.items() if _is_average(name) and not name.startswith(prefix or "\0")}
    averaged = {name: t for name, t in others.items() if t.numel() > 1}
    if not averaged:
        return []
    full = {name.replace(".", ""): name for name in raw}
    start = next((name[: -len(dotless)] for dotless in full for name in averaged if name.endswith(f".{dotless}")), None)
    tensors = (
        {full[name.removeprefix(start)]: t for name, t in averaged.items() if name.removeprefix(start) in full}
        if start
        else {}
    )
    if start is not None and len(tensors) == len(averaged):
        return [(start, {**raw, **tensors})]
    if refuse:
        raise CtgridError(
            f"{path}: holds {len(averaged)} tensors of a moving average ({next(iter(averaged))}, …) in a form that is "
            "not known; save the averaged weights alone, or take the raw ones with --weights model"
        )
    return []
