"""Compare generated volumes with real ones: distances by a protocol, CT measures, copies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import check_folder

from .errors import say
from .options import DeviceOption, JsonOption, MetadataOption, OverwriteOption, SeedOption
from .output import cost, wrote
from .progress import progress_bar

if TYPE_CHECKING:
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan

MOST_ROWS = 40
"""Of a table that is printed; table.md has all."""

SetOption = Annotated[
    Path, typer.Option("--real", metavar="DIR|STORE", help="Real volumes, of other patients than those trained on.")
]
FakeOption = Annotated[Path, typer.Option("--fake", metavar="DIR|STORE", help="Generated volumes.")]
TrainOption = Annotated[
    Path | None, typer.Option("--train", metavar="DIR|STORE", help="Volumes trained on: looks for copies of them.")
]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", metavar="NAME@VERSION|FILE", help="stylegan-v@1, stylegan-v-ct@1 or a YAML file.")
]
FramesOption = Annotated[
    str | None, typer.Option("--frames", metavar="N,...", help="Slices of a clip; the protocol's where left out.")
]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for results.json, table and picture.")]
MeasuresOption = Annotated[
    str,
    typer.Option(
        "--measures",
        metavar="NAME,...",
        help="fvd, fid (with KID), ctgrid-features, ct, memorisation; left out: all that can be had.",
    ),
]
DetectorsOption = Annotated[
    Path | None,
    typer.Option("--detectors", metavar="DIR", help="Folder of TorchScript detectors; else CTGRID_HOME/detectors."),
]
PinOption = Annotated[
    list[str] | None,
    typer.Option("--pin-detector", metavar="NAME=SHA256", help="Refuse a detector file of another hash; repeatable."),
]
FrameOption = Annotated[
    Literal["own", "generatect"] | None,
    typer.Option(
        "--real-frame",
        help="What scans of --real and --train are brought to: their own slices, or 201 as GenerateCT's loader makes "
        "them; the protocol's where left out.",
    ),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        "--batch-size", min=1, help="Slices at once, less needs less memory; each detector's own if not given."
    ),
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Neither use nor keep features of volumes in CTGRID_HOME/cache.")
]


def command(
    ctx: typer.Context,
    real: SetOption,
    fake: FakeOption,
    out: OutOption,
    train: TrainOption = None,
    protocol: ProtocolOption = "stylegan-v@1",
    frames: FramesOption = None,
    real_frame: FrameOption = None,
    measures: MeasuresOption = "",
    detectors: DetectorsOption = None,
    pin: PinOption = None,
    seed: SeedOption = 0,
    metadata: MetadataOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchOption = None,
    no_cache: NoCacheOption = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare generated volumes with real ones: FVD, FID and KID by a protocol, ctgrid's features, CT measures.

    Writes results.json, table.md, run.json, with --train a picture. Features of volumes are kept by content hash in
    CTGRID_HOME/cache: a run that was stopped goes on where it was.
    """
    from ctgrid.base.files import check_apart, check_output
    from ctgrid.base.record import RunRecord, recorded
    from ctgrid.runs.evaluation.fidelity.evaluate import evaluate_volumes
    from ctgrid.runs.results.kinds import describe
    from ctgrid.runs.results.markdown import description_markdown

    plan = make_plan(
        protocol, frames, real_frame, measures, detectors, pin, seed, metadata, device, batch_size, no_cache
    )
    check_folder(out)
    check_apart(out, (real, fake, *([train] if train else [])))
    if out.exists():
        for name in ("results.json", "table.md"):
            check_output(out / name, overwrite)
    record = RunRecord("evaluate volumes", out / "run.json", ctx.obj, seed)
    record.settings = settings_of(plan, real, fake, train)
    with recorded(record, owns=[out]), progress_bar() as progress:
        results = evaluate_volumes(real, fake, plan, out, train, progress, record.timed)
        from ctgrid.base.documents import plain
        from ctgrid.base.record import versions

        run = {"record": "run.json", "command": record.command, "argv": record.argv, "versions": versions()}
        results = plain({**results, "run": run})
        described = describe(results)
        out.mkdir(exist_ok=True)
        save(out / "results.json", json.dumps(results, indent=1))
        save(out / "table.md", description_markdown(described))
        picture = (results["memorisation"] or {}).get("picture")
        for name in ("results.json", "table.md", *([picture] if picture else [])):
            record.add_output(out / name)
        for role in ("real", "fake"):
            record.inputs += [{"set": role, **volume} for volume in results["volumes"][role]]
    for line in remarks(results):
        say(line)
    if as_json:
        typer.echo(json.dumps({**record.as_dict(), "results": results}))
        return
    summary = f"{out / 'results.json'}: {len(results['measures'])} distances"
    for line in (description_markdown(described, MOST_ROWS), "", summary, cost(record), wrote(record)):
        typer.echo(line)


