"""Certificates of a cluster: made once, their owner's alone, refused where others can read them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from ctgrid import CtgridError
from ctgrid.data.store.tls import CERTIFICATE, KEY, security

pytest.importorskip("distributed")


def test_certificates_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "tls"
    made = security(folder)
    assert made.require_encryption
    assert [stat.S_IMODE(p.stat().st_mode) for p in (folder, folder / KEY, folder / CERTIFICATE)] == [
        *(0o700, 0o600, 0o600)
    ]
    before = (folder / KEY).read_bytes()
    security(folder)
    assert (folder / KEY).read_bytes() == before
    for path, mode in ((folder / KEY, 0o640), (folder, 0o755)):
        usual = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode)
        with pytest.raises(CtgridError, match=r"can be read by others.*chmod"):
            security(folder)
        path.chmod(usual)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError("openssl"), "this takes the program openssl"),
        (subprocess.CalledProcessError(1, "openssl"), "cannot make certificates in"),
    ],
)
def test_what_cannot_be_made_leaves_nothing_half(
    error: Exception, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **options: object) -> None:
        Path(command[command.index("-keyout") + 1]).write_text("half a key")
        raise error

    monkeypatch.setattr("ctgrid.data.store.tls.subprocess.run", run)
    with pytest.raises(CtgridError, match=words):
        security(tmp_path / "tls")
    assert list((tmp_path / "tls").iterdir()) == []


def test_half_a_pair_is_not_made_whole_in_silence(tmp_path: Path) -> None:
    """A key whose certificate is gone may be in use elsewhere."""
    folder = tmp_path / "tls"
    folder.mkdir(mode=0o700)
    (folder / KEY).write_text("a key")
    (folder / KEY).chmod(0o600)
    with pytest.raises(CtgridError, match=f"cannot use the certificates: .*{CERTIFICATE}"):
        security(folder)
    assert (folder / KEY).read_text() == "a key"
