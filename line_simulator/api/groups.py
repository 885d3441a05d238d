"""Group chats and rooms, as the account that takes part in them sees them."""

from __future__ import annotations

import re
from typing import Final

from line_simulator.api.asking import page_of
from line_simulator.api.calls import Context, Operation
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.world.group_chats import GroupChats, GroupRecord, is_known, joined_by
from line_simulator.world.ids import is_user_id
from line_simulator.world.state import JsonObject, World

_PAGE: Final = 100
_SHAPES: Final = {"groupId": re.compile("C[0-9a-f]{32}"), "roomId": re.compile("R[0-9a-f]{32}")}


class Groups:
    """Group chats and multi-person chats (reference): 400 for ids that are none, 404 where the account takes no part."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chats = GroupChats(world)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "getGroupSummary": Operation(self._summary),
            **dict.fromkeys(("getGroupMemberCount", "getRoomMemberCount"), Operation(self._count)),
            **dict.fromkeys(("getGroupMembersIds", "getRoomMembersIds"), Operation(self._ids)),
            **dict.fromkeys(("getGroupMemberProfile", "getRoomMemberProfile"), Operation(self._profile)),
            **dict.fromkeys(("leaveGroup", "leaveRoom"), Operation(self._leave)),
        }

    def _summary(self, call: Context) -> Response:
        group = self._group(call)
        content: JsonObject = {"groupId": group.id, "groupName": group.name}
        if group.picture_url:
            content["pictureUrl"] = group.picture_url
        return json_response(content)

    def _count(self, call: Context) -> Response:
        return json_response({"count": len(self._group(call).members)})

    def _ids(self, call: Context) -> Response:
        if not call.owner.verified:
            raise ApiError(403, "Access to this API is not available for your account")
        group = self._group(call)
        people = [self._world.state.people[one] for one in group.members if one in self._world.state.people]
        ids = [self._world.user_id(one, call.owner.provider) for one in people if is_known(one)]
        page, following = page_of(self._world, f"members-{group.id}", ids, call.query.get("start"), _PAGE)
        content: JsonObject = {"memberIds": list(page)}
        if following is not None:
            content["next"] = following
        return json_response(content)

    def _profile(self, call: Context) -> Response:
        group, user_id = self._group(call), call.parameters["userId"]
        if not is_user_id(user_id):
            raise ApiError(400, "The value for the 'userId' parameter is invalid")
        provider, person = self._world.state.owners.get(user_id, ("", None))
        if person is None or provider != call.owner.provider or person.id not in group.members or not is_known(person):
            raise ApiError(404, "Not found")
        content = {"displayName": person.name, "userId": user_id}
        if person.picture_url:
            content["pictureUrl"] = person.picture_url
        return json_response(content)

    def _leave(self, call: Context) -> Response:
        self._chats.remove(self._group(call))
        return json_response({})

    def _group(self, call: Context) -> GroupRecord:
        name = "groupId" if "groupId" in call.parameters else "roomId"
        group_id = call.parameters[name]
        if _SHAPES[name].fullmatch(group_id) is None:
            raise ApiError(400, f"The value for the '{name}' parameter is invalid")
        group = joined_by(self._world, call.owner, group_id)
        if group is None:
            raise ApiError(404, "Not found")
        return group
