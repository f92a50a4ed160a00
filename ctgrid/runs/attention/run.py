"""``ctgrid attention`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ctgrid.base.files import atomic_output, check_output, check_suffix
from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.settings import gather, spelled_out
from ctgrid.runs.attention.settings import AttentionSettings


@spelled_out(AttentionSettings, "changes")
def show_attention(
    out: Path | str,
    settings: AttentionSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord:
    """Draw what stage 1 attends to over a grid that it made, and measure how much of it is the same place elsewhere.

    Args:
        out: the picture, PNG.
        settings: whose attention; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` hold ``rows`` with ``timestep``, ``block`` and
        :func:`ctgrid.stages.networks.attention_maps.shares`.

    Raises:
        CtgridError: where the model cannot be read, or has no such block or token.
    """
    from ctgrid.methods.synthesis.pipeline import SynthesisPipeline
    from ctgrid.runs.attention.maps import attend_grid
    from ctgrid.runs.attention.picture import attention_picture

    asked, path = gather(AttentionSettings, changes, settings or AttentionSettings()), Path(out)
    check_suffix(path, (".png",), "a picture of attention")
    check_output(path, asked.overwrite)
    record = RunRecord("attention", path.with_suffix(".run.json"), list(argv), asked.seed)
    record.settings = asked.as_dict()
    with recorded(record):
        with record.timed("load"):
            pipeline = SynthesisPipeline.load(asked.model, asked.device, asked.dtype, stage1=asked.stage1)
        record.model = pipeline.describe()
        with record.timed("attention"):
            attended = attend_grid(pipeline, asked, progress)
            picture = attention_picture(attended, asked.token)
        with atomic_output(path) as temporary:
            picture.save(temporary, format="PNG")
        record.outputs.append({"path": str(path)})
        record.results = {"rows": attended.rows}
    return record
