"""Pages of the command line, made from the commands themselves, as ``--help`` is."""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.main import get_command

from ctgrid_cli import app

FOLDER = "reference/commands"


def pages() -> dict[str, str]:
    """Make one page for each command, with its subcommands on it, and an index."""
    top: Any = get_command(app)
    made = {f"{FOLDER}/{name}.md": _page(f"ctgrid {name}", command) for name, command in top.commands.items()}
    rows = [f"| [`ctgrid {name}`]({name}.md) | {_first_line(command)} |" for name, command in top.commands.items()]
    index = ["# Commands", "", _prose(top.help), "", _prose(top.epilog), "", "| command | |", "|---|---|", *rows, ""]
    return {f"{FOLDER}/index.md": "\n".join(index), **made}


def _page(path: str, command: Any, level: int = 1) -> str:
    """Write a command down: its help, its arguments and options by panel, and its subcommands below it."""
    context = command.context_class(command, info_name=path)
    lines = [f"{'#' * level} {path}", "", _prose(command.help), ""]
    lines += ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
    panels: dict[str, list[str]] = {}
    for parameter in command.params:
        if not getattr(parameter, "hidden", False) and (record := parameter.get_help_record(context)):
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or "", []).append(_row(*record))
    for panel, rows in panels.items():
        lines += [f"**{panel}**", ""] if panel else []
        lines += ["| argument or option | |", "|---|---|", *rows, ""]
    if command.epilog:
        lines += [_prose(command.epilog), ""]
    for name, below in getattr(command, "commands", {}).items():
        lines += [_page(f"{path} {name}", below, level + 1)]
    return "\n".join(lines)


def _row(name: str, meaning: str) -> str:
    """Write one argument or option, as the help says it, as a row of a table."""
    option, _, value = name.partition(" ") if name.startswith("-") else (name, "", "")
    return f"| `{option}`{' ' if value else ''}{_cell(value)} | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|").replace("<", "&lt;")


def _first_line(command: Any) -> str:
    return _cell(_prose(command.help).split("\n\n")[0])


def _prose(text: str | None) -> str:
    """Free a help text from its indentation and from click's marks."""
    text = inspect.cleandoc(text or "").replace("\b", "").replace("\f", "")
    return re.sub(r"\[/?(?:bold|dim|italic|cyan|green|yellow|red)[^\]]*\]", "", text).replace("<", "&lt;")
