"""Settings said once: checked, gathered by name, recorded, read from text, shown."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.settings import Checked, Fields, Setting, all_settings, gather, recorded_settings, spelled_out

TABLE = {"red": 1, "blue": 2}


@dataclass(frozen=True)
class Oven(Checked):
    """A part."""

    heat_c: Annotated[float, Setting("Of the oven.", least=50, most=300, was="heat")] = 180.0


@dataclass(frozen=True)
class Icing(Checked):
    """Settings of which some may be given."""

    layers: Annotated[int, Setting("Of icing.", least=1)] = 2
    sugar: Annotated[bool, Setting("Leave the sugar out.", flag="--no-sugar")] = True


@dataclass(frozen=True)
class Cake(Checked):
    """A whole."""

    eggs: Annotated[int, Setting("Of hens.")]
    shape: Annotated[Literal["round", "square", "heart"], Setting("Seen from above.")] = "round"
    colour: Annotated[str | None, Setting("Of the icing.", names=TABLE)] = None
    oven: Oven = field(default_factory=Oven)
    icing: Annotated[Mapping[str, Any], Fields(Icing)] = field(default_factory=dict)
    plates: Annotated[tuple[Path, ...], Setting("Where to put it.")] = ()
    taster: Any = None  # for Python alone


def test_names_types_and_defaults_in_order() -> None:
    """Those of a part in its place; those that are only some of another's have no default."""
    known = all_settings(Cake)
    assert list(known) == ["eggs", "shape", "colour", "heat_c", "layers", "sugar", "plates"]
    assert known["eggs"].default is MISSING and known["heat_c"].default == 180.0 and known["layers"].default is None
    assert (known["colour"].kind, known["colour"].optional, known["colour"].choices) == (str, True, ("red", "blue"))
    assert known["shape"].choices == ("round", "square", "heart") and known["shape"].said.help == "Seen from above."


def test_gathered_by_name_and_recorded() -> None:
    """Flat names lead into the parts and come back; old names too."""
    cake = gather(Cake, {"eggs": 3, "heat": 200.0, "layers": 4, "taster": "me"})
    assert cake == Cake(3, oven=Oven(200.0), icing={"layers": 4}, taster="me")
    recorded = recorded_settings(cake)
    assert recorded == {"eggs": 3, "shape": "round", "colour": None, "heat": 200.0, "layers": 4, "plates": ()}
    assert gather(Cake, recorded) == gather(Cake, {"taster": None}, cake)
    changed = gather(Cake, {"heat_c": 60.0, "sugar": False}, cake)
    assert (changed.eggs, changed.oven.heat_c, changed.icing) == (3, 60.0, {"layers": 4, "sugar": False})
    assert gather(Cake, {"eggs": 1, "oven": Oven(90.0)}).oven.heat_c == 90.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"eggs": 3, "salt": 1}, "unknown setting 'salt'; known: eggs, shape"),
        ({}, "eggs must be given"),
        ({"eggs": 3, "shape": "star"}, "shape must be one of round, square, heart, got 'star'"),
        ({"eggs": 3, "colour": "green"}, "unknown colour 'green'; known: red, blue"),
        ({"eggs": 3, "heat_c": 20.0}, "heat_c must be at least 50, got 20"),
        ({"eggs": 3, "heat": 500.0}, "heat_c must be at most 300, got 500"),
        ({"eggs": 3, "heat_c": float("nan")}, "heat_c must be at least 50, got nan"),
    ],
)
def test_refused(given: dict[str, Any], words: str) -> None:
    """With the name, the rule and the value."""
    with pytest.raises(CtgridError, match=words):
        gather(Cake, given)


def test_a_table_may_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever puts a name there."""
    monkeypatch.setitem(TABLE, "green", 3)
    assert Cake(1, colour="green").colour == "green"


@pytest.mark.parametrize(("name", "text", "value"), [("eggs", "4", 4), ("sugar", "off", False), ("heat_c", "75", 75.0)])
def test_values_from_text(name: str, text: str, value: object) -> None:
    """By the type of the setting."""
    assert all_settings(Cake)[name].parse(text) == value
    with pytest.raises(CtgridError, match=name):
        all_settings(Cake)[name].parse("a few")


def test_a_function_shows_the_settings_it_takes() -> None:
    """With their types and defaults."""

    @spelled_out(Cake)
    def bake(eggs: int, hurry: bool = False, **settings: Any) -> Cake:
        return gather(Cake, {"eggs": eggs, **settings})

    shown = inspect.signature(bake).parameters
    assert list(shown) == ["eggs", "hurry", "shape", "colour", "heat_c", "layers", "sugar", "plates"]
    assert shown["heat_c"].default == 180.0 and shown["colour"].annotation == str | None
    assert bake(2, shape="heart").shape == "heart"
