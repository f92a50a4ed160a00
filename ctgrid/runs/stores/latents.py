"""``ctgrid latents`` as a call of Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctgrid.base.progress import Progress, silent
from ctgrid.base.record import RunRecord, recorded
from ctgrid.base.settings import gather, spelled_out
from ctgrid.data.store import Store
from ctgrid.data.store.splits import select_volumes
from ctgrid.runs.stores.settings import LatentsSettings

if TYPE_CHECKING:
    from ctgrid.stages.latents.stored import Of


@spelled_out(LatentsSettings, "changes")
def store_latents(
    store: Path | str,
    settings: LatentsSettings | None = None,
    *,
    argv: Sequence[str] = (),
    progress: Progress = silent,
    **changes: Any,
) -> RunRecord | None:
    """Encode a store's slices and keep the codec's latents in it, or remove such; with a run record.

    Args:
        store: its folder.
        settings: which, and how; None takes the defaults.
        argv: the command line, for the record.
        progress: called with (phase, done, total).
        changes: settings other than those, by name.

    Returns:
        The record; its ``results`` hold ``removed``, or
        :meth:`ctgrid.stages.latents.stored.Made.as_dict`. None where the recipe reads no latents from a store.

    Raises:
        CtgridError: where store, recipe, split or codec cannot be read, or the store is in use.
    """
    asked, path = gather(LatentsSettings, changes, settings or LatentsSettings()), Path(store)
    opened = Store.open(path)
    which: tuple[Of, ...] = (asked.of,) if asked.of == "slices" or asked.of == "coarse" else ("slices", "coarse")
    codec = asked.codec or "embedded"
    if asked.config is not None:
        from ctgrid.methods.training.stored_latents import latents_wanted

        codec, which = latents_wanted(asked.config, opened)
        if not which:
            return None
    folder = path.resolve()
    record = RunRecord("latents", folder.with_name(f"{folder.name}.latents.run.json"), list(argv))
    record.settings = {"store": path, **asked.as_dict(), "codec": codec, "of": which}
    with recorded(record, owns=[folder]), record.noting_warnings():
        names = select_volumes(opened.names(), asked.split)
        told = record.kept_from("", progress)
        progress("loading the codec", 0, 1)
        from ctgrid.stages.codecs.codecs import load_codec
        from ctgrid.stages.latents.stored import remove_latents, write_latents

        if asked.clear:
            with record.timed("remove"):
                identity = None if codec == "all" else load_codec(codec).identity
                record.results = {"removed": remove_latents(opened, identity, which, told)}
        else:
            from ctgrid.base.devices import choose_device
            from ctgrid.base.precision import choose_dtype

            device = choose_device(asked.device)
            compute = choose_dtype("float32" if asked.dtype == "auto" else asked.dtype, device)
            with record.timed("encode"):
                network = load_codec(codec).to(device)
                made = write_latents(opened, network, which, names, keep=asked.keep, compute=compute, progress=told)
            record.settings |= {"device": str(device), "dtype": str(compute).removeprefix("torch.")}
            record.results = made.as_dict()
        record.outputs.append({"path": str(path)})
    return record
