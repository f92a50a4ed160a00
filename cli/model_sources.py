"""Models by name: what is here, fetching from a hub, hashing again."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ctgrid.base.errors import CtgridError
from ctgrid.runs.models.settings import FetchSettings, VerifySettings

from .adapter import with_options
from .errors import say, tell
from .options import JsonOption, OfflineOption
from .progress import progress_bar

NAME_HELP = "embedded, a folder, or hub:owner/name[@revision]."


def list_command(offline: OfflineOption = False, as_json: JsonOption = False) -> None:
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


@with_options
def fetch_command(
    name: Annotated[str, typer.Argument(metavar="hub:OWNER/NAME[@REVISION]", help="The model to fetch.")],
    *,
    settings: FetchSettings,
    as_json: JsonOption = False,
) -> None:
    """Download a model into CTGRID_HOME, checking every hash; an interrupted fetch goes on where it stopped."""
    from ctgrid.runs.models.sources import fetch_model

    with progress_bar() as bar:
        result = fetch_model(name, settings, progress=bar)
    tell(json.dumps(result) if as_json else _fetched_line(result))


@with_options
def verify_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)],
    *,
    settings: VerifySettings,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hash a model's files again and compare with what was recorded, or with the hashes given."""
    from ctgrid.runs.models.sources import verify_model

    with progress_bar() as bar:
        result = verify_model(name, settings, progress=bar)
    problems, folder = result["problems"], result["folder"]
    if as_json:
        tell(json.dumps(result))
    elif not problems:
        tell(f"{name}: {result['files']} files as recorded, in {folder}")
    if problems:
        raise CtgridError(f"{name}: {_problem_text(problems)}, in {folder}; do not use it, fetch or make it again")


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
