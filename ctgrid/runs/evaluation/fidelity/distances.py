"""From features of real and generated volumes to rows of a result: distances, confidence, and what to beware of."""

from __future__ import annotations

from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.metrics.frechet import frechet_from_moments
from ctgrid.metrics.kernel import kernel_distance_with_confidence
from ctgrid.runs.evaluation.fidelity.protocol import Protocol
from ctgrid.runs.evaluation.fidelity.sets import FeatureSet
from ctgrid.runs.evaluation.fidelity.statistics import Collected


def distance_rows(
    one: FeatureSet,
    real: Collected,
    fake: Collected,
    protocol: Protocol,
    called: tuple[str, str] = ("volumes", "slices"),
) -> list[dict[str, Any]]:
    """Return the Fréchet and the kernel distance of one kind of features.

    Args:
        one: the kind.
        real: real volumes.
        fake: generated volumes.
        protocol: how distances follow.
        called: what is measured, and what it is made of, in words.

    Returns:
        Two rows as ``results.json`` holds them; the confidence of a kernel distance is the 95 % interval by the
        jackknife over volumes.

    Raises:
        CtgridError: where a set has fewer than two samples.
    """
    for name, collected in (("real", real), ("fake", fake)):
        if collected.count < 2:
            raise CtgridError(
                f"{one.distance} of {one.frames} frames needs 2 clips of {name} {called[0]}, got {collected.count}: "
                f"protocol {protocol.id} leaves out {collected.short} {called[0]} as too short; ask for fewer --frames"
            )
    assert real.moments is not None and fake.moments is not None
    frechet = frechet_from_moments(real.moments, fake.moments, protocol.statistics.ddof)
    (x, of_x), (y, of_y) = real.features(), fake.features()
    kernel = kernel_distance_with_confidence(x, y, of_x, of_y)
    warnings = _warnings(one, real, fake, protocol, called)
    few = [
        f"{n} {name} samples: below {protocol.statistics.fewest} a Fréchet distance is too large; compare only with "
        f"equal numbers, and read {one.kernel} beside it"
        for name, n in (("real", real.count), ("fake", fake.count))
        if n < protocol.statistics.fewest
    ]
    few += [
        f"{n} {name} samples of {len(real.moments.mean)} features: the covariance is singular"
        for name, n in (("real", real.count), ("fake", fake.count))
        if n <= len(real.moments.mean)
    ]
    common = {
        "frames": one.frames,
        "volumes_real": real.volumes,
        "volumes_fake": fake.volumes,
        "features": len(real.moments.mean),
        "detector": dict(one.detector),
    }
    counts = {"n_real": real.count, "n_fake": fake.count}
    kept = {"n_real": len(x), "n_fake": len(y)}
    unknown = [] if kernel.confidence else [f"no confidence: it takes at least 3 {called[0]} on either side"]
    first = {"measure": one.distance, "value": frechet, "confidence": None, **counts, "warnings": warnings + few}
    second = {
        "measure": one.kernel,
        "value": kernel.value,
        "confidence": list(kernel.confidence) if kernel.confidence else None,
        "standard_error": kernel.error,
        **kept,
        "warnings": warnings + unknown,
    }
    return [{**first, **common}, {**second, **common}]


def _warnings(
    one: FeatureSet, real: Collected, fake: Collected, protocol: Protocol, called: tuple[str, str]
) -> list[str]:
    """Say what both distances share."""
    warnings = []
    for name, collected in (("real", real), ("fake", fake)):
        if collected.short:
            what = "looped" if protocol.clips.too_short == "loop" else "left out"
            warnings.append(
                f"{collected.short} {name} {called[0]} have too few {called[1]} for {one.frames} frames: {what}"
            )
    if not one.detector["pinned"]:
        warnings.append(
            f"{one.detector['file']} is not pinned: the name {one.distance} holds only if it is the published detector"
        )
    return warnings
