"""A scripted group chat: the Python handle of one group or room."""

from __future__ import annotations

from line_simulator.people.person import Person
from line_simulator.world.group_chats import GroupChats, GroupRecord, GroupSaid
from line_simulator.world.state import Channel, JsonObject, PersonRecord


class GroupChat:
    """What happens in one group chat or room. Everything the account in it would be told becomes a webhook."""

    def __init__(self, record: GroupRecord, chats: GroupChats) -> None:
        self.record = record
        self._chats = chats

    def __repr__(self) -> str:
        return f"GroupChat({self.record.id!r}, {self.record.name!r})"

    @property
    def id(self) -> str:
        """The group id (C…) or room id (R…), as in webhooks and in `to` of a push."""
        return self.record.id

    @property
    def name(self) -> str:
        """The name of the group."""
        return self.record.name

    @property
    def said(self) -> list[GroupSaid]:
        """What members said, oldest first."""
        return list(self.record.said)

    def invite(self, channel: Channel) -> None:
        """Let the account join: a join event, in a room only when something happens there. Raises SimulatorError for a second one."""
        self._chats.invite(self.record, channel)

    def remove(self) -> None:
        """Remove the account: a leave event."""
        self._chats.remove(self.record)

    def join(self, *people: Person) -> None:
        """Let people join together: a memberJoined event."""
        self._chats.join(self.record, [one.record for one in people])

    def leave(self, *people: Person) -> None:
        """Let members leave together: a memberLeft event. Raises SimulatorError for somebody who is no member."""
        self._chats.leave(self.record, [one.record for one in people])

    def say(
        self, person: Person, text: str, *, mention: list[Person | Channel | str] | None = None, quote: str | None = None
    ) -> str:
        """Say a text. mention: people, the account or "all", named in the text as @name. quote: a message id.

        Returns the message id. Raises SimulatorError for somebody who is no member, or a mention that the text lacks.
        """
        message: JsonObject = {"type": "text", "text": text}
        if mention:
            whom: list[PersonRecord | Channel | str] = [one.record if isinstance(one, Person) else one for one in mention]
            message["mention"] = self._chats.mention(self.record, text, whom)
        if quote is not None:
            message["quotedMessageId"] = quote
        return self._chats.say(self.record, person.record, message)

    def send(self, person: Person, message: JsonObject, data: bytes = b"") -> str:
        """Send another kind of message, as Person.send does. Returns the message id."""
        return self._chats.say(self.record, person.record, message, data)

    def unsend(self, person: Person, message_id: str) -> None:
        """Take a message back: an unsend event."""
        self._chats.unsend(self.record, person.record, message_id)

    def edit(self, person: Person, message_id: str, text: str) -> None:
        """Change a text message: a messageEdited event."""
        self._chats.edit(self.record, person.record, message_id, text)

    def postback(self, person: Person, data: str, params: dict[str, str] | None = None) -> None:
        """Send a postback, as a tap on a message in the group does."""
        self._chats.postback(self.record, person.record, data, params)