def make_plan(
    protocol: str,
    frames: str | None,
    real_frame: Literal["own", "generatect"] | None,
    measures: str,
    detectors: Path | None,
    pin: Sequence[str] | None,
    seed: int,
    metadata: Sequence[Path] | None,
    device: str,
    batch_size: int | None,
    no_cache: bool,
) -> FidelityPlan:
    """Turn options into a plan.

    Raises:
        CtgridError: where a folder or a protocol is not there.
        typer.BadParameter: where an option cannot be read, or asks for what there is not.
    """
    from ctgrid.runs.evaluation.fidelity.detectors import parse_pins
    from ctgrid.runs.evaluation.fidelity.evaluate import FidelityPlan
    from ctgrid.runs.evaluation.fidelity.protocol import load_protocol
    from ctgrid.runs.evaluation.fidelity.statistics import cache_folder

    if detectors is not None and not detectors.is_dir():
        raise CtgridError(f"{detectors} is not a folder; --detectors names the folder of the TorchScript files")
    loaded = load_protocol(protocol)
    try:
        return FidelityPlan(
            loaded=loaded,
            frames=parse_frames(frames),
            real_frame=real_frame,
            measures=tuple(dict.fromkeys(part.strip() for part in measures.split(",") if part.strip())),
            detectors=detectors,
            pins=parse_pins(list(pin or [])),
            seed=seed,
            metadata=tuple(metadata or ()),
            device=device,
            batch_size=batch_size,
            cache=None if no_cache else cache_folder(),
        )
    except CtgridError as error:  # nothing was opened yet: it is how the command was called
        raise typer.BadParameter(str(error)) from error


def parse_frames(text: str | None) -> tuple[int, ...]:
    """Read clip lengths as users type them; none given leaves them to the protocol.

    Raises:
        CtgridError: where one is no whole number, or there is none in the text.
    """
    if text is None:
        return ()
    try:
        lengths = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        lengths = ()
    if not lengths:
        raise CtgridError(f"--frames {text!r}: write whole numbers such as 16,128,201")
    return lengths


def settings_of(plan: FidelityPlan, real: Path, fake: Path, train: Path | None) -> dict[str, Any]:
    """Return what the run record says was asked for."""
    return {
        "real": real,
        "fake": fake,
        "train": train,
        "protocol": {"id": plan.loaded.protocol.id, "sha256": plan.loaded.sha256},
        "frames": plan.lengths,
        "real_frame": plan.frame,
        "measures": plan.measures or "all",
        "detectors": plan.detectors,
        "pins": dict(plan.pins),
        "metadata": plan.metadata,
        "device": plan.device,
        "batch_size": plan.batch_size,
        "cache": plan.cache,
    }


def remarks(results: dict[str, Any]) -> list[str]:
    """Return what must be said on stderr: what was left out, and how few samples there are, in one line each."""
    fewest = results["protocol"]["settings"]["statistics"]["fewest"]
    few = {
        row["measure"]: min(row["n_real"], row["n_fake"])
        for row in results["measures"]
        if row["measure"].startswith(("FVD", "FID", "FD")) and min(row["n_real"], row["n_fake"]) < fewest
    }
    lines = [*results["left_out"], *results["warnings"], *(results["ct"] or {}).get("warnings", [])]
    if few:
        lines.append(
            f"fewer than {fewest} samples ({min(few.values())} at the least): Fréchet distances are too large; "
            f"compare only equal numbers, and read the kernel distances beside them"
        )
    return lines


def save(path: Path, text: str) -> None:
    """Write text, atomically, over what was there."""
    from ctgrid.base.files import atomic_output

    with atomic_output(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
