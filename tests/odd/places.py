"""Odd paths, sidecars and metadata tables."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from odd.case import ANY, cases, chest
from odd.nifti import Make, content, image, raw

odd = cases("Paths, sidecars, metadata tables")

NO_TYPE = "cannot read files of type"
NOT_A_FILE = "is neither a file nor a folder"
SIDECAR = '{"RescaleSlope": %s, "RescaleIntercept": %s}'


def named(name: str) -> Make:
    """Make a good scan under another name."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw("scan.nii.gz" if name.lower().endswith(".gz") else "scan.nii"))
        return path

    return make


def place(what: Callable[[Path], Any], name: str) -> Make:
    """Make something that is no file."""

    def make(folder: Path) -> Path:
        what(folder / name)
        return folder / name

    return make


def linked(to: str, name: str = "link.nii") -> Make:
    """Make a good scan and a link."""

    def make(folder: Path) -> Path:
        image()(folder)
        (folder / name).symlink_to(to)
        return folder / name

    return make


def sidecar(text: str, stored: int = 0) -> Make:
    """Make a scan (HU plus ``stored``) with a JSON beside it."""

    def make(folder: Path) -> Path:
        (folder / "scan_metadata.json").write_text(text, encoding="utf-8")
        return image((chest() + stored).astype(np.int16))(folder)

    return make


def table(data: str | bytes, stored: int = 1024) -> Make:
    """Make a scan (HU plus ``stored``) and a metadata CSV."""

    def make(folder: Path) -> Any:
        (folder / "table.csv").write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
        return image((chest() + stored).astype(np.int16))(folder), "--metadata", folder / "table.csv"

    return make


def forbidden(make: Make) -> Make:
    """Take away the right to read it."""

    def shut(folder: Path) -> Path:
        path: Path = make(folder)
        path.chmod(0)
        return path

    return shut


def _folder_with_pipe(folder: Path) -> Path:
    (folder / "study").mkdir()
    os.mkfifo(folder / "study" / "a-pipe")
    os.mkfifo(folder / "study" / "pipe.dcm")
    return folder / "study"


def _loop(folder: Path) -> Path:
    (folder / "study").mkdir()
    (folder / "study" / "again").symlink_to(folder / "study")
    return folder / "study"


def _good_and_bad(folder: Path) -> Path:
    good = image()(folder)
    (folder / f"again-{good.name}").write_bytes(good.read_bytes())
    (folder / "bad.nii").write_bytes(b"bad")
    (folder / "worse.nii.gz").write_bytes(b"")
    return folder


def _pipe_as_table(folder: Path) -> Any:
    os.mkfifo(folder / "table.csv")
    return image()(folder), "--metadata", folder / "table.csv"


odd("missing file", lambda folder: folder / "scan.nii.gz", "does not exist")
odd("upper-case suffix", named("SCAN.NII.GZ"))
odd("name with spaces and umlauts", named("Müller, Jürgen  胸部 CT (1).nii.gz"))
odd("name with a line break", named("two\nlines.nii"), ANY)
odd("name of 250 bytes", named("x" * 243 + ".nii.gz"))
odd("hidden file", named(".scan.nii"))
odd("name that looks like an option", named("sub/-scan.nii"))
odd("unknown suffix", named("scan.xyz"), NO_TYPE)
odd("no suffix", named("scan"), NO_TYPE)
odd("a .tar.gz", content("scan.tar.gz", b"\x1f\x8b"), NO_TYPE)
odd("a NumPy array", content("scan.npy", b"\x93NUMPY"), NO_TYPE)
odd("link to a scan", linked("scan.nii"))
odd("broken link", linked("gone.nii"), "does not exist")
odd("link to itself", linked("link.nii"), "does not exist|[Ss]ymbolic links")
odd("empty folder", place(Path.mkdir, "study"), "holds no DICOM files", prepare="holds no scan")
odd("folder named scan.nii.gz", place(Path.mkdir, "scan.nii.gz"), "holds no DICOM files", prepare="holds no scan")
odd("folder with a link to itself", _loop, "holds no DICOM files", prepare="holds no scan")
odd("folder with two good and two bad scans", _good_and_bad, "4 files of other formats", prepare="read", same=False)
odd("named pipe scan.nii", place(os.mkfifo, "scan.nii"), NOT_A_FILE)
odd("named pipe without suffix", place(os.mkfifo, "scan"), NOT_A_FILE)
odd("named pipe scan.dcm", place(os.mkfifo, "scan.dcm"), "DICOM|neither")
odd("named pipe scan.zip", place(os.mkfifo, "scan.zip"), "zip|neither")
odd("named pipe scan.mhd", place(os.mkfifo, "scan.mhd"), NOT_A_FILE)
odd("folder with named pipes", _folder_with_pipe, "holds no DICOM files", prepare="holds no|no DICOM")
odd("/dev/null", lambda folder: Path("/dev/null"), NOT_A_FILE)
odd("/dev/zero", lambda folder: Path("/dev/zero"), NOT_A_FILE)
if os.geteuid():
    odd("file without permission", forbidden(image()), "[Pp]ermission")
    odd("folder without permission", forbidden(place(Path.mkdir, "study")), "[Pp]ermission")

