"""``ctgrid model ceiling`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctgrid.base.files import check_output, check_suffix
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.record_place import RECORD
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.models.settings import CeilingSettings, write_slices
from ctgrid.scan.ct import require_ct
from ctgrid.scan.volume import Volume
from ctgrid.stages.codecs.codec_files import codec_path


@spelled_out(CeilingSettings, "changes")
def measure_ceiling(
    source: Path | str,
    out: Path | str | None = None,
    settings: CeilingSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Measure how well a codec gives back a scan, in HU: the ceiling for any model in its latents.

    Args:
        source: a file or a DICOM folder.
        out: the record, JSON; None writes nothing.
        settings: how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` are those of :func:`ctgrid.runs.evaluation.ceiling.codec_ceiling`.

    Raises:
        CtgridError: where scan or codec cannot be read, or do not fit.
    """
    asked, source = gather(CeilingSettings, changes, settings or CeilingSettings()), Path(source)
    path = None if out is None else Path(out)
    if path is not None:
        check_suffix(path, (".json",), "a record")
        check_output(path, asked.overwrite)
    codec_path(asked.codec)
    record = RunRecord("model ceiling", path or Path(RECORD), list(argv))
    named = {name: getattr(asked, name) for name in ("codec", "size", "k", "device", "hu")}
    record.settings = {**named, "slices": None if asked.slices is None else write_slices(asked.slices)}
    with recorded(record) if path is not None else nullcontext():
        progress("reading", 0, 1)
        with record.timed("read"):
            volume = Volume.read(source, hu=asked.hu)
            require_ct(volume, min_slices=1)
        record.decisions = {"hu": volume.record.get("hu")}
        progress("loading the codec", 0, 1)
        with record.timed("load"):
            from ctgrid.base.devices import choose_device
            from ctgrid.runs.evaluation.ceiling import codec_ceiling
            from ctgrid.stages.codecs.codecs import codec_source, load_codec

            network = load_codec(asked.codec).to(choose_device(asked.device))
        record.model = {"name": network.name, "source": codec_source(asked.codec), "device": str(network.device)}
        figures = codec_ceiling(
            volume,
            network,
            size=asked.size,
            k=asked.k,
            slices=asked.slices,
            batch_size=asked.batch_size,
            progress=progress,
        )
        record.add_phases(figures.pop("phases"))
        record.results = figures
        facts = {"shape": volume.shape, "spacing_mm": volume.spacing_mm}
        record.add_input(source, record=dict(volume.record), **facts)
    if path is None:  # nothing is written; the record is what is returned
        record.status, record.ended = "done", datetime.now(UTC)
    return record
