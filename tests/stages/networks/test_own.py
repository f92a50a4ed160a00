"""Networks know their arguments and are kept with them."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from ctgrid.base.errors import CtgridError
from ctgrid.stages.networks.own import Count, OwnNetwork, Size, keeps_arguments


class Small(OwnNetwork):
    """One layer."""

    @keeps_arguments
    def __init__(self, width: int, depth: int = 3, scale: list[float] | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(width, depth)


def test_arguments_are_noted_with_their_defaults() -> None:
    network = Small(2, scale=[0.5])
    assert network.config == {"width": 2, "depth": 3, "scale": [0.5]} and network.config.depth == 3
    assert copy.deepcopy(network).config == network.config
    with pytest.raises(AttributeError, match="height"):
        _ = network.config.height
    with pytest.raises(TypeError, match="breadth"):
        Small(2, breadth=3)  # type: ignore[call-arg]


class Choosy(OwnNetwork):
    """Arguments of every kind."""

    @keeps_arguments
    def __init__(
        self, width: Size, blocks: Count = 0, inner: Size | None = None, ratio: float = 1.0, skip: bool = False
    ) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 2.5}, "width is a whole number from 1 on, got 2.5"),
        ({"width": 0}, "width is a whole number from 1 on, got 0"),
        ({"width": None}, "width is a whole number from 1 on, got None"),
        ({"blocks": -1}, "blocks is a whole number from 0 on, got -1"),
        ({"blocks": True}, "blocks is a whole number from 0 on, got True"),
        ({"inner": "8"}, "inner is a whole number from 1 on, got '8'"),
        ({"ratio": "much"}, "ratio is a number, got 'much'"),
        ({"skip": "no"}, "skip is true or false, got 'no'"),
    ],
)
def test_an_argument_of_another_kind_is_refused(wrong: dict[str, object], words: str) -> None:
    given = {"width": 4} | wrong
    with pytest.raises(CtgridError, match=f"^{words}$"):
        Choosy(**given)  # type: ignore[arg-type]


def test_arguments_of_their_kinds_pass() -> None:
    assert Choosy(1, 0, None, 2, True).config == {"width": 1, "blocks": 0, "inner": None, "ratio": 2, "skip": True}


def test_a_folder_holds_arguments_and_weights(tmp_path: Path) -> None:
    """In diffusers' layout, and in the precision that the weights have, however they lie in memory."""
    network = Small(2).half()
    network.layer.weight.data = network.layer.weight.data.T.contiguous().T
    network.register_to_config(scale=[1.5])
    network.save_pretrained(tmp_path / "a" / "b")
    said = json.loads((tmp_path / "a" / "b" / "config.json").read_text(encoding="utf-8"))
    assert said == {"_class_name": "Small", "width": 2, "depth": 3, "scale": [1.5]}
    with safe_open(tmp_path / "a" / "b" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert torch.equal(file.get_tensor("layer.weight"), network.layer.weight)
    assert Small.from_config(said).config == network.config


def test_what_no_argument_is_named_after_is_said(logged: list[str]) -> None:
    """But for notes on the file."""
    Small.from_config({"width": 2, "_diffusers_version": "0.42.1"})
    assert not logged
    Small.from_config({"width": 2, "colour": "red"})
    assert logged == ["Small has no argument for colour of its config; left out"]
