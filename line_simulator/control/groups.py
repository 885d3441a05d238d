"""Groups and rooms, and the events of accounts, under /_sim/."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from line_simulator.control.describe import instant
from line_simulator.control.values import Answer, Verb, bytes_of, check_tappable, message_of, need, need_object, need_text
from line_simulator.exchange import SimulatorError
from line_simulator.people import happenings
from line_simulator.world.group_chats import GroupBook, GroupRecord
from line_simulator.world.state import Channel, JsonObject, PersonRecord

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

VERB_PATH: Final = re.compile(r"/_sim/groups/([^/]+)/([a-z_]+)")
_VERBS: Final = ("invite", "remove", "join", "leave", "say", "unsend", "edit", "postback", "tap", "read")


class Gathering:
    """Creating groups and letting things happen in them."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/groups"): lambda _, __: self._groups(),
            ("POST", "/_sim/groups"): self._add,
            ("POST", "/_sim/events"): self._account_event,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do besides talking."""
        world = self._line.world
        return {
            "unsend": lambda person, channel, body: happenings.unsend(world, person, channel, need_text(body, "messageId")),
            "beacon": self._beacon,
        }

    def act(self, key: str, verb: str, body: JsonObject) -> Any:
        """Do one of the verbs of a group: /_sim/groups/{group}/{verb}, with "person" (or "people") and "channel" as needed."""
        if verb not in _VERBS:
            raise SimulatorError(f"In a group nobody can {verb!r}; they can {', '.join(_VERBS)}.", 404)
        world, chats = self._line.world, self._line.group_chats
        with world.lock:
            group = chats.find(unquote(key))
            result: JsonObject = {}
            match verb:
                case "invite":
                    chats.invite(group, world.channel(need_text(body, "channel")))
                case "remove":
                    chats.remove(group)
                case "join":
                    chats.join(group, self._people(need(body, "people")))
                case "leave":
                    chats.leave(group, self._people(need(body, "people")))
                case _:
                    result = self._talk(group, world.person(need_text(body, "person")), verb, body)
            return {**self._describe(group), **result}

    def _talk(self, group: GroupRecord, person: PersonRecord, verb: str, body: JsonObject) -> JsonObject:
        chats = self._line.group_chats
        match verb:
            case "say":
                message = message_of(body)
                if "mention" in body:
                    message["mention"] = chats.mention(group, str(message.get("text", "")), self._mentioned(body["mention"]))
                return {"messageId": chats.say(group, person, message, bytes_of(body))}
            case "unsend":
                chats.unsend(group, person, need_text(body, "messageId"))
            case "edit":
                chats.edit(group, person, need_text(body, "messageId"), need_text(body, "text"))
            case "read":
                chats.read(group, person)
            case "tap":
                action = need_object(body, "action")
                check_tappable(action)
                chats.tap(group, person, action, _params(body))
            case _:
                text = body.get("displayText")
                chats.postback(group, person, need_text(body, "data"), _params(body), str(text) if text else None)
        return {}

    def _mentioned(self, names: Any) -> list[PersonRecord | Channel | str]:
        if not isinstance(names, list):
            raise SimulatorError('mention must be a list of people, accounts or "all".')
        world = self._line.world
        channels = {one.name: one for one in world.state.channels.values()}
        return [str(one) if one == "all" else channels.get(str(one)) or world.person(str(one)) for one in names]

    def _groups(self) -> Any:
        with self._line.world.lock:
            return {"groups": [self._describe(one) for one in self._line.world.part(GroupBook).groups.values()]}

    def _add(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Create {"name", "members": […], "room": bool, "pictureUrl", "channel"}."""
        members = self._people(body.get("members", []))
        picture = body.get("pictureUrl", "")
        if not isinstance(picture, str):
            raise SimulatorError("pictureUrl must be text.")
        chats, is_room = self._line.group_chats, body.get("room") is True
        with self._line.world.lock:
            group = chats.add(need_text(body, "name"), members, is_room=is_room, picture_url=picture)
            if "channel" in body:
                chats.invite(group, self._line.world.channel(str(body["channel"])))
            return self._describe(group)

    def _account_event(self, body: JsonObject, _: dict[str, str]) -> None:
        details = {name: value for name, value in body.items() if name not in ("channel", "event", "person")}
        world = self._line.world
        person = world.person(str(body["person"])) if "person" in body else None
        channel = world.channel(need_text(body, "channel"))
        happenings.account_event(world, channel, need_text(body, "event"), person, **details)

    def _beacon(self, person: PersonRecord, channel: Channel, body: JsonObject) -> None:
        dm = body.get("dm")
        kind = str(body.get("type", "enter"))
        happenings.beacon(self._line.world, person, channel, need_text(body, "hwid"), kind, None if dm is None else str(dm))

    def _people(self, keys: Any) -> list[PersonRecord]:
        if not isinstance(keys, list):
            raise SimulatorError("people of a group must be a list of ids or names.")
        return [self._line.world.person(str(key)) for key in keys]

    def _describe(self, group: GroupRecord) -> JsonObject:
        return {
            "id": group.id,
            "name": group.name,
            "room": group.is_room,
            "pictureUrl": group.picture_url,
            "members": group.members,
            "channel": group.channel_id or None,
            "said": [
                {"id": one.id, "person": one.person_id, "message": one.message, "at": instant(one.at), "edits": one.edits}
                for one in group.said[-100:]
            ],
            "received": [
                {"requestId": post.sending.request_id, "messages": post.sending.messages(), "at": instant(post.sending.at)}
                for post in group.posts[-100:]
            ],
        }


def _params(body: JsonObject) -> JsonObject | None:
    params = body.get("params")
    return params if isinstance(params, dict) else None
