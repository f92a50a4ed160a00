"""A hub on this machine: the requests that ``huggingface_hub`` makes, and ways to misbehave. Not a test itself."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class FakeHub:
    """One repository, on a hub and a file server (the CDN) of another address.

    Attributes:
        files: content by path; ``.safetensors`` and pickles count as stored in LFS.
        revisions: commit by branch or tag.
        damaged: paths whose content is sent with its last byte changed.
        cuts: by path, how many bytes to send before the connection drops, request by request; then all.
        refuse: status, ``X-Error-Code`` and body of every answer of the API; None answers.
        ranges: whether ``Range`` is understood.
        trees: whether the tree is listed; ``sizes``: whether the model's own listing has sizes and hashes.
        log: (server, method, path, headers) of all requests.
    """

    id: str = "lab/chest"
    files: dict[str, bytes] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": "a" * 40})
    damaged: set[str] = field(default_factory=set)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    refuse: tuple[int, str, bytes] | None = None
    ranges: bool = True
    trees: bool = True
    sizes: bool = True
    log: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)

    def __enter__(self) -> FakeHub:
        """Listen on two free ports."""
        self.servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler(self, name)) for name in ("hub", "cdn")]
        self.hub, self.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)
        self.threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in self.servers]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop listening."""
        for server, thread in zip(self.servers, self.threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def downloads(self, path: str) -> list[str | None]:
        """Return the ``Range`` of each time a file's content was asked for."""
        ends = (f"/{path}", f"/{sha256(self.files[path])}")
        where = {"cdn"} if is_lfs(path) else {"hub"}
        return [
            headers.get("range")
            for server, method, asked, headers in self.log
            if server in where and method == "GET" and unquote(asked).endswith(ends)
        ]

    def entry(self, path: str) -> dict[str, Any]:
        """Describe a file as the tree does."""
        content = self.files[path]
        record: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_sha1(content)}
        if is_lfs(path):
            record["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
        return record

    def sibling(self, path: str) -> dict[str, Any]:
        """Describe a file as the model's listing does."""
        record: dict[str, Any] = {"rfilename": path}
        if self.sizes:
            tree = self.entry(path)
            record |= {"size": tree["size"], "blobId": tree["oid"]}
            if "lfs" in tree:
                record["lfs"] = {"sha256": tree["lfs"]["oid"], "size": tree["size"], "pointerSize": 130}
        return record


def is_lfs(path: str) -> bool:
    """Whether a hub would keep a file in LFS."""
    return path.endswith((".safetensors", ".bin", ".pt"))


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    """Git's name for a file's content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def handler(fake: FakeHub, server: str) -> type[BaseHTTPRequestHandler]:
    """Make the class that answers for one of the two servers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Stay silent."""

        def do_HEAD(self) -> None:
            self.respond()

        def do_GET(self) -> None:
            self.respond()

        def respond(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            fake.log.append((server, self.command, self.path, headers))
            parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[1:]]
            if server == "cdn":
                path = next(p for p, content in fake.files.items() if sha256(content) == parts[-1])
                self.content(path, {"ETag": f'"{sha256(fake.files[path])}"'})
            elif parts[0] == "api":
                self.api(parts[2:])
            else:
                self.resolve(parts)

        def api(self, parts: list[str]) -> None:
            name, kind, revision = "/".join(parts[:2]), parts[2], parts[3]
            commit = fake.revisions.get(revision, revision)
            if fake.refuse is not None:
                status, code, body = fake.refuse
                self.answer(status, body, {"X-Error-Code": code} if code else {})
            elif name != fake.id:
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif commit not in fake.revisions.values():
                self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            elif kind == "revision":
                siblings = [fake.sibling(path) for path in fake.files]
                self.answer(200, json.dumps({"id": fake.id, "sha": commit, "siblings": siblings}).encode())
            elif fake.trees:
                self.answer(200, json.dumps([fake.entry(path) for path in fake.files]).encode())
            else:
                self.answer(404, b"{}")

        def resolve(self, parts: list[str]) -> None:
            path, commit = "/".join(parts[4:]), fake.revisions.get(parts[3], parts[3])
            if path not in fake.files:
                self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            content = fake.files[path]
            common = {"X-Repo-Commit": commit}
            if not is_lfs(path):
                self.content(path, common | {"ETag": f'"{git_sha1(content)}"'})
                return
            linked = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
            xet = {"X-Xet-Hash": sha256(content), "X-Xet-Refresh-Route": f"{fake.hub}/xet"}
            self.answer(302, b"", {**common, **linked, **xet, "Location": f"{fake.cdn}/{sha256(content)}"})

        def content(self, path: str, headers: dict[str, str]) -> None:
            content = fake.files[path]
            if path in fake.damaged:
                content = content[:-1] + bytes([content[-1] ^ 1])
            asked = self.headers.get("Range") if fake.ranges else None
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if asked:
                headers = {**headers, "Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"}
            cuts = fake.cuts.get(path, [])
            cut = cuts.pop(0) if cuts and self.command == "GET" else None
            self.answer(206 if asked else 200, content[first:], headers, cut)

        def answer(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None
        ) -> None:
            self.send_response(status)
            for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:cut])
            if cut is not None:
                self.close_connection = True

    return Handler
