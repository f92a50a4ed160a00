"""``ctgrid synthesize`` as calls of Python: a series of volumes, or movies, each with the record of the run.

Nothing heavy is imported before the clock of the record runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.progress import Progress, silent, titled
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD, record_beside
from ctgrid.base.settings import gather, spelled_out
from ctgrid.base.usual import parse_memory
from ctgrid.runs.synthesis.ranks import Ranks
from ctgrid.runs.synthesis.settings import FRAMES, MovieRequest, SynthesisRequest
from ctgrid.runs.synthesis.targets import picture_path, plan_movies, plan_outputs

if TYPE_CHECKING:
    from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
    from ctgrid.methods.synthesis.settings import Settings
    from ctgrid.runs.synthesis.series import Made, VolumeSet


@spelled_out(SynthesisRequest, "changes")
def synthesize_volumes(
    out: Path | str | None = None,
    request: SynthesisRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Make volumes and write them with a picture each and a run record; the same call takes up a broken run.

    Where ``torchrun`` or ``accelerate launch`` started several processes, each makes its own volumes, and the record of
    the first is that of all.

    Args:
        out: a NIfTI file; with ``count`` also a folder. None names the volumes by what they are, in the working folder.
        request: what to make; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Returns:
        The record: ``results`` counts the volumes made and those that were there, ``outputs`` lists files.

    Raises:
        CtgridError: for settings that the model cannot follow, or where an output is in the way.
    """
    asked = gather(SynthesisRequest, changes, request or SynthesisRequest())
    limit = None if asked.max_memory is None else parse_memory(asked.max_memory)
    paths, many = plan_outputs(None if out is None else Path(out), asked)
    folder = paths[0].parent
    record = RunRecord("synthesize", folder / RECORD if many else record_beside(paths[0]), list(argv), asked.seed)
    with record.timed("load"):  # torch, for one
        from ctgrid.base.devices import repeatable
        from ctgrid.base.journal import Journal
        from ctgrid.runs.synthesis.series import Target, VolumeSet
    ranks = Ranks.here()
    targets = [
        Target(i, asked.seed + i, path, picture_path(path) if asked.picture else None) for i, path in enumerate(paths)
    ]
    volumes = VolumeSet(
        [target for target in targets if ranks.mine(target.number)],
        Journal(folder / "manifest.jsonl") if many else None,
        asked.overwrite,
    )
    volumes.check()
    loading = {**asked.loading.given(), "device": ranks.device(asked.loading.device)}
    record.settings = {"count": len(paths), **asked.how.as_dict(), **loading, "max_memory": asked.max_memory}
    record.settings["deterministic"] = asked.deterministic
    mine = recorded(record, owns=[folder] if many else ()) if ranks.first else nullcontext(record)
    with repeatable(asked.deterministic), mine:
        _make(volumes, asked, limit, loading, ranks, record, progress if ranks.first else silent)
    return record


def _make(
    volumes: VolumeSet,
    request: SynthesisRequest,
    limit: int | None,
    loading: dict[str, Any],
    ranks: Ranks,
    record: RunRecord,
    progress: Progress,
) -> None:
    """Make this process's volumes, and fill in the record with what all processes made."""
    from ctgrid.runs.synthesis.series import checkpoint_of

    def note(made: Made) -> None:
        record.outputs.extend(made.outputs)
        record.worth_keeping = True
        if volumes.manifest is not None:
            facts = {"seed": made.target.seed, "outputs": made.outputs, "results": {"made": 1, "already_there": 0}}
            record.parts[made.target.path] = facts

    progress("loading the model", 0, 1)
    with record.timed("load"):
        from ctgrid.methods.synthesis.pipeline import SynthesisPipeline

        ranks.connect()
        pipeline = SynthesisPipeline.load(**loading)
    record.model = pipeline.describe()
    checkpoint = checkpoint_of(record.model)
    settings = pipeline.resolve(request.how, limit)
    record.settings.update(settings.as_dict())
    _note_sampled(record, pipeline, settings)
    with record.timed("check"):
        targets = volumes.remaining(settings, checkpoint)
    record.dit_token_passes = 0
    if targets:
        work = volumes.make(pipeline, targets, settings, checkpoint, note, progress)
        record.add_phases(work.phases)
        record.dit_token_passes = work.dit_token_passes
    own = {"made": len(targets), "already_there": len(volumes.targets) - len(targets), "phases": record.phases}
    own |= {"outputs": record.outputs, "records": record.parts, "passes": record.dit_token_passes}
    parts = ranks.gather(own)
    record.parts = {path: facts for part in parts for path, facts in part["records"].items()}
    record.outputs = sorted((o for part in parts for o in part["outputs"]), key=lambda o: str(o["path"]))
    record.dit_token_passes = sum(part["passes"] for part in parts)
    record.results = {name: sum(part[name] for part in parts) for name in ("made", "already_there")}
    if ranks.count > 1:
        record.results["processes"] = [{"made": part["made"], "phases": part["phases"]} for part in parts]


