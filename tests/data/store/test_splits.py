"""Splits by patient, nested fractions, and the files that hold them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.data.store.splits import (
    Split,
    by_patient,
    make_split,
    patient_of,
    read_split,
    select_volumes,
    take_fraction,
)

CT_RATE = [f"train_{p}_{scan}_{r}" for p in range(1, 31) for scan in "ab"[: 1 + p % 2] for r in (1, 2)]


@pytest.mark.parametrize(
    ("name", "pattern", "patient"),
    [
        ("train_123_a_1.nii.gz", None, "train_123"),
        ("train_123_b_2", None, "train_123"),
        ("valid_12_a_1", None, "valid_12"),
        ("train_1234", None, "train_1234"),
        ("some.scan", None, "some.scan"),
        ("P007-CT-2", r"^(P\d+)-", "P007"),
        ("P007-CT-2", r"P\d+", "P007"),
    ],
)
def test_patients_are_read_from_names(name: str, pattern: str | None, patient: str) -> None:
    """CT-RATE's are known; others by a pattern, or each volume by itself."""
    assert patient_of(name, pattern) == patient


def test_a_split_keeps_patients_together_and_is_stable() -> None:
    """Whatever order the names come in; another seed differs."""
    split = make_split(CT_RATE, 0.2, seed=4)
    assert split == make_split(reversed(CT_RATE), 0.2, seed=4) != make_split(CT_RATE, 0.2, seed=5)
    train, valid = (by_patient(split.parts[part]) for part in ("train", "valid"))
    assert len(valid) == 6 and len(train) == 24 and not train.keys() & valid.keys()
    assert sorted([*split.parts["train"], *split.parts["valid"]]) == sorted(CT_RATE)


@given(names=st.lists(st.sampled_from(CT_RATE), min_size=1, unique=True), seed=st.integers(0, 3))
def test_fractions_are_nested_and_whole_patients(names: list[str], seed: int) -> None:
    """10 % lie inside 60 %, and those inside 100 %."""
    tenth, most, whole = (take_fraction(names, percent, seed) for percent in (10, 60, 100))
    assert set(tenth) <= set(most) <= set(whole) and whole == sorted(names) and tenth
    for part in (tenth, most):
        assert part == [n for n in whole if patient_of(n) in by_patient(part)]
    patients = len(by_patient(names))
    assert len(by_patient(most)) == max(1, round(0.6 * patients))


def test_more_volumes_move_few_patients() -> None:
    """A store that grows keeps its training set but for the border."""
    small = set(take_fraction(CT_RATE[:40], 50))
    kept = [name for name in take_fraction(CT_RATE, 50) if name in set(CT_RATE[:40])]
    assert len(small & set(kept)) > 0.6 * len(small)


def test_files_round_trip_and_choose(tmp_path: Path) -> None:
    """YAML, JSON and a plain list; names with suffix, whole patients, volumes that are not here."""
    names = ["train_1_a_1", "train_1_a_2", "train_2_a_1", "valid_3_a_1", "other"]
    for file in ("s.yaml", "s.json"):
        split = Split({"train": ("train_1", "gone_9"), "valid": ("valid_3_a_1.nii.gz",)})
        read = read_split(split.write(tmp_path / file))
        assert read == split
        with pytest.warns(CtgridWarning, match=f"{file}: 1 of 2 entries .* such as gone_9"):
            assert select_volumes(names, f"{tmp_path / file}:train") == ["train_1_a_1", "train_1_a_2"]
        assert select_volumes(names, f"{tmp_path / file}:valid") == ["valid_3_a_1"]
        assert read.missing("train", names) == ["gone_9"] and read.missing("valid", names) == []
    with pytest.raises(CtgridError, match="exists"):
        split.write(tmp_path / "s.yaml")
    (tmp_path / "list.txt").write_text("# mine\nother\n\ntrain_2_a_1.nii.gz  # good\n", encoding="utf-8")
    assert select_volumes(names, str(tmp_path / "list.txt")) == ["other", "train_2_a_1"]
    assert select_volumes(names, "ct-rate:valid") == ["valid_3_a_1"]
    assert select_volumes(names, "ct-rate:train", 50) == ["train_2_a_1"]
    assert select_volumes(names) == sorted(names)


def test_a_pattern_in_the_file_groups_patients(tmp_path: Path) -> None:
    """Entries may then be patients of that naming."""
    path = tmp_path / "s.yaml"
    path.write_text("patient: '^(P\\d+)-'\ntrain: [P1]\nvalid: [P2-b]\n", encoding="utf-8")
    names = ["P1-a", "P1-b", "P2-a", "P2-b", "Q"]
    assert select_volumes(names, f"{path}:train") == ["P1-a", "P1-b"]
    assert select_volumes(names, f"{path}:valid") == ["P2-b"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("train: [train_1_a_1]\nvalid: [train_1_b_1]\n", "patient train_1 is in two parts"),
        ("train: [a]\nvalid: [a]\n", "patient a is in two parts"),
        ("train: [train_1]\nvalid: [train_1_a_2]\n", "patient train_1 is in two parts"),
        ("train: {a: 1}\n", "part 'train' must be a list"),
        ("- a\n", "maps parts to lists"),
        ("patient: '('\ntrain: [a]\n", "no regular expression"),
        ("train: [a\n", "not valid YAML"),
        ("{}", "names no part"),
        ("train: [a]\nvalid: [b]\n", "none of its 1 entries of 'train' is among the 2 volumes"),
        ("valid: [train_1]\n", "there is no part 'train'"),
    ],
)
def test_bad_splits_are_one_clear_line(content: str, words: str, tmp_path: Path) -> None:
    """The file is named."""
    path = tmp_path / "split.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CtgridError, match=words) as caught:
        select_volumes(["train_1_a_1", "train_1_b_1"], f"{path}:train")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make_split(["a"], 0.5), "cannot split 1 patient"),
        (lambda: make_split(["a", "b"], 1.5), "between 0 and 1, got 1.5"),
        (lambda: take_fraction(["a"], 0), "got 0"),
        (lambda: take_fraction(["a"], 101), "got 101"),
        (lambda: take_fraction(["a"], float("nan")), "got nan"),
        (lambda: patient_of("a", "x"), "does not match the volume a"),
        (lambda: select_volumes(["a"], "missing.yaml:train"), "cannot read missing.yaml"),
        (lambda: select_volumes(["a"], "ct-rate:test"), "there is no part 'test'"),
    ],
)
def test_what_cannot_be_split_is_refused(call: object, words: str) -> None:
    """By number or name."""
    with pytest.raises(CtgridError, match=words):
        call()  # type: ignore[operator]


def test_a_split_file_without_a_part_asks_for_one(tmp_path: Path) -> None:
    """And lists those there are."""
    path = Split({"train": ("a",), "valid": ("b",)}).write(tmp_path / "s.yaml")
    with pytest.raises(CtgridError, match=r"name the part too.*train, valid"):
        select_volumes(["a", "b"], str(path))
