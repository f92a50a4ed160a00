"""What a pydantic schema refuses, said in one line with the key that may have been meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from ctgrid.base.families import meant

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


def first_problem(error: ValidationError, schema: type[BaseModel]) -> str:
    """Return where the first problem lies and what it is: ``stage1.depht: unknown key; did you mean depth?``.

    Args:
        error: what pydantic raised.
        schema: of the whole document.
    """
    first = error.errors()[0]
    place = first["loc"]
    reason = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = f"unknown key{meant(place[-1], _keys(schema, place[:-1]))}"
    return f"{'.'.join(map(str, place))}: {reason}"


def _keys(schema: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Return the keys there are at a place; none where several schemas may stand there."""
    for part in place:
        if isinstance(part, str):
            if part not in schema.model_fields:
                return []
            below = list(_schemas(schema.model_fields[part].annotation))
            if len(below) != 1:
                return []
            schema = below[0]
    return list(schema.model_fields)


def _schemas(annotation: Any) -> Iterator[Any]:
    """Yield the schemas in an annotation such as ``tuple[Variant, ...] | None``."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for arg in get_args(annotation):
        yield from _schemas(arg)
