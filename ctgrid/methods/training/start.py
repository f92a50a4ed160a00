"""Where training starts from: weights of another network, put into the fresh one as far as they fit.

The paper starts both stages from weights of the stock DiT (A.7.2). What the recipe's network has and the weights lack
keeps its fresh values, what it lacks is passed over, and both are told; a tensor of another shape is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctgrid.base.documents import as_json, dict_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import atomic_output
from ctgrid.base.record import fingerprint
from ctgrid.methods.training.config import Kind
from ctgrid.stages.weights.published import POSITIONS

START_FILE = "start.json"
"""What a run's network was filled with, beside its config."""

SHOWN = 3
"""Names listed in a line."""

SETTINGS = ("cells_per_side", "absolute_z", "z_scale", "frequency_shift", "norm_eps", "mlp_ratio", "skip")
"""Arguments of a DiT that shapes need not show; where they differ from the weights' own, the record says so."""


@dataclass(frozen=True)
class Start:
    """Weights that training starts from, compared with the network that they fill.

    Attributes:
        source: as the recipe names it.
        what: kind of file or folder.
        tensors: those that fill the network, by its names.
        fresh: names of the network's tensors that keep their fresh values.
        superfluous: names of tensors that the network has no place for.
        decisions: what was decided on the way, in words.
        files: path, bytes and SHA-256 of what was read.
    """

    source: str
    what: str
    tensors: Mapping[str, Tensor]
    fresh: tuple[str, ...]
    superfluous: tuple[str, ...] = ()
    decisions: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Mapping[str, Any], ...] = ()

    def fill(self, network: nn.Module) -> None:
        """Copy the weights into a network."""
        state = network.state_dict()
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                state[name].copy_(tensor)

    def line(self) -> str:
        """Return what was filled, left and passed over, in one line."""
        parts = [f"training starts from {self.source} ({self.what}): {len(self.tensors)} tensors filled"]
        for names, meaning in ((self.fresh, "left fresh"), (self.superfluous, "not used")):
            more = ", …" if len(names) > SHOWN else ""
            parts += [f"{len(names)} {meaning} ({', '.join(names[:SHOWN])}{more})"] if names else []
        widened = self.decisions.get("patch_projection")
        return ", ".join(parts) + (f"; patch projection {widened}" if widened else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the record, JSON-able."""
        return {
            "source": self.source,
            "what": self.what,
            "filled": len(self.tensors),
            "fresh": list(self.fresh),
            "superfluous": list(self.superfluous),
            "decisions": dict(self.decisions),
            "files": [dict(file) for file in self.files],
        }


def read_start(kind: Kind, source: str, network: nn.Module) -> Start:
    """Read weights and compare them with the network that a recipe makes.

    Args:
        kind: what is trained.
        source: a checkpoint of any kind that ``load_dit`` reads, a training run, a folder of a part
            or of a whole model, ``embedded``, or ``hub:owner/name`` of one fetched before.
        network: the recipe's; shapes are enough.

    Raises:
        CtgridError: where it cannot be read, is a network of other sizes, or holds values that are not finite.
    """
    try:
        path = part_of(source, kind)
        start = (_dit if kind in ("stage1", "stage2") else _own)(kind, source, path, network)
        bad = [name for name, tensor in start.tensors.items() if not tensor.isfinite().all()]
        if bad:
            raise CtgridError(f"{source}: {bad[0]} holds values that are not finite; take another checkpoint")
    except CtgridError as error:
        raise CtgridError(f"{kind}.start: {error}") from error
    return start


def part_of(source: str, kind: str) -> Path:
    """Return the file or folder that holds a part's weights: in a whole model, the part's folder.

    Raises:
        CtgridError: where nothing is there.
    """
    from ctgrid.stages.models.sources import resolve_model

    path = resolve_model(source)
    return path / kind if (path / kind / "config.json").is_file() else path


def write_start(out: Path, start: Start) -> None:
    """Keep the record in a run's folder, so that the run has it when it is resumed."""
    with atomic_output(out / START_FILE, overwrite=True) as temporary:
        temporary.write_text(as_json(start.as_dict(), 1) + "\n", encoding="utf-8")


def recorded_start(out: Path) -> dict[str, Any] | None:
    """Return what a run was started from; None where it has no record of that."""
    return dict_of(out / START_FILE) or None


def _dit(kind: Kind, source: str, path: Path, network: nn.Module) -> Start:
    """Read a stage; the recipe's position table stays, whatever table the weights bring along."""
    from ctgrid.stages.weights.adapt import for_stage
    from ctgrid.stages.weights.checkpoints import read_checkpoint

    checkpoint = for_stage(read_checkpoint(path), 1 if kind == "stage1" else 2)
    theirs, ours = checkpoint.config, dict(getattr(network, "config", {}))
    for name in ("depth", "heads"):  # other shapes show by themselves
        if theirs[name] not in (None, ours[name]):
            raise CtgridError(f"{source}: has {name} {theirs[name]}, the recipe's network has {ours[name]}")
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != POSITIONS}
    decisions = {name: how for name, how in checkpoint.decisions.items() if name != "positions"}
    decisions["positions"] = f"the recipe's table ({ours['positions']}); the weights were trained with: " + str(
        checkpoint.decisions["positions"]
    )
    other = [f"{name} {theirs[name]!r}, here {ours[name]!r}" for name in SETTINGS if differs(name, theirs, ours)]
    if other:
        decisions["settings"] = f"the weights were trained with {'; '.join(other)}"
    return _compared(source, checkpoint.kind, tensors, network, decisions, checkpoint.files, keep=(POSITIONS,))


def differs(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether a setting is known of both networks and is another."""
    return name in theirs and name in ours and theirs[name] != ours[name]


def _own(kind: Kind, source: str, path: Path, network: nn.Module) -> Start:
    """Read a codec or detail network from a folder that training wrote."""
    from ctgrid.stages.weights.weights import read_folder

    folder = path / "model" if (path / "model").is_dir() else path
    found = read_folder(folder)
    kept = tuple(name for name, p in network.named_parameters() if not p.requires_grad)  # of another codec
    tensors = {name: tensor for name, tensor in found.tensors.items() if name not in kept}
    return _compared(source, f"folder of a {kind} network", tensors, network, {}, found.files, keep=kept)


def _compared(
    source: str,
    what: str,
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    decisions: Mapping[str, Any],
    files: tuple[Path, ...],
    keep: tuple[str, ...],
) -> Start:
    """Match tensors by name.

    Raises:
        CtgridError: where shapes differ, or nothing matches.
    """
    wanted = network.state_dict()
    wrong = [name for name in tensors if name in wanted and wanted[name].shape != tensors[name].shape]
    if wrong:
        name = wrong[0]
        raise CtgridError(
            f"{source}: {len(wrong)} tensors have other shapes than the recipe's network, such as {name}: "
            f"{tuple(tensors[name].shape)} there, {tuple(wanted[name].shape)} here; set the recipe's network (and "
            "codec) to the sizes of the weights"
        )
    filled = {name: tensor for name, tensor in tensors.items() if name in wanted}
    if not filled:
        raise CtgridError(f"{source}: holds no tensor of the recipe's network; give weights of the same kind")
    fresh = tuple(name for name in wanted if name not in filled and name not in keep)
    superfluous = tuple(name for name in tensors if name not in wanted)
    return Start(source, what, filled, fresh, superfluous, decisions, tuple(fingerprint(file) for file in files))
