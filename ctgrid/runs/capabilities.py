"""What this installation can do, by name, for programs and agents that drive it."""

from __future__ import annotations

from typing import Any

from ctgrid.base.extras import EXTRAS
from ctgrid.base.machine import versions


def capabilities() -> dict[str, Any]:
    """Return the names that commands and functions take: formats, methods, samplers, protocols, models and more.

    Returns:
        JSON-able: ``versions``, ``formats`` (``reads`` and ``writes``, suffixes; ``dicom`` are folders),
        ``denoising_methods``, ``samplers``, ``spacings``, ``codecs``, ``protocols`` (of preparation),
        ``evaluation_protocols``, ``measures``, ``hu_modes``, ``video_layouts``, ``recipes``, ``ablations``,
        ``models`` (those inside the package and those fetched), ``extras`` (packages).
    """
    from importlib.resources import files
    from typing import get_args

    from ctgrid.data.video.layouts import LAYOUTS
    from ctgrid.methods.denoising.methods import METHODS
    from ctgrid.runs.ablation.spec import shipped_ablations
    from ctgrid.runs.evaluation.fidelity.evaluate import MEASURES
    from ctgrid.runs.evaluation.fidelity.protocol import shipped_protocols
    from ctgrid.scan.formats.kinds import readable, writable
    from ctgrid.scan.hu.modes import HuMode
    from ctgrid.scan.protocols.protocols import PROTOCOLS
    from ctgrid.stages.codecs.families import FAMILIES
    from ctgrid.stages.diffusion.samplers import SAMPLERS
    from ctgrid.stages.diffusion.schedule import Spacing
    from ctgrid.stages.models.catalogue import Catalogue
    from ctgrid.stages.models.sources import EMBEDDED

    fetched = [f"hub:{entry.id}@{revision}" for entry in Catalogue().entries() for revision in entry.revisions]
    recipes = (file.name for file in files("ctgrid_configs").iterdir())
    return {
        "versions": versions(),
        "formats": {"reads": [*readable(), "dicom"], "writes": [*writable(), "dicom"]},
        "denoising_methods": list(METHODS),
        "samplers": list(SAMPLERS),
        "spacings": list(get_args(Spacing)),
        "codecs": list(FAMILIES),
        "protocols": list(PROTOCOLS),
        "evaluation_protocols": list(shipped_protocols()),
        "measures": list(MEASURES),
        "hu_modes": list(get_args(HuMode)),
        "video_layouts": list(LAYOUTS),
        "recipes": sorted(name.removesuffix(".yaml") for name in recipes if name.endswith(".yaml")),
        "ablations": shipped_ablations(),
        "models": [EMBEDDED, *fetched],
        "extras": {extra: list(packages) for extra, packages in EXTRAS.items()},
    }
