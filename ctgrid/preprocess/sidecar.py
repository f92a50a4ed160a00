"""The JSON file that some collections put beside each scan: ``NAME_metadata.json`` for ``NAME.nii.gz``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.errors import CtgridError
from ctgrid.files import full_suffix


def sidecar_path(path: Path) -> Path:
    """Return where the sidecar of a file lies: ``NAME_metadata.json`` beside ``NAME.nii.gz``.

    Args:
        path: The image file.
    """
    return path.with_name(path.name[: len(path.name) - len(full_suffix(path))] + "_metadata.json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """Read the sidecar of an image file, or return None where there is none.

    Args:
        path: The image file.

    Raises:
        CtgridError: The sidecar is not a JSON object, or its slope and intercept are not numbers.
    """
    sidecar = sidecar_path(path)
    if not sidecar.is_file():
        return None
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        slope, intercept = float(content["RescaleSlope"]), float(content["RescaleIntercept"])
        if not np.isfinite([slope, intercept]).all() or slope == 0:
            raise ValueError(f"slope {slope}, intercept {intercept}")
    except KeyError as error:
        raise CtgridError(
            f"{sidecar}: key {error} is missing; both RescaleSlope and RescaleIntercept are needed"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise CtgridError(f"{sidecar} is not a usable sidecar: {error}") from error
    return {**content, "RescaleSlope": slope, "RescaleIntercept": intercept}
