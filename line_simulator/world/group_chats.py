"""Group chats and rooms: who is in them, what was said, which account takes part; each change is a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.objects.findings import utf16_length
from line_simulator.webhooks.webhook_events import make_event, message_content
from line_simulator.world.ids import quote_token
from line_simulator.world.state import Channel, JsonObject, PersonRecord, Sending, World, part

# Only users of these apps have a user id in groups (webhook.yml, GroupSource.userId).
_PHONES: Final = ("ios", "android")
_MENTIONS_MAX: Final = 20


@dataclass(slots=True)
class GroupSaid:
    """What a member said. `edits` counts how often it was changed since; an unsent message has type unsent.

    note: only shown there, such as the text of a postback; the account never saw it.
    """

    id: str
    at: float
    person_id: str
    message: JsonObject
    sequence: int
    edits: int = 0
    note: bool = False


@dataclass(slots=True)
class GroupNote:
    """A line about who came and went (`kind`: joined or left): person ids, or the id of an account's channel."""

    sequence: int
    at: float
    kind: str
    who: list[str]


@dataclass(slots=True)
class GroupPost:
    """What the account sent to the group, and who (user ids) was in it at that moment."""

    sending: Sending
    user_ids: list[str]


@dataclass(slots=True)
class GroupRecord:
    """A group chat, or a room (`is_room`: one without a name of its own, from before LINE 10.17).

    members: person ids in the order of joining. channel_id: the account that takes part, empty for none.
    announced: whether the account has been told by a join event. notes: who came and went. seen: by person id, the number
    in the order of everything up to which they have looked.
    """

    id: str
    name: str
    is_room: bool = False
    picture_url: str = ""
    members: list[str] = field(default_factory=list)
    channel_id: str = ""
    announced: bool = False
    said: list[GroupSaid] = field(default_factory=list)
    posts: list[GroupPost] = field(default_factory=list)
    notes: list[GroupNote] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)


@part("groups")
@dataclass(slots=True)
class GroupBook:
    """By group or room id."""

    groups: dict[str, GroupRecord] = field(default_factory=dict)


def joined_by(world: World, channel: Channel, group_id: str) -> GroupRecord | None:
    """Return the group or room if the account takes part in it."""
    found = world.part(GroupBook).groups.get(group_id)
    return found if found is not None and found.channel_id == channel.id else None


def posts_to(world: World, channel: Channel, user_id: str) -> list[Sending]:
    """Return what an account sent to groups this user was in, oldest first."""
    return sorted((sending for one, sending in all_posts(world, channel) if one == user_id), key=lambda one: one.sequence)


def all_posts(world: World, channel: Channel) -> Iterator[tuple[str, Sending]]:
    """Yield user id and send call of everything an account sent to groups."""
    for group in world.part(GroupBook).groups.values():
        for post in group.posts:
            if post.sending.channel_id == channel.id:
                yield from ((user_id, post.sending) for user_id in post.user_ids)


