"""Check NRRD and MetaImage headers against their data before ITK allocates or decodes anything.

ITK believes a header's sizes, and takes a damaged compressed MetaImage for a good one.
"""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np

from ctgrid.base.errors import CtgridError, printable
from ctgrid.base.limits import check_bytes
from ctgrid.scan.formats.itk.detached import data_files

_LONGEST_HEADER = 1 << 20
_LONGEST_VALUE = 400
_DEFLATE = 1032  # zlib's limit of decoded bytes per byte
_BZIP2 = 50_000
_TEXT = 1.0  # a number in text takes at least two bytes, a voxel at least one
_MOST_AXES = 10
_BLOCK = 1 << 20
SPARE = "slices behind those of the header"
"""Among the fields of a header: how many the data hold, as far as that is known without unpacking."""
_SPACINGS = ("ElementSpacing", "ElementSize")  # the first where both are there
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
}
_META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


def check_nrrd(path: Path) -> dict[str, str]:
    """Refuse an NRRD whose sizes, type and spacing make no volume, or ask for more than its data can hold.

    Args:
        path: A ``.nrrd`` or ``.nhdr`` file.

    Returns:
        Its fields by name in lower case; its own keys (``key:=value``) behind a colon.

    Raises:
        CtgridError: As said.
    """
    head = _head(path)
    if not head.startswith(b"NRRD"):
        raise CtgridError(f"{path} is not an NRRD file: it does not start with NRRD")
    end = re.search(rb"\r?\n\r?\n", head)
    every = _lines(head[: end.start() if end else len(head)])
    lines = [line for line in every if line[:1] != "#"]
    _check_lengths(path, every)
    own = [line.partition(":=") for line in lines if ":=" in line]
    pairs = [line.partition(": ") for line in lines if ":=" not in line]
    fields = {key.strip().lower(): _short(value) for key, sep, value in pairs if sep}
    fields |= {f":{key.strip().lower()}": _short(value) for key, _, value in own}
    sizes = _sizes(fields.get("sizes", ""), path, "sizes")
    each = _NRRD_BYTES.get(fields.get("type", "").lower())
    if each is None:
        raise CtgridError(f"{path} holds {fields.get('type', 'untyped')!r} voxels; a CT has one real number for each")
    encoding = fields.get("encoding", "").lower()
    gain = {"raw": 1, "gzip": _DEFLATE, "gz": _DEFLATE, "bzip2": _BZIP2, "bz2": _BZIP2}.get(encoding, _TEXT * each)
    named = [i for i, line in enumerate(every) if re.match(r"\s*data\s*file\s*:", line, re.I)]
    if end is None and (not named or len(head) == _LONGEST_HEADER):
        raise CtgridError(f"{path} is truncated: its header has no end")
    if len(named) > 1:
        raise CtgridError(f"{path} names its data {len(named)} times; the header is damaged")
    held = path.stat().st_size - (end.end() if end else 0)
    if named:
        data = every[named[0]].partition(":")[2].strip()
        held = _bytes_of(data_files(path, data, every[named[0] + 1 :]))
    needed = math.prod(sizes) * each
    _check_room(path, needed, held * gain)
    _check_space(path, fields)
    plain = encoding == "raw" and not any(key.replace(" ", "") in ("lineskip", "byteskip") for key in fields)
    fields[SPARE] = str((held - needed) * sizes[-1] // needed if plain else 0)
    return fields


def _check_lengths(path: Path, lines: list[str]) -> None:
    """Refuse long lines, which overflow the buffers of ITK's error messages; texts and names of files may be long."""
    for line in lines:
        if re.match(r"\s*data\s*file\s*:", line, re.I):
            return  # what follows are names of files
        if len(line) > _LONGEST_VALUE and ":=" not in line and not re.match(r"#|\s*content\s*:", line, re.I):
            raise CtgridError(f"{path}: its line {_short(line)[:40]!r}... is {len(line)} long; the header is damaged")


def _check_space(path: Path, fields: dict[str, str]) -> None:
    """ITK replaces directions that it cannot use by others without a word; refuse them instead."""
    for key in ("space directions", "space origin", "spacings"):
        found = [_number(text) for text in re.findall(r"[^\s,()]+", fields.get(key, "")) if text.lower() != "none"]
        if not all(math.isfinite(value) for value in found):
            raise CtgridError(f"{path}: its {key} {fields[key]!r} are not all finite numbers; the header is damaged")
        if key == "spacings" and 0 in found:
            raise CtgridError(f"{path}: its spacings {fields[key]!r} hold a zero; the header is damaged")
    vectors = [
        [_number(text) for text in vector.split(",")]
        for vector in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    ]
    if any(len(vector) == 3 and not any(vector) for vector in vectors):
        raise CtgridError(f"{path}: its space directions hold a zero vector, so spacing is unknown; fix the header")
    if len(vectors) == 3 and all(len(vector) == 3 for vector in vectors):
        matrix = np.array(vectors)
        if abs(np.linalg.det(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))) < 1e-3:
            raise CtgridError(
                f"{path}: its space directions are singular (two axes point the same way); fix the header"
            )


