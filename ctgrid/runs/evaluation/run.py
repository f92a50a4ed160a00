"""The commands ``ctgrid evaluate`` as calls of Python: measured, drawn, tabled, with the record of the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.documents import as_json, plain
from ctgrid.base.extras import require
from ctgrid.base.files import atomic_output, check_apart, check_folder, check_output
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded, versions
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.evaluation.settings import (
    DenoisingRequest,
    FidelityRequest,
    TrialRequest,
    UpscalingRequest,
    VideoRequest,
)

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
    from ctgrid.runs.evaluation.results import Results

Draw = Callable[[Sequence[dict[str, Any]], Path], list[Path]]


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation.

    Attributes:
        record: of the run.
        content: of ``results.json``; what :func:`ctgrid.runs.results.kinds.describe` takes.
        path: of that file.
    """

    record: RunRecord
    content: Any
    path: Path


@spelled_out(DenoisingRequest, "changes")
def compare_denoising(
    clean: Sequence[Path | str],
    out: Path | str,
    request: DenoisingRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Add noise to clean scans, denoise by every method, measure; goes on where it was stopped.

    Writes ``results.json``, ``table.md``, ``curves.png``, and a picture and the noise-power spectra of every case.

    Args:
        clean: scans with as little noise as can be had.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name; ``noise`` must be given.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation import denoising_plots
    from ctgrid.runs.evaluation.denoising import evaluate_denoising

    asked, scans = gather(DenoisingRequest, changes, request), [Path(path) for path in clean]
    record = RunRecord("evaluate denoising", Path(out) / RECORD, list(argv))
    files = ("results.json", "table.md")
    return _tried(record, asked, scans, files, evaluate_denoising, denoising_plots.draw_denoising, progress)


@spelled_out(TrialRequest, "changes")
def compare_on_nodules(
    clean: Sequence[Path | str],
    out: Path | str,
    request: TrialRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Plant small nodules in clean scans, add noise, denoise; report contrast kept and structures invented.

    Writes ``nodules.json``, ``nodules.md`` and a picture of every case. ``slices`` takes unbroken ranges here.

    Args:
        clean: see :func:`compare_denoising`; likewise the others.
        out: folder.
        request: how.
        argv: the command line.
        progress: called with (phase, done, total).
        changes: settings.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation import nodule_plots
    from ctgrid.runs.evaluation.nodule_trial import evaluate_nodules

    asked, scans = gather(TrialRequest, changes, request), [Path(path) for path in clean]
    record = RunRecord("evaluate nodules", Path(out) / RECORD, list(argv))
    files = ("nodules.json", "nodules.md")
    return _tried(record, asked, scans, files, evaluate_nodules, nodule_plots.draw_nodules, progress)


@spelled_out(UpscalingRequest, "changes")
def compare_upscaling(
    real: Sequence[Path | str],
    out: Path | str,
    request: UpscalingRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> Evaluated:
    """Shrink real slices as grids do, bring them back by every method, measure; goes on where it was stopped.

    Writes ``results.json``, ``table.md`` and a picture of every volume.

    Args:
        real: volumes that the model was not trained on, folders or stores.
        out: folder.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: before any work for what cannot be done.
    """
    from ctgrid.runs.evaluation.samples import open_samples
    from ctgrid.runs.evaluation.super_resolution import evaluate_super_resolution
    from ctgrid.runs.evaluation.super_resolution_plots import draw_super_resolution

    asked, folder = gather(UpscalingRequest, changes, request), Path(out)
    plan, volumes = asked.plan(), [Path(path) for path in real]
    full_size, factor = plan.shape()
    record = RunRecord("evaluate super-resolution", folder / RECORD, list(argv), plan.seed)
    record.settings = {**asdict(plan), "size": full_size, "k": factor}

    def evaluate() -> Results:
        seen, fitted = (
            [sample for path in paths for sample in open_samples(path, size=full_size, progress=progress)]
            for paths in (volumes, asked.train)
        )
        return evaluate_super_resolution(seen, plan, folder, train=fitted, overwrite=asked.overwrite, progress=progress)

    return _measured(record, ("results.json", "table.md"), [*volumes, *asked.train], evaluate, draw_super_resolution)


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
    that was stopped goes on where it was.

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
    where it was.

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
    record.settings = {k: v for k, v in settings.items() if k not in ("train", "real_frame", "metadata")}
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
    folder.mkdir(exist_ok=True)
    _save(folder / "results.json", as_json(results, 1))
    _save(folder / "table.md", description_markdown(describe(results)))
    picture = (results.get("memorisation") or {}).get("picture")
    for name in ("results.json", "table.md", *([picture] if picture else [])):
        record.add_output(folder / name)
    for role in ("real", "fake"):
        record.inputs += [{"set": role, **each} for each in results[of][role]]
    return Evaluated(record, results, folder / "results.json")


def _tried(
    record: RunRecord,
    request: TrialRequest,
    clean: list[Path],
    files: tuple[str, str],
    evaluate: Callable[..., Results],
    draw: Draw,
    progress: Progress,
) -> Evaluated:
    """Compare denoising methods in one way or another."""
    from ctgrid.runs.evaluation.denoising_plan import check_inputs

    plan = request.plan()
    check_inputs(clean, plan)
    record.seed, record.settings = plan.seed, {**asdict(plan), "noises": [str(noise) for noise in plan.noises]}
    work = partial(evaluate, clean, plan, record.path.parent, overwrite=request.overwrite, progress=progress)
    return _measured(record, files, clean, work, draw)


def _measured(
    record: RunRecord, files: tuple[str, str], inputs: Sequence[Path], evaluate: Callable[[], Results], draw: Draw
) -> Evaluated:
    """Check the folder, evaluate into it, write the table, draw, and note inputs and outputs."""
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    folder = record.path.parent
    results, table = (folder / name for name in files)
    check_folder(folder)
    check_apart(folder, inputs)
    require("matplotlib")
    with recorded(record, owns=[folder]):
        try:
            with record.timed("evaluate"):
                found = evaluate()
        finally:
            record.worth_keeping = results.exists()
        text = description_markdown(describe(found.content))
        with record.timed("draw"):
            _save(table, text)
            pictures = draw(found.rows, folder)
        for path in inputs:
            record.add_input(path)
        for path in (found.path, table, *pictures):
            record.add_output(path)
    return Evaluated(record, found.content, found.path)


def _save(path: Path, text: str) -> None:
    """Write text, atomically, over what was there."""
    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _settings_of(plan: FidelityPlan, real: Path, fake: Path, train: Path | None) -> dict[str, Any]:
    """Return what the run record says was asked for."""
    return {
        "real": real,
        "fake": fake,
        "train": train,
        "protocol": {"id": plan.loaded.protocol.id, "sha256": plan.loaded.sha256},
        "frames": plan.lengths,
        "real_frame": plan.frame,
        "measures": plan.measures or "all",
        "detectors": plan.detectors,
        "pins": dict(plan.pins),
        "metadata": plan.metadata,
        "device": plan.device,
        "batch_size": plan.batch_size,
        "cache": plan.cache,
    }
