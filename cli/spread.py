"""A command whose options take several values in a row: ``--clean A B C`` as well as ``--clean A --clean B``."""

from __future__ import annotations

from typing import Any, ClassVar

from typer.core import TyperCommand


class SpreadCommand(TyperCommand):
    """Write the option's name before each further value, which is what the parser knows."""

    spread: ClassVar[frozenset[str]] = frozenset({"--clean", "--noise", "--methods", "--real", "--train", "--metadata"})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse after every value has its option's name."""
        return list(super().parse_args(ctx, spread_out(args, self.spread)))


def spread_out(args: list[str], names: frozenset[str]) -> list[str]:
    """Return arguments in which an option of ``names`` stands before each of its values.

    Args:
        args: as typed.
        names: options that take several values.
    """
    result: list[str] = []
    current, values = "", 0
    for arg in args:
        if arg.startswith("-") and arg != "-":
            current, values = (arg, 0) if arg in names else ("", 0)
        elif current:
            if values:
                result.append(current)
            values += 1
        result.append(arg)
    return result
