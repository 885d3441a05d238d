"""A folder in the place of a bucket: as the port Files in this process, and over HTTP as a function in AWS sees S3.

Over HTTP it is as far away as measured for the design: thirty milliseconds to the first byte of an answer, and 75 MB/s for all
answers together. `python -m local.lake_store FOLDER PORT` serves GET and HEAD, with ranges, below any bucket's name.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_LATENCY_SECONDS = 0.03
_BYTES_A_SECOND = 75_000_000
_CHUNK = 256 * 1024


class FolderFiles:
    """Implements ports.files.Files; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a file whole; see the port."""
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def get(self, key: str) -> bytes | None:
        """Return a file's content; see the port."""
        path = self._folder / key
        return path.read_bytes() if path.is_file() else None

    def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
        """Write a file in the place of a known one; see the port."""
        known = self.get_tagged(key)
        if (known[1] if known else "") != tag:
            return None
        self.put(key, content, content_type)
        return _tag(content)

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """Return a file's content and tag; see the port."""
        content = self.get(key)
        return None if content is None else (content, _tag(content))

    def fetch(self, key: str, path: Path) -> bool:
        """Copy a file; see the port. Its content never changes, so that a second name for it will do."""
        if not (self._folder / key).is_file():
            return False
        path.unlink(missing_ok=True)
        path.hardlink_to(self._folder / key)
        return True

    def send(self, path: Path, key: str, content_type: str) -> None:
        """Copy a file of this machine; see the port."""
        (self._folder / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self._folder / key)

    def read(self, key: str, start: int, length: int) -> bytes | None:
        """Return a part of a file; see the port."""
        content = self.get(key)
        return None if content is None else content[start : start + length]

    def size(self, key: str) -> int | None:
        """Return how many bytes a file has; see the port."""
        path = self._folder / key
        return path.stat().st_size if path.is_file() else None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; see the port."""
        for key in keys:
            (self._folder / key).unlink(missing_ok=True)

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix; see the port."""
        above = (self._folder / prefix).parent
        found = (str(path.relative_to(self._folder)) for path in above.rglob("*") if path.is_file())
        return sorted(key for key in found if key.startswith(prefix))

    def upload_url(self, key: str, content_type: str, expires_seconds: int) -> str:
        """Return nothing of use: nobody asks a bench."""
        raise NotImplementedError

    def download_url(self, key: str, expires_seconds: int) -> str:
        """Return nothing of use: nobody asks a bench."""
        raise NotImplementedError


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class _Wire:
    """What all answers share: so many bytes a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int) -> None:
        """Return when so many bytes have gone through."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + size / _BYTES_A_SECOND
            until = self._free_at
        time.sleep(max(0.0, until - time.monotonic()))


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    wire = _Wire()

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, *, with_content: bool) -> None:
        time.sleep(_LATENCY_SECONDS)
        path = self.folder / self.path.partition("?")[0].lstrip("/").partition("/")[2]
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        first, last = self._range(size)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("ETag", f'"{size}"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 03:00:00 GMT")
        self.end_headers()
        with path.open("rb") as file:
            file.seek(first)
            left = (last - first + 1) if with_content else 0
            while left:
                part = file.read(min(_CHUNK, left))
                self.wire.wait(len(part))
                self.wfile.write(part)
                left -= len(part)

    def _range(self, size: int) -> tuple[int, int]:
        _, _, asked = self.headers.get("Range", "").partition("=")
        first, _, last = asked.partition("-")
        return int(first or 0), min(int(last or size - 1), size - 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        pass


if __name__ == "__main__":
    _Door.folder = Path(sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Door).serve_forever()
