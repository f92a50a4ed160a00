"""What a scan would look like at a lower dose: noise made in the projections, reconstructed, and added.

Only the noise that the lower dose has in excess of the scan's own is made, and the anatomy is never projected
back: the scan keeps its resolution and, but for photon starvation, its mean HU.

A ray of line integral p that starts with N₀ photons arrives with N = N₀ exp(−p); its logarithm has the variance
1/N + σₑ²/N². At the fraction d of the dose that is 1/(dN) + σₑ²/(dN)². A Poisson count of mean
M = N d/(1 − d), with electronic noise of variance σₑ² (1/d² − 1) M²/N², has exactly the difference (in the
manner of Yu et al. 2012, J Comput Assist Tomogr 36:477, and Zabić et al. 2013, Med Phys 40:031102).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from einops import reduce
from torch import Tensor
from torch.nn.functional import pad

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.data.simulate.calibrate import local_spread, match_cutoff, measure_grain
from ctgrid.data.simulate.photons import (
    MU_WATER_PER_MM,
    SLICES_AT_ONCE,
    WATER_OVER_AIR_HU,
    attenuation,
    counts,
    double_channels,
    noisy_logs,
    to_hu,
    to_slices,
)
from ctgrid.data.simulate.projector import Beam, Scanner, project, reconstruct, scanner_for
from ctgrid.scan.volume import Volume, cast_hu

Mode = Literal["insert", "full"]

PHOTONS = 2e5
"""Photons per ray at full dose where a scan has no noise to tell: some 10 HU in an average chest."""

FEWEST_PHOTONS, MOST_PHOTONS = 1e5, 2e6
"""Between these a scan's noise decides; the rest of it is put down to the scan's kernel."""

ELECTRONIC_NOISE = 10.0
PADDING_HU = -1400.0
"""Below this lies what scanners fill in outside the round field of view: neither air nor tissue."""

CUTOFF_PER_MM = 0.8
LEAST_SIDE = 32


@dataclass(frozen=True)
class DoseSettings:
    """How a low dose is simulated.

    Attributes:
        dose: fraction of the scan's own dose, in (0, 1].
        geometry: "fan" over a full turn or "parallel" over half a turn.
        mode: "insert" adds the missing noise to the scan; "full" reconstructs the scan from noisy projections.
        photons: incident per ray at full dose, of a scanner with 984 views a turn and rays 0.6 mm apart.
        electronic_noise: standard deviation of a ray's read-out, in photons.
        cutoff_per_mm: where the reconstruction's Hann window reaches 0; half of it is its 50 % MTF.
        gain: of the noise over that of a windowed ramp: sharp kernels enhance, iterative reconstruction smooths.
        calibrated: whether photons and gain follow from the scan's own noise.
    """

    dose: float
    geometry: Beam
    mode: Mode
    photons: float
    electronic_noise: float
    cutoff_per_mm: float
    gain: float
    calibrated: bool


def low_dose(
    volume: Volume,
    dose: float = 0.25,
    seed: int = 0,
    *,
    geometry: Beam = "fan",
    photons: float | None = None,
    electronic_noise: float = ELECTRONIC_NOISE,
    cutoff_per_mm: float | None = None,
    mode: Mode = "insert",
    indices: Sequence[int] | None = None,
    progress: Progress = silent,
) -> Volume:
    """Return the scan as it would be at a fraction of its dose.

    Slices are noisy independently of each other, with streams named by the seed and the slice's index from the
    feet. Padding outside the round field of view counts as air and stays as it is; ``dose`` 1 returns the scan.

    Args:
        volume: a chest CT in HU; any orientation and obliquity.
        dose: fraction of the scan's dose, in (0, 1].
        seed: the same one gives the same noise.
        geometry: "fan" or "parallel".
        photons: incident per ray at full dose (see :class:`DoseSettings`); None fits them to the scan's noise.
        electronic_noise: of a ray's read-out, in photons.
        cutoff_per_mm: of the reconstruction kernel; None fits it to how fine the scan's noise is.
        mode: "insert" or "full".
        indices: only these slices, counted from the feet; the others stay as they are. None for all.
        progress: called after every batch of slices.

    Returns:
        A volume of the same grid and dtype; its record's ``low_dose`` holds the settings.

    Raises:
        CtgridError: a setting is out of its range, or the scan is too small or no CT.
    """
    from ctgrid.scan.ct import require_ct

    check_settings(dose, geometry, photons, electronic_noise, cutoff_per_mm, mode)
    require_ct(volume, min_slices=1)
    upright = volume.reoriented("LPS")
    name = volume.record.get("source", "volume")
    if min(upright.shape[1:]) < LEAST_SIDE:
        raise CtgridError(f"{name} has slices of {upright.shape[2]} x {upright.shape[1]} pixels; {LEAST_SIDE} needed")
    scanner = scanner_for(upright.shape[1:], upright.spacing_mm[1:], geometry)
    settings = fit_settings(upright, scanner, dose, photons, electronic_noise, cutoff_per_mm, mode, progress)
    record = {**volume.record, "derived": "low dose simulated", "low_dose": {"seed": seed, **asdict(settings)}}
    if dose == 1 and mode == "insert":
        return replace(volume, record=record)
    hu = upright.hu.copy()
    if indices is not None and not all(-len(hu) <= index < len(hu) for index in indices):
        raise CtgridError(f"{name} has {len(hu)} slices; indices {list(indices)} are not all among them")
    chosen = np.unique(np.arange(len(hu))[slice(None) if indices is None else list(indices)]).tolist()
    for start in range(0, len(chosen), SLICES_AT_ONCE):
        progress("simulating slices", start, len(chosen))
        part = chosen[start : start + SLICES_AT_ONCE]
        hu[part] = cast_hu(simulate_slices(upright.hu[part], scanner, settings, seed, part), hu.dtype)
    progress("simulating slices", len(chosen), len(chosen))
    lowered = Volume(hu, upright.affine).reoriented(volume.orientation)
    return replace(volume, hu=lowered.hu, record=record)


def check_settings(
    dose: float,
    geometry: str,
    photons: float | None,
    electronic_noise: float,
    cutoff_per_mm: float | None,
    mode: str,
) -> None:
    """Refuse settings that mean nothing.

    Raises:
        CtgridError: with the setting, its range and the value.
    """
    if not 0 < dose <= 1:
        raise CtgridError(f"dose must be above 0 and at most 1, as a fraction of the scan's own dose; got {dose:g}")
    if geometry not in get_args(Beam):
        raise CtgridError(f"geometry must be one of {', '.join(get_args(Beam))}; got {geometry!r}")
    if mode not in get_args(Mode):
        raise CtgridError(f"mode must be one of {', '.join(get_args(Mode))}; got {mode!r}")
    if photons is not None and not 1 <= photons <= 1e12:
        raise CtgridError(f"photons must be from 1 to 1e12 per ray; got {photons:g}")
    if not 0 <= electronic_noise < 1e6:
        raise CtgridError(f"electronic noise must be from 0 to 1e6 photons; got {electronic_noise:g}")
    if cutoff_per_mm is not None and not 0.05 <= cutoff_per_mm <= 10:
        raise CtgridError(f"the kernel's cut-off must be from 0.05 to 10 per mm; got {cutoff_per_mm:g}")


def fit_settings(
    volume: Volume,
    scanner: Scanner,
    dose: float,
    photons: float | None,
    electronic_noise: float,
    cutoff_per_mm: float | None,
    mode: Mode,
    progress: Progress = silent,
) -> DoseSettings:
    """Fill in photons and cut-off from the scan's own noise, where they are not given.

    Noise is proportional to 1/√photons, so one trial at full dose tells how many give the scan's noise.

    Args:
        volume: the scan, upright.
        scanner: its rays.
        dose: as asked for.
        photons: as asked for, or None.
        electronic_noise: as asked for.
        cutoff_per_mm: as asked for, or None.
        mode: as asked for.
        progress: called before the trial.
    """
    wanted = dose < 1 and None in (photons, cutoff_per_mm)
    chosen = np.unique(np.linspace(0, len(volume.hu) - 1, SLICES_AT_ONCE + 2).round().astype(int)[1:-1])
    sample = volume.hu[chosen]
    spacing = volume.spacing_mm[1], volume.spacing_mm[2]
    grain = measure_grain(sample, spacing) if wanted else None
    if cutoff_per_mm is None:
        cutoff_per_mm = match_cutoff(grain.sharpness, spacing) if grain else min(CUTOFF_PER_MM, 0.5 / min(spacing))
    given = DoseSettings(
        dose, scanner.beam, mode, photons or PHOTONS, electronic_noise, cutoff_per_mm, gain=1.0, calibrated=False
    )
    if photons is not None or grain is None:
        return given
    progress("measuring the scan's noise", 0, 1)
    noise = make_noise(sample, scanner, given, 0, range(len(sample)), full_dose=True)
    _, spread = local_spread(torch.from_numpy(noise), spacing)
    level = float(spread[torch.from_numpy(grain.patches)].square().mean().sqrt())
    needed = PHOTONS * (level / grain.spread_hu) ** 2
    photons = float(np.clip(needed, FEWEST_PHOTONS, MOST_PHOTONS))
    return replace(given, photons=photons, gain=float((photons / needed) ** 0.5), calibrated=True)


def simulate_slices(
    hu: np.ndarray, scanner: Scanner, settings: DoseSettings, seed: int, names: Sequence[int]
) -> np.ndarray:
    """Return slices at the lower dose.

    Args:
        hu: (n, y, x), at most :data:`SLICES_AT_ONCE`.
        scanner: the rays.
        settings: the dose and how it is simulated.
        seed: of the noise.
        names: indices of the slices, which name their noise.

    Returns:
        (n, y, x) float32 in HU.
    """
    if settings.mode == "insert":
        result = hu + make_noise(hu, scanner, settings, seed, names)
    else:
        result = scan_anew(hu, scanner, settings, seed, names)
    return np.where(hu < PADDING_HU, hu, np.maximum(result, PADDING_HU)).astype(np.float32)


def make_noise(
    hu: np.ndarray, scanner: Scanner, settings: DoseSettings, seed: int, names: Sequence[int], full_dose: bool = False
) -> np.ndarray:
    """Return the noise that the lower dose has in excess of the full one, (n, y, x) float32 in HU.

    Its strength is smooth over the detector, so the line integrals are taken at half the resolution.

    Args:
        hu: (n, y, x), at most :data:`SLICES_AT_ONCE`.
        scanner: the rays.
        settings: the dose and the kernel.
        seed: of the noise.
        names: indices of the slices.
        full_dose: return the noise of the full dose instead.
    """
    return noise_over(line_integrals(hu, scanner), scanner, settings, seed, names, full_dose)


def line_integrals(hu: np.ndarray, scanner: Scanner) -> Tensor:
    """Return the line integrals of slices (n, y, x), taken at half the resolution: (views, channels, b)."""
    mu = attenuation(hu)
    mu = pad(mu, (0, 0, 0, mu.shape[1] % 2, 0, mu.shape[0] % 2))
    mu = reduce(mu, "(y 2) (x 2) b -> y x b", "mean")
    return double_channels(project(mu, scanner.coarser()))


def noise_over(
    integrals: Tensor,
    scanner: Scanner,
    settings: DoseSettings,
    seed: int,
    names: Sequence[int],
    full_dose: bool = False,
) -> np.ndarray:
    """Return the noise of slices whose :func:`line_integrals` are known; see :func:`make_noise`."""
    d = settings.dose
    share, read_out = (1.0, 1.0) if full_dose else (d / (1 - d), 1 / d**2 - 1)
    full, sigma_e = counts(integrals, scanner, settings.photons, settings.electronic_noise)
    noise = noisy_logs(full * share, sigma_e * read_out**0.5 * share, seed, names).mul_(settings.gain)
    return to_slices(reconstruct(noise, scanner, settings.cutoff_per_mm), len(names)) * (
        WATER_OVER_AIR_HU / MU_WATER_PER_MM
    )


def scan_anew(hu: np.ndarray, scanner: Scanner, settings: DoseSettings, seed: int, names: Sequence[int]) -> np.ndarray:
    """Return slices reconstructed from noisy projections, (n, y, x) float32 in HU; arguments as above."""
    integrals = project(attenuation(hu), scanner)
    full, sigma_e = counts(integrals, scanner, settings.photons, settings.electronic_noise)
    integrals += noisy_logs(full * settings.dose, sigma_e, seed, names).mul_(settings.gain)
    return to_hu(to_slices(reconstruct(integrals, scanner, settings.cutoff_per_mm), len(hu)))
