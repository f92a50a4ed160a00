"""What a checkpoint is said to be: its kind, its stage, its size, and how that was decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.dit import DiT
from ctgrid.stages.weights.checkpoints import read_checkpoint

CONFIG: dict[str, Any] = {"latent_size": 8, "in_channels": 4, "patch_size": 2, "width": 24, "depth": 2, "heads": 2}


def saved(folder: Path, **changes: Any) -> DiT:
    """Write a small DiT into a folder and return it."""
    network = DiT(**{**CONFIG, **changes})
    network.save_pretrained(folder)
    return network


def edit(folder: Path, **changes: Any) -> None:
    """Change a folder's ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_and_a_run_hold_the_same_network(tmp_path: Path) -> None:
    """A run means the model in it; both are told apart."""
    network = saved(tmp_path / "run" / "model", cells_per_side=2)
    run, folder = read_checkpoint(tmp_path / "run"), read_checkpoint(tmp_path / "run" / "model")
    assert (run.kind, folder.kind) == ("training run", "ctgrid folder")
    assert run.files == folder.files and run.config == folder.config
    for name, value in network.state_dict().items():
        assert torch.equal(run.tensors[name].reshape(value.shape), value)


@pytest.mark.parametrize(("condition", "stage"), [(0, 1), (4, 2)])
def test_stage_and_size(condition: int, stage: int, tmp_path: Path) -> None:
    """A condition makes it stage 2; what is computed, not trained, is no parameter."""
    network = saved(tmp_path / "m", condition_channels=condition)
    found = read_checkpoint(tmp_path / "m")
    assert found.stage == stage and found.dtype == torch.float32
    assert found.parameters == sum(p.numel() for name, p in network.named_parameters() if name != "pos_embed")


def test_the_table_of_positions_is_recognised_or_made(tmp_path: Path) -> None:
    """Depth first in grids, plain in single slices."""
    for cells, kind in ((2, "grid"), (1, "2d")):
        saved(tmp_path / kind, cells_per_side=cells)
        found = read_checkpoint(tmp_path / kind)
        assert found.positions in (kind, found.config["positions"]) and found.decisions["positions"] == found.positions
        assert found.tensors["pos_embed"].shape[-2:] == (16, CONFIG["width"])


def test_decisions_are_added_not_changed(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    found = read_checkpoint(tmp_path / "m")
    more = found.deciding("colour", "by eye")
    assert more.decisions == {**found.decisions, "colour": "by eye"} and "colour" not in found.decisions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": "24"}, "width must be int, got '24'"),
        ({"depth": True}, "depth must be int, got True"),
        ({"heads": 0}, "heads must be positive, got 0"),
        ({"depth": 3}, "says 3 blocks, the weights hold 2; they do not belong together"),
        ({"flavour": 1}, "'flavour' is no argument of this version's DiT; update ctgrid or remove it"),
        ({"_class_name": "UNet"}, "its _class_name is 'UNet', expected DiT or DiTTransformer2DModel"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    """By the name of the entry, before a network is made."""
    saved(tmp_path / "m")
    edit(tmp_path / "m", **changes)
    with pytest.raises(CtgridError, match=rf"config\.json: {words}"):
        read_checkpoint(tmp_path / "m")
