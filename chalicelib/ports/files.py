"""Files: large webhooks, imports, letters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """Raises TemporaryError when the store cannot be reached."""

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a file whole; the same key is replaced."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return a file's content, None when there is none."""
        ...

    def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
        """Write a file only in the place of the one with this tag, with "" only where there is none.

        Returns the new file's tag, None when another one is there (S3: PutObject with If-Match or If-None-Match).
        """
        ...

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """Return a file's content and its tag, which changes with the content; None when there is none."""
        ...

    def fetch(self, key: str, path: Path) -> bool:
        """Copy a file to this machine, in parts at once; False when there is none. What was at `path` is replaced as a whole."""
        ...

    def send(self, path: Path, key: str, content_type: str) -> None:
        """Copy a file of this machine, in parts where it is large; the same key is replaced."""
        ...

    def read(self, key: str, start: int, length: int) -> bytes | None:
        """Return so many bytes of a file from an offset, fewer at its end, none beyond; None when there is no file."""
        ...

    def size(self, key: str) -> int | None:
        """Return how many bytes a file has, None when there is none."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; harmless where there is none."""
        ...

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix in order."""
        ...

    def upload_url(self, key: str, content_type: str, expires_seconds: int) -> str:
        """Return an address that takes one PUT of the file for a while."""
        ...

    def download_url(self, key: str, expires_seconds: int) -> str:
        """Return an address that gives the file for a while."""
        ...
