"""Memory that was freed stays with the process, which soon asks for as much again."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's ``mallopt``; its manual page tells what they do."""

KEPT = 256 * 2**20
"""Bytes at the heap's top that are kept at most."""

APART = 32 * 2**20
"""Bytes from which a block comes from the system and goes back to it: whole volumes; networks' tensors are smaller."""

OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a user sets the same."""


def keep_freed() -> bool:
    """Let the process keep what it frees, up to ``KEPT``; True where that could be set (glibc, hence Linux).

    A layer's tensors of some MB would else come from the system anew at every call, which fills each page with zeros
    first: a tenth of the processor time of a whole synthesis in bfloat16.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in OWN_CHOICE):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(M_TRIM_THRESHOLD, KEPT)) and bool(mallopt(M_MMAP_THRESHOLD, APART))
