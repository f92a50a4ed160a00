"""Encode a store's slices once and keep the codec's latents in it, so that training need not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .errors import tell
from .options import DeviceOption, Dtype, JsonOption
from .output import cost, finish
from .progress import progress_bar


def command(
    ctx: typer.Context,
    store: Annotated[Path, typer.Argument(metavar="STORE", help="A store made by ctgrid prepare.")],
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="NAME|FILE", help="Make what training by this recipe reads, by its codec."),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option("--codec", metavar="embedded|DIR", help="The codec, as in a recipe's key codec; else embedded."),
    ] = None,
    of: Annotated[
        Literal["slices", "coarse", "both"] | None, typer.Option("--of", help="Which slices; both if not given.")
    ] = None,
    keep: Annotated[
        Literal["float16", "float32"], typer.Option("--keep", help="Number format of what is kept.")
    ] = "float16",
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove latents instead: those of this codec; with --codec all, every.")
    ] = False,
    device: DeviceOption = "auto",
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Number format of the codec; auto is float32.")] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Encode what is missing or stale, record; run it again to go on where it was stopped."""
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.data.store import Store
    from ctgrid.stages.latents.stored import Of

    if config is not None and (codec is not None or of is not None or clear):
        raise typer.BadParameter("give --config, or --codec, --of and --clear", param_hint="--config")
    opened = Store.open(store)
    which: tuple[Of, ...] = (of,) if of == "slices" or of == "coarse" else ("slices", "coarse")
    if config is not None:
        from ctgrid.methods.training.inputs import latents_wanted

        codec, which = latents_wanted(config, opened)
        if not which:
            tell(f"{config} encodes what it draws, so it reads no latents from a store: none made")
            return
    codec = codec or "embedded"
    folder = store.resolve()
    record = RunRecord("latents", folder.with_name(f"{folder.name}.latents.run.json"), ctx.obj)
    record.settings = {
        "store": store,
        "config": config,
        "codec": codec,
        "of": which,
        "keep": keep,
        "clear": clear,
        "device": device,
    }
    with recorded(record, owns=[folder]), progress_bar() as bar:

        def progress(phase: str, done: int, total: int) -> None:
            record.worth_keeping = record.worth_keeping or done > 0
            bar(phase, done, total)

        bar("loading the codec", 0, 1)
        if clear:
            from ctgrid.stages.codecs.codecs import load_codec
            from ctgrid.stages.latents.stored import remove_latents

            with record.timed("remove"):
                identity = None if codec == "all" else load_codec(codec).identity
                record.results = {"removed": remove_latents(opened, identity, which, progress)}
            line = f"{store}: latents removed from {record.results['removed']} volumes"
        else:
            from ctgrid.base.devices import choose_device
            from ctgrid.base.precision import choose_dtype
            from ctgrid.stages.codecs.codecs import load_codec
            from ctgrid.stages.latents.stored import write_latents

            chosen = choose_device(device)
            compute = choose_dtype("float32" if dtype == "auto" else dtype, chosen)
            with record.timed("encode"):
                made = write_latents(
                    opened, load_codec(codec).to(chosen), which, keep=keep, compute=compute, progress=progress
                )
            record.settings |= {"device": str(chosen), "dtype": str(compute).removeprefix("torch.")}
            record.results = made.as_dict()
            line = (
                f"{store}: latents of {' and '.join(which)}: {len(made.made)} volumes made, {len(made.renewed)} stale "
                f"ones made anew, {len(made.kept)} were there (codec {made.codec[:16]}, {keep})"
            )
        record.outputs.append({"path": str(store)})
    finish(record, as_json, [line, cost(record)])
