"""Bring files over HTTP: each hashed against what the hub states, each continued where it stopped."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.files import sha256_of
from ctgrid.base.progress import Progress, silent
from ctgrid.stages.models.manifest import FileEntry, megabytes
from ctgrid.stages.models.transport import RemoteFile, Transport

RETRIES = 5
"""Attempts in a row that may bring nothing before a file is given up."""
WAIT_S = 1.0
"""Seconds before the next attempt."""


class Transfer:
    """The download of a list of files into one folder."""

    def __init__(
        self,
        transport: Transport,
        commit: str,
        folder: Path,
        files: Mapping[str, RemoteFile],
        pins: Mapping[str, str],
        progress: Progress = silent,
    ) -> None:
        """Prepare; see :func:`ctgrid.stages.models.hub.fetch` for the arguments."""
        self.transport, self.commit, self.folder = transport, commit, folder
        self.files, self.pins, self.progress = dict(files), pins, progress
        self.downloaded = self.resumed = 0

    def take_over(self, folder: Path, files: Mapping[str, FileEntry]) -> None:
        """Use files that an earlier fetch of this commit brought instead of downloading them again."""
        for path, entry in files.items():
            source, target = folder / path, self.folder / path
            if path in self.files and not target.exists() and source.is_file() and sha256_of(source) == entry.sha256:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def run(self) -> dict[str, FileEntry]:
        """Bring all files.

        Returns:
            What goes into the manifest.

        Raises:
            CtgridError: where a file's content is wrong; then all that was brought is removed.
        """
        self.files = {p: self.transport.ask(self.commit, p, known) for p, known in sorted(self.files.items())}
        self._check_space()
        entries: dict[str, FileEntry] = {}
        for path, remote in self.files.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_file():
                self.resumed += target.stat().st_size
            else:
                part = target.with_name(f"{target.name}.part")
                self._download(path, remote, part)
                part.replace(target)
            try:
                entries[path] = self._verified(path, remote)
            except CtgridError:
                shutil.rmtree(self.folder)
                raise
        return entries

    def _verified(self, path: str, remote: RemoteFile) -> FileEntry:
        """Hash a file that has come.

        Raises:
            CtgridError: where it is not what the hub or the user states.
        """
        target, where = self.folder / path, f"{self.transport.name}: {path}"
        found, checked, size = sha256_of(target), None, target.stat().st_size
        for stated in sorted(remote.stated, key=len):
            if stated != found and (len(stated) == 64 or not _is_sha1_of(target, stated)):
                raise CtgridError(
                    f"{where}: its content has SHA-256 {found}, but the hub states {stated}; damaged on the way or "
                    f"tampered with: nothing was kept, fetch again"
                )
            checked = "sha256" if len(stated) == 64 else "sha1"
        if path in self.pins:
            if self.pins[path] != found:
                raise CtgridError(f"{where}: SHA-256 is {found}, but {self.pins[path]} was asked for; nothing was kept")
            checked = "pin"
        return FileEntry(size, found, checked)

    def _download(self, path: str, remote: RemoteFile, part: Path) -> None:
        """Bring one file, going on where an earlier attempt stopped.

        Raises:
            CtgridError: where the server keeps failing; what came is kept for the next fetch.
        """  # noqa: DOC501
        from huggingface_hub.errors import HfHubHTTPError, HTTPError

        self.resumed += part.stat().st_size if part.exists() else 0
        failures = 0
        while True:
            have = part.stat().st_size if part.exists() else 0
            if remote.size is not None and have > remote.size:
                part.unlink()
                have = 0
            if have and have == remote.size:
                return
            try:
                self._append(path, part, have)
                now = part.stat().st_size
                if remote.size is None or now == remote.size:
                    return
                reason: Exception = CtgridError(f"the connection ended after {now} of {remote.size} bytes")
            except HfHubHTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                if status == 416:  # what is here does not fit what is there
                    part.unlink(missing_ok=True)
                elif status not in (408, 429, 500, 502, 503, 504):
                    raise
                reason = error
            except HTTPError as error:
                reason = error
            now = part.stat().st_size if part.exists() else 0
            failures = 0 if now > have else failures + 1
            if failures >= RETRIES:
                kept = f"; {now} bytes are kept, fetch again to go on" if now else ""
                raise CtgridError(f"{self.transport.name}: {path}: {reason_of(reason)}{kept}") from reason
            time.sleep(WAIT_S)

    def _append(self, path: str, part: Path, have: int) -> None:
        """Write what one request brings behind the ``have`` bytes that are there."""
        total = sum(remote.size or 0 for remote in self.files.values())
        with self.transport.open(self.commit, path, have) as (begins, chunks), part.open("ab", buffering=0) as stream:
            if begins != have:
                stream.truncate(0 if begins > have else begins)
            for chunk in chunks:
                stream.write(chunk)
                self.downloaded += len(chunk)
                self.progress(path, megabytes(self.downloaded + self.resumed), megabytes(total))

    def _check_space(self) -> None:
        have = sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())
        needed = sum(remote.size or 0 for remote in self.files.values()) - have
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            gigabytes = f"{needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
            raise CtgridError(f"{self.folder}: {gigabytes}; make room, or set CTGRID_HOME to another disk")


def _is_sha1_of(path: Path, stated: str) -> bool:
    """Whether a SHA-1 is git's of a file (with a header), or that of its bare content, which mirrors may state."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return stated in (hashlib.sha1(header + content).hexdigest(), hashlib.sha1(content).hexdigest())
