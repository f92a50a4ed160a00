"""A quick look: a few slices of a scan before and after."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import fingerprint
from ctgrid.methods.denoising.methods import find_method
from ctgrid.methods.denoising.result import noise_of
from ctgrid.runs.denoising.bench import DONE, CaseBench, Entry
from ctgrid.runs.report.picture import save_comparison, shown_slices


def preview(source: Path, path: Path, bench: CaseBench, progress: Progress = silent) -> Entry:
    """Denoise a few axial slices of a scan and draw them before and after; nothing else is written.

    Args:
        source: the scan.
        path: the PNG.
        bench: the method.
        progress: called with (phase, done, total).

    Returns:
        An entry as of :func:`ctgrid.runs.denoising.cases.denoise_cases`, with ``slices``: which, counted from the feet.

    Raises:
        CtgridError: where the scan cannot be read, denoised or drawn.
    """
    request, started = bench.request, time.perf_counter()
    progress("reading", 0, 1)
    volume = bench.read(source)
    upright = volume.reoriented("LPS")
    chosen = shown_slices(len(upright.hu))
    method = find_method(request.name)
    progress("loading the method", 0, 1)
    strength = noise_of(volume, request.strength)
    loaded = bench.method
    options = dict(request.settings)
    if method.partial:
        result = loaded.run(upright, strength, **{**options, "only": chosen}, progress=progress)
        clean = result.volume
    elif method.context == 0:
        result = loaded.run(replace(upright, hu=upright.hu[chosen]), strength, **options, progress=progress)
        hu = upright.hu.copy()
        hu[chosen] = result.volume.hu
        clean = replace(upright, hu=hu)
    else:
        result = loaded.run(upright, strength, **options, progress=progress)
        clean = result.volume
    save_comparison(upright, clean, path, chosen, request.overwrite)
    return {
        "file": path.name,
        "source": str(source),
        "status": DONE,
        "slices": chosen,
        "seconds": round(time.perf_counter() - started, 3),
        "noise_hu": round(result.noise_hu, 2),
        "phases": result.phases,
        "settings": result.settings,
        "dit_token_passes": result.dit_token_passes,
        "hu": volume.record.get("hu"),
        "shape": list(volume.shape),
        "spacing_mm": list(volume.spacing_mm),
        "outputs": [fingerprint(path)],
    }
