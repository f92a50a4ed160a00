"""The commands themselves as plain values, for programs that drive them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer


def commands_of(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command below a group, and the command."""
    for name, command in group.commands.items():
        whole = f"{before}{name}"
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{whole} ")
        else:
            yield whole, command


def described(command: Any) -> dict[str, Any]:
    """Return what a command is for, an example, and its parameters.

    Args:
        command: of the command line.

    Returns:
        ``help``, ``example``, and ``parameters``, each with ``name``, ``flags`` (empty for arguments), ``panel``,
        ``required``, ``repeatable``, ``switch``, ``default``,
        ``stands_for`` (such as N), ``values`` (None where they cannot be listed), ``help``.
    """
    context = typer.Context(command)
    shown = (parameter for parameter in command.params if not getattr(parameter, "hidden", False))
    return {
        "help": " ".join((command.help or "").split()),
        "example": (command.epilog or "").removeprefix("Example: "),
        "parameters": [_parameter(parameter, context) for parameter in shown if parameter.name != "help"],
    }


def _parameter(parameter: Any, context: Any) -> dict[str, Any]:
    option = parameter.param_type_name == "option"
    default = parameter.get_default(context)
    values = [item.value for item in parameter.shell_complete(context, "") if item.type == "plain"]
    return {
        "name": parameter.name,
        "flags": [*parameter.opts, *parameter.secondary_opts] if option else [],
        "panel": getattr(parameter, "rich_help_panel", None) if option else "Arguments",
        "required": parameter.required,
        "repeatable": parameter.multiple or parameter.nargs == -1,
        "switch": bool(getattr(parameter, "is_flag", False)),
        "default": default if default is None or isinstance(default, bool | int | float) else str(default),
        "stands_for": parameter.metavar or None,
        "values": values or None,
        "help": " ".join((parameter.help or "").split()),
    }
