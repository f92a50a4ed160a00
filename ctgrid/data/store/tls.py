"""Certificates for a Dask cluster: whoever reaches a scheduler without them runs code as its user."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ctgrid.base.durable import sync
from ctgrid.base.errors import CtgridError, reason_of
from ctgrid.base.extras import require

if TYPE_CHECKING:
    from distributed import Security

CERTIFICATE, KEY = "cert.pem", "key.pem"
_DAYS = 3650
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def default_folder() -> Path:
    """Return where certificates lie: ``~/.ctgrid/tls``, which the machines of a cluster share."""
    return Path.home() / ".ctgrid" / "tls"


def security(folder: str | os.PathLike[str] | None = None) -> Security:
    """Return what scheduler, workers and clients need to trust each other, and nobody else.

    One key for all of them, made here where there is none yet, in a folder of mode 0700, of mode 0600 itself: who can
    read it belongs to the cluster.

    Args:
        folder: Where the files lie; None takes :func:`default_folder`.

    Raises:
        CtgridError: They cannot be made, or others than their owner can read them.
    """
    folder = Path(folder) if folder is not None else default_folder()
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not certificate.exists() and not key.exists():
        _make(folder)
    for path in (folder, key, certificate):
        _check_private(path)
    roles = ("client", "scheduler", "worker")
    files = {f"tls_{role}_{what}": str(path) for role in roles for what, path in (("cert", certificate), ("key", key))}
    return require("distributed").Security(tls_ca_file=str(certificate), require_encryption=True, **files)


def _make(folder: Path) -> None:
    """Make a key and the certificate that it signs itself: the only one that this cluster trusts."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    new = folder / f".{KEY}.new", folder / f".{CERTIFICATE}.new"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(folder)
        command += ["-days", str(_DAYS), "-subj", "/CN=ctgrid", "-keyout", str(new[0]), "-out", str(new[1])]
        subprocess.run(command, check=True, capture_output=True, text=True, umask=0o077)
        for path in new:
            sync(path)
        new[0].replace(folder / KEY)
        new[1].replace(folder / CERTIFICATE)
    except FileNotFoundError as error:
        raise CtgridError(f"cannot make certificates in {folder}: this takes the program openssl") from error
    except (OSError, subprocess.CalledProcessError) as error:
        raise CtgridError(f"cannot make certificates in {folder}: {reason_of(error)}") from error
    finally:
        for path in new:
            path.unlink(missing_ok=True)


def _check_private(path: Path) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise CtgridError(f"cannot use the certificates: {path}: {error.strerror or error}") from error
    if status.st_uid != os.getuid() or status.st_mode & _OTHERS:
        raise CtgridError(
            f"{path} can be read by others, or is theirs: anyone who has the key runs code on the cluster; make it "
            f"yours alone (chmod go= {path}), or remove the folder for new certificates"
        )
