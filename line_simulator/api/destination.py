"""What a message may hold only in some chats: mentions, quotes and trackingId (Messaging API reference, Message objects).

That LINE refuses them elsewhere is documented for mentions only, and its sentences are not: all texts here are guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from line_simulator.objects.findings import TEMPLATE, Findings
from line_simulator.objects.texts import substituted
from line_simulator.world.group_chats import GroupRecord
from line_simulator.world.ids import quote_token
from line_simulator.world.state import Channel, JsonObject, World


def refuse_mentions(messages: list[JsonObject]) -> None:
    """Raise ApiError 400 if a message mentions somebody, which only reply and push can."""
    found = Findings()
    for index, message in enumerate(messages):
        if any(_mentions(message)):
            found.inside(f"messages[{index}]", TEMPLATE).add("substitution", "mention can only be used in reply and push messages")
    found.raise_if_any()


def check_destination(world: World, channel: Channel, messages: list[JsonObject], user_id: str, group: GroupRecord | None) -> None:
    """Raise ApiError 400 if a message cannot be sent to this person or, if it is one, this group or room."""
    found = Findings()
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if message["type"] == "textV2":
            _check_mentions(world, channel, found.inside(path, TEMPLATE), message, group)
        if group is not None and message["type"] == "video" and message.get("trackingId"):
            found.add(f"{path}.trackingId", "trackingId cannot be used in group chats and multi-person chats")
        if message["type"] in ("text", "textV2", "sticker") and message.get("quoteToken"):
            tokens = _tokens_of_person(channel, user_id) if group is None else _tokens_of_group(group)
            if message["quoteToken"] not in tokens:
                found.add(f"{path}.quoteToken", "Invalid quote token")
    found.raise_if_any()


def _mentions(message: JsonObject) -> Iterator[JsonObject]:
    if message["type"] == "textV2":
        yield from (one["mentionee"] for one in substituted(message) if one.get("type") == "mention")


def _check_mentions(world: World, channel: Channel, found: Findings, message: JsonObject, group: GroupRecord | None) -> None:
    members: set[str] | None = None
    for whom in _mentions(message):
        if group is None:
            found.add("substitution", "mention can only be used in group chats and multi-person chats")
            return
        if members is None:
            people = [world.state.people[one] for one in group.members if one in world.state.people]
            members = {world.user_id(one, channel.provider) for one in people}
        if whom["type"] == "user" and whom["userId"] not in members:
            found.add("substitution", f"{whom['userId']} is not a member of the chat")


def _tokens_of_person(channel: Channel, user_id: str) -> Iterator[str]:
    chat = channel.chats.get(user_id)
    for said in (chat.said or ()) if chat else ():
        yield quote_token(said.id)
    for sending in (chat.inbox or ()) if chat else ():
        yield from (quote_token(str(sending.first_id + index)) for index in range(sending.count))


def _tokens_of_group(group: GroupRecord) -> Iterator[str]:
    for said in group.said:
        yield quote_token(said.id)
        yield from (quote_token(said.id, edit + 1) for edit in range(said.edits))
    for post in group.posts:
        yield from (quote_token(str(post.sending.first_id + index)) for index in range(post.sending.count))
