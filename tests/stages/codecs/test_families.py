"""Codecs are found by the class that they are of, or derive from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.families import FAMILIES, adapter_of, load_network
from ctgrid.stages.codecs.unshuffle import UnshuffleAdapter
from ctgrid.stages.codecs.unshuffle_codec import UnshuffleCodec

SMALL = {name: 4 for name in ("latent_channels", "encoder_width", "decoder_width", "fine_width")}
SMALL |= {"encoder_blocks": 1, "decoder_blocks": 1}


def test_what_derives_from_a_class_is_of_its_family() -> None:
    """Whatever it is called."""

    class Mine(UnshuffleCodec):
        """Nothing new."""

    assert isinstance(adapter_of(Mine(**SMALL)), UnshuffleAdapter)


def test_other_networks_are_refused_with_the_classes_there_are(tmp_path: Path) -> None:
    """In memory, and in a folder, which is named."""
    with pytest.raises(CtgridError, match="unknown codec class 'Linear'; known: UnshuffleCodec, AutoencoderKL"):
        adapter_of(torch.nn.Linear(1, 1))
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKl"}))
    with pytest.raises(CtgridError, match=rf"{tmp_path.name}: unknown codec class .*; did you mean AutoencoderKL\?"):
        load_network(tmp_path)


def test_every_family_goes_by_the_name_that_its_files_bear(tmp_path: Path) -> None:
    """What is written by a class is read by the entry of its name."""
    network = UnshuffleCodec(**SMALL)
    network.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert type(again).__name__ in FAMILIES
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in again.state_dict().items())