def check_metaimage(path: Path) -> dict[str, str]:
    """Refuse a MetaImage whose sizes make no volume, or whose data are short or damaged.

    Args:
        path: A ``.mha`` or ``.mhd`` file.

    Returns:
        Its fields by name.

    Raises:
        CtgridError: As said.
    """
    head = _head(path)
    end = re.search(rb"^ElementDataFile[ \t]*=[ \t]*([^\n]*)\n?", head, re.M)
    if end is None:
        raise CtgridError(f"{path} is not a MetaImage: it names no ElementDataFile")
    if re.search(rb"ElementDataFile", head[: end.start()], re.I):
        raise CtgridError(f"{path} names its data more than once; the header is damaged")
    lines = _lines(head[: end.start()])
    fields = {key.strip(): _short(value) for key, sep, value in (line.partition("=") for line in lines) if sep}
    axes = fields.get("NDims", "")
    if not axes.isdigit() or not 1 <= int(axes) <= _MOST_AXES:
        raise CtgridError(f"{path}: NDims is {axes!r}; a CT volume has three dimensions")
    sizes = _sizes(fields.get("DimSize", ""), path, "DimSize")
    if len(sizes) != int(axes):
        raise CtgridError(f"{path}: NDims is {axes}, DimSize {fields.get('DimSize')!r}; the header is damaged")
    for key in (*_SPACINGS, "Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation"):
        if not all(math.isfinite(_number(text)) for text in fields.get(key, "").split()):
            raise CtgridError(f"{path}: its {key} {fields[key]!r} are not all finite numbers; the header is damaged")
    _check_spacing(path, fields)
    channels = fields.get("ElementNumberOfChannels", "1")
    each = _META_BYTES.get(fields.get("ElementType", ""))
    if each is None or channels != "1":
        what = fields.get("ElementType", "untyped") + (f" x {channels}" if channels != "1" else "")
        raise CtgridError(f"{path} holds {what} voxels; a CT has one real number for each")
    fields |= {"ElementDataFile": (name := _text(end[1]).strip()), SPARE: "0"}
    local = name.upper() == "LOCAL"
    files = [] if local else data_files(path, name, _lines(head[end.end() :]))
    held = path.stat().st_size - end.end() if local else _bytes_of(files)
    if not local and len(head) == _LONGEST_HEADER:
        raise CtgridError(f"{path}: its header is longer than {_LONGEST_HEADER >> 20} MiB; it is damaged")
    needed = math.prod(sizes) * each
    if fields.get("CompressedData", "False").lower().startswith("t"):
        _check_room(path, needed, held * _DEFLATE)
        if local or len(files) == 1:
            start = end.end() if local else 0
            _check_zlib(path, path if local else files[0], start, fields.get("CompressedDataSize", ""), needed)
    else:
        text = fields.get("BinaryData", "True").lower().startswith("f")
        _check_room(path, math.prod(sizes) if text else needed, held)
        if not text and fields.get("HeaderSize", "0") == "0":
            fields[SPARE] = str((held - needed) * sizes[2] // needed)
    return fields


def _check_spacing(path: Path, fields: dict[str, str]) -> None:
    for key in _SPACINGS:
        if 0 in [_number(text) for text in fields.get(key, "").split()]:
            raise CtgridError(f"{path}: its {key} {fields[key]!r} holds a zero; fix the header")
    matrix = [_number(text) for text in fields.get("TransformMatrix", "").split()]
    if len(matrix) == 9 and abs(np.linalg.det(np.array(matrix).reshape(3, 3))) < 1e-3:
        raise CtgridError(f"{path}: its TransformMatrix is singular (two axes point the same way); fix the header")


def _check_zlib(path: Path, data: Path, start: int, size: str, needed: int) -> None:
    """Decode a compressed payload once, keeping nothing: it must end where it says, with its checksum."""
    left = int(size) if size.isdigit() and int(size) > 0 else None
    decoder, total = zlib.decompressobj(wbits=47), 0  # zlib or gzip by its header
    try:
        with data.open("rb") as stream:
            stream.seek(start)
            while not decoder.eof and (left is None or left > 0):
                block = stream.read(_BLOCK if left is None else min(_BLOCK, left))
                if not block:
                    break
                left = None if left is None else left - len(block)
                total += len(decoder.decompress(block, max(needed - total, 0) + 1))
                if decoder.unconsumed_tail:
                    break
    except zlib.error as error:
        raise CtgridError(f"{path} is damaged: {error}") from error
    if not decoder.eof or total != needed:
        raise CtgridError(f"{path} is truncated or damaged: its data do not unpack to the {needed} bytes of its header")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_LONGEST_HEADER)
    except OSError as error:
        raise CtgridError(f"cannot read {path}: {error.strerror or error}") from error


def _text(data: bytes) -> str:
    """Return a header's text: UTF-8 where it is that, as names and units such as µm are written today."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _lines(data: bytes) -> list[str]:
    """Return a header's lines as ITK's readers part them: at nothing but line feeds and carriage returns."""
    return re.split(r"\r\n|\r|\n", _text(data))


def _sizes(text: str, path: Path, what: str) -> list[int]:
    words = text.split()
    if not words or len(words) > _MOST_AXES or not all(word.isdigit() and int(word) > 0 for word in words):
        raise CtgridError(f"{path}: its {what} {text!r} are not positive whole numbers; the header is damaged")
    sizes = [int(word) for word in words]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 and not (what == "sizes" and len(sizes) == 4 and sizes[0] == 1):
        raise CtgridError(f"{path} has shape {tuple(sizes)}; a CT volume has three dimensions")
    return [int(word) for word in words]


def _bytes_of(files: list[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def _short(text: str) -> str:
    return printable(text.strip()[:_LONGEST_VALUE], "")


def _check_room(path: Path, needed: int, room: float) -> None:
    if needed > room:
        raise CtgridError(f"{path} is truncated or damaged: its header asks for {needed} bytes of data, there is less")
    check_bytes(needed, f"{path}: its header asks for")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