class GroupChats:
    """What people do in groups, and groups with accounts. Mistakes raise SimulatorError."""

    def __init__(self, world: World) -> None:
        self._world = world
        world.posted = lambda channel, user_id: posts_to(world, channel, user_id)

    def add(self, name: str, members: list[PersonRecord], *, is_room: bool = False, picture_url: str = "") -> GroupRecord:
        """Return the group of this name or id, created if need be; given members who are not in it yet join."""
        with self._world.lock:
            book = self._world.part(GroupBook).groups
            group = book.get(name) or next((one for one in book.values() if one.name == name and one.is_room == is_room), None)
            if group is None:
                group = GroupRecord(("R" if is_room else "C") + self._world.ids.hex32(), name, is_room)
                book[group.id] = group
            group.picture_url = picture_url or group.picture_url
            self.join(group, [one for one in members if one.id not in group.members])
            return group

    def find(self, key: str) -> GroupRecord:
        """Return the group or room with this id or name. Raises SimulatorError 404."""
        book = self._world.part(GroupBook).groups
        found = book.get(key) or next((one for one in book.values() if one.name == key), None)
        if found is None:
            raise SimulatorError(f"There is no group {key!r}.", 404)
        return found

    def invite(self, group: GroupRecord, channel: Channel) -> None:
        """Let the account take part; nothing happens if it does. A room tells it only when something happens there."""
        with self._world.lock:
            if group.channel_id == channel.id:
                return
            if group.channel_id:
                # One account at a time (documentation, Group chats and multi-person chats).
                raise SimulatorError("Another account takes part in the group; LINE allows one at a time.", 409)
            group.channel_id, group.announced = channel.id, False
            self._note(group, "joined", [channel.id])
            if not group.is_room:
                self._announce(group, channel)

    def remove(self, group: GroupRecord) -> None:
        """Let the account leave, or be removed: a leave event."""
        with self._world.lock:
            channel = self._channel(group)
            group.channel_id = ""
            if channel is not None:
                self._note(group, "left", [channel.id])
                self._world.emit(channel, make_event(self._world, channel, "leave", {}, self._source(group)))

    def join(self, group: GroupRecord, people: list[PersonRecord]) -> None:
        """Let people join, together."""
        with self._world.lock:
            fresh = [one for one in people if one.id not in group.members]
            group.members += [one.id for one in fresh]
            self._changed(group, "memberJoined", "joined", fresh, replyable=True)

    def leave(self, group: GroupRecord, people: list[PersonRecord]) -> None:
        """Let members leave, together. Raises SimulatorError for somebody who is no member."""
        with self._world.lock:
            for one in people:
                self._need_member(group, one)
            group.members = [one for one in group.members if one not in {person.id for person in people}]
            self._changed(group, "memberLeft", "left", people, replyable=False)

    def _changed(self, group: GroupRecord, kind: str, name: str, people: list[PersonRecord], *, replyable: bool) -> None:
        channel = self._channel(group)
        if people:
            self._note(group, name, [one.id for one in people])
        if not people or channel is None:
            return
        self._announce(group, channel)
        members = [{"type": "user", **self._identity(channel, one)} for one in people]
        answer_to = group.id if replyable else None
        event = make_event(self._world, channel, kind, {name: {"members": members}}, self._source(group), answer_to=answer_to)
        self._world.emit(channel, event)

    def _note(self, group: GroupRecord, kind: str, who: list[str]) -> None:
        group.notes.append(GroupNote(self._world.state.next_sequence(), self._world.clock.time(), kind, who))

    def say(self, group: GroupRecord, person: PersonRecord, message: JsonObject, data: bytes = b"") -> str:
        """Send a message into the group. Returns the message id."""
        with self._world.lock:
            self._need_member(group, person)
            message_id = str(self._world.ids.message_ids(1))
            channel = self._channel(group)
            content = message_content(self._world, channel, message, message_id, data) if channel else message
            self._keep(group, person, message_id, message)
            self._report(group, person, "message", {"message": content}, replyable=True)
            return message_id

    def unsend(self, group: GroupRecord, person: PersonRecord, message_id: str) -> None:
        """Take a message back: an unsend event, and its content is gone."""
        with self._world.lock:
            said = self._own(group, person, message_id)
            said.message = {"type": "unsent"}
            self._world.state.next_sequence()
            content = self._world.state.contents.get(message_id)
            if content is not None:
                content.gone, content.data = True, b""
            self._report(group, person, "unsend", {"unsend": {"messageId": message_id}}, replyable=False)

    def edit(self, group: GroupRecord, person: PersonRecord, message_id: str, text: str) -> None:
        """Change a text message: a messageEdited event with the same id, a new quoteToken, and no markAsReadToken.

        In the reference and the SDKs since July 2026, and younger than the specification kept here.
        """
        with self._world.lock:
            said = self._own(group, person, message_id)
            if said.message.get("type") != "text":
                raise SimulatorError("Only text messages can be edited.")
            said.message, said.edits = {"type": "text", "text": text}, said.edits + 1
            self._world.state.next_sequence()
            channel = self._channel(group)
            if channel is not None:
                content = message_content(self._world, channel, said.message, message_id, b"")
                self._world.state.read_tokens.pop(content.pop("markAsReadToken"))
                content["quoteToken"] = quote_token(message_id, said.edits)
                self._report(group, person, "messageEdited", {"message": content}, replyable=True)

    def _keep(self, group: GroupRecord, person: PersonRecord, message_id: str, message: JsonObject, *, note: bool = False) -> None:
        at, sequence = self._world.clock.time(), self._world.state.next_sequence()
        group.said.append(GroupSaid(message_id, at, person.id, message, sequence, note=note))

    def read(self, group: GroupRecord, person: PersonRecord) -> None:
        """Note that a member has looked at everything so far."""
        with self._world.lock:
            self._need_member(group, person)
            newest = max((one[-1].sequence for one in (group.said, group.notes) if one), default=0)
            newest = max(newest, group.posts[-1].sending.sequence if group.posts else 0)
            if group.seen.get(person.id, 0) < newest:
                group.seen[person.id] = self._world.state.next_sequence()

    def tap(self, group: GroupRecord, person: PersonRecord, action: JsonObject, params: dict[str, str] | None = None) -> None:
        """Tap an action of a message: say its text or send its postback. What a link opens is left to the caller."""
        with self._world.lock:
            match action.get("type"):
                case "message":
                    self.say(group, person, {"type": "text", "text": str(action["text"])})
                case "postback":
                    if action.get("text"):
                        self.say(group, person, {"type": "text", "text": str(action["text"])})
                    self.postback(group, person, str(action["data"]), display_text=action.get("displayText"))
                case "datetimepicker":
                    chosen = params or {str(action["mode"]): str(action.get("initial", ""))}
                    self.postback(group, person, str(action["data"]), chosen)

    def postback(
        self,
        group: GroupRecord,
        person: PersonRecord,
        data: str,
        params: dict[str, str] | None = None,
        display_text: str | None = None,
    ) -> None:
        """Send a postback, as a tap on a message in the group does."""
        with self._world.lock:
            self._need_member(group, person)
            if display_text:
                shown = {"type": "text", "text": str(display_text)}
                self._keep(group, person, str(self._world.ids.message_ids(1)), shown, note=True)
            content: JsonObject = {"data": data, **({"params": params} if params else {})}
            self._world.state.next_sequence()
            self._report(group, person, "postback", {"postback": content}, replyable=True)

    def mention(self, group: GroupRecord, text: str, whom: list[PersonRecord | Channel | str]) -> JsonObject:
        """Return the mention object of a text that names these people, the account or "all", each as @name, in this order.

        Raises SimulatorError when the text does not name them.
        """
        channel = self._channel(group)
        found: list[JsonObject] = []
        position = 0
        for one in whom[:_MENTIONS_MAX]:
            name = "@" + (one if isinstance(one, str) else one.name)
            at = text.lower().find(name.lower(), position)
            if at < 0:
                raise SimulatorError(f"The text does not contain {name!r}.")
            position = at + len(name)
            entry: JsonObject = {"index": utf16_length(text[:at]), "length": utf16_length(name), "type": "user"}
            if isinstance(one, str):
                entry["type"] = "all"
            elif isinstance(one, Channel):
                entry |= {"userId": one.bot_user_id, "isSelf": one.id == group.channel_id}
            else:
                entry |= {**(self._identity(channel, one) if channel else {}), "isSelf": False}
            found.append(entry)
        return {"mentionees": found}

    def _report(self, group: GroupRecord, person: PersonRecord, kind: str, extra: JsonObject, *, replyable: bool) -> None:
        channel = self._channel(group)
        if channel is None:
            return
        self._announce(group, channel)
        source = {**self._source(group), **self._identity(channel, person)}
        answer_to = group.id if replyable else None
        self._world.emit(channel, make_event(self._world, channel, kind, extra, source, answer_to=answer_to))

    def _announce(self, group: GroupRecord, channel: Channel) -> None:
        if group.announced:
            return
        group.announced = True
        event = make_event(self._world, channel, "join", {}, self._source(group), answer_to=group.id)
        self._world.emit(channel, event)

    def _channel(self, group: GroupRecord) -> Channel | None:
        return self._world.state.channels.get(group.channel_id)

    def _source(self, group: GroupRecord) -> JsonObject:
        return {"type": "room", "roomId": group.id} if group.is_room else {"type": "group", "groupId": group.id}

    def _identity(self, channel: Channel, person: PersonRecord) -> dict[str, Any]:
        if not is_known(person):
            return {}
        return {"userId": self._world.user_id(person, channel.provider)}

    def _need_member(self, group: GroupRecord, person: PersonRecord) -> None:
        if person.id not in group.members:
            raise SimulatorError(f"{person.name} is not in {group.name or 'the room'}.", 409)

    def _own(self, group: GroupRecord, person: PersonRecord, message_id: str) -> GroupSaid:
        for said in group.said:
            is_own = said.id == message_id and said.person_id == person.id and not said.note
            if is_own and said.message.get("type") != "unsent":
                return said
        raise SimulatorError(f"{person.name} said no such message in the group.", 404)


def is_known(person: PersonRecord) -> bool:
    """Say whether groups show accounts this person's user id: consent given, and LINE for iOS or Android."""
    return person.consent and person.app in _PHONES