odd("sidecar of the file's own scaling", sidecar(SIDECAR % (1, -1024), 1024))
odd("sidecar of a file that is HU already", sidecar(SIDECAR % (1, -1024)))
odd("sidecar is no JSON", sidecar("{broken"), convert="not a usable sidecar")
odd("sidecar is a list", sidecar("[1, -1024]"), convert="not a usable sidecar")
odd("sidecar is empty", sidecar(""), convert="not a usable sidecar")
odd("sidecar without intercept", sidecar('{"RescaleSlope": 1}'), convert="RescaleIntercept")
odd("sidecar slope 0", sidecar(SIDECAR % (0, -1024)), convert="not a usable sidecar")
odd("sidecar slope NaN", sidecar(SIDECAR % ("NaN", -1024)), convert="not a usable sidecar")
odd("sidecar slope is text", sidecar(SIDECAR % ('"steep"', -1024)), convert="not a usable sidecar")
odd("sidecar and header both wrong", sidecar(SIDECAR % (3, 500), 1024), convert="cannot tell how to get HU")
odd("sidecar of 5 MB of brackets", sidecar("[" * 5_000_000), convert="not a usable sidecar")

HEAD = "VolumeName,RescaleSlope,RescaleIntercept\n"
ROW = "scan.nii.gz,1,-1024\n"
odd("table, plain", table(HEAD + ROW))
odd("table with byte-order mark", table(b"\xef\xbb\xbf" + (HEAD + ROW).encode("ascii")))
odd("table with semicolons", table((HEAD + ROW).replace(",", ";")))
odd("table with Windows line ends", table((HEAD + ROW).replace("\n", "\r\n")))
odd("table, equal rows twice", table(HEAD + ROW + ROW))
odd("table, rows that disagree", table(HEAD + ROW + "scan.nii.gz,2,0\n"), "disagree about scan")
odd("table, empty", table(""), "has no column VolumeName")
odd("table, columns missing", table("VolumeName,RescaleSlope\nscan,1\n"), "has no column RescaleIntercept")
odd("table, header alone", table(HEAD, stored=0), warns="table.csv has no row")
odd("table, scan has no row", table(HEAD + "other.nii.gz,1,-1024\n", stored=0), warns="table.csv has no row")
odd("table, slope is text", table(HEAD + "scan,steep,-1024\n"), convert="RescaleSlope is 'steep'")
odd("table, slope 0", table(HEAD + "scan,0,-1024\n"), convert="RescaleSlope is 0")
odd("table, slope empty", table(HEAD + "scan,,-1024\n"), convert="RescaleSlope is ''")
odd("table, row without name", table(HEAD + ",1,-1024\n"), "the row has no VolumeName")
odd("table in UTF-16", table((HEAD + ROW).encode("utf-16")), "is not a CSV in UTF-8")
odd("table of binary zeros", table(bytes(2000)), "has no column|not a readable CSV")
odd("table, open quote", table(HEAD + '"scan.nii.gz,1,-1024\n'), "not a readable CSV")
odd(
    "table, spacing is text",
    table(HEAD.strip() + ",XYSpacing,ZSpacing\nscan,1,-1024,wide,thick\n"),
    ANY,
    convert="XYSpacing",
    warns="is no pair of numbers",
)
odd("table is missing", lambda folder: (image()(folder), "--metadata", folder / "gone.csv"), "cannot read the metadata")
odd("table is a folder", lambda folder: (image()(folder), "--metadata", folder), "cannot read the metadata")
odd("table is a named pipe", _pipe_as_table, "cannot read the metadata|pipe")
