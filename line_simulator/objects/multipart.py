"""Reading multipart/form-data, fast enough for files of many megabytes."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message

from line_simulator.exchange import ApiError


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. `content_type` is text/plain when the sender gave none (RFC 2046, 5.1)."""

    name: str
    content_type: str
    data: bytes

    @property
    def text(self) -> str:
        """The value as text; bytes that are no UTF-8 are replaced."""
        return self.data.decode("utf-8", "replace")


def read_parts(body: bytes, content_type: str) -> dict[str, Part]:
    """Return the fields by name; the last of repeated names wins. Raises ApiError 415 for another kind of body, 400 for a broken one."""
    kind = Message()
    kind["content-type"] = content_type.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ") or "none"
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data":
        raise ApiError(415, f"The content type, {content_type}, is not supported")
    if not isinstance(boundary, str) or not boundary:
        raise ApiError(400, "The request body could not be parsed as multipart/form-data")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ApiError(400, "The request body could not be parsed as multipart/form-data")
    parts = [_part(piece) for piece in pieces[1:-1]]
    return {part.name: part for part in parts if part is not None}


def _part(piece: bytes) -> Part | None:
    head, blank, data = piece.partition(b"\r\n\r\n")
    if not blank:
        return None
    headers = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name.strip():
            headers[name.strip()] = " ".join(value.split())
    found = headers.get_param("name", header="content-disposition")
    return Part(found, headers.get_content_type(), data) if isinstance(found, str) else None
