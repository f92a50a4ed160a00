"""The address of ``ctgrid view``: this machine alone, its token alone, what was put there alone."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ctgrid.base.errors import CtgridError
from ctgrid.runs.report.html.serve import Served


@pytest.fixture
def served() -> Iterator[Served]:
    """Answer for a page and one file."""
    with Served("<p>ü</p>", {"voxels/0/after": b"\0\1"}) as started:
        yield started


def ask(served: Served, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, http.client.HTTPResponse]:
    """Return status, body and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(served.url).port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer


def test_page_and_files_are_answered(served: Served) -> None:
    root = urlsplit(served.url).path
    assert len(root) >= 22 and urlsplit(served.url).hostname == "127.0.0.1"
    status, body, answer = ask(served, root)
    assert (status, body.decode()) == (200, "<p>ü</p>")
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert ask(served, f"{root}voxels/0/after")[:2] == (200, b"\0\1")
    assert ask(served, root, "HEAD")[:2] == (200, b"")
    assert ask(served, root, Host="localhost:9")[0] == 200  # through a tunnel


@pytest.mark.parametrize(
    "path", ["/", "/x/", "/etc/passwd", "{root}../../etc/passwd", "{root}voxels/0/before", "{root}%2e"]
)
def test_nothing_else_is(served: Served, path: str) -> None:
    root = urlsplit(served.url).path
    status, body, _ = ask(served, path.format(root=root))
    assert status == 404 and root.strip("/").encode() not in body


def test_neither_another_name_nor_another_method(served: Served) -> None:
    root = urlsplit(served.url).path
    for host in ("evil.example", "127.0.0.1.evil.example:80", "", "[::1]"):
        assert ask(served, root, Host=host)[0] == 404, host
    assert ask(served, root, "POST")[0] == 501


def test_two_have_different_tokens_and_a_taken_port_is_said(served: Served) -> None:
    port = urlsplit(served.url).port
    assert port is not None
    with pytest.raises(CtgridError, match=f"port {port} of this machine cannot be taken"):
        Served("", {}, port)
    with Served("", {}) as other:
        assert urlsplit(other.url).path != urlsplit(served.url).path
    with pytest.raises(OSError):
        ask(other, urlsplit(other.url).path)  # it has ended
