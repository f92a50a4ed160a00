"""``ctgrid model fetch`` and ``verify`` as calls of Python."""

from __future__ import annotations

from typing import Any

from ctgrid.base.errors import CtgridError
from ctgrid.base.progress import Progress, silent
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.models.settings import FetchSettings, VerifySettings
from ctgrid.stages.models.catalogue import HUB, HubName
from ctgrid.stages.models.manifest import FileEntry, Manifest, check_folder, read_pins


@spelled_out(FetchSettings, "changes")
def fetch_model(
    name: str, settings: FetchSettings | None = None, *, progress: Progress = silent, **changes: Any
) -> dict[str, Any]:
    """Download a model into ``CTGRID_HOME``, checking every hash; an interrupted fetch goes on where it stopped.

    Args:
        name: ``hub:owner/name[@revision]``.
        settings: what of it; None takes the defaults.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        Plain JSON values: where it lies, its commit, files and bytes, and what was verified.

    Raises:
        CtgridError: where it cannot be had, or is not what it must be.
    """
    asked = gather(FetchSettings, changes, settings or FetchSettings())
    hub_name, pins = HubName.parse(name), read_pins(list(asked.hashes), asked.manifest)
    from ctgrid.stages.models.hub import fetch

    fetched = fetch(
        hub_name, include=asked.include, pickles=asked.pickles, pins=pins, offline=asked.offline, progress=progress
    )
    return fetched.as_dict()


@spelled_out(VerifySettings, "changes")
def verify_model(
    name: str, settings: VerifySettings | None = None, *, progress: Progress = silent, **changes: Any
) -> dict[str, Any]:
    """Hash a model's files again and compare with what was recorded, or with the hashes given.

    Args:
        name: embedded, a folder, or ``hub:owner/name[@revision]``.
        settings: with what; None takes the defaults.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        Plain JSON values: ``name``, ``folder``, the number of ``files``, ``ok``, and ``problems`` by file.

    Raises:
        CtgridError: there is no such model, or no hash to compare with.
    """
    from ctgrid.stages.models.sources import recorded_files, resolve_model

    asked = gather(VerifySettings, changes, settings or VerifySettings())
    folder, pins = resolve_model(name), read_pins(list(asked.hashes), asked.manifest)
    if asked.record:
        if name.startswith(HUB):
            raise CtgridError(f"{name}: what the hub stated is on record; --record is for folders of one's own")
        Manifest.of_folder(folder).write(folder)
    files = {path: FileEntry(-1, digest) for path, digest in pins.items()} or recorded_files(name)
    problems = check_folder(folder, files, strict=not pins, progress=progress)
    return {"name": name, "folder": str(folder), "files": len(files), "ok": not problems, "problems": problems}
