"""Networks of ours from folders in diffusers' layout, without its loading machinery, which takes a second to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.stages.weights.bounded import bounded_by
from ctgrid.stages.weights.weights import own_copy, read_folder

Network = TypeVar("Network", bound=torch.nn.Module)


def load_own(network_class: type[Network], folder: Path, what: str) -> Network:
    """Read a network's ``config.json`` and weights, float32, whatever precision they are kept in.

    Args:
        network_class: a ``ModelMixin`` with ``ConfigMixin``.
        folder: that ``save_pretrained`` wrote.
        what: how messages call it, such as ``codec``.

    Raises:
        CtgridError: where the config or the weights are missing, unreadable or do not fit each other.
    """
    own: Any = network_class
    try:
        config = own.load_config(folder, local_files_only=True)
    except Exception as error:  # diffusers has many for a config that makes no sense
        raise CtgridError(f"{folder}: config.json makes no {what}: {reason_of(error)}") from error
    try:
        tensors = read_folder(folder).tensors
    except CtgridError as error:
        raise CtgridError(f"{folder}: the {what}'s weights could not be read: {reason_of(error)}") from error
    try:
        with torch.device("meta"), bounded_by(tensors):  # shapes alone: initial weights would be thrown away
            network: Network = own.from_config(config)
    except Exception as error:  # the network has many too
        raise CtgridError(f"{folder}: config.json makes no {what}: {reason_of(error)}") from error
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    if missing:
        raise CtgridError(f"{folder}: the weights lack {len(missing)} of the {what}'s tensors, such as {missing[0]}")
    wrong = sorted(name for name, tensor in tensors.items() if name not in wanted or wanted[name].shape != tensor.shape)
    if wrong:
        raise CtgridError(f"{folder}: {len(wrong)} tensors do not fit the {what}'s config.json, such as {wrong[0]}")
    network.load_state_dict({name: own_copy(tensor) for name, tensor in tensors.items()}, assign=True)
    return network.eval()


def moved(network: Network, *where: Any, **how: Any) -> Network:
    """Move a network as :meth:`torch.nn.Module.to` does; diffusers' own ``to`` imports torch's compiler for it."""
    return torch.nn.Module.to(network, *where, **how)
