"""Names inside a store."""

from __future__ import annotations

NODE = "zarr.json"
"""File that makes a folder a group or an array of Zarr v3."""


def is_volume_name(name: str) -> bool:
    """Tell whether a volume may bear this name: a plain, visible folder name that Zarr accepts.

    Args:
        name: The name.
    """
    return bool(name) and not name.startswith((".", "__")) and not set(name) & set("/\\\0") and name != NODE
