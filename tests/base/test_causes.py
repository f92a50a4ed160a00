"""Other libraries' exceptions: memory is told from damage, a full disk from everything else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from ctgrid.base.causes import out_of_memory, reading, system_error
from ctgrid.base.errors import CtgridError


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("itk::ERROR: Image: Failed to allocate memory for image."),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        caused(ValueError("the pixel data cannot be decoded"), MemoryError()),
    ],
)
def test_memory_is_recognised(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("damaged"), OSError(errno.ENOSPC, "full"), caused(CtgridError("no scan"), MemoryError())]
)
def test_other_failures_are_none_of_memory(error: Exception) -> None:
    assert not out_of_memory(error)


def test_torch_says_it_as_expected() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(raised.value)


def test_the_systems_refusal_is_found_under_a_librarys_own_exception() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert system_error(caused(RuntimeError("unexpected pos 64 vs 0"), full)) is full
    found = system_error(RuntimeError("Error while serializing: I/O error: File too large (os error 27)"))
    assert found is not None and found.errno == errno.EFBIG
    assert system_error(OSError("1024 requested and 512 written")).errno == errno.ENOSPC  # type: ignore[union-attr]
    assert system_error(ValueError("no")) is None


def test_a_reader_fails_in_one_line_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with (
        pytest.raises(CtgridError, match=r"a\.json is not a table: .*too deeply; remove it"),
        reading(path, "a table", "remove it"),
    ):
        raise RecursionError
    with pytest.raises(CtgridError, match=r"cannot read .*a\.json: No such file"), reading(path):
        path.read_text()
    with pytest.raises(MemoryError, match="not enough memory to read"), reading(path):
        raise RuntimeError("not enough memory: you tried to allocate 8 bytes")
