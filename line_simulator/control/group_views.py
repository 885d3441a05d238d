"""Group chats and rooms as one member sees them on the phone page."""

from __future__ import annotations

from typing import Final

from line_simulator.control.describe import describe_message, instant
from line_simulator.exchange import SimulatorError
from line_simulator.world.group_chats import GroupBook, GroupRecord
from line_simulator.world.state import JsonObject, PersonRecord, World, unpack

_LINES: Final = 100
_NAMES: Final = 4


def group_chat(world: World, group: GroupRecord, person: PersonRecord) -> JsonObject:
    """Return what a member sees: who is there, and {"lines"} from "account", "person" or "note" in order.

    Newcomers do not see what was before them. Raises SimulatorError 409 for somebody who is no member.
    """
    if person.id not in group.members:
        raise SimulatorError(f"{person.name} is not in {group.name or 'the room'}.", 409)
    since = _since(group, person)
    lines = [*_said(world, group), *_posted(world, group, person), *_noted(world, group)]
    lines = sorted((one for one in lines if one[0] >= since), key=lambda one: one[0])[-_LINES:]
    channel = world.state.channels.get(group.channel_id)
    members = [_face(world, one) for one in group.members]
    return {
        **_title(world, group, person),
        "status": "friend",
        "members": members,
        "account": {"id": channel.id, "name": channel.name, "pictureUrl": channel.picture_url} if channel else None,
        "lines": [line for _, line in lines],
        "unread": _unread(group, person, since),
        "loading": 0,
    }


def group_talks(world: World, person: PersonRecord) -> list[JsonObject]:
    """Return the groups and rooms of a person, for the list of chats."""
    return [_talk(world, one, person) for one in world.part(GroupBook).groups.values() if person.id in one.members]


def _talk(world: World, group: GroupRecord, person: PersonRecord) -> JsonObject:
    since = _since(group, person)
    last, at, sequence, by = None, group.notes[-1].at if group.notes else 0.0, -1, ""
    if group.said and group.said[-1].sequence >= since:
        said = group.said[-1]
        last, at, sequence, by = said.message, said.at, said.sequence, _face(world, said.person_id)["name"]
    sending = group.posts[-1].sending if group.posts else None
    if sending is not None and sending.sequence > max(sequence, since):
        channel = world.state.channels.get(sending.channel_id)
        last, at, by = sending.messages()[-1], sending.at, channel.name if channel else ""
    return {**_title(world, group, person), "unread": _unread(group, person, since), "last": last, "by": by, "at": at}


def _title(world: World, group: GroupRecord, person: PersonRecord) -> JsonObject:
    """Return name and size; a room has no name of its own, so its members are shown. An account counts as a member here."""
    name = group.name
    if group.is_room:
        others = [_face(world, one)["name"] for one in group.members if one != person.id]
        name = "、".join(others[:_NAMES]) or group.name
    return {
        "group": group.id,
        "name": name,
        "room": group.is_room,
        "pictureUrl": group.picture_url,
        "count": len(group.members) + bool(group.channel_id),
    }


def _said(world: World, group: GroupRecord) -> list[tuple[int, JsonObject]]:
    found = []
    for one in group.said[-_LINES:]:
        readers = sum(seen > one.sequence for who, seen in group.seen.items() if who != one.person_id)
        line = {"from": "person", "id": one.id, "message": one.message, "at": instant(one.at), "note": one.note, "readers": readers}
        found.append((one.sequence, {**line, "person": one.person_id, "edits": one.edits, **_face(world, one.person_id, "")}))
    return found


def _posted(world: World, group: GroupRecord, person: PersonRecord) -> list[tuple[int, JsonObject]]:
    found = []
    for post in group.posts[-_LINES:]:
        channel = world.state.channels.get(post.sending.channel_id)
        user_id = person.user_ids.get(channel.provider, "") if channel else ""
        if channel is None or user_id not in post.user_ids:
            continue
        face = {"name": channel.name, "pictureUrl": channel.picture_url}
        for received in unpack(post.sending, user_id):
            found.append((post.sending.sequence, {"from": "account", **face, **describe_message(received)}))
    return found


def _noted(world: World, group: GroupRecord) -> list[tuple[int, JsonObject]]:
    found = []
    for one in group.notes[-_LINES:]:
        names = [_name(world, who) for who in one.who]
        found.append(
            (one.sequence, {"from": "note", "id": str(one.sequence), "at": instant(one.at), "kind": one.kind, "names": names})
        )
    return found


def _name(world: World, key: str) -> str:
    found = world.state.people.get(key) or world.state.channels.get(key)
    return found.name if found else ""


def _face(world: World, person_id: str, key: str = "id") -> JsonObject:
    person = world.state.people.get(person_id)
    face = {"name": person.name if person else "メンバー", "pictureUrl": person.picture_url if person else ""}
    return {key: person_id, **face} if key else face


def _since(group: GroupRecord, person: PersonRecord) -> int:
    joined = (one.sequence for one in reversed(group.notes) if one.kind == "joined" and person.id in one.who)
    return next(joined, 0)


def _unread(group: GroupRecord, person: PersonRecord, since: int) -> int:
    seen = max(group.seen.get(person.id, 0), since)
    said = sum(one.sequence > seen and one.person_id != person.id for one in group.said[-_LINES:])
    return said + sum(one.sending.count for one in group.posts[-_LINES:] if one.sending.sequence > seen)
