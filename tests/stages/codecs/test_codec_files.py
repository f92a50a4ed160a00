"""Where a codec's files lie, by what is in a folder; what other people's files must hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ctgrid.base.errors import CtgridError
from ctgrid.stages.codecs.codec_files import (
    class_of,
    codec_path,
    codec_weights,
    from_single_file,
    from_taesd_pair,
    name_of,
    taesd_pair,
)


def config(folder: Path, **content: object) -> Path:
    """Write a ``config.json`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("inside", ["codec", "vae", "model"])
def test_the_codec_of_a_model_a_pipeline_a_run(inside: str, tmp_path: Path) -> None:
    """A run's ``config.json`` is its recipe and names no class; a codec's own folder is meant itself."""
    config(tmp_path, kind="codec")
    part = config(tmp_path / inside, _class_name="AutoencoderKL")
    assert codec_path(tmp_path) == part == codec_path(part)
    assert class_of(part) == "AutoencoderKL"
    config(tmp_path, _class_name="AutoencoderTiny")
    assert codec_path(tmp_path) == tmp_path
    with pytest.raises(CtgridError, match=r"no codec here; expected a config\.json with a _class_name"):
        class_of(config(tmp_path / "other", _class_name=3))


def test_safetensors_are_hashed_rather_than_pickles(tmp_path: Path) -> None:
    """Those that are read; a file by itself stands for itself."""
    for name in ("b.bin", "a.bin", "c.pth"):
        (tmp_path / name).touch()
    assert [path.name for path in codec_weights(tmp_path)] == ["a.bin", "b.bin"]
    (tmp_path / "x.safetensors").touch()
    assert [path.name for path in codec_weights(tmp_path)] == ["x.safetensors"]
    assert codec_weights(tmp_path / "x.safetensors") == [tmp_path / "x.safetensors"]


def test_a_pair_is_of_one_kind(tmp_path: Path) -> None:
    """Half of it is none."""
    for name in ("taesd_encoder.pth", "taesd_decoder.safetensors"):
        (tmp_path / name).touch()
        assert taesd_pair(tmp_path) is None
    (tmp_path / "taesd_encoder.safetensors").touch()
    assert taesd_pair(tmp_path) == (tmp_path / "taesd_encoder.safetensors", tmp_path / "taesd_decoder.safetensors")


def test_files_of_something_else_are_told_what_they_lack(tmp_path: Path) -> None:
    """By name, before a network is made."""
    encoder, decoder = tmp_path / "taesd_encoder.safetensors", tmp_path / "taesd_decoder.safetensors"
    save_file({"conv.weight": torch.ones(1)}, encoder)
    save_file({"1.weight": torch.ones(1)}, decoder)
    with pytest.raises(CtgridError, match=r"taesd_encoder.*: key 'conv.weight' is not of TAESD"):
        from_taesd_pair(encoder, decoder)
    save_file({"0.weight": torch.ones(1)}, encoder)
    with pytest.raises(CtgridError, match="not TAESD: its decoder does not begin with a convolution"):
        from_taesd_pair(encoder, decoder)
    with pytest.raises(CtgridError, match="not an SD VAE: no encoder and decoder among its 1 tensors"):
        from_single_file(encoder)


def test_records_call_a_codec_as_its_user_did() -> None:
    path = Path("/models/mine")
    assert [name_of(name, path) for name in ("embedded", "hub:a/b", "/models/mine")] == ["embedded", "hub:a/b", "mine"]
