"""``ctgrid info`` as a call of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctgrid.base.documents import plain
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.scans.settings import InfoSettings


@spelled_out(InfoSettings, "changes")
def describe_source(
    source: Path | str, settings: InfoSettings | None = None, *, progress: Progress = silent, **changes: Any
) -> dict[str, Any]:
    """Describe a scan, a DICOM folder or archive with all its series, or a store; nothing is written.

    Args:
        source: of these.
        settings: of what it takes account; None takes the defaults.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        Plain JSON values: what :func:`ctgrid.scan.describe.describe_scan` says of a scan, or
        :func:`ctgrid.stages.latents.describe.describe_store` of a store, which has the key ``kind``.

    Raises:
        CtgridError: where it is neither, or cannot be read.
    """
    from ctgrid.scan.describe import describe_scan
    from ctgrid.scan.hu.metadata import MetadataTable

    asked, source = gather(InfoSettings, changes, settings or InfoSettings()), Path(source)
    if (source / "zarr.json").is_file():
        from ctgrid.stages.latents.describe import describe_store

        return dict(plain(describe_store(source, progress)))
    return dict(plain(describe_scan(source, MetadataTable.read_all(asked.metadata), asked.series)))
