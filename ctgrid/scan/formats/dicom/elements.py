"""Elements of a DICOM data set as plain values; whatever is damaged counts as absent."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from ctgrid.base.errors import printable

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

LONGEST, MOST_PARTS = 100, 16  # of a text; longer ones are damaged


@cache
def _tag(keyword: str) -> BaseTag:
    """Return an element's tag, which takes pydicom longer to find than the element."""
    from pydicom.tag import Tag

    return Tag(keyword)


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """Return an element's values as a list, empty where it is absent or unreadable.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    try:
        tag = _tag(keyword)
        value = dataset[tag].value if tag in dataset else None
        if value is None or value == "":
            return []
        return [value] if isinstance(value, str | bytes | int | float) else list(value)
    except Exception:  # a damaged value makes pydicom raise almost anything
        return []


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element's value as short printable text, its parts joined by a backslash, or an empty text.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    joined = "\\".join(str(value)[:LONGEST] for value in values(dataset, keyword)[:MOST_PARTS])[:LONGEST]
    return printable(joined.replace("\0", ""), " ").strip()


def numbers(dataset: Dataset, keyword: str, n: int) -> tuple[float, ...] | None:
    """Return an element's ``n`` finite numbers, or None.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
        n: How many there must be.
    """
    try:
        found = tuple(float(value) for value in values(dataset, keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == n and all(math.isfinite(value) for value in found) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an element's one finite number, or None.

    Args:
        dataset: Any data set.
        keyword: The element's keyword.
    """
    return (numbers(dataset, keyword, 1) or (None,))[0]
