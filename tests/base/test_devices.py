"""Where networks compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctgrid.base.devices import check_compiler, choose_device, repeatable, to_host
from ctgrid.base.errors import CtgridError

CPU = torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's before Apple's, else the processor."""
    for cuda, mps, kind in ((True, False, "cuda"), (True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert choose_device("auto") == choose_device() == torch.device(kind)


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


def test_apples_graphics(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name where PyTorch finds it, else refused with what to do."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(CtgridError, match=r"'mps': no GPU of an Apple processor .* --device cpu or auto"):
        choose_device("mps")


@pytest.mark.parametrize("name", ["tpu", "", "meta", "cpu:x"])
def test_unknown_devices_are_refused(name: str) -> None:
    """Also those that torch knows and ctgrid cannot use."""
    with pytest.raises(CtgridError, match=r"use auto, cpu, cuda, cuda:N or mps"):
        choose_device(name)


def test_values_reach_the_processor_from_any_device() -> None:
    """Those of a device without pinned memory are copied at once."""
    values = torch.arange(6).view(2, 3)
    assert np.array_equal(to_host(values)(), values.numpy())


def test_compiling_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in one line before anything is computed."""
    from torch._inductor import cpp_builder

    def none() -> str:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(CtgridError, match=r"needs a C\+\+ compiler .*leave --compile out"):
        check_compiler(CPU)


def test_repeatable_computes_in_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with repeatable():
            assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
        with repeatable(False):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2 and not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)
