"""Protocols that turn scans into arrays, and their inverses. A face: what it names lives on the storeys below."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    "ctgrid",
    submod_attrs={
        "scan.protocols.canonical": ["from_canonical", "to_canonical"],
        "scan.protocols.generatect": ["generatect", "generatect_pass", "generatect_with_record", "invert"],
    },
)
