"""``ctgrid evaluate volumes`` and ``video`` as calls of Python: two sets compared, with the record of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.documents import as_json, plain
from ctgrid.base.files import check_apart, check_folder, check_output
from ctgrid.base.machine import versions
from ctgrid.base.privacy import hides, without_paths
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.evaluation.evaluated import Evaluated, save_text
from ctgrid.runs.evaluation.fidelity.settings import FidelityRequest, VideoRequest

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan


@spelled_out(FidelityRequest, "changes")
def compare_volumes(
    real: Path | str,
    fake: Path | str,
    out: Path | str,
    request: FidelityRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Compare generated volumes with real ones: FVD, FID and KID by a protocol, ctgrid's features, CT measures.

    Writes ``results.json``, ``table.md``, with ``train`` a picture. Features of volumes are kept by content hash: a run
    that was stopped goes on where it was. What cannot be read stands under ``failed`` in results and record; the
    figures are of the others.

    Args:
        real: volumes of other patients than those trained on: a folder or a store.
        fake: generated volumes, likewise.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: where something is missing, or cannot be compared.
    """
    from ctgrid.runs.evaluation.fidelity.evaluate import evaluate_volumes

    asked = gather(FidelityRequest, changes, request)
    real, fake, folder = Path(real), Path(fake), Path(out)
    plan = asked.plan()
    inputs = (real, fake, *([asked.train] if asked.train else []))
    record = _of_sets("evaluate volumes", folder, inputs, plan, asked.overwrite, argv)
    record.settings = _settings_of(plan, real, fake, asked.train)
    with recorded(record, owns=[folder]):
        results = evaluate_volumes(real, fake, plan, folder, asked.train, progress, record.timed)
        return _save_sets(record, folder, results, "volumes")


@spelled_out(VideoRequest, "changes")
def compare_video(
    real: Path | str,
    fake: Path | str,
    out: Path | str,
    request: VideoRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Compare generated movies with real clips: FVD, FID and KID by a protocol, flicker, and PSNR of clips of one name.

    Writes ``results.json`` and ``table.md``. Features of clips are kept by content hash: a run that was stopped goes on
    where it was. What cannot be read stands under ``failed``, as with :func:`compare_volumes`.

    Args:
        real: folder of clips that were not trained on: video files and folders of frames.
        fake: folder of generated ones, likewise.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: where something is missing, or cannot be compared.
    """
    from ctgrid.runs.evaluation.fidelity.video import evaluate_video

    asked = gather(VideoRequest, changes, request)
    real, fake, folder = Path(real), Path(fake), Path(out)
    plan = asked.plan()
    record = _of_sets("evaluate video", folder, (real, fake), plan, asked.overwrite, argv)
    settings = _settings_of(plan, real, fake, None) | {"layout": plan.layout, "part": plan.part}
    record.settings = {k: v for k, v in settings.items() if k not in ("train", "real_frame", "field_mm", "metadata")}
    with recorded(record, owns=[folder]):
        return _save_sets(record, folder, evaluate_video(real, fake, plan, progress, record.timed), "clips")


def _of_sets(
    command: str, folder: Path, inputs: Sequence[Path], plan: FidelityPlan, overwrite: bool, argv: Sequence[str]
) -> RunRecord:
    """Check that a comparison of two sets can be written, and begin its record."""
    check_folder(folder)
    check_apart(folder, inputs)
    if folder.exists():
        for name in ("results.json", "table.md"):
            check_output(folder / name, overwrite)
    return RunRecord(command, folder / RECORD, list(argv), plan.seed)


def _save_sets(record: RunRecord, folder: Path, results: dict[str, Any], of: str) -> Evaluated:
    """Write results and table of a comparison of two sets, and note them with the volumes or clips measured."""
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    run = {"record": RECORD, "command": record.command, "argv": record.argv, "versions": versions()}
    results = plain({**results, "run": run})
    if hides():  # names of volumes and clips are aliases already
        results |= {key: without_paths(results[key]) for key in ("run", "left_out", "failed", "warnings")}
    record.results |= {key: results[key] for key in ("left_out", "failed", "warnings") if results[key]}
    folder.mkdir(exist_ok=True)
    save_text(folder / "results.json", as_json(results, 1))
    save_text(folder / "table.md", description_markdown(describe(results)))
    picture = (results.get("memorisation") or {}).get("picture")
    for name in ("results.json", "table.md", *([picture] if picture else [])):
        record.add_output(folder / name)
    for role in ("real", "fake"):
        record.inputs += [{"set": role, **each} for each in results[of][role]]
    return Evaluated(record, results, folder / "results.json")


def _settings_of(plan: FidelityPlan, real: Path, fake: Path, train: Path | None) -> dict[str, Any]:
    """Return what the run record says was asked for."""
    return {
        "real": real,
        "fake": fake,
        "train": train,
        "protocol": {"id": plan.loaded.protocol.id, "sha256": plan.loaded.sha256},
        "frames": plan.lengths,
        "real_frame": plan.frame,
        "field_mm": plan.field_mm,
        "measures": plan.measures or "all",
        "detectors": plan.detectors,
        "pins": dict(plan.pins),
        "metadata": plan.metadata,
        "device": plan.device,
        "batch_size": plan.batch_size,
        "cache": plan.cache,
    }
