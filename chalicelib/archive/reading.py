"""Read an archive that lies on S3: where somebody looks, a line at a time, never as a whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from itertools import count
from typing import IO, Any

import msgspec

from chalicelib.archive.model import FORMAT, MANIFEST, TABLES, Entry, Manifest
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.wire import plain
from chalicelib.ports.database import Item
from chalicelib.ports.files import Files

_LONGEST_LINE = 3_000_000  # an item of 400 KB whose every byte is escaped
_MOST_MANIFEST = 5_000_000
_MOST_AT_ONCE = 16_000_000  # a zip's directory of a hundred files has some kilobytes


def opened(files: Files, key: str) -> zipfile.ZipFile:
    """Return an uploaded archive. Raises InvalidError(`archive.no_file`, `archive.malformed`)."""
    size = files.size(key)
    if size is None:
        raise InvalidError("archive.no_file")
    try:
        return zipfile.ZipFile(io.BufferedReader(_Remote(files, key, size), 1 << 20))
    except (zipfile.BadZipFile, ValueError, OSError, MemoryError) as wrong:
        raise InvalidError("archive.malformed") from wrong


def manifest_of(archive: zipfile.ZipFile) -> Manifest:
    """Return an archive's manifest, all of whose files are there. Raises InvalidError(`archive.*`)."""
    try:
        if archive.getinfo(MANIFEST).file_size > _MOST_MANIFEST:
            raise InvalidError("archive.malformed")
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
        if manifest.format != FORMAT:
            raise InvalidError("archive.other_format")
        if not manifest.entries or any(entry.table not in TABLES for entry in manifest.entries):
            raise InvalidError("archive.malformed")
        for entry in manifest.entries:
            archive.getinfo(entry.name)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as wrong:
        raise InvalidError("archive.malformed") from wrong
    return manifest


def is_whole(archive: zipfile.ZipFile, entry: Entry) -> bool:
    """Say whether a file of an archive has come over as it was written."""
    try:
        with archive.open(entry.name) as content:
            return sha256_of(content) == entry.sha256
    except (KeyError, ValueError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return False


def items_of(archive: zipfile.ZipFile, entry: Entry, start: int) -> Iterator[Item]:
    """Yield the items of a file from a line on. Raises InvalidError(`archive.line_broken`)."""
    number = 0
    try:
        with archive.open(entry.name) as packed, gzip.GzipFile(fileobj=packed) as lines:
            for number in count(1):
                line = lines.readline(_LONGEST_LINE)
                if not line:
                    return
                if number > start:
                    yield _item(line)
    except (ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as wrong:
        raise InvalidError("archive.line_broken", name=entry.name, line=number) from wrong


def _item(line: bytes) -> Item:
    item: Item = plain(msgspec.json.decode(line)["Item"])
    if not all(isinstance(item[name], str) and item[name] for name in ("pk", "sk")):
        raise ValueError("no key")
    return item


def sha256_of(content: IO[bytes]) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    total = hashlib.sha256()
    while piece := content.read(1 << 20):
        total.update(piece)
    return total.hexdigest()


class _Remote(io.RawIOBase):
    """A kept file that is read where somebody looks, and never as a whole."""

    def __init__(self, files: Files, key: str, size: int) -> None:
        super().__init__()
        self._files = files
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if len(buffer) > _MOST_AT_ONCE:
            raise OSError("no archive has a directory of this size")
        length = min(len(buffer), self._size - self._at)
        content = (self._files.read(self._key, self._at, length) or b"") if length > 0 else b""
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
