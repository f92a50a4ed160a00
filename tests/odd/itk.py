"""Odd NRRD and MetaImage files."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from odd.case import ANY, cases, chest
from odd.nifti import BROKEN, NOT_3D, Make, content

odd = cases("NRRD and MetaImage")

VALUES = chest().tobytes()
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "32 24 12",
    "space directions": "(0.8,0,0) (0,0.8,0) (0,0,2.5)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-12,-9,-40)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-12 -9 -40",
    "ElementSpacing": "0.8 0.8 2.5",
    "DimSize": "32 24 12",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def nrrd(data: bytes = VALUES, name: str = "scan.nrrd", **fields: str) -> Make:
    """Make an NRRD; underscores of a field's name stand for blanks."""
    head = NRRD | {key.replace("_", " "): value for key, value in fields.items()}
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in head.items() if value) + "\n"
    return content(name, text.encode("utf-8") + data)


def meta(data: bytes = VALUES, name: str = "scan.mha", **fields: str) -> Make:
    """Make a MetaImage."""
    last = {"ElementDataFile": fields.pop("ElementDataFile", "LOCAL")}
    head = {key: value for key, value in META.items() if key not in last} | fields | last
    return content(name, "".join(f"{key} = {value}\n" for key, value in head.items() if value).encode("ascii") + data)


def beside(make: Make, **files: bytes) -> Make:
    """Make other files in the same folder too."""

    def both(folder: Path) -> Any:
        for name, data in files.items():
            (folder / name.replace("_", ".")).write_bytes(data)
        return make(folder)

    return both


def _fifo_beside(make: Make, name: str) -> Make:
    def both(folder: Path) -> Any:
        os.mkfifo(folder / name)
        return make(folder)

    return both


odd("NRRD, plain", nrrd(), orientation="LPS", spacing_mm=[2.5, 0.8, 0.8])
odd("NRRD .nhdr with its .raw", beside(nrrd(b"", "scan.nhdr", data_file="scan.raw"), scan_raw=VALUES))
odd("NRRD .nhdr, data file missing", nrrd(b"", "scan.nhdr", data_file="scan.raw"), "data file scan.raw is missing")
odd(
    "NRRD .nhdr, data file is a named pipe",
    _fifo_beside(nrrd(b"", "scan.nhdr", data_file="scan.raw"), "scan.raw"),
    "missing",
)
odd(
    "NRRD .nhdr, data file too short",
    beside(nrrd(b"", "scan.nhdr", data_file="scan.raw"), scan_raw=VALUES[:99]),
    BROKEN,
)
odd("NRRD, sizes ask for more than there is", nrrd(sizes="32 24 13"), BROKEN)
odd("NRRD, sizes ask for terabytes", nrrd(sizes="99999 99999 99999"), BROKEN)
odd("NRRD, sizes hold a zero", nrrd(sizes="32 0 12"), "not positive whole numbers")
odd("NRRD, cut in the header", content("scan.nrrd", b"NRRD0004\ntype: short\ndimens"), "not positive|truncated")
odd("NRRD, cut in the data", nrrd(VALUES[:7000]), BROKEN)
odd("NRRD, gzip data damaged", nrrd(b"\x1f\x8b\x08" + bytes(200), encoding="gzip"), "cannot be read|damaged")
odd("NRRD, unknown encoding", nrrd(encoding="zebra"), "cannot be read|damaged|encoding")
odd(
    "NRRD, RGB",
    nrrd(VALUES * 3, sizes="3 32 24 12", dimension="4", space_directions="none (1,0,0) (0,1,0) (0,0,1)"),
    NOT_3D,
)
odd("NRRD, zero space direction", nrrd(space_directions="(0,0,0) (0,0.8,0) (0,0,2.5)"), "zero vector")
odd("NRRD, singular space directions", nrrd(space_directions="(0.8,0,0) (0.8,0,0) (0,0,2.5)"), "singular")
odd("NRRD, NaN space directions", nrrd(space_directions="(nan,0,0) (0,0.8,0) (0,0,2.5)"), "not all finite")
odd(
    "NRRD, no geometry at all",
    nrrd(space_directions="", space_origin="", space=""),
    ANY,
    same=False,
    warns="names no space",
)
odd("PNG renamed to .nrrd", content("scan.nrrd", b"\x89PNG\r\n\x1a\n"), "does not start with NRRD")
odd("MHA, plain", meta(), orientation="LPS", spacing_mm=[2.5, 0.8, 0.8])
odd("MHA, compressed data cut", meta(zlib.compress(VALUES)[:300], CompressedData="True"), "damaged")
odd("MHA, compressed data damaged", meta(zlib.compress(VALUES)[:-4] + b"0000", CompressedData="True"), "damaged")
odd("MHA, three channels", meta(VALUES * 3, ElementNumberOfChannels="3"), "one real number for each")
odd("MHA, spacing 0", meta(ElementSpacing="0 0.8 2.5"), "holds a zero")
odd("MHA, spacing negative", meta(ElementSpacing="-0.8 0.8 2.5"), ANY)
odd("MHA, NaN offset", meta(Offset="nan 0 0"), "not all finite")
odd("MHA, DimSize asks for terabytes", meta(DimSize="99999 99999 99999"), BROKEN)
odd(
    "MHA, two dimensions",
    meta(NDims="2", DimSize="32 288", ElementSpacing="1 1", Offset="0 0", TransformMatrix="1 0 0 1"),
    NOT_3D,
)
odd("MHA, unknown element type", meta(ElementType="MET_ZEBRA"), "MET_ZEBRA")
odd("MHA, singular TransformMatrix", meta(TransformMatrix="1 0 0 1 0 0 0 0 1"), "singular")
odd("MHA, empty", content("scan.mha", b""), "is not a MetaImage")
odd("MHD, raw file missing", meta(b"", "scan.mhd", ElementDataFile="scan.raw"), "data file scan.raw is missing")
odd("MHD, raw file elsewhere on the machine", meta(b"", "scan.mhd", ElementDataFile="/dev/zero"), "not a plain name")
odd(
    "MHD, list of files with a named pipe",
    beside(_fifo_beside(meta(b"pipe.raw\n" * 12, "scan.mhd", ElementDataFile="LIST 2"), "pipe.raw"), big_raw=VALUES),
    "pipe|regular|cannot be read",
)
for number in range(4):
    rng = np.random.default_rng(number)

    def _fuzzed(make: Make, rng: np.random.Generator = rng) -> Make:
        def data(folder: Path) -> Path:
            path = make(folder)
            out = bytearray(path.read_bytes())
            for at in rng.integers(0, len(out) - len(VALUES), 3):
                out[at] = rng.choice(list(b"0123456789-. \n:=eTF"))
            path.write_bytes(out)
            return path

        return data

    odd(
        f"{'MHA' if number % 2 else 'NRRD'}, fuzzed header {number // 2 + 1}",
        _fuzzed(meta() if number % 2 else nrrd()),
        ANY,
        same=False,
        warns=ANY,
    )
