"""Which volumes train and which validate: by patient, deterministic, and never one patient in two parts."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from ctgrid.base.documents import parsed_yaml, text_of
from ctgrid.base.errors import CtgridError, CtgridWarning
from ctgrid.base.files import atomic_output
from ctgrid.data.volumes import volume_name

CT_RATE = "ct-rate"
"""The split that CT-RATE's own names tell: ``train_…`` and ``valid_…``."""

CT_RATE_NAME = re.compile(r"((train|valid)_\d+)_[a-z]+_\d+")
"""part_patient_scan_reconstruction: two scans or reconstructions of ``train_123`` are one patient's."""

LIST_SUFFIXES = (".txt", ".lst")
PATIENT_KEY = "patient"


def patient_of(name: str, pattern: str | None = None) -> str:
    """Return the patient a volume belongs to.

    Args:
        name: the volume's name; a suffix such as ``.nii.gz`` does not count.
        pattern: regular expression for other naming schemes, searched in the name; its first group (or all it
            matches) is the patient. None knows CT-RATE's names and takes every other name as a patient of its own.

    Raises:
        CtgridError: where the pattern is no regular expression or does not match.
    """
    name = volume_name(Path(name))
    if pattern is None:
        found = CT_RATE_NAME.fullmatch(name)
        return found[1] if found else name
    try:
        found = re.search(pattern, name)
    except re.error as error:
        raise CtgridError(f"patient pattern {pattern!r} is no regular expression: {error}") from error
    if found is None:
        raise CtgridError(f"patient pattern {pattern!r} does not match the volume {name}; mend the pattern")
    return found[1] if found.re.groups else found[0]


