"""What of a network latents depend on, where nobody knows better."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from ctgrid.stages.codecs.adapter import config_and_weights


def test_notes_of_diffusers_are_no_config() -> None:
    """The version that wrote a file, say; every weight counts."""
    weights = {"a": torch.ones(2)}
    network = SimpleNamespace(config={"width": 3, "_diffusers_version": "0.1"}, state_dict=lambda: weights)
    assert config_and_weights(network) == ({"width": 3}, weights)
