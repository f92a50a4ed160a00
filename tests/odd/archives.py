"""Odd zip archives."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
from collections.abc import Callable

from odd.case import cases
from odd.dicom import slices
from odd.nifti import content

odd = cases("Zip archives")


def archive(files: Callable[[], dict[str, bytes]], packed: bool = True) -> Callable[[], bytes]:
    """Return the bytes of a zip with these files."""

    def data() -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as target:
            for name, content_of in files().items():
                target.writestr(name, content_of)
        return stream.getvalue()

    return data


def _patched(data: bytes, local: int, central: int, layout: str, value: int) -> bytes:
    """Overwrite a field in all headers of a zip, given its places in the local and in the central header."""
    out = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        place = data.find(magic)
        while place >= 0:
            struct.pack_into(layout, out, place + offset, value)
            place = data.find(magic, place + 4)
    return bytes(out)


def _encrypted(data: bytes) -> bytes:
    return _patched(data, 6, 8, "<H", 1)


def _method(data: bytes, number: int) -> bytes:
    return _patched(data, 8, 10, "<H", number)


def _claims(data: bytes, size: int) -> bytes:
    return _patched(data, 22, 24, "<I", size)


def _flipped(data: bytes) -> bytes:
    middle = data.index(b"004.dcm") + 700
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


odd("zip of a series", content("scan.zip", archive(slices)))
odd("zip, empty file", content("scan.zip", b""), "not a readable zip archive")
odd("zip without members", content("scan.zip", archive(dict)), "holds no DICOM files")
odd("zip of text", content("scan.zip", archive(lambda: {"a.txt": b"x"})), "holds no DICOM files")
odd("zip in a zip", content("scan.zip", archive(lambda: {"inner.zip": archive(slices)()})))
odd(
    "zip, 40 deep",
    content("scan.zip", lambda: functools.reduce(lambda data, _: archive(lambda: {"a.zip": data})(), range(40), b"x")),
    "holds no DICOM files",
)
odd(
    "zip with itself inside many times",
    content("scan.zip", archive(lambda: {f"{i}.zip": archive(dict)() for i in range(200)})),
    "holds no DICOM files",
)
odd("zip, cut", content("scan.zip", lambda: archive(slices)()[:-300]), "not a readable zip archive")
odd("zip, encrypted", content("scan.zip", lambda: _encrypted(archive(slices)())), "is encrypted; unpack")
odd("zip, member damaged", content("scan.zip", lambda: _flipped(archive(slices)())), "unpack|readable zip|damaged")
odd(
    "zip, members claim 4 GiB each",
    content("scan.zip", lambda: _claims(archive(slices)(), 0xFFFFFFF0)),
    "unpacks to 4 GiB",
)
odd(
    "zip bomb, 40 MB of zeros behind a DICOM header",
    content("scan.zip", archive(lambda: {"a.dcm": slices()["001.dcm"] + bytes(40 << 20)})),
    same=False,
    prepare=r"slice\(s\) of 2 needed",
)
odd(
    "zip bomb, 40 MB of zeros as a DICOM header",
    content("scan.zip", archive(lambda: {"a.dcm": bytes(128) + b"DICM" + bytes(40 << 20)})),
    "a.dcm cannot be read",
)
odd(
    "DICOM, 40 MB of zeros as a header",
    content("scan.dcm", bytes(128) + b"DICM" + bytes(40 << 20)),
    "scan.dcm cannot be read",
)
odd(
    "zip, names with ../ and /",
    content(
        "scan.zip",
        archive(lambda: {("../../" if i % 2 else "/tmp/") + n: d for i, (n, d) in enumerate(slices().items())}),
    ),
)
odd(
    "zip, unknown compression method",
    content("scan.zip", lambda: _method(archive(slices)(), 99)),
    "unpack|readable zip|not supported",
)
