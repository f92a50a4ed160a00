"""Odd NIfTI files: damaged bytes, odd number formats, odd headers, odd values."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from odd.case import AFFINE, ANY, cases, chest

odd = cases("NIfTI")

Make = Callable[[Path], Any]
BROKEN = "truncated or damaged"
UNREADABLE = "is not a readable NIfTI file"
NOT_3D = "a CT volume has three dimensions"
NOT_CT = "no air near -1000 HU"
FEW = r"slice\(s\) of 2 needed"
HEADER = {"dim": 40, "datatype": 70, "pixdim": 76, "vox_offset": 108, "scl_slope": 112, "scl_inter": 116}
HEADER |= {"xyzt_units": 123, "qform_code": 252, "quatern_b": 256, "sform_code": 254, "srow_x": 280, "magic": 344}


def image(array: Any = None, affine: Any = AFFINE, name: str = "scan.nii", kind: Any = nibabel.Nifti1Image) -> Make:
    """Make a NIfTI file of a (z, y, x) array, or of one in the file's own order where it is not 3-D."""

    def make(folder: Path) -> Path:
        values = chest() if array is None else array
        values = values.transpose(2, 1, 0) if values.ndim == 3 else values
        nibabel.save(kind(values, affine, dtype=values.dtype if not values.dtype.names else None), folder / name)
        return folder / name

    return make


def raw(name: str = "scan.nii", array: Any = None) -> bytes:
    """Return the bytes of a good file."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return image(array, name=name)(Path(folder)).read_bytes()


def content(name: str, data: bytes | Callable[[], bytes]) -> Make:
    """Make a file of given bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data())
        return folder / name

    return make


def patched(packed: bool = False, array: Any = None, **fields: tuple[str, tuple[Any, ...]]) -> Make:
    """Make a file with header fields overwritten: name=(struct format, values)."""

    def make(folder: Path) -> Path:
        data = bytearray(raw(array=array))
        for field, (layout, values) in fields.items():
            struct.pack_into("<" + layout, data, HEADER[field], *values)
        path = folder / ("scan.nii.gz" if packed else "scan.nii")
        path.write_bytes(gzip.compress(bytes(data)) if packed else bytes(data))
        return path

    return make


def no_codes(**fields: tuple[str, tuple[Any, ...]]) -> Make:
    """Make a file whose geometry is in pixdim alone."""
    return patched(qform_code=("h", (0,)), sform_code=("h", (0,)), **fields)


def cut(name: str, seed: int) -> Make:
    """Make a file that ends at a random byte."""
    return content(name, lambda: raw(name)[: np.random.default_rng(seed).integers(1, len(raw(name)) - 8)])


def fuzzed(name: str, seed: int, reach: int = 352) -> Make:
    """Make a file with eight random bytes of its first ``reach`` changed."""

    def data() -> bytes:
        rng, out = np.random.default_rng(seed), bytearray(raw(name.removesuffix(".gz")))
        for at in rng.integers(0, reach, 8):
            out[at] = rng.integers(256)
        return gzip.compress(bytes(out)) if name.endswith(".gz") else bytes(out)

    return content(name, data)


