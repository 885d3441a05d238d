"""What exists, as JSON values of /_sim/."""

from __future__ import annotations

from datetime import UTC, datetime

from line_simulator.world.state import Channel, JsonObject, PersonRecord, Received, World


def instant(at: float) -> str:
    """Return epoch seconds as ISO 8601 text, the way every answer of /_sim/ writes times."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def describe_channel(channel: Channel) -> JsonObject:
    """Return a channel as JSON values, with the secret its owner needs for signatures and tokens."""
    return {
        "id": channel.id,
        "name": channel.name,
        "secret": channel.secret,
        "accessToken": channel.access_token,
        "botUserId": channel.bot_user_id,
        "basicId": channel.basic_id,
        "provider": channel.provider,
        "webhookUrl": channel.webhook_url,
        "webhookActive": channel.webhook_active,
        "redelivery": channel.redelivery,
        "verified": channel.verified,
        "monthlyLimit": channel.monthly_limit,
        "chatMode": channel.chat_mode,
        "pictureUrl": channel.picture_url,
        "options": channel.options,
        "friends": sum(chat.status == "friend" for chat in channel.chats.values()),
        "used": channel.used,
    }


def describe_message(received: Received) -> JsonObject:
    """Return a received message as JSON values."""
    return {
        "id": received.id,
        "message": received.message,
        "at": received.at.isoformat(),
        "requestId": received.request_id,
        "retryKey": received.retry_key,
        "via": received.via,
        "channel": received.channel_id,
        "userId": received.user_id,
        "groupId": received.group_id or None,
    }


def describe_page(url: str, status: int, text: str) -> JsonObject:
    """Return a page of the in-app browser as JSON values."""
    return {"url": url, "status": status, "text": text}


def describe_person(world: World, person: PersonRecord) -> JsonObject:
    """Return a person as JSON values, with how they stand to each channel."""
    chats = {}
    for channel in world.state.channels.values():
        user_id = person.user_ids.get(channel.provider, "")
        chat = channel.chats.get(user_id)
        chats[channel.id] = {"userId": user_id, "status": chat.status if chat else "none"}
    return {
        "id": person.id,
        "name": person.name,
        "language": person.language,
        "pictureUrl": person.picture_url,
        "userIds": person.user_ids,
        "gender": person.gender,
        "age": person.age,
        "area": person.area,
        "app": person.app,
        "phone": person.phone,
        "phoneConsent": person.phone_consent,
        "phoneVerified": person.phone_verified,
        "channels": chats,
    }
