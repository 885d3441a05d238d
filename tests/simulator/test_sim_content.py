"""Content that people send: bytes, previews, preparation, and its end."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from line_simulator import Channel, LineSimulator, Person, SimulatorError


def _path(message_id: str, tail: str = "") -> str:
    return f"/v2/bot/message/{message_id}/content{tail}"


def _png(width: int = 1000, height: int = 500) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (width, height), "red").save(out, "PNG")
    return out.getvalue()


def test_bytes_come_back_as_sent_and_smaller_as_preview(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    sent = _png()
    message_id = hanako.send(shop, {"type": "image"}, sent)
    assert api("GET", _path(message_id))[1] == sent
    status, preview, _ = api("GET", _path(message_id, "/preview"))
    small = Image.open(io.BytesIO(preview))
    assert (status, small.format, small.size) == (200, "JPEG", (240, 120))


@pytest.mark.parametrize(
    ("kind", "start", "fields"),
    [
        ("image", b"\xff\xd8\xff", {"contentProvider": {"type": "line"}}),
        ("video", b"\x00\x00\x00", {"contentProvider": {"type": "line"}, "duration": 1000}),
        ("audio", b"\x00\x00\x00", {"contentProvider": {"type": "line"}, "duration": 1000}),
        ("file", b"\xe3\x82\xb5", {"fileName": "file.txt", "fileSize": 13}),
    ],
)
def test_a_script_without_bytes_sends_real_ones(
    line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any, kind: str, start: bytes, fields: dict[str, Any]
) -> None:
    message_id = hanako.send(shop, {"type": kind})
    line.drain()
    assert fields.items() <= receiver.events[-1]["message"].items()
    assert api("GET", _path(message_id))[1].startswith(start)


def test_content_from_elsewhere_cannot_be_fetched(
    line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any
) -> None:
    provider = {"type": "external", "originalContentUrl": "https://example.com/a.jpg"}
    message_id = hanako.send(shop, {"type": "image", "contentProvider": provider})
    line.drain()
    assert receiver.events[-1]["message"]["contentProvider"] == provider
    assert api("GET", _path(message_id))[0] == 404


def test_a_picture_that_is_none_still_has_a_preview(api: Any, hanako: Person, shop: Channel) -> None:
    for message in ({"type": "image"}, {"type": "video"}):
        message_id = hanako.send(shop, message, b"no picture")
        assert api("GET", _path(message_id, "/preview"))[1].startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("kind", "tail", "status", "message"),
    [
        ("audio", "/preview", 400, "The content can not be previewed"),
        ("image", "/transcoding", 400, "Transcoding status doesn't support this type of content"),
        ("file", "/transcoding", 400, "Transcoding status doesn't support this type of content"),
        ("", "", 404, "not found"),
        ("", "/preview", 404, "not found"),
        ("", "/transcoding", 404, "not found"),
    ],
)
def test_documented_refusals(api: Any, hanako: Person, shop: Channel, kind: str, tail: str, status: int, message: str) -> None:
    message_id = hanako.send(shop, {"type": kind}) if kind else "1"
    assert api("GET", _path(message_id, tail))[:2] == (status, {"message": message})


def test_other_accounts_find_nothing(line: LineSimulator, caller: Any, hanako: Person, shop: Channel) -> None:
    message_id = hanako.send(shop, {"type": "image"})
    assert caller(line, line.channel("支店"))("GET", _path(message_id))[0] == 404


def test_a_video_is_prepared_first(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    line.world.settings = replace(line.world.settings, transcoding_seconds=60.0)
    video, image = hanako.send(shop, {"type": "video"}), hanako.send(shop, {"type": "image"})
    assert api("GET", _path(video, "/transcoding"))[1] == {"status": "processing"}
    assert api("GET", _path(video))[0] == 202
    assert api("GET", _path(image))[0] == 200
    line.clock.advance(61)
    assert api("GET", _path(video, "/transcoding"))[1] == {"status": "succeeded"}
    assert api("GET", _path(video))[0] == 200


def test_preparation_may_be_slow_or_fail(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    video, image = hanako.send(shop, {"type": "video"}), hanako.send(shop, {"type": "image"})
    line.fault("transcoding_slow", times=2)
    states = [api("GET", _path(video, "/transcoding"))[1]["status"] for _ in range(3)]
    assert states == ["processing", "processing", "succeeded"]
    line.fault("transcoding_failed")
    assert api("GET", _path(video, "/transcoding"))[1] == {"status": "failed"}
    assert [api("GET", _path(one))[0] for one in (video, image)] == [404, 200]


def test_unsent_and_old_content_is_gone(line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any) -> None:
    line.world.settings = replace(line.world.settings, content_seconds=3600.0)
    first, second = hanako.send(shop, {"type": "image"}), hanako.send(shop, {"type": "image"})
    hanako.unsend(shop, first)
    line.drain()
    assert (receiver.events[-1]["type"], receiver.events[-1]["unsend"]) == ("unsend", {"messageId": first})
    for tail in ("", "/preview"):
        assert api("GET", _path(first, tail))[:2] == (410, {"message": "The content is gone"})
    assert api("GET", _path(second))[0] == 200
    line.clock.advance(3601)
    assert api("GET", _path(second))[0] == 410
    assert line.world.state.contents[second].data == b""
    with pytest.raises(SimulatorError, match="no such message"):
        hanako.unsend(shop, first)


def test_several_images_belong_together(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.send_images(shop, [b"a", b"b", b"c"])
    line.drain()
    sets = [event["message"]["imageSet"] for event in receiver.events[1:]]
    assert [(one["index"], one["total"]) for one in sets] == [(1, 3), (2, 3), (3, 3)]
    assert len({one["id"] for one in sets}) == 1


@pytest.mark.parametrize(
    "message",
    [{"type": "hologram"}, {"type": None}, {"type": "text"}, {"type": "text", "text": 5}, {"type": "location", "latitude": "x"}],
)
def test_what_no_phone_sends(hanako: Person, shop: Channel, message: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        hanako.send(shop, message)
