"""The JSON file that some collections put beside each scan: ``NAME_metadata.json`` for ``NAME.nii.gz``.

It says the same as a row of the collection's table (:mod:`ctgrid.scan.hu.metadata`), and may stand beside one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.causes import reading
from ctgrid.base.documents import json_of
from ctgrid.base.errors import CtgridError
from ctgrid.base.files import full_suffix
from ctgrid.scan.hu.metadata import FIELDS, MetadataRow, MetadataTable, cell_text, volume_key


def sidecar_path(path: Path) -> Path:
    """Return where the sidecar of a file lies: ``NAME_metadata.json`` beside ``NAME.nii.gz``.

    Args:
        path: The image file.
    """
    return path.with_name(path.name[: len(path.name) - len(full_suffix(path))] + "_metadata.json")


def find_sidecar(path: Path) -> Path | None:
    """Return the sidecar of a file where there is one.

    Args:
        path: The image file.
    """
    sidecar = sidecar_path(path)
    try:
        return sidecar if sidecar.is_file() else None
    except OSError:  # the name is too long for the file system, say
        return None


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Read the sidecar of an image file, or return None where there is none.

    Args:
        path: The image file.

    Raises:
        CtgridError: The sidecar is not a JSON object, or its slope and intercept are not numbers.
    """  # noqa: DOC501
    sidecar = find_sidecar(path)
    if sidecar is None:
        return None
    content = json_of(sidecar, "a usable sidecar")
    with reading(sidecar, "a usable sidecar"):
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        for key in ("RescaleSlope", "RescaleIntercept"):
            if key not in content:
                raise CtgridError(
                    f"{sidecar}: key '{key}' is missing; both RescaleSlope and RescaleIntercept are needed"
                )
        slope, intercept = float(content["RescaleSlope"]), float(content["RescaleIntercept"])
        if not np.isfinite([slope, intercept]).all() or slope == 0:
            raise ValueError(f"slope {slope}, intercept {intercept}")
    return {**content, "RescaleSlope": slope, "RescaleIntercept": intercept}


def stated_rows(path: Path, metadata: MetadataTable | None = None) -> list[MetadataRow]:
    """List what is stated about a scan outside of it: by the JSON beside it, then by the collection's table.

    Args:
        path: The image file.
        metadata: The table.

    Raises:
        CtgridError: As :func:`read_sidecar`.
    """
    rows = []
    content = read_sidecar(path)
    if content is not None:
        fields = {field: text for field in FIELDS if (text := cell_text(content.get(field)))}
        rows.append(MetadataRow(str(sidecar_path(path)), 0, volume_key(path), fields))
    row = None if metadata is None else metadata.row(path)
    return rows if row is None else [*rows, row]


def stated_manufacturer(rows: list[MetadataRow]) -> str | None:
    """Return the scanner's maker, from the first row that names one.

    Args:
        rows: What :func:`stated_rows` found.
    """
    return next((row.manufacturer for row in rows if row.manufacturer), None)
