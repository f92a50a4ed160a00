"""Networks of ours from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.stages.networks.own import CONFIG_FILE, OwnNetwork
from ctgrid.stages.weights.bounded import bounded_by
from ctgrid.stages.weights.weights import own_copy, read_folder, read_json

Own = TypeVar("Own", bound=OwnNetwork)
Network = TypeVar("Network", bound=torch.nn.Module)


class Uninitialised(TorchFunctionMode):
    """While it is on, :mod:`torch.nn.init` draws no weights: a third of the time that networks take to build."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass by what would fill a tensor."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if func in _FILLS and "tensor" in kwargs else func(*args, **kwargs)


_FILLS = {init.uniform_, init.normal_, init.constant_, init.kaiming_uniform_}


def load_own(network_class: type[Own], folder: Path, what: str) -> Own:
    """Read a network's ``config.json`` and weights, float32, whatever precision they are kept in.

    Args:
        network_class: its class.
        folder: that ``save_pretrained`` wrote, ours or diffusers'.
        what: how messages call it, such as ``codec``.

    Raises:
        CtgridError: where the config or the weights are missing, unreadable or do not fit each other.
    """
    try:
        config = read_json(folder / CONFIG_FILE)
    except CtgridError as error:
        raise CtgridError(f"{folder}: config.json makes no {what}: {reason_of(error)}") from error
    try:
        tensors = read_folder(folder).tensors
    except CtgridError as error:
        raise CtgridError(f"{folder}: the {what}'s weights could not be read: {reason_of(error)}") from error
    try:
        with torch.device("meta"), Uninitialised(), bounded_by(tensors):  # shapes alone, to be filled
            network = network_class.from_config(config)
    except Exception as error:  # the network has many for a config that makes no sense
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
