"""Fetch detector files, on request only: resumable, hashed, all or nothing. Nobody here could confirm their hashes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctgrid.base.durable import settle, sync
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.progress import Progress, silent
from ctgrid.runs.evaluation.fidelity.detectors import detectors_folder
from ctgrid.stages.models.catalogue import is_offline
from ctgrid.stages.models.transfer import Transfer
from ctgrid.stages.models.transport import TIMEOUT_S, RemoteFile

ADDRESSES: Mapping[str, str] = {
    "i3d_torchscript.pt": "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
    "inception-2015-12-05.pt": (
        "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt"
    ),
}
"""Where the published code names these files; other addresses can be given."""


@dataclass(frozen=True)
class Direct:
    """Files that lie at addresses of their own; stands in for a hub's transport.

    Attributes:
        addresses: URL by file name.
        name: what messages call it.
    """

    addresses: Mapping[str, str]
    name: str = "detectors"

    def ask(self, commit: str, path: str, known: RemoteFile) -> RemoteFile:
        """Return nothing new: these servers state no hashes."""
        return known

    @contextmanager
    def open(self, commit: str, path: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open a file for reading from byte ``start``.

        Yields:
            The byte at which the content really starts, and the content.
        """
        import re

        from huggingface_hub.utils import hf_raise_for_status, http_stream_backoff

        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        url = self.addresses[path]
        stream: Any = http_stream_backoff(
            "GET", url, headers=headers, timeout=TIMEOUT_S, max_retries=0, follow_redirects=True
        )
        with stream as response:
            hf_raise_for_status(response)
            match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            yield int(match[1]) if response.status_code == 206 and match else 0, response.iter_bytes()


def fetch_detectors(
    names: Sequence[str] = tuple(ADDRESSES),
    *,
    folder: Path | None = None,
    addresses: Mapping[str, str] | None = None,
    pins: Mapping[str, str] | None = None,
    offline: bool = False,
    progress: Progress = silent,
) -> list[dict[str, Any]]:
    """Bring detector files into a folder; those that are there are left alone.

    Args:
        names: files wanted.
        folder: where to; None takes ``CTGRID_HOME/detectors``.
        addresses: URL by file name, beside and before :data:`ADDRESSES`.
        pins: SHA-256 that files must have.
        offline: use no network; so do ``CTGRID_OFFLINE`` and ``HF_HUB_OFFLINE``.
        progress: called in megabytes.

    Returns:
        For each file its name, path, bytes, SHA-256, whether that was pinned, and whether it was here already.

    Raises:
        CtgridError: no address is known, a server fails, a hash is not the pinned one (then nothing is kept), or
            the content is no TorchScript file.
    """
    folder, pins = folder or detectors_folder(), dict(pins or {})
    known = {**ADDRESSES, **(addresses or {})}
    for name in (*names, *pins):
        if name not in known:
            raise CtgridError(f"no address is known for detector {name}; the known ones are {', '.join(known)}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CtgridError(f"cannot write into {folder}: {error.strerror or error}") from error
    return [_fetch(name, folder, known, pins, offline or is_offline(), progress) for name in names]


def _fetch(
    name: str, folder: Path, addresses: Mapping[str, str], pins: Mapping[str, str], offline: bool, progress: Progress
) -> dict[str, Any]:
    """Bring one file."""
    from ctgrid.base.files import sha256_of

    path, here = folder / name, (folder / name).is_file()
    if not here:
        if offline:
            raise CtgridError(f"{name} is not in {folder}, and offline by --offline, CTGRID_OFFLINE or HF_HUB_OFFLINE")
        partial = folder / f".{name}.partial"
        partial.mkdir(exist_ok=True)
        _transfer(name, partial, addresses, pins, progress)
        _check_torchscript(partial / name, addresses[name])
        settle(partial / name)
        (partial / name).replace(path)
        sync(folder)
        shutil.rmtree(partial, ignore_errors=True)
    found = sha256_of(path)
    if pins.get(name, found) != found:
        raise CtgridError(f"{path}: SHA-256 is {found}, but {pins[name]} was asked for; remove it and fetch again")
    facts = {"sha256": found, "pinned": name in pins, "already_here": here, "address": addresses[name]}
    return {"name": name, "path": str(path), "bytes": path.stat().st_size, **facts}


def _transfer(
    name: str, partial: Path, addresses: Mapping[str, str], pins: Mapping[str, str], progress: Progress
) -> None:
    """Run the download, with failures in one line."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    transport: Any = Direct(addresses)
    wanted = {key: value for key, value in pins.items() if key == name}
    try:
        Transfer(transport, "", partial, {name: RemoteFile()}, wanted, progress).run()
    except (HfHubHTTPError, HTTPError) as error:
        raise CtgridError(
            f"cannot fetch {name} from {addresses[name]}: {reason_of(error)}; bring the file by other means and put it "
            f"into {partial.parent}"
        ) from error


def _check_torchscript(path: Path, address: str) -> None:
    """Refuse what is no TorchScript archive, such as a page that a server sent in place of the file."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            scripted = any(entry.endswith("/constants.pkl") for entry in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        scripted = False
    if not scripted:
        path.unlink()
        raise CtgridError(f"{address} did not send a TorchScript file; nothing was kept")
