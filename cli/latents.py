"""Encode a store's slices once and keep the codec's latents in it, so that training need not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctgrid.runs.stores.settings import LatentsSettings

from .adapter import with_options
from .errors import tell
from .options import JsonOption
from .output import cost, finish
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.base.record import RunRecord


@with_options
def command(
    ctx: typer.Context,
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store made by ctgrid prepare.")],
    *,
    settings: LatentsSettings,
    as_json: JsonOption = False,
) -> None:
    """Encode what is missing or stale, record; run it again to go on where it was stopped."""
    from ctgrid.runs.stores.latents import store_latents

    with progress_bar() as progress:
        record = store_latents(store, settings, argv=ctx.obj, progress=progress)
    if record is None:
        tell(f"{settings.config} encodes what it draws, so it reads no latents from a store: none made")
        return
    finish(record, as_json, [f"{store}: {_done(record)}", cost(record)])


def _done(record: RunRecord) -> str:
    results, asked = record.results, record.settings
    if "removed" in results:
        return f"latents removed from {results['removed']} volumes"
    return (
        f"latents of {' and '.join(asked['of'])}: {results['made']} volumes made, {results['renewed']} stale "
        f"ones made anew, {results['kept']} were there (codec {results['codec'][:16]}, {asked['keep']})"
    )
