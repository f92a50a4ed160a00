"""Download the detectors of FVD and FID, which nothing else ever does."""

from __future__ import annotations

import json

from ctgrid.runs.evaluation.fidelity.settings import DetectorSettings

from .adapter import with_options
from .errors import tell
from .options import JsonOption
from .progress import progress_bar


@with_options
def command(*, settings: DetectorSettings, as_json: JsonOption = False) -> None:
    """Download the TorchScript detectors of FVD and FID, from where StyleGAN-V's and NVIDIA's code names them.

    Their licences are their owners'. The hash of what came is printed for you to pin; ctgrid knows no published one.
    """
    from ctgrid.runs.evaluation.fidelity.fetch import fetch_detectors

    with progress_bar() as bar:
        fetched = fetch_detectors(
            settings.names(),
            folder=settings.folder,
            addresses=settings.addresses(),
            pins=settings.pins(),
            offline=settings.offline,
            progress=bar,
        )
    if as_json:
        tell(json.dumps({"detectors": fetched}))
        return
    for file in fetched:
        how = "already here" if file["already_here"] else f"fetched from {file['address']}"
        checked = "as pinned" if file["pinned"] else "compared with nothing"
        tell(f"{file['path']}: {how}, {file['bytes'] / 1e6:.1f} MB, SHA-256 {file['sha256']} ({checked})")
