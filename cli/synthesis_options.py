"""Options that volumes and movies share: how they are sampled, and how much memory they may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ctgrid.methods.synthesis.settings import Settings


def checked_settings(**options: Any) -> Settings:
    """Return the settings that options ask for; what they get wrong together is a usage error."""
    from ctgrid.base.errors import CtgridError
    from ctgrid.methods.synthesis.settings import Settings

    try:
        return Settings(**options)
    except CtgridError as error:
        raise typer.BadParameter(str(error)) from error


def checked_memory(text: str | None) -> int | None:
    """Return bytes for an amount of memory as people write it."""
    from ctgrid.base.errors import CtgridError
    from ctgrid.methods.synthesis.memory import parse_memory

    try:
        return None if text is None else parse_memory(text)
    except CtgridError as error:
        raise typer.BadParameter(f"--max-memory {error}") from error
