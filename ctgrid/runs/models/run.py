"""``ctgrid model pack`` and ``convert`` as calls of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.files import check_folder
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.models.settings import ConversionSettings, PackSettings


@spelled_out(PackSettings, "changes")
def pack_model(
    out: Path | str, settings: PackSettings | None = None, *, argv: Sequence[str] = (), **changes: Any
) -> RunRecord:
    """Put codec, stage 1 and stage 2 into one model folder that the other commands take, with a run record.

    Args:
        out: the folder; made if missing.
        settings: of what; ``codec``, ``stage1`` and ``stage2`` must be given, here or by name.
        argv: the command line, for the record.
        changes: settings other than those, by name.

    Returns:
        The record; its inputs and outputs are the parts.

    Raises:
        CtgridError: where parts cannot be read, or do not fit together.
    """
    asked, folder = gather(PackSettings, changes, settings), Path(out)
    runs = {part: getattr(asked, part) for part in ("codec", "stage1", "stage2", "gaps", "detail")}
    parts = {part: Path(run) for part, run in runs.items() if run is not None}
    check_folder(folder)
    record = RunRecord("model pack", folder / RECORD, list(argv))
    record.settings = {**runs, "half": asked.half}
    with recorded(record, owns=[folder]):
        from ctgrid.stages.models.bundle import load_bundle, pack, part_folder

        with record.timed("pack"):
            pack(
                parts["codec"],
                parts["stage1"],
                parts["stage2"],
                folder,
                gaps=parts.get("gaps"),
                detail=parts.get("detail"),
                half=asked.half,
                overwrite=asked.overwrite,
            )
        record.model = load_bundle(folder).describe()
        for part, run in parts.items():
            record.add_input(part_folder(run, part), part=part)
            record.add_output(folder / part, part=part)
    return record


@spelled_out(ConversionSettings, "changes")
def convert_model(
    source: str | Path,
    out: Path | str,
    settings: ConversionSettings | None = None,
    *,
    argv: Sequence[str] = (),
    **changes: Any,
) -> RunRecord:
    """Convert a checkpoint of a diffusion transformer to a model folder, with a run record.

    Args:
        source: a ``.pt`` or ``.safetensors`` file, a diffusers folder, one of ours, or a hub's name.
        out: the folder to make.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        changes: settings other than those, by name.

    Returns:
        The record; its ``model`` describes what was made, its ``decisions`` say what was told from what.

    Raises:
        CtgridError: as :func:`ctgrid.stages.weights.convert.convert`.
    """
    asked, folder = gather(ConversionSettings, changes, settings or ConversionSettings()), Path(out)
    check_folder(folder)
    record = RunRecord("model convert", folder / RECORD, list(argv))
    record.settings = {"source": str(source), **asked.as_dict()}
    with recorded(record, owns=[folder], replaces=True):
        from ctgrid.stages.models.sources import named_elsewhere, resolve_model
        from ctgrid.stages.weights.convert import convert

        path = resolve_model(str(source)) if named_elsewhere(source) else Path(source)
        with record.timed("convert"):
            made = convert(path, folder, **asked.as_dict())
        record.model = made.describe()
        record.decisions = record.model.pop("decisions")
        for file in made.checkpoint.files:
            record.add_input(file)
        for file in sorted(path for path in folder.iterdir() if not path.name.startswith("run")):
            record.add_output(file)
    return record
