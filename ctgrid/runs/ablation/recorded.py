"""``ctgrid ablation`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output, check_folder
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.ablation.run import RESULTS, run_ablation
from ctgrid.runs.ablation.summary import report
from ctgrid.runs.training.settings import AblationSettings, read_overrides


@spelled_out(AblationSettings, "changes")
def compare_variants(
    name: str | Path,
    data: Path | str,
    out: Path | str | None = None,
    settings: AblationSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Train, sample, measure and draw the variants of an ablation, with results, a report and a run record.

    Args:
        name: of a shipped ablation, or a YAML file.
        data: folder of volumes or a store.
        out: folder of results and runs; None is ``ablation-NAME``.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` are what :func:`ctgrid.runs.ablation.run.run_ablation` returns.

    Raises:
        CtgridError: as that.
    """
    from ctgrid.runs.ablation.pictures import draw_ablation

    asked = gather(AblationSettings, changes, settings or AblationSettings())
    data, folder = Path(data), Path(f"ablation-{Path(name).stem}" if out is None else out)
    check_folder(folder)
    require("matplotlib")
    overrides = read_overrides(asked.overrides)
    record = RunRecord("ablation", folder / RECORD, list(argv))
    record.settings = {"name": str(name), "data": data, **asked.as_dict(), "overrides": overrides}
    with recorded(record, owns=[folder]):
        with record.timed("ablation"):
            results = run_ablation(
                name,
                data,
                folder,
                split=asked.split,
                seeds=asked.seeds,
                max_steps=asked.max_steps,
                overrides=overrides,
                resume=asked.resume,
                progress=record.kept_from("training", progress),  # checkpoints lie there
            )
        with record.timed("draw"):
            pictures = draw_ablation(results, folder)
        with atomic_output(folder / "report.md", overwrite=True) as temporary:
            temporary.write_text(report(results), encoding="utf-8")
        for path in (folder / RESULTS, folder / "report.md", *pictures):
            record.add_output(path)
        record.results = results
    return record
