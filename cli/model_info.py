"""Say what a model, a checkpoint or a training run is: format, size, configuration, positions, facts, hashes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ctgrid.runs.models.settings import ModelInfoSettings

from .adapter import with_options
from .errors import tell


@with_options
def command(
    name: Annotated[
        str, typer.Argument(metavar="embedded|PATH", help="embedded, a file, a folder or hub:owner/name[@revision].")
    ],
    *,
    settings: ModelInfoSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Read, print; nothing is written."""
    from ctgrid.stages.models.info import model_info

    info = model_info(name, heads=settings.heads)
    if as_json:
        tell(json.dumps(info))
        return
    tell(f"{info['path']}: {info['kind']}, {info['parameters']:,} parameters")
    for part in ("codec", "stage1", "stage2", "gaps"):
        if part in info:
            tell(f"{part}: {info[part]['parameters']:,} parameters")
            _print_part(info[part], "  ")
    _print_part(info, "")
    for file, digest in info["files"].items():
        tell(f"sha256 {digest}  {file}")


def _print_part(info: dict[str, Any], indent: str) -> None:
    """Print what is known of a stage or a codec."""
    if "class" in info:
        scaling = f", scaling {info['scaling_factor']}" if info["scaling_factor"] else ""
        tell(f"{indent}{info['class']}: {info['latent_channels']} channels at 1/{info['downsample']}{scaling}")
    if "config" in info:
        tell(f"{indent}stage {info['stage']}, positions {info['positions']}, {info['dtype']}")
        for label in ("config", "facts"):
            tell(f"{indent}{label}: " + ", ".join(f"{name} {value}" for name, value in info[label].items()))
        for name, how in info["decisions"].items():
            tell(f"{indent}{name.replace('_', ' ')}: {how}")
