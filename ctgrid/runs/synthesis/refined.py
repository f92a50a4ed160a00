"""``ctgrid refine`` as a call of Python: clips through a model's stage 2, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ctgrid.base.files import check_apart, check_folder
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import Checked, Setting, gather, spelled_out
from ctgrid.base.usual import MOST_FPS, BatchSize, Overwrite, Seed
from ctgrid.methods.loading import PartsLoading
from ctgrid.methods.synthesis.settings import REFINE_STEPS, SAMPLER
from ctgrid.stages.diffusion.samplers import SAMPLERS


@dataclass(frozen=True)
class RefineRequest(Checked):
    """How clips are refined.

    Attributes:
        seed: of the noise.
        steps: network calls per frame.
        sampler: one of :data:`ctgrid.stages.diffusion.samplers.SAMPLERS`.
        batch_size: frames at once.
        form: what is written: PNG frames, which keep every pixel, or movies.
        fps: frames of a movie a second.
        layout: of the clips' folders.
        part: of a collection; None takes ``test`` where it has parts.
        loading: of the model.
        overwrite: replace what is there.
    """

    seed: Seed = 0
    steps: Annotated[int, Setting("Sampler steps of stage 2.", least=1)] = REFINE_STEPS
    sampler: Annotated[str, Setting("How the noise is removed.", names=SAMPLERS)] = SAMPLER
    batch_size: BatchSize = 8
    form: Annotated[Literal["frames", "mp4"], Setting("A folder of PNG frames for each clip, or a movie.")] = "frames"
    fps: Annotated[float, Setting("Frames of a movie a second.", least=0.01, most=MOST_FPS)] = 16.0
    layout: Annotated[
        str, Setting("How a collection's folders are named: folder, sky, taichi or minecraft.", metavar="NAME")
    ] = "folder"
    part: Annotated[
        Literal["train", "test"] | None, Setting("Of a collection; test where it has parts, unless given.")
    ] = None
    loading: PartsLoading = field(default_factory=PartsLoading)
    overwrite: Overwrite = False


@spelled_out(RefineRequest, "changes")
def refine_clips(
    clips: Path | str,
    out: Path | str,
    request: RefineRequest | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Shrink the frames of clips to a model's cells and refine them by its stage 2: super-resolution without stage 1.

    Args:
        clips: folder of clips: video files, and folders of frames.
        out: folder that gets one for each clip, by its name, or a movie.
        request: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than the request's, by name.

    Returns:
        The record; its ``outputs`` are the refined clips.

    Raises:
        CtgridError: where nothing can be read, the model is none of video, or an output is in the way.
    """
    from ctgrid.data.video.layouts import find_layout
    from ctgrid.data.video.read import open_frames
    from ctgrid.data.video.write import check_movie, open_movie
    from ctgrid.runs.evaluation.fidelity.movies import clips_in

    asked, source, folder = gather(RefineRequest, changes, request or RefineRequest()), Path(clips), Path(out)
    found = clips_in(source, find_layout(asked.layout), asked.part)
    check_folder(folder)
    check_apart(folder, [source])
    targets = {item: folder / (item.name + (".mp4" if asked.form == "mp4" else "")) for item in found}
    if folder.exists():
        for path in targets.values():
            check_movie(path, fps=asked.fps, overwrite=asked.overwrite)
    record = RunRecord("refine", folder / RECORD, list(argv), asked.seed)
    record.settings = {"clips": source, **asked.as_dict()}
    with recorded(record, owns=[folder]):
        with record.timed("load"):
            from ctgrid.methods.synthesis.refinement import RefinePipeline

            readers = {item: open_frames(item.path) for item in found}  # what cannot be read is said before any work
            pipeline = RefinePipeline.load(**asked.loading.given())
        record.model = pipeline.describe()
        folder.mkdir(exist_ok=True)
        total = sum(map(len, readers.values()))
        done = 0

        def frames_in(reader: Any) -> Iterator[Any]:
            nonlocal done
            for _, frame in reader.read(range(len(reader))):
                yield frame
                done += 1
                progress("refining frames", done, total)

        for item, path in targets.items():
            with record.timed("refine"), open_movie(path, fps=asked.fps, overwrite=asked.overwrite) as movie:
                spent = pipeline.refine_frames(
                    frames_in(readers[item]),
                    movie.add,
                    asked.seed,
                    asked.batch_size,
                    steps=asked.steps,
                    sampler=asked.sampler,
                )
            record.dit_token_passes = (record.dit_token_passes or 0) + spent
            height, width = movie.shape or (0, 0)
            record.add_output(path, frames=movie.count, height=height, width=width)
        record.results = {"clips": len(targets), "frames": total}
    return record
