"""YAML within bounds: the values of ``safe_load``, and nothing that grows without end."""

from __future__ import annotations

import time

import pytest
import yaml

from ctgrid.base import bounded_yaml
from ctgrid.base.bounded_yaml import load

TEXTS = [
    "",
    "3",
    "a: [1, 2.5, x, null, true]",
    "base: &b {x: 1, y: [2, 3]}\nmine:\n  <<: *b\n  y: 4\nagain: *b\n",
    "- &a [1, 2]\n- *a\n- *a\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_those_of_safe_load(text: str) -> None:
    assert load(text) == yaml.safe_load(text)


def test_aliases_that_multiply_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    started = time.process_time()
    with pytest.raises(ValueError, match="its anchors multiply"):
        load("\n".join(lines))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}", "- &x [1, [2, *x]]"])
def test_an_anchor_may_not_hold_itself(text: str) -> None:
    with pytest.raises(ValueError, match="repeat each other without end"):
        load(text)


def test_bounds_of_length_number_and_single_values(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a value of it is longer than 10000 characters"):
        load("a: " + "1:" * 5001)
    monkeypatch.setattr(bounded_yaml, "MOST_VALUES", 10)
    assert load("[1, 2, 3]") == [1, 2, 3]
    with pytest.raises(ValueError, match="it holds more than 10 values"):
        load(f"[{', '.join('1' * 20)}]")
    monkeypatch.setattr(bounded_yaml, "MOST_CHARACTERS", 5)
    with pytest.raises(ValueError, match="longer than"):
        load("a: long")


@pytest.mark.parametrize("text", ["[", "a: b: c", "!!python/object/apply:os.system [ls]", "a\n\tb: 1", "--- 1\n--- 2"])
def test_what_is_no_yaml_or_asks_for_code(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load(text)
