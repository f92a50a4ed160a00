"""``ctgrid simulate phantom`` as a call of Python: phantoms one after the other, those that are there kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ctgrid.base.errors import CtgridError, MisuseError
from ctgrid.base.files import check_folder, check_output, full_suffix
from ctgrid.base.progress import Progress, silent, titled
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD, record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.simulate.collection import INTERCEPT_HU, collection_names, table_name, write_stored, write_table
from ctgrid.data.simulate.phantom import check_grid, labelled_phantom, phantom_slice
from ctgrid.runs.scans.settings import PhantomSettings
from ctgrid.scan.formats.kinds import output_kind, writable
from ctgrid.scan.names import numbered_outputs
from ctgrid.scan.volume import Volume


@spelled_out(PhantomSettings, "changes")
def make_phantoms(
    out: Path | str | None = None,
    settings: PhantomSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Paint chest phantoms, anatomy and pose drawn from the seed, and write them with a run record.

    Of several, those that are there already are kept.

    Args:
        out: a volume's file; else a folder for ``phantom_0000.nii.gz`` … None names them in the working folder.
        settings: which; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its outputs hold seed, shape and spacing, its ``results`` how many were written and kept.

    Raises:
        MisuseError: a part of CT-RATE is asked for, and ``out`` is no folder.
        CtgridError: something else has a phantom's name, or it cannot be painted or written so.
    """
    asked, out = gather(PhantomSettings, changes, settings or PhantomSettings()), None if out is None else Path(out)
    targets, numbered = _targets(out, asked)
    offset = 0 if asked.ct_rate is None else INTERCEPT_HU
    folder, shape = targets[0].parent, (asked.slices, asked.size, asked.size)
    voxel = check_grid(asked.seed, shape, asked.spacing_mm, asked.noise)
    if not numbered:
        for path in (targets[0], labels_path(targets[0]))[: 1 + asked.labels]:
            check_output(path, asked.overwrite)
    place = folder / RECORD if numbered else record_beside(targets[0])
    record = RunRecord("simulate phantom", place, list(argv), asked.seed)
    record.settings = {**asked.as_dict(), "spacing_mm": voxel}
    kept = 0
    with recorded(record, owns=[folder] if numbered else ()):
        for i, path in enumerate(targets):
            told = titled(progress, f"phantom {i + 1}/{asked.count}") if asked.count > 1 else progress
            facts = {"seed": asked.seed + i, "shape": shape, "spacing_mm": voxel}
            wanted = (path, labels_path(path))[: 1 + asked.labels]
            if not asked.overwrite and all(p.exists() for p in wanted):
                _check_same(path, asked.seed + i, shape, voxel, asked.noise, offset)
                kept += 1
                record.add_output(path, **facts, kept=True)
                continue
            with record.timed("paint"):
                hu, parts = labelled_phantom(asked.seed + i, shape, voxel, asked.noise, progress=told)
            told("writing", 0, 1)
            with record.timed("write"):
                folder.mkdir(exist_ok=True)
                for target, volume in zip(wanted, (hu, parts), strict=False):
                    if target.exists() and not asked.overwrite and target == path:
                        _check_same(path, asked.seed + i, shape, voxel, asked.noise, offset)
                        continue
                    if asked.ct_rate is not None and volume is hu:
                        write_stored(target, hu)
                    else:
                        volume.write(target, overwrite=asked.overwrite)
                    record.add_output(target, **facts)
            if numbered:
                made = [one for one in record.outputs if one["path"] in map(str, wanted)]
                record.parts[path] = {"seed": asked.seed + i, "outputs": made, "results": {"written": 1, "kept": 0}}
        if asked.ct_rate is not None:
            write_table(folder / table_name(asked.ct_rate), [path.name for path in targets], voxel)
            record.add_output(folder / table_name(asked.ct_rate))
        record.results = {"written": asked.count - kept, "kept": kept}
    return record


def labels_path(path: Path) -> Path:
    """Return where a phantom's labels go."""
    suffix = full_suffix(path)
    return path.with_name(f"{path.name[: -len(suffix)]}_labels{suffix}")


def _targets(out: Path | None, asked: PhantomSettings) -> tuple[list[Path], bool]:
    """Name the phantoms, and tell whether they are numbered: then those that are there may be kept."""
    count = asked.count
    if out is None:
        targets, numbered = numbered_outputs("phantom", asked.slices, asked.seed, count)
    else:
        targets, numbered = _named(out, count)
    if asked.ct_rate is None:
        return targets, numbered
    if out is None or targets[0].parent != out:
        raise MisuseError("--out must name a folder where --ct-rate is given")
    return [out / name for name in collection_names(asked.ct_rate, count)], True


def _named(out: Path, count: int) -> tuple[list[Path], bool]:
    suffix = full_suffix(out)
    if suffix in writable() and not out.is_dir():
        stem = out.name[: -len(suffix)]
        numbers = [out.with_name(f"{stem}_{i:04d}{suffix}") for i in range(count)]
        return ([out], False) if count == 1 else (numbers, True)
    output_kind(out)
    check_folder(out)
    return [out / f"phantom_{i:04d}.nii.gz" for i in range(count)], True


def _check_same(
    path: Path,
    seed: int,
    shape: tuple[int, int, int],
    voxel: tuple[float, float, float],
    noise: float,
    offset: int,
) -> None:
    """Make sure that a file that is there already is the phantom that is asked for, by grid and middle slice."""
    found, middle = Volume.read(path, hu="stored"), shape[0] // 2
    same = found.shape == shape and np.allclose(found.spacing_mm, voxel, rtol=1e-4)
    if not same or not np.array_equal(found.hu[middle] + offset, phantom_slice(seed, middle, shape, voxel, noise)):
        raise CtgridError(
            f"{path} exists and is not the phantom of seed {seed} asked for; pass --overwrite to replace it"
        )
