"""Families of things that go by a name, such as samplers or codecs: a table each, in which all are looked up here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from ctgrid.base.errors import CtgridError

Member = TypeVar("Member")


def look_up(family: Mapping[str, Member], name: object, what: str, where: str = "") -> Member:
    """Return the member of a family that a name stands for.

    Args:
        family: every member by its name.
        name: as a user or a file has it.
        what: a member is called, such as ``sampler``.
        where: the name was read from, if not from the user.

    Raises:
        CtgridError: with the names there are, and the one that may have been meant.
    """  # noqa: DOC501
    if not isinstance(name, str) or name not in family:
        raise unknown(name, what, family, where)
    return family[name]


def unknown(name: object, what: str, known: Collection[str], where: str = "") -> CtgridError:
    """Return the error for a name that is none of those known; arguments as of :func:`look_up`."""
    listed = f"{', '.join(known)}{meant(name, known)}"
    return CtgridError(f"{f'{where}: ' if where else ''}unknown {what} {name!r}; known: {listed}")


def meant(name: object, known: Collection[str]) -> str:
    """Return ``; did you mean ...?`` with the known name that is most like one, or nothing where none is."""
    from difflib import get_close_matches

    near = get_close_matches(str(name), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
