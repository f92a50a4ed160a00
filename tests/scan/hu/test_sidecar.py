"""The JSON beside a scan: found by its name, read whole or refused."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from ctgrid import CtgridError, Volume
from ctgrid.scan.hu.metadata import MetadataTable
from ctgrid.scan.hu.sidecar import find_sidecar, read_sidecar, sidecar_path, stated_manufacturer, stated_rows


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.NII.GZ", "a"])
def test_its_name_is_the_scans(name: str, tmp_path: Path) -> None:
    assert sidecar_path(tmp_path / name) == tmp_path / "a_metadata.json"
    assert find_sidecar(tmp_path / name) is None and read_sidecar(tmp_path / name) is None
    (tmp_path / "a_metadata.json").mkdir()
    assert find_sidecar(tmp_path / name) is None
    assert find_sidecar(tmp_path / ("x" * 250)) is None  # longer than the file system allows


def test_numbers_may_be_written_as_text_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "v1.2.nii.gz"
    content = {"RescaleSlope": "2", "RescaleIntercept": -1024, "Manufacturer": "PNMS", "XYSpacing": [0.5, 0.6]}
    sidecar_path(path).write_text(json.dumps(content))
    assert read_sidecar(path) == content | {"RescaleSlope": 2.0, "RescaleIntercept": -1024.0}
    (row,) = stated_rows(path)
    assert (row.name, row.rescale(), row.manufacturer) == ("v1.2", (2.0, -1024.0), "PNMS")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a usable sidecar"),
        ("[]", "not a JSON object"),
        ("{}", "key 'RescaleSlope' is missing"),
        ('{"RescaleSlope": "1"}', "key 'RescaleIntercept' is missing"),
        ('{"RescaleSlope": "x", "RescaleIntercept": 0}', ""),
        ('{"RescaleSlope": 0, "RescaleIntercept": 0}', "slope 0.0"),
        ('{"RescaleSlope": NaN, "RescaleIntercept": 0}', ""),
        ('{"RescaleSlope": [1], "RescaleIntercept": 0}', ""),
    ],
)
def test_a_broken_one_is_named(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a_metadata.json").write_text(text)
    with pytest.raises(CtgridError, match=rf"a_metadata\.json.*{says}"):
        read_sidecar(tmp_path / "a.nii.gz")


def test_it_is_passed_over_on_demand(chest_volume: Volume, tmp_path: Path) -> None:
    """And named where it is asked for and not there."""
    image = nibabel.load(chest_volume.write(tmp_path / "marked.nii"))
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine), path := tmp_path / "a.nii")
    with pytest.raises(CtgridError, match="has no sidecar"):
        Volume.read(path, hu="sidecar")
    (tmp_path / "a_metadata.json").write_text("{")
    assert (Volume.read(path, hu="stored").hu == chest_volume.hu).all()


def test_the_json_comes_before_the_table(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("VolumeName,RescaleSlope,RescaleIntercept,Manufacturer\na.nii,1,-1024,GE\n")
    table = MetadataTable.read(tmp_path / "m.csv")
    assert [row.manufacturer for row in stated_rows(tmp_path / "a.nii", table)] == ["GE"]
    (tmp_path / "a_metadata.json").write_text('{"RescaleSlope": 1, "RescaleIntercept": 0, "Manufacturer": " nan "}')
    rows = stated_rows(tmp_path / "a.nii", table)
    assert len(rows) == 2 and stated_manufacturer(rows) == "GE" and stated_manufacturer([]) is None
    assert stated_rows(tmp_path / "b.nii", table) == []
