"""What could not be read is told once, by where it is, and is left out from then on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.evaluation.lost import Lost


def fail() -> None:
    raise CtgridError("it is damaged")


def test_it_goes_on_without_what_cannot_be_read() -> None:
    good, bad = (SimpleNamespace(path=Path(name), digest=name * 3) for name in "ab")
    lost = Lost()
    assert lost.tried(good, lambda: 5) == 5 and lost.tried(bad, fail) is None and lost.tried(bad, fail) is None
    lost.note(Path("c.nii"), CtgridError("c.nii is truncated"))
    lost.note(Path("d.nii"), OSError(13, "Permission denied"))
    assert lost.lines == ["b: it is damaged", "c.nii is truncated", "d.nii: [Errno 13] Permission denied"]
    assert lost.without([good, bad]) == [good]


def test_or_stops_at_the_first() -> None:
    with pytest.raises(CtgridError, match="it is damaged"):
        Lost(strict=True).tried(SimpleNamespace(path=Path("a"), digest="b"), fail)
