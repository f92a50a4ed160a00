"""Report how well a codec gives back your own scan, in HU: the ceiling for any model in its latents."""

from __future__ import annotations

import re
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ctgrid.base.files import check_suffix

from .model_sources import NAME_HELP
from .options import BatchOption, DeviceOption, HuOption, InputArgument, JsonOption, OfflineOption, OverwriteOption
from .output import cost, describe, finish
from .progress import progress_bar


def parse_slices(text: str) -> slice:
    """Read Python's ``A:B:STEP``, parts of which may be missing, or one number."""
    match = re.fullmatch(r"(-?\d+)|(-?\d*):(-?\d*)(?::(-?\d*))?", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not A:B:STEP, such as 20:120:5, or one slice's number")
    if match[1]:
        only = int(match[1])
        return slice(only, only + 1 if only != -1 else None)
    first, last, step = (int(part) if part not in (None, "", "-") else None for part in match.groups()[1:])
    if step == 0:
        raise typer.BadParameter(f"{text!r}: the step is 0")
    return slice(first, last, step)


def as_text(chosen: slice | None) -> str | None:
    """Write a slice as it is typed."""
    if chosen is None:
        return None
    parts = (chosen.start, chosen.stop, chosen.step)
    return ":".join("" if part is None else str(part) for part in parts)


def command(
    ctx: typer.Context,
    source: InputArgument,
    codec: Annotated[
        str, typer.Option("--codec", metavar="embedded|DIR|FILE|hub:OWNER/NAME", help=NAME_HELP)
    ] = "embedded",
    size: Annotated[int, typer.Option("--size", min=1, help="Pixels of a slice's side.")] = 512,
    k: Annotated[int, typer.Option("--k", min=1, help="Cells along a grid's side.")] = 4,
    slices: Annotated[
        Any,
        typer.Option(
            "--slices", metavar="A:B:STEP", parser=parse_slices, help="From the feet; if not given, 32 evenly spaced."
        ),
    ] = None,
    batch_size: BatchOption = 1,
    device: DeviceOption = "auto",
    hu: HuOption = "auto",
    out: Annotated[Path | None, typer.Option("--out", metavar="JSON", help="Write the record to a file.")] = None,
    overwrite: OverwriteOption = False,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read, encode, decode, compare."""
    from ctgrid.base.files import check_output
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.base.record_place import RECORD
    from ctgrid.runs.results.ceiling import describe as describe_ceiling
    from ctgrid.runs.results.markdown import description_markdown
    from ctgrid.scan.ct import require_ct
    from ctgrid.scan.volume import Volume
    from ctgrid.stages.codecs.codec_files import codec_path

    if out is not None:
        check_suffix(out, (".json",), "a record")
        check_output(out, overwrite)
    codec_path(codec)
    record = RunRecord("model ceiling", out or Path(RECORD), ctx.find_root().obj)
    record.settings = {"codec": codec, "size": size, "k": k, "slices": as_text(slices), "device": device, "hu": hu}
    with recorded(record) if out is not None else nullcontext(), progress_bar() as bar:
        bar("reading", 0, 1)
        with record.timed("read"):
            volume = Volume.read(source, hu=hu)
            require_ct(volume, min_slices=1)
        record.decisions = {"hu": volume.record.get("hu")}
        bar("loading the codec", 0, 1)
        with record.timed("load"):
            from ctgrid.base.devices import choose_device
            from ctgrid.runs.evaluation.ceiling import codec_ceiling
            from ctgrid.stages.codecs.codecs import codec_source, load_codec

            network = load_codec(codec).to(choose_device(device))
        record.model = {"name": network.name, "source": codec_source(codec), "device": str(network.device)}
        figures = codec_ceiling(volume, network, size=size, k=k, slices=slices, batch_size=batch_size, progress=bar)
        record.add_phases(figures.pop("phases"))
        record.results = figures
        record.add_input(source, record=dict(volume.record))
    if out is None:  # nothing is written; the record is what is printed
        record.status, record.ended = "done", datetime.now(UTC)
    text = description_markdown(describe_ceiling(figures))
    finish(record, as_json, [f"{source}: {describe(volume)}, codec {network.name}", "", text, "", cost(record)])
