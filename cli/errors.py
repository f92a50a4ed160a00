"""The one place where failures become one line on stderr and an exit code."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from ctgrid.base.causes import DISK, out_of_memory, system_error
from ctgrid.base.documents import legible
from ctgrid.base.errors import CtgridError, CtgridWarning, one_line, printable
from ctgrid.base.families import meant
from ctgrid.base.interrupt import Stopped, signals_stop
from ctgrid.base.lean import leave_at_once

from .helptexts import without_types

FAILURE, USAGE, INTERRUPTED = 1, 2, 130
DEBUG = "CTGRID_DEBUG"
"""Names the variable that shows traces of failures."""

_LESS = {
    "train": "--set optimisation.batch_size=…, the recipe's size or crop",
    "prepare": "--workers, or --size",
    "latents": "nothing here, but free memory",
    "synthesize": "--batch-size, --size or --slices",
    "denoise": "--batch-size",
    "report": "--max-mb or --max-volumes",
    "view": "--max-mb",
}
"""By command: what to lower where memory is too little."""
UsageError: Any = typer.BadParameter.__base__  # public under this name only in click, which typer may vendor


class OneLineGroup(TyperGroup):
    """A group of commands whose every failure is one line on stderr: usage 2, input 1, signals 129, 130, 143."""

    def main(self, args: Any = None, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line and exit.

        The arguments as typed are kept as the context's ``obj`` for the run record.
        """
        leave_at_once()
        argv = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal's encoding has no words for
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if {"-h", "--help"} & set(argv) or not argv:
            without_types(self)
        try:
            code = super().main(args=argv, standalone_mode=False, obj=argv, **extra)
        except UsageError as error:
            path = error.ctx.command_path if error.ctx else "ctgrid"
            say(f"{path}: {_refused(error)} (see {path} --help)")
            code = USAGE
        except typer.Abort:
            say("interrupted")
            code = INTERRUPTED
        sys.exit(code)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Run a command with its failures caught and the libraries' chatter off."""
        if os.environ.get(DEBUG) or ctx.params.get("verbose"):
            return super().invoke(ctx)
        with one_line_failures(ctx.invoked_subcommand), quiet_libraries(), signals_stop():
            return super().invoke(ctx)


def _refused(error: Any) -> str:
    """Return what the parser says of wrong usage, with the one option that was most likely meant."""
    if getattr(error, "possibilities", None):
        return f"no such option {error.option_name}{meant(error.option_name, error.possibilities)}"
    return str(error.format_message())


def say(message: str) -> None:
    """Print a message on stderr as exactly one line."""
    line = printable(one_line(legible(message)))
    typer.echo(line if line.startswith(("ctgrid ", "ctgrid:")) else f"ctgrid: {line}", err=True)


def tell(text: object) -> None:
    """Print on stdout, line by line: the one way there, so that no name of a file steers a terminal.

    Args:
        text: Its line breaks stay; other control characters, and those that turn the direction of text, become ``?``.
    """
    typer.echo("\n".join(printable(legible(line)) for line in str(text).split("\n")))


@contextmanager
def one_line_failures(command: str | None = None) -> Iterator[None]:
    """Turn every exception that is not the command line's own into one line and ``typer.Exit``."""
    try:
        yield
    except (typer.Exit, typer.Abort, UsageError):
        raise
    except SystemExit as error:  # rich leaves so when nobody reads on, as behind "| head"
        raise typer.Exit(error.code if isinstance(error.code, int) else FAILURE) from None
    except BaseException as error:
        message, code = explain(error, command)
        if message:
            say(message)
        raise typer.Exit(code) from None


def explain(error: BaseException, command: str | None = None) -> tuple[str, int]:
    """Return the line to print (perhaps none) and the exit code for an exception of a command."""
    if isinstance(error, Stopped):
        return error.word, error.code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, CtgridError):
        return str(error), FAILURE
    if out_of_memory(error):
        said = str(error) if type(error) is MemoryError and str(error).startswith("not enough memory") else ""
        less = _LESS.get(command or "", "--batch-size, or --size where there is one")
        return f"{said or 'not enough memory'}; lower {less}", FAILURE
    refused = system_error(error)
    if not isinstance(error, OSError) and refused is not None and refused.errno in DISK:
        error = refused
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:
            _drop_stdout()
            return "", FAILURE
        if error.filename is None and _folder_is_gone():
            return "the working folder was removed; change to another one, or give absolute paths", FAILURE
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", FAILURE
    name, hint = type(error).__name__, "ctgrid -v ... shows the trace"
    return f"unexpected {name}: {str(error) or 'no message'} ({hint})", FAILURE


def _folder_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd() does the same)
    except FileNotFoundError:
        return True
    return False


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the libraries' warnings and log lines off the terminal, errors come as exceptions; ctgrid warns once."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", CtgridWarning)
            said: set[str] = set()

            def show(message: Warning | str, *_: Any, **__: Any) -> None:
                if str(message) not in said:
                    said.add(str(message))
                    say(f"warning: {message}")

            warnings.showwarning = show
            yield
    finally:
        logging.disable(before)


def _drop_stdout() -> None:
    """Send what is still buffered for a closed pipe to nowhere, so that Python's exit stays silent."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
