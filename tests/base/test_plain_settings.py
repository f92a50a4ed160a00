"""Settings from plain values: of the dataclass's types and ranges, under the names they have and had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.plain_settings import by_any_name, plain_settings
from ctgrid.base.settings import Checked, Setting
from ctgrid.base.usual import read_window, write_window


@dataclass(frozen=True)
class Toy(Checked):
    """One of every kind."""

    steps: Annotated[int, Setting("How many.", least=1, was="rounds")] = 3
    share: Annotated[float, Setting("Of all.", least=0, most=1)] = 0.5
    bow: Annotated[bool, Setting("Bow.")] = True
    style: Annotated[Literal["plain", "loud"], Setting("How.")] = "plain"
    place: Annotated[Path | None, Setting("Where.")] = None
    names: Annotated[tuple[str, ...], Setting("Who.")] = ()
    window: Annotated[tuple[float, float], Setting("HU.", read=read_window, write=write_window)] = (-1000.0, 400.0)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({}, {}),
        ({"steps": 4, "share": 1, "bow": False}, {"steps": 4, "share": 1.0, "bow": False}),
        ({"share": "1e-4"}, {"share": 1e-4}),
        ({"rounds": 7}, {"steps": 7}),
        ({"names": ["a", "b"], "place": "x/y"}, {"names": ("a", "b"), "place": Path("x/y")}),
        ({"names": "a", "place": None}, {"names": ("a",), "place": None}),
        ({"window": [-160, 240]}, {"window": (-160.0, 240.0)}),
        ({"window": "-160,240"}, {"window": (-160.0, 240.0)}),
    ],
)
def test_plain_values_become_what_the_dataclass_takes(values: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = plain_settings(Toy, values, "x.yaml")
    assert found == wanted and {n: type(v) for n, v in found.items()} == {n: type(v) for n, v in wanted.items()}
    Toy(**found)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"step": 3}, "step.*steps"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"steps": 2.0}, "steps is a whole number, got 2.0"),
        ({"steps": True}, "steps is a whole number, got True"),
        ({"steps": None}, "steps needs a value"),
        ({"share": "half"}, "share is a number, got 'half'"),
        ({"share": True}, "share is a number, got True"),
        ({"share": 1.5}, "share must be at most 1"),
        ({"bow": "yes"}, "bow is true or false, got 'yes'"),
        ({"bow": 1}, "bow is true or false, got 1"),
        ({"style": "soft"}, "style"),
        ({"place": 3}, "place is a path, got 3"),
        ({"names": [1]}, "names is a text, in quotes"),
        ({"window": [1]}, "window.*lo,hi"),
    ],
)
def test_what_does_not_fit_names_file_and_key(values: dict[str, Any], words: str) -> None:
    with pytest.raises(CtgridError, match=rf"x\.yaml.*{words}"):
        plain_settings(Toy, values, "x.yaml")


def test_a_setting_is_found_by_the_name_it_had() -> None:
    names = by_any_name(Toy)
    assert names["rounds"] is names["steps"] and set(names) == {*Toy.__dataclass_fields__, "rounds"}
