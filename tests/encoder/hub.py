"""A stand-in for the model hub on the loopback address, which can fail in the ways that hubs and networks do."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(ThreadingHTTPServer):
    """Files by "owner/name/path"; small ones are told by git's sha1, others by sha256, as the hub does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.wrong_digest = False
        self.breaks: list[int] = []
        """Bytes after which each of the next transfers ends."""
        self.status: int | None = None
        self.resumes = True
        self.slow = threading.Event()
        self.slow.set()
        self.asked: list[tuple[str, str | None]] = []
        """Path and range of every transfer."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/"):
            self._page()
        else:
            self._answer(send=True)

    def _find(self) -> tuple[str, bytes] | None:
        owner, name, _, _revision, path = self.path.lstrip("/").split("/", 4)
        key = f"{owner}/{name}/{path}"
        return (key, self.server.files[key]) if key in self.server.files else None

    def _page(self) -> None:
        repo = "/".join(self.path.split("?")[0].split("/")[3:5])
        siblings = []
        for key, data in self.server.files.items():
            if key.startswith(f"{repo}/"):
                large = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 1}
                one = {"rfilename": key.removeprefix(f"{repo}/"), "size": len(data)}
                siblings.append(one | ({"lfs": large} if len(data) > 999 else {}))
        body = json.dumps(
            {"id": repo, "sha": "a" * 40, "siblings": siblings, "cardData": {"license": "mit"}, "tags": []}
        ).encode()
        self.send_response(200 if siblings else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, send: bool) -> None:
        found = self._find()
        if found is None or self.server.status is not None:
            self.send_response(self.server.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = found[1]
        digest = hashlib.sha256(data) if len(data) > 999 else hashlib.sha1(f"blob {len(data)}\0".encode() + data)
        told = digest.hexdigest()
        if self.server.wrong_digest:
            told = "0" * len(told)
        wanted = self.headers.get("Range") if send else None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.resumes else 0
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", "a" * 40)
        self.send_header("ETag", f'"{told}"')
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if not send:
            return
        self.server.asked.append((self.path, wanted))
        end = len(data)
        if self.server.breaks:
            end = min(end, start + self.server.breaks.pop(0))
        self.wfile.write(data[start : start + (end - start) // 2])
        self.wfile.flush()
        self.server.slow.wait(20)
        self.wfile.write(data[start + (end - start) // 2 : end])
        if end < len(data):
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that runs for as long as the block does."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.slow.set()
        hub.shutdown()
        hub.server_close()
        thread.join(5)
