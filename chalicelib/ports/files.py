"""Files: large webhooks, imports, letters."""

from __future__ import annotations

from typing import Protocol


class Files(Protocol):
    """Raises TemporaryError when the store cannot be reached."""

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a file whole; the same key is replaced."""
        ...

    def get(self, key: str) -> bytes | None:
        """Return a file's content, None when there is none."""
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
