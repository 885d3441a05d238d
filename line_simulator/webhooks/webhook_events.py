"""Webhook events as LINE writes them: common properties, sources, and the content of people's messages (webhook.yml)."""

from __future__ import annotations

from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.objects.media import DEFAULT_TYPES, content_type_of, sample
from line_simulator.world.ids import quote_token
from line_simulator.world.state import Channel, Content, JsonObject, ReplyToken, World

# A reply token works for twenty minutes after its event at most (Messaging API reference, Send reply message).
_TOKEN_SECONDS: Final = 1200.0
_TOKENS_BETWEEN: Final = 10_000
_QUOTABLE: Final = ("text", "sticker", "image", "video")
# What LINE always sends; filled in where a script leaves it out.
_DEFAULTS: Final[dict[str, JsonObject]] = {
    "text": {"text": ""},
    "image": {},
    "video": {"duration": 1000},
    "audio": {"duration": 1000},
    "file": {"fileName": "file.txt"},
    "location": {"latitude": 35.681236, "longitude": 139.767125},
    "sticker": {"packageId": "446", "stickerId": "1988", "stickerResourceType": "STATIC"},
}
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "text": str,
    "title": str,
    "address": str,
    "latitude": (int, float),
    "longitude": (int, float),
    "packageId": str,
    "stickerId": str,
    "stickerResourceType": str,
    "keywords": list,
    "emojis": list,
    "mention": dict,
    "imageSet": dict,
    "contentProvider": dict,
    "quotedMessageId": str,
    "fileName": str,
    "duration": int,
    "contentType": str,
}


def user_source(user_id: str) -> JsonObject:
    """Return the source of an event in a one-to-one chat."""
    return {"type": "user", "userId": user_id}


def make_event(
    world: World,
    channel: Channel,
    kind: str,
    extra: JsonObject,
    source: JsonObject | None = None,
    *,
    answer_to: str | None = None,
) -> JsonObject:
    """Return an event of now. `answer_to`: the user, group or room that a reply would reach; None: no reply token."""
    now = world.clock.time()
    event: JsonObject = {
        "type": kind,
        **extra,
        "webhookEventId": world.ids.ulid(now),
        "deliveryContext": {"isRedelivery": False},
        "timestamp": int(now * 1000),
    }
    if source is not None:
        event["source"] = source
    if answer_to is not None:
        token = world.ids.hex32()
        forget_old_tokens(world, now)
        world.state.reply_tokens[token] = ReplyToken(channel.id, answer_to, now, now)
        event["replyToken"] = token
    event["mode"] = "active"
    return event


def forget_old_tokens(world: World, now: float) -> None:
    """Drop, once in many calls, reply tokens that LINE would refuse anyway, so that crowds do not fill the memory."""
    tokens = world.state.reply_tokens
    if len(tokens) % _TOKENS_BETWEEN == _TOKENS_BETWEEN - 1:
        world.state.reply_tokens = {key: one for key, one in tokens.items() if now - one.event_at <= _TOKEN_SECONDS}


def message_content(world: World, channel: Channel, message: JsonObject, message_id: str, data: bytes) -> JsonObject:
    """Return the message object of a webhook for what a person sends, and keep its bytes.

    Raises SimulatorError for what no phone can send.
    """
    kind = check_message(message)
    token = world.ids.url_token(48)
    world.state.read_tokens[token] = channel.id
    content: JsonObject = {"type": kind, "id": message_id}
    if kind in _QUOTABLE:
        content["quoteToken"] = quote_token(message_id)
    content["markAsReadToken"] = token
    content.update(_DEFAULTS[kind])
    content.update((key, value) for key, value in message.items() if key not in ("id", "contentType"))
    if kind in DEFAULT_TYPES:
        _add_media(world, channel, content, data, message.get("contentType"))
    return content


def check_message(message: JsonObject) -> str:
    """Return the kind of a person's message. Raises SimulatorError for what no phone can send."""
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _DEFAULTS:
        raise SimulatorError(f"A person cannot send {kind!r}; they can send {', '.join(_DEFAULTS)}.")
    for name, value in message.items():
        wanted = _KINDS.get(name)
        if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise SimulatorError(f"{name} of a message cannot be {value!r}.")
    if kind == "text" and not message.get("text"):
        raise SimulatorError("A text message needs text.")
    return kind


def _add_media(world: World, channel: Channel, content: JsonObject, data: bytes, content_type: Any) -> None:
    kind, message_id = content["type"], content["id"]
    provider = content.setdefault("contentProvider", {"type": "line"}) if kind != "file" else {"type": "line"}
    if provider.get("type") != "line":
        # The bytes are on somebody else's server (reference, wh-image, contentProvider.type).
        return
    data = data or sample(kind)
    if kind == "file":
        content.setdefault("fileSize", len(data))
    kept = Content(channel.id, data, content_type or content_type_of(kind, data), kind, world.clock.time())
    world.state.contents[message_id] = kept
    forget_old_content(world)


def forget_old_content(world: World) -> None:
    """Drop the bytes that are older than the settings allow; LINE deletes them after a time that it does not tell."""
    seconds = world.settings.content_seconds
    if seconds is None:
        return
    limit = world.clock.time() - seconds
    for content in world.state.contents.values():
        if content.at > limit:
            # Oldest first: the rest is younger.
            return
        content.gone, content.data = True, b""