@dataclass(frozen=True)
class Split:
    """Parts of a collection, such as ``train`` and ``valid``.

    Attributes:
        parts: part to its entries: names of volumes, or of patients (all of whose volumes are meant).
        patient: regular expression that finds the patient in a name, see :func:`patient_of`.
        source: where it was read from, for messages.
    """

    parts: Mapping[str, tuple[str, ...]]
    patient: str | None = None
    source: str = field(default="split", compare=False)

    def __post_init__(self) -> None:
        """Refuse a pattern that is none, and a patient in two parts."""
        try:
            re.compile(self.patient or "")
        except re.error as error:
            raise CtgridError(
                f"{self.source}: patient pattern {self.patient!r} is no regular expression: {error}"
            ) from error
        self._check(self.parts)

    def select(self, part: str, names: Iterable[str]) -> list[str]:
        """Return the volumes among ``names`` that belong to a part, sorted.

        Volumes that the split does not name are left out, and so are entries without a volume, with a warning: a split
        of a whole collection serves for any share of it.

        Raises:
            CtgridError: for an unknown part, one without any of the volumes, or a patient in two parts.
        """
        if part not in self.parts:
            raise CtgridError(
                f"{self.source}: there is no part {part!r}; its parts are {', '.join(sorted(self.parts))}"
            )
        names = list(names)
        chosen: dict[str, list[str]] = {}
        for key, entries in self.parts.items():
            wanted = {volume_name(Path(entry)) for entry in entries}
            chosen[key] = [n for n in names if n in wanted or self._patient_among(n, wanted)]
        self._check(chosen)
        missing = self.missing(part, names)
        if missing and chosen[part]:
            warnings.warn(
                f"{self.source}: {len(missing)} of {len(self.parts[part])} entries of {part!r} have no volume here, "
                f"such as {missing[0]}",
                CtgridWarning,
                stacklevel=2,
            )
        if not chosen[part]:
            raise CtgridError(
                f"{self.source}: none of its {len(self.parts[part])} entries of {part!r} is among the "
                f"{len(names)} volumes here; are the names without folder and suffix the same?"
            )
        return sorted(chosen[part])

    def missing(self, part: str, names: Iterable[str]) -> list[str]:
        """Return the entries of a part without a volume among ``names``, sorted."""
        here = set(names)
        here |= {patient_of(n, self.patient) for n in here if self.patient is None or re.search(self.patient, n)}
        return sorted(entry for entry in self.parts[part] if volume_name(Path(entry)) not in here)

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write the split as YAML, or as JSON where the path ends in ``.json``.

        Raises:
            CtgridError: where the file exists or cannot be written.
        """
        import yaml

        path = Path(path)
        content: dict[str, Any] = {PATIENT_KEY: self.patient} if self.patient else {}
        content |= {part: list(entries) for part, entries in self.parts.items()}
        json_wanted = path.suffix.lower() == ".json"
        text = json.dumps(content, indent=1) if json_wanted else yaml.safe_dump(content, sort_keys=False)
        with atomic_output(path, overwrite) as temporary:
            temporary.write_text(text.rstrip() + "\n", encoding="utf-8")
        return path

    def _patient_among(self, name: str, wanted: set[str]) -> bool:
        if self.patient is not None and not re.search(self.patient, name):
            return False
        return patient_of(name, self.patient) in wanted

    def _check(self, parts: Mapping[str, Sequence[str]]) -> None:
        """Refuse a patient in two parts."""
        seen: dict[str, tuple[str, str]] = {}
        for part, entries in parts.items():
            for entry in entries:
                entry = volume_name(Path(entry))
                found = self.patient is None or re.search(self.patient, entry)
                patient = patient_of(entry, self.patient) if found else entry
                other, first = seen.setdefault(patient, (part, entry))
                if other != part:
                    raise CtgridError(
                        f"{self.source}: patient {patient} is in two parts, {first} in {other!r} and {entry} in "
                        f"{part!r}; keep all volumes of a patient in one part"
                    )


def make_split(names: Iterable[str], valid_share: float = 0.1, seed: int = 0, patient: str | None = None) -> Split:
    """Divide volumes into ``train`` and ``valid`` by patient.

    A patient's rank is a hash of the seed and the patient, so more volumes move none of those there were, except
    at the border between the parts.

    Args:
        names: of volumes.
        valid_share: share of the patients that validate, in (0, 1); at least one does, and at least one trains.
        seed: another seed gives another split.
        patient: see :func:`patient_of`.

    Raises:
        CtgridError: for fewer than two patients or a share outside (0, 1).
    """
    if not 0 < valid_share < 1:
        raise CtgridError(f"the share for validation must lie between 0 and 1, got {valid_share:g}")
    patients = by_patient(names, patient)
    if len(patients) < 2:
        raise CtgridError(f"cannot split {len(patients)} patient(s) into train and valid; give two or more")
    ranked = _ranked(patients, f"valid:{seed}")
    count = min(max(round(valid_share * len(ranked)), 1), len(ranked) - 1)
    chosen = {"train": ranked[count:], "valid": ranked[:count]}
    parts = {part: tuple(sorted(n for p in group for n in patients[p])) for part, group in chosen.items()}
    return Split(parts, patient)


def take_fraction(names: Iterable[str], percent: float, seed: int = 0, patient: str | None = None) -> list[str]:
    """Return the volumes of a share of the patients, sorted; a smaller share lies inside every larger one.

    Args:
        names: of volumes.
        percent: of the patients, in (0, 100]; the paper takes 10, 60 and 100. At least one patient is taken.
        seed: another seed takes others.
        patient: see :func:`patient_of`.

    Raises:
        CtgridError: for a share outside (0, 100].
    """
    if not 0 < percent <= 100:
        raise CtgridError(f"the fraction must be a percentage above 0 and up to 100, got {percent:g}")
    patients = by_patient(names, patient)
    ranked = _ranked(patients, f"fraction:{seed}")
    taken = ranked[: max(1, round(len(ranked) * percent / 100))]
    return sorted(name for p in taken for name in patients[p])


def by_patient(names: Iterable[str], pattern: str | None = None) -> dict[str, list[str]]:
    """Group names by :func:`patient_of`."""
    patients: dict[str, list[str]] = {}
    for name in names:
        patients.setdefault(patient_of(name, pattern), []).append(name)
    return patients


def read_split(path: str | Path) -> Split:
    """Read a split file.

    YAML (or JSON): each key a part, its value a list of names of volumes or patients; the key ``patient`` may hold
    a regular expression. A ``.txt`` file holds one name a line, ``#`` begins a comment: one part, ``all``.

    Raises:
        CtgridError: where the file cannot be read or holds something else.
    """
    path = Path(path)
    text = text_of(path, "a split file")
    if path.suffix.lower() in LIST_SUFFIXES:
        lines = (line.partition("#")[0].strip() for line in text.splitlines())
        return Split({"all": tuple(line for line in lines if line)}, source=str(path))
    content = parsed_yaml(text, path)
    if not isinstance(content, dict):
        raise CtgridError(f"{path}: a split file maps parts to lists of names, this holds a {type(content).__name__}")
    patient = content.pop(PATIENT_KEY, None)
    if patient is not None and not isinstance(patient, str):
        raise CtgridError(f"{path}: {PATIENT_KEY!r} must be a regular expression, got {patient!r}")
    parts: dict[str, tuple[str, ...]] = {}
    for part, entries in content.items():
        if not isinstance(entries, list) or not all(isinstance(e, str | int) for e in entries):
            raise CtgridError(f"{path}: part {part!r} must be a list of names")
        parts[str(part)] = tuple(str(entry) for entry in entries)
    if not parts:
        raise CtgridError(f"{path}: names no part; expected keys such as train and valid")
    return Split(parts, patient, source=str(path))


def select_volumes(names: Iterable[str], split: str | None = None, fraction: float | None = None) -> list[str]:
    """Return the volumes that a split and a fraction leave, sorted.

    Args:
        names: of the volumes at hand.
        split: ``FILE:PART``, a plain list ``FILE.txt``, or ``ct-rate:train`` and ``ct-rate:valid``; None takes all.
        fraction: percent of the patients, after the split; None takes all.

    Raises:
        CtgridError: as :func:`read_split`, :meth:`Split.select` and :func:`take_fraction`.
    """
    chosen, pattern = sorted(names), None
    if split is not None:
        chosen, pattern = _part_of(split, chosen)
    return take_fraction(chosen, fraction, patient=pattern) if fraction is not None else chosen


def _part_of(split: str, names: list[str]) -> tuple[list[str], str | None]:
    """Return the volumes that ``FILE:PART`` names, and the file's pattern of patients."""
    file, colon, part = split.rpartition(":")
    if not colon or Path(split).is_file():
        file, part = split, "all"
    if file == CT_RATE:
        own: dict[str, list[str]] = {"train": [], "valid": []}
        for name in names:
            found = CT_RATE_NAME.fullmatch(name)
            if found is not None:
                own[found[2]].append(name)
        return Split({key: tuple(value) for key, value in own.items()}, source=CT_RATE).select(part, names), None
    read = read_split(file)
    if part == "all" and "all" not in read.parts:
        raise CtgridError(f"{split}: name the part too, {file}:PART; its parts are {', '.join(sorted(read.parts))}")
    return read.select(part, names), read.patient


def _ranked(patients: Iterable[str], salt: str) -> list[str]:
    return sorted(patients, key=lambda patient: sha256(f"{salt}:{patient}".encode()).digest())
