"""What is asked of a hub, and what its refusals mean: listings, hashes, contents from any byte on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.stages.models.catalogue import HubName

TIMEOUT_S = 20.0
"""Seconds without an answer after which a server counts as unreachable."""


@dataclass(frozen=True)
class RemoteFile:
    """What a hub says about one file: bytes and hashes, None where it does not say.

    Attributes:
        size: bytes.
        stated: hashes in hexadecimal: SHA-256 of files in LFS, git's SHA-1 of others.
    """

    size: int | None = None
    stated: frozenset[str] = frozenset()


class Transport:
    """Requests to one repository on the hub that ``HF_ENDPOINT`` names."""

    def __init__(self, name: HubName) -> None:
        """Prepare requests; nothing is sent yet."""
        from huggingface_hub import HfApi, constants
        from huggingface_hub.utils import build_hf_headers

        from ctgrid.base.machine import version_of

        self.name = name
        self.endpoint = _address(os.environ.get("HF_ENDPOINT") or constants.ENDPOINT)
        library: dict[str, Any] = {"library_name": "ctgrid", "library_version": version_of("ctgrid")}
        self._api = HfApi(endpoint=self.endpoint, **library)
        self._headers = {**build_hf_headers(**library), "Accept-Encoding": "identity"}

    def listing(self) -> tuple[str, dict[str, RemoteFile]]:
        """Return the commit that the revision stands for, and its files by path."""
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.hf_api import RepoFile

        info = self._api.model_info(self.name.id, revision=self.name.revision, timeout=TIMEOUT_S, files_metadata=True)
        if not info.sha:
            raise CtgridError(f"{self.name}: {self.endpoint} names no commit, so it is no hub")
        listed: list[Any] = list(info.siblings or [])
        if not listed or any(sibling.size is None for sibling in listed):
            try:
                tree = self._api.list_repo_tree(self.name.id, recursive=True, revision=info.sha)
                listed = [entry for entry in tree if isinstance(entry, RepoFile)]
            except HfHubHTTPError:  # a mirror without trees: the names are known, and each file states its own hash
                if not listed:
                    raise
        return info.sha, {str(file.rfilename): _remote(file) for file in listed}

    def ask(self, commit: str, path: str, known: RemoteFile) -> RemoteFile:
        """Add to what is known of a file what the hub states where the file lies."""
        from huggingface_hub import get_hf_file_metadata

        stated = get_hf_file_metadata(self._url(commit, path), headers=self._headers, timeout=TIMEOUT_S)
        size = known.size if known.size is not None else stated.size
        return RemoteFile(size, known.stated | _hashes(stated.etag))

    @contextmanager
    def open(self, commit: str, path: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open a file for reading from byte ``start``.

        Yields:
            The byte at which the content really starts (0 where the server ignores ranges), and the content.
        """
        from huggingface_hub.utils import hf_raise_for_status, http_stream_backoff

        headers = {**self._headers, "Range": f"bytes={start}-"} if start else self._headers
        url = self._url(commit, path)
        with http_stream_backoff("GET", url, headers=headers, timeout=TIMEOUT_S, max_retries=0) as response:
            hf_raise_for_status(response)
            match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            begins = int(match[1]) if response.status_code == 206 and match else 0
            yield begins, response.iter_bytes()  # as it comes: what is held back for a whole chunk would be lost

    def _url(self, commit: str, path: str) -> str:
        from huggingface_hub import hf_hub_url

        return str(hf_hub_url(self.name.id, path, revision=commit, endpoint=self.endpoint))


@contextmanager
def explained(name: HubName) -> Iterator[None]:
    """Turn what goes wrong between here and the hub into one line that says what to do."""
    from huggingface_hub import constants, errors

    hub = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    try:
        yield
    except CtgridError:
        raise
    except errors.GatedRepoError as error:
        raise CtgridError(f"{name}: gated; accept its terms at {hub}/{name.id} and set HF_TOKEN") from error
    except errors.RevisionNotFoundError as error:
        raise CtgridError(f"{name}: {hub} has {name.id}, but no revision {name.revision!r}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            what = f"{hub} refuses it: gated, private, or no such model; check the name and set HF_TOKEN"
        elif status == 404:
            what = f"{hub} has no such model or file; check the name, and HF_TOKEN where it is private"
        else:
            what = f"{hub} answers with an error: {reason_of(error)}"
        raise CtgridError(f"{name}: {what}") from error
    except errors.HTTPError as error:
        why = reason_of(error)
        raise CtgridError(f"{name}: cannot reach {hub} ({why}); check HF_ENDPOINT and the network") from error
    except (errors.OfflineModeIsEnabled, errors.FileMetadataError) as error:
        raise CtgridError(f"{name}: {reason_of(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CtgridError(f"{name}: {hub} does not answer as a hub does ({reason_of(error)})") from error


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise CtgridError(f"HF_ENDPOINT is {text!r}; give an address such as https://huggingface.co")
    return text.rstrip("/")


def _remote(file: Any) -> RemoteFile:
    """Read what a listing says of a file."""
    if file.lfs is not None:
        return RemoteFile(file.lfs.size, _hashes(file.lfs.sha256))
    return RemoteFile(file.size, _hashes(file.blob_id))


def _hashes(text: str | None) -> frozenset[str]:
    """Return the text as a set of one where it is a SHA-256 or SHA-1, else the empty set."""
    return frozenset([text.lower()]) if text and re.fullmatch(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{40}", text) else frozenset()
