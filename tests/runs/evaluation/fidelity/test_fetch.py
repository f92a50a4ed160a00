"""Detector files come from a server of this test's own: whole, resumable, hashed, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.base.files import sha256_of
from ctgrid.runs.evaluation.fidelity.fetch import fetch_detectors
from ctgrid.stages.models import transfer

I3D = "i3d_torchscript.pt"


class Quiet(SimpleHTTPRequestHandler):
    """A server that does not log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(detectors: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the folder of toy detectors; return its address."""
    monkeypatch.setattr(transfer, "WAIT_S", 0.0)
    for name in ("CTGRID_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(detectors))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_a_file_comes_once_and_its_hash_is_told(server: str, detectors: Path, tmp_path: Path) -> None:
    folder, addresses = tmp_path / "detectors", {I3D: f"{server}/{I3D}"}
    found = fetch_detectors([I3D], folder=folder, addresses=addresses)[0]
    assert found["sha256"] == sha256_of(detectors / I3D) == sha256_of(folder / I3D)
    assert (found["already_here"], found["pinned"]) == (False, False)
    assert [path.name for path in folder.iterdir()] == [I3D]
    assert fetch_detectors([I3D], folder=folder, offline=True)[0]["already_here"]


def test_another_hash_than_the_pinned_one_keeps_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match="but 0000"):
        fetch_detectors([I3D], folder=tmp_path, addresses={I3D: f"{server}/{I3D}"}, pins={I3D: "0" * 64})
    assert not list(tmp_path.rglob("*.pt"))


def test_what_is_not_there_or_no_detector(server: str, detectors: Path, tmp_path: Path) -> None:
    with pytest.raises(CtgridError, match=r"cannot fetch i3d_torchscript\.pt from .*; bring the file by other means"):
        fetch_detectors([I3D], folder=tmp_path, addresses={I3D: f"{server}/missing.pt"})
    with pytest.raises(CtgridError, match="did not send a TorchScript file"):
        fetch_detectors([I3D], folder=tmp_path, addresses={I3D: f"{server}/"})
    with pytest.raises(CtgridError, match="no address is known"):
        fetch_detectors(["vgg.pt"], folder=tmp_path)
    with pytest.raises(CtgridError, match="offline"):
        fetch_detectors([I3D], folder=tmp_path, offline=True)
    assert not list(tmp_path.rglob("*.pt"))
