"""Headers that state a unit, a map or a meaning in an unusual place; values that nothing confirms as HU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from odd.case import AFFINE, READ, cases, chest
from odd.itk import meta, nrrd
from odd.nifti import Make, image
from odd.places import HEAD, table

odd = cases("Units, maps and meanings in headers")

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
STORED = (chest().astype(np.int32) + 1024).astype("<u2")
MM = {"spacing_mm": [2.5, 0.8, 0.8]}
NO_LENGTH = "is no unit of length"
NOT_HU = "is no CT in HU"


def directions(*factors: float) -> str:
    """Return the space directions of a grid whose lengths are in units of so many mm."""
    x, y, z = factors if len(factors) == 3 else factors * 3
    return f"({0.8 / x},0,0) (0,{0.8 / y},0) (0,0,{2.5 / z})"


def in_units(units: str, *factors: float) -> Make:
    """Make an NRRD with space units."""
    return nrrd(space_directions=directions(*factors), space_units=units)


def nifti(stored: np.ndarray | None = None, sform: Any = AFFINE, qform: Any = None, **fields: Any) -> Make:
    """Make a NIfTI with codes 1 where an affine is given, and header fields set."""

    def make(folder: Path) -> Path:
        values = chest() if stored is None else stored
        made = nibabel.Nifti1Image(values.transpose(2, 1, 0), None)
        made.set_qform(qform, 0 if qform is None else 1)
        made.set_sform(sform, 0 if sform is None else 1)
        if qform is None and sform is not None:
            made.header.set_zooms(np.linalg.norm(sform[:3, :3], axis=0))
        for name, value in fields.items():
            made.header[name] = value
        nibabel.save(made, folder / "scan.nii")
        return folder / "scan.nii"

    return make


def spaced(sform: np.ndarray, spacing: str, **fields: Any) -> Make:
    """Make a NIfTI beside a table with a spacing."""

    def make(folder: Path) -> Any:
        (folder / "table.csv").write_text(HEAD.strip() + f",XYSpacing,ZSpacing\nscan,1,0,{spacing}\n")
        return nifti(sform=sform, **fields)(folder), "--metadata", folder / "table.csv"

    return make


odd("NRRD in metres", in_units('"m" "m" "m"', 1000), **MM)
odd("NRRD in centimetres", in_units('"cm" "centimeters" "Centimetre"', 10), **MM)
odd("NRRD in microns", in_units('"um" "microns" "Micrometer"', 0.001), **MM)
odd("NRRD in microns, with the sign", in_units('"µm" "μm" "µm"', 0.001), **MM)
odd("NRRD in inches", in_units('"in" "inch" "inches"', 25.4), **MM)
odd("NRRD, each axis in its own unit", in_units('"mm" "cm" "m"', 1, 10, 1000), **MM)
odd("NRRD, unit left empty", in_units('"" "" ""', 1), **MM)
odd("NRRD in pixels", in_units('"pixel" "pixel" "pixel"', 1), NO_LENGTH)
odd("NRRD, one unit for three axes", in_units('"cm"', 10), "name no unit for each|cannot be read")
odd(
    "NRRD, spacings in centimetres",
    nrrd(space_directions="", space_origin="", space="", spacings="0.08 0.08 0.25", units='"cm" "cm" "cm"'),
    warns="names no space",
    **MM,
)
odd("NRRD, sample units HU", nrrd(sample_units='"Hounsfield Units"'))
odd("NRRD, sample units g/cc", nrrd(sample_units='"g/cc"'), READ, convert=NOT_HU)
odd(
    "NRRD, old min and old max",
    nrrd(np.rint((chest() + 1000) * (255 / 1046)).astype("u1").tobytes(), type="uchar", old_min="-1000", old_max="46"),
    same=False,
)
odd(
    "NRRD, old min and old max of 16 bits",
    nrrd(STORED.tobytes(), type="ushort", old_min="-1024", old_max=str(65535 - 1024)),
    **MM,
)
odd("NRRD, old min alone", nrrd(old_min="-1000"), "make no map")
odd("NRRD, old min is old max", nrrd(old_min="7", old_max="7"), "make no map")
odd(
    "MHA with a map",
    meta(
        STORED.tobytes(),
        ElementType="MET_USHORT",
        ElementToIntensityFunctionSlope="1",
        ElementToIntensityFunctionOffset="-1024",
    ),
    **MM,
)
odd("MHA with half a map", meta(STORED.tobytes(), ElementType="MET_USHORT", ElementToIntensityFunctionOffset="-1024"))
odd("MHA with a map of slope 0", meta(ElementToIntensityFunctionSlope="0"), "make no map")
odd("MHA in centimetres", meta(ElementSpacing="0.08 0.08 0.25", DistanceUnits="cm"), **MM)
odd("MHA, ElementSize alone", meta(ElementSpacing="", ElementSize="0.8 0.8 2.5"), **MM)
odd("MHA, ElementSize differs", meta(ElementSize="0.8 0.8 5"), warns="ElementSize 0.8 0.8 5, Elem", **MM)
odd("MHA, ElementSize 0", meta(ElementSpacing="", ElementSize="0 0.8 2.5"), "holds a zero")
odd("MHA, modality MR", meta(Modality="MET_MOD_MR"), READ, convert=NOT_HU)
odd("MHA, modality CT", meta(Modality="MET_MOD_CT"), **MM)

odd("NIfTI of labels", nifti(intent_code=1002), READ, convert=NOT_HU)
odd("NIfTI of a statistic", nifti(intent_code=3), READ, convert=NOT_HU)
odd("NIfTI of an estimate", nifti(intent_code=1001))
odd(
    "sform of 1 mm, qform of others",
    nifti(sform=np.eye(4), qform=AFFINE),
    warns="the qform holds",
    orientation="LPS",
    **MM,
)
odd(
    "sform of 1 mm, other pixel sizes",
    nifti(sform=np.eye(4), pixdim=[1, 0.8, 0.8, 2.5, 1, 1, 1, 1]),
    warns="the sizes hold",
    orientation="RAS",
    **MM,
)
odd(
    "sform and pixel sizes disagree",
    nifti(pixdim=[1, 1.6, 0.8, 2.5, 1, 1, 1, 1]),
    warns="its pixel sizes 1.6 x 0.8 x 2.5 mm; the sform holds",
    **MM,
)
odd("sform and qform mirrored", nifti(qform=AFFINE * [[-1], [1], [1], [1]]), warns="mm apart", orientation="LPS", **MM)

odd("values as stored", image(STORED.astype(np.int16)), READ, prepare="no air", same=False, warns="look as stored")
odd("values as stored, uint16", image(STORED), READ, prepare="no air", same=False, warns="look as stored")
odd(
    "values of 0 to 255",
    image(((chest() + 1000) / 8).astype(np.float32)),
    READ,
    prepare="no air",
    same=False,
    warns="nothing confirms",
)
odd(
    "table, scan of stored values has no row",
    table(HEAD + "other,1,-1024\n"),
    READ,
    convert="look as stored, and",
    warns="has no row",
)
odd("table, name in other case", table(HEAD + "SCAN.NII.GZ,1,-1024\n"), warns="calls it SCAN, in other case")
odd("table, name in two other cases", table(HEAD + "SCAN,1,-1024\nScan,1,0\n"), "only in other case")
odd("table, rows of equal numbers", table(HEAD + "scan,1,-1024\nscan,1.0,-1024.00\n"))
odd("table, a row that fills another's gaps", table(HEAD + "scan,1,nan\nscan,N/A,-1024\n"))
odd("table, slope NaN", table(HEAD + "scan,nan,-1024\n"), READ, convert="RescaleSlope is ''")
odd(
    "table, spacing nan",
    table(HEAD.strip() + ",XYSpacing,ZSpacing\nscan,1,-1024,NaN,None\n"),
    **MM,
)
odd(
    "1 mm at the scanner's origin, table says other",
    spaced(LPS + np.eye(4, k=3) * 48, '"[0.7, 0.7]",1.5'),
    warns="the header holds",
    spacing_mm=[1.0, 1.0, 1.0],
)
odd(
    "1 mm with a qform, table says other",
    spaced(LPS, '"[0.7, 0.7]",1.5', qform=LPS),
    warns="the header holds",
    spacing_mm=[1.0, 1.0, 1.0],
)
odd(
    "1 mm by default, table says other",
    spaced(LPS, '"[0.7, 0.7]",1.5', sform_code=2),
    warns="says nothing of the spacing",
    spacing_mm=[1.5, 0.7, 0.7],
)
