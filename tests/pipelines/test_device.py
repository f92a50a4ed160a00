"""Where a pipeline runs and in which precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctgrid.errors import CtgridError
from ctgrid.models.bundle import load_bundle
from ctgrid.pipelines.base import cast_weights
from ctgrid.pipelines.device import autocast, check_compiler, choose_device, choose_dtype

CPU = torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the processor."""
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == torch.device(kind)


def test_named_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two GPUs there is a cuda:1 but no cuda:2."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [choose_device(name) for name in ("cpu", "cuda", "cuda:1")] == [
        CPU,
        torch.device("cuda"),
        torch.device("cuda:1"),
    ]
    with pytest.raises(CtgridError, match="'cuda:2': no such CUDA device"):
        choose_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(CtgridError, match=r"'cuda': no such CUDA device .* --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["tpu", "", "meta", "cpu:x"])
def test_unknown_devices_are_refused(name: str) -> None:
    """Also those that torch knows and ctgrid cannot use."""
    with pytest.raises(CtgridError, match=r"use auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_precision() -> None:
    """By name, or what the hardware multiplies in."""
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16
    assert choose_dtype("auto", CPU) in (torch.float32, torch.bfloat16)
    with pytest.raises(CtgridError, match="'half' is unknown; use auto, float32, bfloat16, float16"):
        choose_dtype("half", CPU)


def test_autocast_multiplies_in_the_precision_chosen() -> None:
    """float32 leaves everything as it is."""
    ones = torch.ones(2, 2)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(CPU, dtype):
            assert (ones @ ones).dtype == dtype


def test_weights_cast_once_give_what_autocast_gives(tiny_model: Path) -> None:
    """To the bit, positions and residuals staying in float32."""
    model = load_bundle(str(tiny_model)).stage1
    latent = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    arguments = (latent, torch.tensor([10, 700]))
    z_index = torch.arange(32.0).view(2, 16)
    with torch.no_grad(), autocast(CPU, torch.bfloat16):
        expected = model(*arguments, z_index=z_index)
        cast_weights(model, torch.bfloat16)
        assert torch.equal(model(*arguments, z_index=z_index), expected)
    assert model.pos_embed.dtype == torch.float32 and model.blocks[0].mlp.fc1.weight.dtype == torch.bfloat16


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in one line before anything is computed."""
    from torch._inductor import cpp_builder

    def none() -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(CtgridError, match=r"needs a C\+\+ compiler .*leave --compile out"):
        check_compiler(CPU)
