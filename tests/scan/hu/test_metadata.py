"""The metadata CSV: found by any name, refused precisely, cheap to send to workers."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.scan.hu.metadata import MetadataTable, volume_key

HEAD = "VolumeName,Manufacturer,SeriesDescription,RescaleIntercept,RescaleSlope,XYSpacing,ZSpacing\n"
ROWS = (
    'train_1_a_1.nii.gz,Siemens Healthineers,"chest, 1.5",-1024,1,"[0.75, 0.75]",1.5\n'
    'train_1_a_2.nii.gz,PNMS,,-8192.0,1.0,"[0.6, 0.8]",0.625\n'
)


def table(tmp_path: Path, text: str = HEAD + ROWS, encoding: str = "utf-8") -> MetadataTable:
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode(encoding))
    return MetadataTable.read(path)


@pytest.mark.parametrize("name", ["train_1_a_2.nii.gz", "train_1_a_2", "/data/x/train_1_a_2.nii", "train_1_a_2.mha"])
def test_rows_are_found_by_path_file_name_and_bare_name(tmp_path: Path, name: str) -> None:
    row = table(tmp_path).row(name)
    assert row is not None
    assert row.rescale() == (1.0, -8192.0)
    assert row.manufacturer == "PNMS"
    assert row.spacing_mm() == (0.625, 0.8, 0.6)
    assert row.line == 3
    assert name in table(tmp_path)


def test_names() -> None:
    assert volume_key("a/b.c/train_1.v2.nii.gz") == "train_1.v2"
    assert volume_key("folder\\valid_1_a_1.NII.GZ ") == "valid_1_a_1"
    assert volume_key("case.7") == "case.7"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    found = table(tmp_path, "VolumeName,RescaleSlope,RescaleIntercept\na.nii.gz,1,-1024\n\n")
    assert len(found) == 1
    row = found.row("a")
    assert row is not None
    assert (row.manufacturer, row.spacing_mm()) == (None, None)
    assert found.row("b") is None


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_separators_byte_order_mark_and_line_ends(tmp_path: Path, delimiter: str) -> None:
    text = "VolumeName,RescaleSlope,RescaleIntercept\nä.nii.gz,1,-1024\n".replace(",", delimiter).replace("\n", "\r\n")
    row = table(tmp_path, text, "utf-8-sig").row("ä.nii.gz")
    assert row is not None
    assert row.rescale() == (1.0, -1024.0)


def test_rows_that_agree_are_one(tmp_path: Path) -> None:
    assert len(table(tmp_path, HEAD + ROWS + ROWS)) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column VolumeName and no RescaleSlope and no RescaleIntercept"),
        ("VolumeName,Slope\na,1\n", "no column RescaleSlope and no RescaleIntercept .*Slope"),
        ('{"RescaleSlope": 1}', "no column VolumeName"),
        (HEAD + ROWS + "x/train_1_a_1.nii.gz,GE,,-1024,1,,\n", "lines 2 and 4 disagree about x/train_1_a_1.nii.gz"),
        (HEAD + ROWS + ",GE,,-1024,1,,\n", "line 4: the row has no VolumeName"),
        (HEAD.replace("ZSpacing", "RescaleSlope") + ROWS, "names a column twice: RescaleSlope"),
        (HEAD + '"' + "x" * 200_000, "not a readable CSV"),
        ("\x00\x01\x02\x03", "no column VolumeName|not a readable CSV"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CtgridError, match=says) as caught:
        table(tmp_path, text)
    assert str(tmp_path / "m.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_paths_that_are_no_file(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"VolumeName\xff\xfe")
    with pytest.raises(CtgridError, match="not a CSV in UTF-8"):
        MetadataTable.read(tmp_path / "m.csv")
    with pytest.raises(CtgridError, match="cannot read the metadata"):
        MetadataTable.read(tmp_path / "none.csv")
    with pytest.raises(CtgridError, match="cannot read the metadata"):
        MetadataTable.read(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("-1024", "low", "RescaleIntercept is 'low', not a number"),
        ("-1024", "", "RescaleIntercept is '', not a number"),
        ("-1024", "nan", "RescaleIntercept is ''"),
        (",1,", ",0,", "RescaleSlope is 0"),
        ("0.75, 0.75", "0.75, x", "XYSpacing .* is no pair of numbers"),
        ("0.75, 0.75", "1, 2, 3", "XYSpacing .* is no pair of numbers"),
        ("0.75, 0.75", "0, 0", "spacing .* is not positive"),
        ("1.5\n", "-1.5\n", "spacing .* is not positive"),
    ],
)
def test_a_bad_number_spoils_its_own_row_only(tmp_path: Path, field: str, value: str, says: str) -> None:
    found = table(tmp_path, HEAD + ROWS.replace(field, value, 1))
    bad, good = found.row("train_1_a_1"), found.row("train_1_a_2")
    assert bad is not None
    assert good is not None
    assert good.rescale() == (1.0, -8192.0)
    with pytest.raises(CtgridError, match=rf"m\.csv, line 2 \(train_1_a_1\): {says}"):
        bad.rescale() if "Rescale" in says else bad.spacing_mm()


def test_fifty_thousand_rows_travel_light(tmp_path: Path) -> None:
    rows = (f'train_{i}_a_1.nii.gz,GE,text,-1024,1,"[0.{500 + i % 400}, 0.7]",{1 + i % 5}\n' for i in range(50_000))
    found = table(tmp_path, HEAD + "".join(rows))
    assert len(found) == 50_000
    pickled = pickle.dumps(found)
    assert len(pickled) < 1_000_000
    again = pickle.loads(pickled)
    assert again.row("train_49999_a_1") == found.row("train_49999_a_1")
    few = found.subset(["a/train_7_a_1.nii.gz", "none"])
    assert list(few) == ["train_7_a_1"]
    assert few.row("train_7_a_1") == found.row("train_7_a_1")
    assert len(pickle.dumps(few)) < 500
    assert len(pickle.loads(pickle.dumps(found.subset([])))) == 0


def test_names_match_without_regard_to_case_where_none_matches_as_it_stands(tmp_path: Path) -> None:
    head = "VolumeName,RescaleSlope,RescaleIntercept\n"
    found = table(tmp_path, head + "A_1,1,-1024\na_2,1,-1\nA_2,1,-2\n")
    row = found.subset(["x/a_1.nii.gz"]).row("x/a_1.nii.gz")
    assert row is not None and row.name == "A_1" and "a_1" in found
    assert [getattr(found.row(name), "name", None) for name in ("a_2", "A_2", "b")] == ["a_2", "A_2", None]
    with pytest.raises(CtgridError, match="only in other case, as "):
        table(tmp_path, head + "SCAN,1,0\nscan,1,1\n").row("Scan")


@pytest.mark.parametrize("empty", ["", "nan", "NaN", "None", "N/A", "N-A", "<NA>", "null"])
def test_cells_that_hold_nothing_are_empty(empty: str, tmp_path: Path) -> None:
    head = "VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\n"
    row = table(tmp_path, f"{head}v,1,-1024,{empty},{empty}\nv,1.0,{empty},,1.5\n").row("v")
    assert row is not None and row.rescale() == (1.0, -1024.0) and row.spacing_mm() is None


def test_several_tables_are_one(tmp_path: Path) -> None:
    """CT-RATE has one for training and one for validation; rows that both have must agree."""
    train, valid, other = (tmp_path / f"{name}.csv" for name in ("train", "valid", "other"))
    train.write_text(HEAD + ROWS, encoding="utf-8")
    valid.write_text(HEAD + "valid_1_a_1.nii.gz,GE,,-1000,1,1,2\n" + ROWS.splitlines()[0] + "\n", encoding="utf-8")
    other.write_text(HEAD + ROWS.replace("-8192.0", "-8000"), encoding="utf-8")
    assert MetadataTable.read_all(None) is None and MetadataTable.read_all([]) is None
    both = MetadataTable.read_all([train, valid])
    assert both is not None and sorted(both) == ["train_1_a_1", "train_1_a_2", "valid_1_a_1"]
    rows = [both.row(name) for name in ("train_1_a_2", "valid_1_a_1")]
    assert [row and row.rescale() for row in rows] == [(1.0, -8192.0), (1.0, -1000.0)]
    assert str(train) in both.file and str(valid) in both.file
    assert len(MetadataTable.read_all(train) or ()) == len(MetadataTable.read_all([train, train]) or ()) == 2
    with pytest.raises(CtgridError, match=r"train\.csv, line 3, and .*other\.csv, line 3, disagree about train_1_a_2"):
        MetadataTable.read_all([train, other])


def test_a_last_row_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    """Empty cells may be left out elsewhere, and a last line without an end may be whole."""
    head = "VolumeName,RescaleSlope,RescaleIntercept,ZSpacing\n"
    for rows in ("a.nii,1,-1024\nb.nii,1,-1024,1.5", "a.nii,1,-1024,2\nb.nii,1,-1024\n"):
        (tmp_path / "t.csv").write_text(head + rows)
        assert len(MetadataTable.read(tmp_path / "t.csv")) == 2
    (tmp_path / "t.csv").write_text(head + "a.nii,1,-1024,2\nb.nii,1,-10")
    with pytest.raises(CtgridError, match="line 3: the file ends within this row; fetch the table again"):
        MetadataTable.read(tmp_path / "t.csv")


def test_a_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    """Its cells may stand under other columns than their own; empty ones at the end are no matter."""
    head = "VolumeName,XYSpacing,RescaleSlope,RescaleIntercept\n"
    with pytest.raises(CtgridError, match=r"m\.csv, line 2: it has more cells .* quotes missing"):
        table(tmp_path, head + "a.nii.gz,[0.7, 0.7],1,-1024\n")
    row = table(tmp_path, head + "a.nii.gz,,1,-1024,,\n").row("a")
    assert row is not None and row.rescale() == (1.0, -1024.0)
