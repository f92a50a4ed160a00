"""``ctgrid synthesize --as video``: a movie of a finished sequence, and how much it flickers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .output import cost, finish
from .progress import progress_bar, titled


def synthesize_video(
    out: Path | None,
    frames: int,
    fps: float,
    *,
    argv: list[str],
    seed: int,
    count: int,
    size: int | None,
    settings: dict[str, Any],
    loading: dict[str, Any],
    max_memory: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Check the outputs, load, and write one movie after the other.

    Args:
        out: a .mp4, .gif or .webp file; with ``count`` > 1 the name is numbered. None names .mp4 files in the working
            folder.
        frames: of a movie.
        fps: frames per second.
        argv: the command line, for the record.
        seed: of the first movie; the others follow.
        count: movies.
        size: pixels of a frame's side; None takes the model's own.
        settings: further fields of :class:`ctgrid.methods.synthesis.settings.Settings`.
        loading: model and parts in place of its own, device, dtype, and whether to compile.
        max_memory: bytes that batches must fit into; None takes ``batch_size`` as it is.
        overwrite: replace what is there.
        as_json: print the record.
    """
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.data.video.write import check_movie, open_movie
    from ctgrid.methods.synthesis.settings import Settings
    from ctgrid.metrics.flicker import FlickerMeter

    if out is None:
        targets = default_movies(loading, frames, seed, count)
    else:
        targets = [out] if count == 1 else [out.with_name(f"{out.stem}_{i:04d}{out.suffix}") for i in range(count)]
    for path in targets:
        check_movie(path, fps=fps, overwrite=overwrite)
    wanted = Settings(slices=frames, size=size, **settings)
    record = RunRecord("synthesize", targets[0].parent / "run.json", argv, seed)
    record.settings = {"as": "video", "frames": frames, "fps": fps, "count": count, **settings, **loading}
    lines, flickers = [], []
    with recorded(record, owns=[targets[0].parent] if count > 1 else ()), progress_bar() as bar:
        bar("loading the model", 0, 1)
        with record.timed("load"):
            from ctgrid.methods.synthesis.video import VideoPipeline

            pipeline = VideoPipeline.load(**loading)
        record.model = pipeline.describe()
        resolved = pipeline.resolve(wanted, max_memory)
        record.settings |= {k: v for k, v in resolved.as_dict().items() if k != "slices"}
        for i, path in enumerate(targets):
            progress = titled(bar, f"movie {i + 1}/{count}") if count > 1 else bar
            meter = FlickerMeter()
            with open_movie(path, fps=fps, overwrite=overwrite) as movie:

                def show(frame: Any, meter: Any = meter, movie: Any = movie) -> None:
                    meter.add(frame)
                    movie.add(frame)

                work = pipeline.play(seed + i, resolved, show, progress)
            height, width = movie.shape or (0, 0)
            flicker = round(meter.value, 4) if frames > 1 else None
            flickers += [] if flicker is None else [flicker]
            record.add_phases(work.phases)
            record.dit_token_passes = (record.dit_token_passes or 0) + work.dit_token_passes
            record.add_output(path, seed=seed + i, frames=movie.count, height=height, width=width, flicker=flicker)
            what = f"{movie.count} frames of {width} x {height} at {fps:g} a second, seed {seed + i}"
            lines.append(f"{path}: {what}" + (f", flicker {flicker:.2f}" if flicker is not None else ""))
        mean = sum(flickers) / len(flickers) if flickers else None
        record.results = {"frames": frames, "fps": fps, "height": height, "width": width, "flicker": mean}
    finish(record, as_json, [*lines, cost(record)])


def default_movies(loading: dict[str, Any], frames: int, seed: int, count: int) -> list[Path]:
    """Name movies in the working folder by what they are."""
    from ctgrid.scan.names import made_by, numbered_name

    parts = {name: loading.get(name) for name in ("stage1", "stage2", "codec")}
    word = made_by(loading["model"], **parts)
    return [Path(numbered_name(word, frames, "frames", seed + i) + ".mp4") for i in range(count)]


def from_command_line(ctx: typer.Context) -> None:
    """Run :func:`synthesize_video` with the options of ``ctgrid synthesize``, whatever they are besides the usual.

    Raises:
        typer.BadParameter: for options that say nothing to a movie, or each other nothing.
    """
    from dataclasses import fields

    from ctgrid.methods.synthesis.settings import Settings

    from .synthesis_options import checked_memory, checked_settings

    given = dict(ctx.params)
    typed = {name: value for name, value in given.items() if _typed(ctx, name)}
    loading = {name: given[name] for name in ("model", "device", "dtype")}
    loading |= {part: given[part] for part in ("stage1", "stage2", "codec") if given[part] is not None}
    loading |= {"compile": True} if given["compile_"] else {}
    if given["kind"] != "video":
        raise typer.BadParameter("goes with --as video only; volumes have --slices", param_hint="--frames")
    names = {field.name for field in fields(Settings)} - {"slices", "size"}
    settings = {name: value for name, value in given.items() if name in names}
    checked_settings(**settings)
    synthesize_video(
        given["out"],
        asked_frames(given["frames"], typed.get("slices")),
        given["fps"],
        argv=ctx.obj,
        size=given["size"],
        settings=settings,
        loading=loading,
        max_memory=checked_memory(given["max_memory"]),
        count=given["count"] or 1,
        **{name: given[name] for name in ("seed", "overwrite", "as_json")},
    )


def _typed(ctx: typer.Context, name: str) -> bool:
    """Whether an option was given, rather than left at its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def asked_frames(frames: int | None, slices: int | None) -> int:
    """Return the number of frames, 128 unless ``--frames`` or ``--slices`` says so.

    Raises:
        typer.BadParameter: where both do, and differ.
    """
    if frames is not None and slices is not None and frames != slices:
        raise typer.BadParameter(f"a movie of {slices} slices has not {frames} frames", param_hint="--frames")
    return frames or slices or 128