def with_values(*values: float) -> Callable[[], np.ndarray]:
    def array() -> np.ndarray:
        out = chest().astype(np.float32)
        out[0, 0, : len(values)] = values
        return out

    return array


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\b\0\0\0\0:~\x9bU" + bytes(40) + b"IEND\xaeB`\x82"

# damaged bytes
odd("empty .nii.gz", content("scan.nii.gz", b""), UNREADABLE)
odd("empty .nii", content("scan.nii", b""), UNREADABLE)
odd("text renamed to .nii.gz", content("scan.nii.gz", b"no image\n"), UNREADABLE)
odd("PNG renamed to .nii.gz", content("scan.nii.gz", PNG), UNREADABLE)
odd("random bytes after a gzip header", content("scan.nii.gz", b"\x1f\x8b\x08\0" + bytes(range(256)) * 9), UNREADABLE)
for number in range(3):
    odd(f".nii.gz cut at random byte {number + 1}", cut("scan.nii.gz", number), f"{BROKEN}|{UNREADABLE}")
    odd(f".nii cut at random byte {number + 1}", cut("scan.nii", number), f"{BROKEN}|{UNREADABLE}")
for number in range(6):
    odd(f"fuzzed header {number + 1}", fuzzed("scan.nii" + ".gz" * (number % 2), number), ANY, same=False, warns=ANY)
odd(
    ".nii.gz with a flipped bit",
    content("scan.nii.gz", lambda: (b := raw("scan.nii.gz"))[:700] + bytes([b[700] ^ 255]) + b[701:]),
    f"{BROKEN}|{UNREADABLE}",
)
odd(".nii.gz without its checksum", content("scan.nii.gz", lambda: raw("scan.nii.gz")[:-8]), BROKEN)
odd(".nii.gz, trailing garbage", content("scan.nii.gz", lambda: raw("scan.nii.gz") + b"garbage at the end"), BROKEN)
odd(".nii.gz, trailing zeros", content("scan.nii.gz", lambda: raw("scan.nii.gz") + bytes(512)))
odd(
    ".nii.gz of two gzip members",
    content("scan.nii.gz", lambda: gzip.compress(raw()[:999]) + gzip.compress(raw()[999:])),
)
odd(".nii with trailing garbage", content("scan.nii", lambda: raw() + b"garbage at the end"))
odd("gzip named .nii", content("scan.nii", lambda: raw("scan.nii.gz")))
odd("no gzip, named .nii.gz", content("scan.nii.gz", raw))

# kinds of NIfTI
odd("NIfTI-2", image(kind=nibabel.Nifti2Image))
odd("big-endian NIfTI", lambda folder: _big_endian(folder))
odd(
    "Analyze .hdr/.img pair",
    image(affine=np.diag([-1.0, 1, 1, 1]), name="scan.img", kind=nibabel.AnalyzeImage),
    "cannot read files of type",
)
odd(
    "NIfTI .hdr/.img pair, the .hdr given",
    lambda folder: image(name="scan.img", kind=nibabel.Nifti1Pair)(folder).with_suffix(".hdr"),
    "cannot read files of type",
)
odd("Analyze header renamed to .nii", patched(magic=("4s", (b"\0\0\0\0",))), r"is not (a readable|a) NIfTI file")

# number formats
odd("uint16 with scl_inter -1024", lambda folder: _scaled(folder, np.uint16, 1024, 1.0, -1024.0))
odd("int16 with scl_slope 0.5", lambda folder: _halved(folder))
odd("int32 HU", lambda folder: image(chest().astype(np.int32))(folder))
odd("int64 HU", lambda folder: image(chest().astype(np.int64))(folder))
odd("float32 HU", lambda folder: image(chest().astype(np.float32))(folder))
odd("float64 HU", lambda folder: image(chest().astype(np.float64))(folder))
odd(
    "uint8, windowed for display",
    lambda folder: image(np.clip((chest() + 1000) / 8, 0, 255).astype(np.uint8))(folder),
    prepare=NOT_CT,
    same=False,
    warns="nothing confirms",
)
odd(
    "bool mask stored as uint8",
    lambda folder: image((chest() > 0).astype(np.uint8))(folder),
    prepare=NOT_CT,
    same=False,
    warns="nothing confirms",
)
odd("bool (1 bit) voxels", patched(datatype=("h", (1,))), "readable NIfTI file|holds")
odd("complex voxels", lambda folder: image(chest().astype(np.complex64))(folder), "holds complex voxels")
odd(
    "RGB voxels",
    lambda folder: image(np.zeros((12, 24, 32), [("R", "u1"), ("G", "u1"), ("B", "u1")]))(folder),
    "holds RGB voxels",
)
odd("number format 999", patched(datatype=("h", (999,))), UNREADABLE)
odd("header says float64, the file holds int16", patched(datatype=("h", (64,))), BROKEN)

# shapes
odd("4-D, two time points", lambda folder: image(np.stack([chest().T] * 2, -1))(folder), NOT_3D)
odd("5-D vectors", lambda folder: image(np.zeros((8, 8, 8, 1, 3), np.int16))(folder), NOT_3D)
odd("trailing dimensions of one", lambda folder: image(chest().T[..., None, None])(folder), shape=[12, 24, 32])
odd("2-D", lambda folder: image(chest()[0].T)(folder), NOT_3D)
odd("single slice", lambda folder: image(chest(1))(folder), prepare=FEW, same=False, shape=[1, 24, 32])
odd(
    "1 x 1 x 40 voxels",
    lambda folder: image(np.full((40, 1, 1), -1000, np.int16))(folder),
    same=False,
    prepare=ANY,
    warns="nothing confirms",
)
odd(
    "one voxel",
    lambda folder: image(np.zeros((1, 1, 1), np.int16))(folder),
    prepare=FEW,
    same=False,
    warns="nothing confirms",
)
for label, sizes in {
    "a zero": (3, 32, 0, 12),
    "a negative number": (3, 32, -24, 12),
    "terabytes": (3, 32000, 32000, 32000),
}.items():
    for packed in (False, True):
        suffix = ".nii.gz" if packed else ".nii"
        odd(f"dim asks for {label}, {suffix}", patched(packed, dim=("4h", sizes)), f"{BROKEN}|{NOT_3D}|{UNREADABLE}")
odd("dim[0] is 200", patched(dim=("h", (200,))), f"{UNREADABLE}|{NOT_3D}")

# geometry
odd("pixdim 0, no sform or qform", no_codes(pixdim=("4f", (1, 0, 0.8, 2.5))), "has a zero")
odd("pixdim 0, a good sform", patched(pixdim=("4f", (1, 0, 0, 0))), spacing_mm=[2.5, 0.8, 0.8])
odd(
    "pixdim 0, qform",
    patched(qform_code=("h", (1,)), sform_code=("h", (0,)), pixdim=("4f", (1, 0.8, 0.8, 0))),
    "has a zero",
)
odd("pixdim NaN, no sform or qform", no_codes(pixdim=("4f", (1, np.nan, 0.8, 2.5))), "not finite")
odd(
    "pixdim negative, no sform or qform",
    no_codes(pixdim=("4f", (1, -0.8, -0.8, 2.5))),
    spacing_mm=[2.5, 0.8, 0.8],
    warns="neither sform nor qform",
)
odd("no sform, no qform", no_codes(), spacing_mm=[2.5, 0.8, 0.8], warns="neither sform nor qform")
odd("singular sform", patched(srow_x=("12f", (1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0))), "singular")
odd("sform of zeros", patched(srow_x=("12f", (0,) * 12)), "has a zero")
odd("sform NaN", patched(srow_x=("f", (np.nan,))), "not finite")
odd("sform infinite", patched(srow_x=("f", (np.inf,))), "not finite")
odd(
    "qform with impossible quaternion",
    patched(qform_code=("h", (1,)), sform_code=("h", (0,)), quatern_b=("3f", (3, 4, 5))),
    "damaged|readable NIfTI",
)
odd(
    "sform and qform disagree",
    patched(qform_code=("h", (1,)), srow_x=("12f", (0.5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 3, 0))),
    orientation="RAS",
    spacing_mm=[3.0, 0.5, 0.5],
    warns="sform and qform disagree .*0.5 x 0.5 x 3 and 0.8",
)
odd("all axes flipped", image(affine=np.diag([0.8, 0.8, -2.5, 1])), orientation="RAI")
odd(
    "axes permuted",
    image(affine=np.array([[0, 0, 2.5, 0], [0.8, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 0, 1.0]])),
    orientation="ASR",
)
odd(
    "lengths in metres",
    patched(xyzt_units=("B", (1,)), srow_x=("12f", tuple((AFFINE[:3] / 1000).ravel()))),
    orientation="LPS",
    spacing_mm=[2.5, 0.8, 0.8],
    warns="its sform says 0.8 x 0.8 x 2.5 mm, its pixel sizes 800",
)
odd("unknown unit code", patched(xyzt_units=("B", (7,))), spacing_mm=[2.5, 0.8, 0.8], warns="unit code 7")
odd("origin 1e30 mm away", patched(srow_x=("4f", (-0.8, 0, 0, 1e30))), ANY)

# scaling and values
odd("scl_slope 0", patched(scl_slope=("2f", (0, 7))), warns="scl_slope is 0")
odd("scl_slope NaN", patched(scl_slope=("2f", (np.nan, np.nan))))
odd("scl_slope infinite", patched(scl_slope=("2f", (np.inf, 0))), "not finite|scl_slope")
odd("scl_inter NaN", patched(scl_slope=("2f", (1, np.nan))), "intercept nan")
odd("scl_slope 1e38", patched(scl_slope=("2f", (1e38, 0))), ANY, same=False)
odd("vox_offset beyond the end", patched(vox_offset=("f", (1e9,))), f"{BROKEN}|{UNREADABLE}")
odd("vox_offset negative", patched(vox_offset=("f", (-400,))), f"{BROKEN}|{UNREADABLE}")
odd("vox_offset NaN", patched(vox_offset=("f", (np.nan,))), f"{BROKEN}|{UNREADABLE}")
for label, values in {
    "a NaN voxel": (np.nan,),
    "an infinite voxel": (np.inf,),
    "-inf, inf and NaN": (-np.inf, np.inf, np.nan),
}.items():
    odd(label, lambda folder, values=values: image(with_values(*values)())(folder), convert="NaN or infinite")
odd(
    "all voxels NaN",
    lambda folder: image(np.full((12, 24, 32), np.nan, np.float32))(folder),
    convert="NaN or infinite",
    warns="nothing confirms",
)
odd(
    "constant -1000",
    lambda folder: image(np.full((12, 24, 32), -1000, np.int16))(folder),
    same=False,
    prepare=ANY,
    warns="nothing confirms",
)
odd(
    "constant 0",
    lambda folder: image(np.zeros((12, 24, 32), np.int16))(folder),
    same=False,
    prepare=NOT_CT,
    warns="nothing confirms",
)
odd(
    "MR-like values",
    lambda folder: image(np.abs(chest() % 600))(folder),
    same=False,
    prepare=NOT_CT,
    warns="nothing confirms",
)
odd("values up to 1e30", lambda folder: image(with_values(1e30)())(folder), same=False, prepare=ANY)


def _big_endian(folder: Path) -> Path:
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.dtype(">i2"))
    nibabel.save(nibabel.Nifti1Image(chest().transpose(2, 1, 0).astype(">i2"), AFFINE, header), folder / "scan.nii")
    assert (folder / "scan.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
    return folder / "scan.nii"


def _scaled(folder: Path, dtype: Any, offset: int, slope: float, intercept: float) -> Path:
    picture = nibabel.Nifti1Image((chest().transpose(2, 1, 0) + offset).astype(dtype), AFFINE)
    picture.header.set_slope_inter(slope, intercept)
    return _saved_as_stored(picture, folder, slope, intercept)


def _halved(folder: Path) -> Path:
    return _saved_as_stored(nibabel.Nifti1Image((chest() * 2).transpose(2, 1, 0), AFFINE), folder, 0.5, 0.0)


def _saved_as_stored(picture: Any, folder: Path, slope: float, intercept: float) -> Path:
    picture.header.set_slope_inter(1.0, 0.0)
    nibabel.save(picture, folder / "scan.nii")
    data = bytearray((folder / "scan.nii").read_bytes())
    struct.pack_into("<2f", data, HEADER["scl_slope"], slope, intercept)
    (folder / "scan.nii").write_bytes(data)
    return folder / "scan.nii"
