"""A page and its voxels at an address of this machine, for whoever knows its token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from urllib.parse import urlsplit

from ctgrid.base.errors import CtgridError

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")


class Served:
    """Context in which a page and what it asks for are answered for: nothing else of the machine, and no one else's.

    It listens on the loop-back address alone, and answers where the path begins with a token of 128 bits and the name
    asked for is this machine's own: a page of the web, whatever its name stands for, learns nothing.

    Attributes:
        url: of the page.
    """

    def __init__(self, page: str, files: Mapping[str, bytes], port: int = 0) -> None:
        """Take a port.

        Args:
            page: HTML.
            files: what it asks for, by its path beside the page.
            port: 0 takes a free one.

        Raises:
            CtgridError: The port cannot be taken.
        """
        token = secrets.token_urlsafe(16)
        answers = {f"/{token}/": ("text/html; charset=utf-8", page.encode("utf-8"))}
        answers |= {f"/{token}/{path}": ("application/octet-stream", data) for path, data in files.items()}
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(answers))
        except OSError as error:
            raise CtgridError(
                f"port {port} of this machine cannot be taken ({error.strerror}); give another --port, or none"
            ) from error
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}/{token}/"

    def __enter__(self) -> Served:
        """Answer from now on."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> None:
        """Return when it is stopped from outside; a signal interrupts."""
        while self._thread.is_alive():
            self._thread.join(1.0)


def _handler(answers: Mapping[str, tuple[str, bytes]]) -> type[BaseHTTPRequestHandler]:
    """Return what answers requests for these paths, and refuses all others alike."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "ctgrid", ""
        timeout = 60

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            asked = next((path for path in answers if secrets.compare_digest(path.encode(), self._path())), None)
            if asked is None or urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _NAMES:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            kind, data = answers[asked]
            self.send_response(HTTPStatus.OK)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(data))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
                ("Referrer-Policy", "no-referrer"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
            ):
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def _path(self) -> bytes:
            return self.path.partition("?")[0].encode("utf-8", "surrogateescape")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: addresses hold the token."""

    return Handler
