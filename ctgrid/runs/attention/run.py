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

    With ``positions`` it draws the codes of its tokens' places instead: how alike one token's is to all others'.

    Args:
        out: the picture, PNG.
        settings: whose attention; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` hold ``rows`` with ``timestep``, ``block`` and
        :func:`ctgrid.stages.networks.attention_maps.shares`; of positions ``part`` and
        :meth:`ctgrid.runs.attention.positions.PositionCodes.rows`.

    Raises:
        CtgridError: where the model cannot be read, or has no such block or token.
    """
    asked, path = gather(AttentionSettings, changes, settings or AttentionSettings()), Path(out)
    check_suffix(path, (".png",), "a picture of attention")
    check_output(path, asked.overwrite)
    record = RunRecord("attention", path.with_suffix(".run.json"), list(argv), asked.seed)
    record.settings = asked.as_dict()
    with recorded(record):
        picture, rows = (_positions if asked.positions else _attention)(asked, record, progress)
        with atomic_output(path, asked.overwrite) as temporary:
            picture.save(temporary, format="PNG")
        record.outputs.append({"path": str(path)})
        record.results = {"rows": rows}
    return record


def _attention(asked: AttentionSettings, record: RunRecord, progress: Progress) -> tuple[Any, list[dict[str, Any]]]:
    """Return the picture of attention and its rows."""
    from ctgrid.methods.synthesis.video import VideoPipeline
    from ctgrid.runs.attention.maps import attend_grid
    from ctgrid.runs.attention.picture import attention_picture

    with record.timed("load"):
        pipeline = VideoPipeline.load(asked.model, asked.device, asked.dtype, stage1=asked.stage1)
    record.model = pipeline.describe()
    with record.timed("attention"):
        attended = attend_grid(pipeline, asked, progress)
        return attention_picture(attended, asked.token), attended.rows


def _positions(asked: AttentionSettings, record: RunRecord, progress: Progress) -> tuple[Any, list[dict[str, Any]]]:
    """Return the picture of position codes and its rows; stage 1 is all that is loaded."""
    from ctgrid.runs.attention.positions import position_codes, positions_picture
    from ctgrid.stages.models.bundle import load_stage, model_folder, part_folder
    from ctgrid.stages.models.facts import StageFacts

    with record.timed("load"):
        folder = part_folder(asked.stage1, "stage1") if asked.stage1 else model_folder(asked.model) / "stage1"
        network, facts = load_stage(folder), StageFacts.read(folder)
    record.model = {"stage1": facts.as_dict(), "config": dict(network.config)}
    with record.timed("positions"):
        found = position_codes(network, facts)
        picture, number = positions_picture(found, asked.token)
        return picture, found.rows(number)
