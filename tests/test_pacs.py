"""The page on PACS: its steps, against pynetdicom's own storage server on this machine."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from ctgrid import Volume
from ctgrid_cli import app

PAGE = (Path(__file__).resolve().parent.parent / "docs/howto/pacs.md").read_text(encoding="utf-8")


def served(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the page's server on a free port of this machine, and wait until it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "python -m pynetdicom storescp 11112 -aet CTGRID --output-directory inbox" in PAGE
    command = [sys.executable, "-m", "pynetdicom", "storescp", str(port), "-aet", "CTGRID", "-ba", "127.0.0.1"]
    server = subprocess.Popen([*command, "--output-directory", str(folder)])
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            return server, port
        except OSError:
            assert server.poll() is None, "the server has ended"
            time.sleep(0.05)
    raise AssertionError("the server does not listen")


def send(folder: Path, port: int) -> None:
    """Send a folder as the page does."""
    assert "python -m pynetdicom storescu pacs.example 104 clean -r -aet CTGRID -aec ARCHIVE" in PAGE
    command = [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(port), str(folder), "-r"]
    done = subprocess.run([*command, "-aec", "CTGRID"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def files(folder: Path) -> list[pydicom.Dataset]:
    return [
        pydicom.dcmread(path) for path in sorted(folder.rglob("*")) if path.is_file() and pydicom.misc.is_dicom(path)
    ]


@pytest.mark.slow
def test_a_series_is_fetched_denoised_and_sent_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynetdicom")
    monkeypatch.chdir(tmp_path)
    z, y, x = np.mgrid[0:4, -1:1:64j, -1:1:64j]
    hu = np.where(x**2 + y**2 < 0.6, 40.0, -1000.0) + 50 * np.random.default_rng(0).standard_normal(z.shape)
    scan = Volume(hu.clip(-1024, 3000).astype(np.int16), np.diag([-5.0, -5.0, 2.5, 1.0])).write("archive")
    for path in Path(scan).rglob("*.dcm"):
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientID, data.AccessionNumber = "Test^Patient", "P-17", "A-4"
        data.save_as(path)

    Path("inbox").mkdir()
    Path("back").mkdir()
    server, port = served(Path("inbox"))
    try:
        send(Path("archive"), port)
    finally:
        server.terminate()
        server.wait(30)
    assert len(files(Path("inbox"))) == 4

    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
    for line in (line.split("#")[0].split() for line in commands.splitlines()):
        extra = ["--method", "nlm"] if line[1] == "denoise" else []  # the page's own method takes its time
        result = CliRunner().invoke(app, [*line[1:], *extra])
        assert result.exit_code == 0, result.output

    server, port = served(Path("back"))
    try:
        send(Path("clean"), port)
    finally:
        server.terminate()
        server.wait(30)

    before, after = files(Path("inbox")), files(Path("back"))
    assert len(after) == 4
    for name in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert {str(data[name].value) for data in after} == {str(before[0][name].value)}, name
    assert {data.SeriesInstanceUID for data in after}.isdisjoint({data.SeriesInstanceUID for data in before})
    assert not {data.SOPInstanceUID for data in after} & {data.SOPInstanceUID for data in before}
    back = Volume.read("back")
    assert back.shape == scan_shape(before) and np.std(back.hu[:, 24:40, 24:40]) < 25  # 50 before


def scan_shape(slices: list[pydicom.Dataset]) -> tuple[int, int, int]:
    return len(slices), slices[0].Rows, slices[0].Columns
