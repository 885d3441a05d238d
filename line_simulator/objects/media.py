"""Real bytes for what people send, and small previews of it."""

from __future__ import annotations

import io
from typing import Final

_PREVIEW_PIXELS: Final = 240
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
DEFAULT_TYPES: Final = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/x-m4a",
    "file": "application/octet-stream",
}


def content_type_of(kind: str, data: bytes) -> str:
    """Return the content type of the bytes, by their first ones or else by the kind of message."""
    for start, name in _SIGNATURES:
        if data.startswith(start):
            return name
    return DEFAULT_TYPES[kind]


def sample(kind: str) -> bytes:
    """Return bytes for a message of this kind that a script sent without any: a picture, an empty MP4, or a line of text."""
    if kind == "image":
        return _picture("#6aa5c8")
    if kind in ("video", "audio"):
        return _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41") + _box(b"moov", _box(b"mvhd", _MOVIE_HEADER)) + _box(b"mdat", b"")
    return "サンプル\n".encode()


def preview(kind: str, data: bytes) -> bytes:
    """Return a JPEG of at most 240 × 240 pixels: of an image the image, else a plain picture."""
    from PIL import Image

    if kind == "image":
        try:
            with Image.open(io.BytesIO(data)) as picture:
                small = picture.convert("RGB")
                small.thumbnail((_PREVIEW_PIXELS, _PREVIEW_PIXELS))
                return _jpeg(small)
        except Exception:  # noqa: BLE001 - scripts send any bytes as an image, and decoders fail in any way
            return _picture("#9a9a9a", _PREVIEW_PIXELS)
    return _picture("#303030", _PREVIEW_PIXELS)


# ISO 14496-12, 8.2.2, version 0: a duration of one second, no tracks.
_MOVIE_HEADER: Final = (
    bytes(12)
    + (1000).to_bytes(4, "big") * 2
    + b"\x00\x01\x00\x00\x01\x00"
    + bytes(10)
    + b"".join((value).to_bytes(4, "big") for value in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
    + bytes(24)
    + (1).to_bytes(4, "big")
)


def _box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def _picture(colour: str, width: int = 640) -> bytes:
    from PIL import Image

    return _jpeg(Image.new("RGB", (width, width * 3 // 4), colour))


def _jpeg(picture: object) -> bytes:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()
