"""Freed memory is kept, and the user's own choice counts more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ctgrid.base.heap import OWN_CHOICE, keep_freed

TWICE = """
import ctypes, resource, sys
sys.path.insert(0, {root!r})
from ctgrid.base.heap import keep_freed
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [libc.malloc(8 << 20) for _ in range(2)]
        for block in blocks: ctypes.memset(block, 1, 8 << 20)
        for block in blocks: libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
libc.mallopt(-3, 1 << 20)  # as before anything was freed
print(faults(), keep_freed(), faults())
"""
"""Pages that five rounds of 16 MiB take, before and after."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc can be told")
def test_pages_are_taken_once() -> None:
    """Every round takes 4096 pages anew; afterwards only the first does."""
    from pathlib import Path

    import ctgrid

    root = str(Path(ctgrid.__file__).parent.parent)
    ran = subprocess.run([sys.executable, "-c", TWICE.format(root=root)], capture_output=True, text=True, check=True)
    before, able, after = ran.stdout.split()
    if able == "False":
        pytest.skip("this C library cannot be told")
    assert int(before) > 4 * 4096 and int(after) < 2 * 4096


@pytest.mark.parametrize("name", OWN_CHOICE)
def test_a_users_own_choice_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets the allocator by hand keeps that."""
    monkeypatch.setenv(name, "1")
    assert not keep_freed()
