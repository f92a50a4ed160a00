"""Models by name: what is here, fetching from a hub, hashing again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import say, tell
from .options import JsonOption, OfflineOption
from .progress import progress_bar

NAME_HELP = "embedded, a folder, or hub:owner/name[@revision]."
HashOption = Annotated[
    list[str] | None, typer.Option("--sha256", metavar="FILE=HASH", help="The hash that a file must have; repeatable.")
]
HashesOption = Annotated[
    Path | None, typer.Option("--manifest", metavar="FILE", help="Hashes as sha256sum or ctgrid writes them.")
]


def list_command(as_json: JsonOption = False, offline: OfflineOption = False) -> None:
    """List the models that can be named: the embedded one and those in CTGRID_HOME."""
    from ctgrid.stages.models.catalogue import Catalogue
    from ctgrid.stages.models.sources import list_models

    catalogue, models = Catalogue(), list_models(lambda problem: say(f"warning: {problem}"))
    interrupted = catalogue.interrupted()
    if as_json:
        tell(json.dumps({"home": str(catalogue.home), "models": models, "interrupted": interrupted}))
        return
    for model in models:
        state = "verified" if model["verified"] else "no hash stated"
        state = state if model["complete"] else "damaged: files are missing or of another size"
        revisions = f"  {', '.join(model['revisions'])}" if model["revisions"] else ""
        commit = f"  {model['commit'][:12]}" if model["commit"] else ""
        tell(f"{model['name']}{revisions}{commit}  {model['bytes'] / 1e6:.1f} MB  {state}")
    for left in interrupted:
        tell(f"hub:{left['id']}  {left['commit'][:12]}  {left['bytes'] / 1e6:.1f} MB  fetch interrupted")


def fetch_command(
    name: Annotated[str, typer.Argument(metavar="hub:OWNER/NAME[@REVISION]", help="The model to fetch.")],
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="PATTERN", help="Only such files, as vae/*; repeatable.")
    ] = None,
    pickles: Annotated[bool, typer.Option("--allow-pickle", help="Take pickled weights (.bin, .pt) as well.")] = False,
    hashes: HashOption = None,
    manifest: HashesOption = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Download a model into CTGRID_HOME, checking every hash; an interrupted fetch goes on where it stopped."""
    from ctgrid.stages.models.catalogue import HubName
    from ctgrid.stages.models.manifest import read_pins

    hub_name, pins = HubName.parse(name), read_pins(hashes or [], manifest)
    with progress_bar() as bar:
        from ctgrid.stages.models.hub import fetch

        result = fetch(
            hub_name, include=include or (), pickles=pickles, pins=pins, offline=offline, progress=bar
        ).as_dict()
    if as_json:
        tell(json.dumps(result))
        return
    tell(_fetched_line(result))


def verify_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)],
    hashes: HashOption = None,
    manifest: HashesOption = None,
    record: Annotated[bool, typer.Option("--record", help="Write the hashes of a folder of one's own first.")] = False,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hash a model's files again and compare with what was recorded, or with the hashes given."""
    from ctgrid.stages.models.manifest import FileEntry, Manifest, check_folder, read_pins
    from ctgrid.stages.models.sources import recorded_files, resolve_model

    folder, pins = resolve_model(name), read_pins(hashes or [], manifest)
    if record:
        check_own(name)
        Manifest.of_folder(folder).write(folder)
    files = {path: FileEntry(-1, digest) for path, digest in pins.items()} or recorded_files(name)
    with progress_bar() as bar:
        problems = check_folder(folder, files, strict=not pins, progress=bar)
    result = {"name": name, "folder": str(folder), "files": len(files), "ok": not problems, "problems": problems}
    if as_json:
        tell(json.dumps(result))
    elif not problems:
        tell(f"{name}: {len(files)} files as recorded, in {folder}")
    if problems:
        from ctgrid.base.errors import CtgridError

        raise CtgridError(f"{name}: {_problem_text(problems)}, in {folder}; do not use it, fetch or make it again")


def check_own(name: str) -> None:
    """Refuse to record over what a hub stated.

    Raises:
        CtgridError: for a hub's model.
    """
    from ctgrid.base.errors import CtgridError
    from ctgrid.stages.models.catalogue import HUB

    if name.startswith(HUB):
        raise CtgridError(f"{name}: what the hub stated is on record; --record is for folders of one's own")


def _fetched_line(result: dict[str, Any]) -> str:
    place = f"{result['name']} {result['commit'][:12]}: {len(result['files'])} files, {result['bytes'] / 1e6:.1f} MB"
    if result["already_here"]:
        how = "already here"
    else:
        resumed = f", {result['resumed_bytes'] / 1e6:.1f} MB were here" if result["resumed_bytes"] else ""
        how = f"{result['downloaded_bytes'] / 1e6:.1f} MB downloaded{resumed}"
    checked = "hashes verified" if result["verified"] else "the hub states no hash of the weights: none was compared"
    left = f"; left out: {', '.join(result['left_out'][:4])}" if result["left_out"] else ""
    return f"{place}, {how}, {checked}, in {result['folder']}{left}{' …' if len(result['left_out']) > 4 else ''}"


def _problem_text(problems: list[dict[str, Any]]) -> str:
    texts = [f"{problem['path']} {problem['problem']}" for problem in problems[:4]]
    return ", ".join(texts) + (f" and {len(problems) - 4} more" if len(problems) > 4 else "")
