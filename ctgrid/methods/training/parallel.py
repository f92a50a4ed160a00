"""One network on many devices, replicated (DDP) or sharded (FSDP), read and written as if it lay on one.

The state of a run is always gathered whole, under the parameters' own names: a checkpoint does not know how many
processes made it or whether they shared the weights out, and any other number of them can go on with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.errors import CtgridError


def shard(model: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Share a network's weights out over all processes (fully sharded data parallel), block by block.

    Args:
        model: the network, on ``device``; its ``blocks``, where it has some, are gathered one at a time.
        device: of this process.
        precision: ``no`` or ``bf16``; in bf16 the blocks travel and compute in 16 bits, and gradients are summed
            in 32.

    Raises:
        CtgridError: where only one process runs, or for ``fp16``, whose loss scaling needs whole gradients.
    """
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    if precision == "fp16":
        raise CtgridError("optimisation.sharding 'fsdp' goes with precision 'bf16' or 'no', not 'fp16'")
    if not distributed.is_initialized() or distributed.get_world_size() < 2:
        raise CtgridError(
            "optimisation.sharding 'fsdp' needs two processes or more; start with torchrun or accelerate launch, "
            "or set it to 'none'"
        )
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if precision == "bf16" else None, reduce_dtype=torch.float32
    )
    for block in getattr(model, "blocks", ()):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


def whole(tensor: Tensor) -> Tensor:
    """Return a tensor gathered from its shards, or itself where it has none; a collective call if sharded."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if gather is not None else tensor


def shared_like(tensor: Tensor, model: Tensor) -> Tensor:
    """Return a copy of a whole tensor in the sharding, on the device and in the dtype of another."""
    if not hasattr(model, "full_tensor"):
        return torch.empty_like(model).copy_(tensor)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(model, DTensor)
    return distribute_tensor(tensor.to(model.device, model.dtype), model.device_mesh, model.placements)


class ModelState:
    """A network's weights as one whole ``state_dict`` on the CPU."""

    def __init__(self, model: nn.Module) -> None:
        """Stand for ``model``."""
        self.model = model

    def state_dict(self) -> dict[str, Tensor]:
        """Gather every weight; all processes must call this."""
        return {name: whole(value.detach()).cpu() for name, value in self.model.state_dict().items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over whole weights."""
        here = self.model.state_dict()
        if missing := here.keys() ^ state.keys():
            raise KeyError(f"weights differ in {', '.join(sorted(missing)[:3])}")
        self.model.load_state_dict({name: shared_like(state[name], value) for name, value in here.items()})


class OptimizerState:
    """An optimizer's state by the names of the parameters."""

    def __init__(self, model: nn.Module, optimizer: Any) -> None:
        """Stand for the optimizer of ``model``, wrapped by accelerate or not."""
        self.optimizer: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
        trained = {parameter for group in self.optimizer.param_groups for parameter in group["params"]}
        self.parameters = {name: value for name, value in model.named_parameters() if value in trained}

    def state_dict(self) -> dict[str, Any]:
        """Gather the moments of every parameter; all processes must call this."""
        state = self.optimizer.state
        moments = {
            name: {key: whole(value).cpu() for key, value in state[parameter].items()}
            for name, parameter in self.parameters.items()
            if parameter in state
        }
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        return {"moments": moments, "groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over whole moments."""
        for group, saved in zip(self.optimizer.param_groups, state["groups"], strict=True):
            group.update(saved)
        fused = bool(self.optimizer.param_groups[0].get("fused"))  # its step counters lie beside the weights
        for name, parameter in self.parameters.items():
            if name in state["moments"]:
                moments = dict(state["moments"][name])
                step = moments.pop("step", None)  # orthogonalised momentum counts none
                kept = {key: shared_like(value, parameter.detach()) for key, value in moments.items()}
                if step is not None:
                    kept["step"] = step.to(parameter.device if fused else "cpu", torch.float32, copy=True)
                self.optimizer.state[parameter] = kept


def averaged_state(model: nn.Module, model_state: dict[str, Tensor], average: dict[str, Any]) -> dict[str, Tensor]:
    """Return whole weights with the parameters replaced by their averages; buffers stay.

    Args:
        model: gives the parameters' names and their order.
        model_state: what :class:`ModelState` gathered.
        average: what :class:`~ctgrid.methods.training.average.Average` gathered.
    """
    names = [name for name, _ in model.named_parameters()]
    return {**model_state, **dict(zip(names, average["shadow_params"], strict=True))}