def _note_sampled(record: RunRecord, pipeline: SynthesisPipeline, settings: Settings) -> None:
    """Record how many coarse slices the slices, or frames, are interpolated from, where they are."""
    sampled = pipeline.coarse_count(settings)
    if sampled != settings.slices:
        record.decisions["coarse_slices"] = {"sampled": sampled, "interpolated_to": settings.slices}


@spelled_out(MovieRequest, "changes")
def synthesize_movies(
    out: Path | str | None = None,
    request: MovieRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Make one movie after the other, with a run record that says how much each flickers.

    Args:
        out: a .mp4, .gif or .webp file, or a name without suffix for a folder of PNG frames; numbered where there are
            several. None names .mp4 files in the working folder.
        request: what to make; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Raises:
        CtgridError: for settings that the model cannot follow, or where an output is in the way.
    """
    from ctgrid.base.devices import repeatable
    from ctgrid.data.video.write import check_movie, open_movie
    from ctgrid.metrics.flicker import FlickerMeter

    asked = gather(MovieRequest, changes, request or MovieRequest())
    limit = None if asked.max_memory is None else parse_memory(asked.max_memory)
    frames, fps, count = asked.frames or FRAMES, asked.fps, asked.count or 1
    targets = plan_movies(None if out is None else Path(out), asked, frames)
    for path in targets:
        check_movie(path, fps=fps, overwrite=asked.overwrite)
    wanted = gather(type(asked.how), {"slices": frames}, asked.how)
    loading = asked.loading.given()
    place = targets[0].parent / RECORD if count > 1 else record_beside(targets[0])
    record = RunRecord("synthesize", place, list(argv), asked.seed)
    how = {name: value for name, value in wanted.as_dict().items() if name not in ("slices", "size")}
    record.settings = {"as": "video", "frames": frames, "fps": fps, "count": count, **how, **loading}
    flickers = []
    record.settings["deterministic"] = asked.deterministic
    with repeatable(asked.deterministic), recorded(record, owns=[record.path.parent] if count > 1 else ()):
        progress("loading the model", 0, 1)
        with record.timed("load"):
            from ctgrid.methods.synthesis.video import VideoPipeline

            pipeline = VideoPipeline.load(**loading)
        record.model = pipeline.describe()
        resolved = pipeline.resolve(wanted, limit)
        _note_sampled(record, pipeline, resolved)
        record.settings |= {name: value for name, value in resolved.as_dict().items() if name != "slices"}
        height = width = 0
        for i, path in enumerate(targets):
            meter = FlickerMeter()
            with open_movie(path, fps=fps, overwrite=asked.overwrite) as movie:
                work = pipeline.play(
                    asked.seed + i,
                    resolved,
                    _both(meter.add, movie.add),
                    titled(progress, f"movie {i + 1}/{count}") if count > 1 else progress,
                )
            height, width = movie.shape or (0, 0)
            flicker = round(meter.value, 4) if frames > 1 else None
            flickers += [] if flicker is None else [flicker]
            record.add_phases(work.phases)
            record.dit_token_passes = (record.dit_token_passes or 0) + work.dit_token_passes
            facts = {"seed": asked.seed + i, "frames": movie.count, "height": height, "width": width}
            record.add_output(path, **facts, flicker=flicker)
            if count > 1:
                results = {"frames": frames, "fps": fps, "height": height, "width": width, "flicker": flicker}
                record.parts[path] = {"seed": asked.seed + i, "outputs": record.outputs[-1:], "results": results}
        mean = sum(flickers) / len(flickers) if flickers else None
        record.results = {"frames": frames, "fps": fps, "height": height, "width": width, "flicker": mean}
    return record


def _both(one: Callable[[Any], Any], other: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Return what hands a frame to two."""

    def show(frame: Any) -> None:
        one(frame)
        other(frame)

    return show
