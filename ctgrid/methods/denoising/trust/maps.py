"""The map of trust of a denoised scan: how far each voxel may be off, and where more went than noise explains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.base.progress import Progress, silent
from ctgrid.methods.denoising.detail import PADDING_HU
from ctgrid.methods.denoising.trust.signs import Signs, signs_of
from ctgrid.methods.denoising.trust.table import TrustTable
from ctgrid.scan.geometry import reorient
from ctgrid.scan.noise import estimate_noise, estimate_noise_per_slice, smoothed
from ctgrid.scan.volume import Volume
from ctgrid.stages.models.bundle import read_detail
from ctgrid.stages.models.parts import DETAIL, TRUST
from ctgrid.stages.models.sources import resolve_model

LOWERED, RAISED = 1, 2
"""Labels of voxels that were changed by more than noise explains: the answer lies below the scan, or above."""

MOST_USUAL = 5.0
"""A change is noise as long as it is at most so many times the standard deviation of changes nearby."""

STEP_HU = 0.125
"""Standard deviations are whole multiples of this: exact in 32 bits, and files of them stay small."""


@dataclass(frozen=True)
class Trust:
    """Two maps on the scan's grid.

    Attributes:
        sigma: standard deviation of the answer's error in HU, float32, in steps of :data:`STEP_HU`; 0 in padding.
        changed: int16, :data:`LOWERED` or :data:`RAISED` where more was changed than noise explains, else 0.
        facts: what is said of them in records: ``calibrated_for``, ``median_hu``, ``changed_share``, ``warnings``.
    """

    sigma: Volume
    changed: Volume
    facts: dict[str, Any]


def trust_of(scan: Volume, answer: Volume, model: str | Path = "embedded", *, progress: Progress = silent) -> Trust:
    """Tell how far a denoised scan may be off, from the two alone, whatever method made it.

    Calibrated for the method and the weights that the model's table names (``ctgrid model calibrate``).

    Args:
        scan: before, any orientation.
        answer: after, on its grid.
        model: whose table is taken.
        progress: called after every slice.

    Raises:
        CtgridError: where the two lie on different grids, or the model has no table that can be read.
    """
    table, warnings = load_table(model)
    if scan.shape != answer.shape or not np.allclose(scan.affine, answer.affine, atol=1e-3):
        raise CtgridError(
            f"the answer's grid {answer.shape} is not that of the scan {scan.shape}; trust compares the two"
        )
    sigma, labels = np.zeros(scan.shape, np.float32), np.zeros(scan.shape, np.int16)
    before, after, of_sigma, of_labels = (
        reorient(values, scan.affine, "LPS")[0] for values in (scan.hu, answer.hu, sigma, labels)
    )  # views
    upright = replace(scan, hu=before, affine=reorient(scan.hu, scan.affine, "LPS")[1])
    own: np.ndarray | None = None
    spacing = upright.spacing_mm[1], upright.spacing_mm[2]
    for z, (one, other) in enumerate(zip(before, after, strict=True)):
        if np.array_equal(one, other):
            own = noise_per_slice(upright) if own is None else own
            of_sigma[z] = own[z]  # all that the scan has is left
        else:
            signs = signs_of(one, other, spacing)
            of_sigma[z], of_labels[z] = table.sigma(signs.hu, signs.values), labels_of(signs)
        kept = (one < PADDING_HU) & (one == other)
        of_sigma[z][kept], of_labels[z][kept] = 0, 0
        np.rint(of_sigma[z] / STEP_HU, out=of_sigma[z])
        of_sigma[z] *= STEP_HU
        progress("trust", z + 1, len(before))
    facts = {
        "calibrated_for": table.about.get("method"),
        "median_hu": round(float(np.median(of_sigma[:: max(1, len(sigma) // 15)])), 2),
        "changed_share": round(float(np.count_nonzero(labels) / labels.size), 6),
        "warnings": warnings,
    }
    about = {"derived": "error SD of denoising", "step_hu": STEP_HU, "windows_hu": {"ERROR": (0.0, 50.0)}}
    kinds = {
        "derived": "changes beyond noise",
        "labels": f"labels: {LOWERED} lowered, {RAISED} raised",
        "windows_hu": {"LABELS": (0.0, float(RAISED))},
    }
    record = dict(scan.record)
    return Trust(Volume(sigma, scan.affine, record | about), Volume(labels, scan.affine, record | kinds), facts)


def labels_of(signs: Signs) -> np.ndarray:
    """Return where a slice was changed by more than its noise explains: int16 (y, x) of 0 and the labels."""
    strange = np.abs(signs.change_hu) > MOST_USUAL * signs.usual_hu
    return np.where(strange, np.where(signs.change_hu > 0, LOWERED, RAISED), 0).astype(np.int16)


def noise_per_slice(scan: Volume) -> np.ndarray:
    """Return the noise of every slice in HU, (n,): what may be off in a scan that nothing was removed from."""
    return smoothed(estimate_noise_per_slice(scan), estimate_noise(scan))


def load_table(model: str | Path) -> tuple[TrustTable, list[str]]:
    """Return a model's table, and what is to be said where it was made with other weights.

    Args:
        model: ``embedded``, a folder, or a name of a hub.

    Raises:
        CtgridError: where there is no such model, or it has no table that can be read.
    """
    part = resolve_model(model) / DETAIL
    if not (part / TRUST).exists():
        raise CtgridError(
            f"{model}: this model has no table of trust ({DETAIL}/{TRUST}); make it with ctgrid model calibrate {model}"
        )
    table = TrustTable.read(part / TRUST)
    other = table.about.get("weights") != weights_hash(part)
    said = f"{model}: its table of trust was made with other weights; make it anew with ctgrid model calibrate"
    return table, [said] if other else []


def weights_hash(part: Path) -> str:
    """Return what tells a detail part's weights from others, in whatever number format they are stored.

    Args:
        part: the folder of the part.

    Raises:
        CtgridError: where there is no such part, or it cannot be read.
    """
    network = read_detail(part)
    digest = sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.half().numpy().tobytes())
    return digest.hexdigest()


def table_hash(model: str | Path) -> str:
    """Return the hash of a model's table of trust."""
    return sha256_of(resolve_model(model) / DETAIL / TRUST)
