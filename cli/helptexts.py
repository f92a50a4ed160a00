"""Help that people read at 80 columns: no types behind switches and arguments, whose names say enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperArgument

from ctgrid.base.usual import OUTPUT


def without_types(command: Any) -> None:
    """Let a command and all below it leave ``<bool>`` and the like out of their help."""
    for each in _all(command):
        listed = each.get_params

        def plain(ctx: Any, listed: Any = listed) -> list[Any]:
            params: list[Any] = listed(ctx)
            for param in params:
                if isinstance(param, TyperArgument):
                    param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
                elif param.is_flag and param.metavar is None:
                    param.metavar = ""
                if param.name == "help" and not hasattr(ctx.command, "commands"):
                    param.rich_help_panel = OUTPUT  # else in a panel of its own, before all others
            return params

        each.get_params = plain


def _all(command: Any) -> Iterator[Any]:
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from _all(below)
