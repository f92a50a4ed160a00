"""A painted person, once for all tests."""

from __future__ import annotations

import pytest

from ctgrid.data.simulate import labelled_phantom
from ctgrid.scan.volume import Volume


@pytest.fixture(scope="session")
def person() -> tuple[Volume, Volume]:
    """Return the phantom of seed 3, HU and labels, of 34 slices of 96 x 96."""
    return labelled_phantom(3, (34, 96, 96))
