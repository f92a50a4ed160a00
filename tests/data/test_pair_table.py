"""The table of a paired set: as written, so read; moved with its scans; what is wrong is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.data.pair_table import PAIRS, ScanPair, read_pairs, write_pairs


def pair(folder: Path, **facts: object) -> ScanPair:
    values: dict[str, object] = {
        "clean": folder / "scans" / "a, b.nii.gz",
        "noisy": folder / "low" / "a_dose0.1.nii.gz",
        "dose": 0.1,
        "cutoff_per_mm": 0.8,
        "kernel": "scan",
        "photons": 2e5,
        "seed": 2**32 - 1,
        "slices": 5,
        "added_hu": None,
        "clean_sha256": "c" * 64,
        "noisy_sha256": "d" * 64,
    }
    return ScanPair(**{**values, **facts})  # type: ignore[arg-type]


def test_as_written_so_read(tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    pairs = [pair(tmp_path), pair(tmp_path, dose=0.25, kernel="given", added_hu=31.5)]
    write_pairs(tmp_path / "low" / PAIRS, pairs)
    assert "../scans/a, b.nii.gz" in (tmp_path / "low" / PAIRS).read_text()
    found = read_pairs(tmp_path / "low")
    assert [(one.dose, one.kernel, one.added_hu, one.seed) for one in found] == [
        (0.1, "scan", None, 2**32 - 1),
        (0.25, "given", 31.5, 2**32 - 1),
    ]
    assert found[0].clean.resolve() == pairs[0].clean and found[0].noisy.resolve() == pairs[0].noisy
    (tmp_path / "low").rename(tmp_path / "moved")
    assert read_pairs(tmp_path / "moved" / PAIRS)[0].noisy == tmp_path / "moved" / "a_dose0.1.nii.gz"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("a,b\n1,2\n", "line 2 has no clean"),
        (",".join(ScanPair.__dataclass_fields__) + "\na,b,much,0.8,scan,1,2,3,,c,d\n", "line 2: could not convert"),
        (",".join(ScanPair.__dataclass_fields__) + "\na,b,0.1,0.8,scan,1,inf,3,,c,d\n", "line 2: cannot convert"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / PAIRS).write_text(text)
    with pytest.raises(CtgridError, match=said):
        read_pairs(tmp_path / PAIRS)
