"""What only LINE's partners have: notification messages, modules, mission stickers, and reading by user id."""

from __future__ import annotations

from typing import Final

from line_simulator.api.accounts import Accounts
from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.modules import FORBIDDEN, Modules
from line_simulator.api.notifications import Notifications
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.pages.modules import ModulePages
from line_simulator.world import screens
from line_simulator.world.ids import is_user_id
from line_simulator.world.partner_book import MissionSticker, PartnerBook, is_granted
from line_simulator.world.state import PersonRecord, World

_NOBODY: Final = "The property, 'chat.chatId', in the request body is invalid (line: -, column: -)"


class Marketplace:
    """All areas of partners; each operation answers 403 to an account without the option for it."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self._world = world
        self._notifications = Notifications(world, accounts)
        self.modules = Modules(world)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            **self._notifications.operations(),
            **self.modules.operations(),
            **ModulePages(self._world).operations(),
            "markMessagesAsRead": Operation(self._mark_as_read, Reads.JSON),
            "missionStickerV3": Operation(self._give_stickers, Reads.JSON),
        }

    def _mark_as_read(self, call: Context) -> Response:
        """Show everything a user wrote as read (mark-messages-from-users-as-read)."""
        if not is_granted(call.owner, "mark_as_read"):
            raise ApiError(403, FORBIDDEN)
        found = Findings()
        chat = found.mapping("chat", call.body.get("chat"))
        user_id = chat.get("userId") if chat is not None else None
        if chat is not None:
            found.text("chat.userId", user_id, 1000)
        found.raise_if_any()
        if self._person(call, user_id) is None:
            raise ApiError(400, _NOBODY)
        screens.mark_all_as_read(self._world, call.owner, str(user_id))
        return json_response({})

    def _give_stickers(self, call: Context) -> Response:
        """Give a user the right to download stickers (send-mission-stickers-v3). What is malformed is an "invalid request"."""
        if not is_granted(call.owner, "mission_stickers"):
            raise ApiError(403, "not allowed to use the API")
        body = call.body
        person, product = self._person(call, body.get("to")), body.get("productId")
        if person is None or body.get("productType") != "STICKER" or not isinstance(product, str):
            raise ApiError(400, "invalid request")
        if not isinstance(body.get("sendPresentMessage"), bool):
            raise ApiError(400, "invalid request")
        book = self._world.part(PartnerBook)
        self._check_sticker(call, book.stickers.get(product), person)
        given = book.given.setdefault(person.id, [])
        if product not in given:
            given.append(product)
        self._world.state.next_sequence()
        return Response(200, b"")

    def _check_sticker(self, call: Context, sticker: MissionSticker | None, person: PersonRecord) -> None:
        now = self._world.clock.time()
        if sticker is None:
            raise ApiError(404, "not found")
        if not sticker.is_mission:
            raise ApiError(400, "illegal argument")
        if (sticker.starts is not None and now < sticker.starts) or (sticker.ends is not None and now >= sticker.ends):
            raise ApiError(400, "not in sales period")
        if call.owner.id not in sticker.channels:
            raise ApiError(400, "sticker set not available for channel")
        if person.app not in sticker.apps:
            raise ApiError(400, "not available")

    def _person(self, call: Context, user_id: object) -> PersonRecord | None:
        if not is_user_id(user_id):
            return None
        provider, person = self._world.state.owners.get(str(user_id), ("", None))
        return person if provider == call.owner.provider else None
