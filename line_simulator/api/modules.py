"""Module channels: attach, detach, chat control, the list of bots, and acting for an account by its bot's user id."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Final

from line_simulator.api.asking import limit_of, page_of
from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import ApiError, Response, SimulatorError, json_bytes, json_response
from line_simulator.objects.findings import Findings
from line_simulator.pages.login import matches_challenge
from line_simulator.world import module_book
from line_simulator.world.group_chats import joined_by
from line_simulator.world.module_book import AttachCode, ModuleBook
from line_simulator.world.partner_book import is_granted
from line_simulator.world.state import Channel, Friendship, World

FORBIDDEN: Final = "Access to this API is not available for your account"
TTL_DEFAULT: Final = 3600
TTL_MAX: Final = 365 * 86_400
# "Within a few seconds" of another channel's success (acquire-control-api, 423).
LOCK_SECONDS: Final = 3.0
_BOTS_MAX: Final = 100
# LINE tells this name only to its partners; repositories of theirs show it, and that a call without it is answered 403.
_BOT_HEADER: Final = "x-line-bot-id"
_CHAT_ID: Final = re.compile("[UCR][0-9a-f]{32}")
_OWN: Final = frozenset({"getModules", "detachModule"})
_REPEATED: Final = ("redirect_uri", "region", "basic_search_id", "scope", "brand_type")


class Modules:
    """The operations of module channels, and what makes all others work for them. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "attachModule": Operation(self._attach, Reads.FORM, account=False),
            "detachModule": Operation(self._detach, Reads.JSON),
            "getModules": Operation(self._bots),
            "acquireChatControl": Operation(self._acquire, Reads.JSON, optional_body=True),
            "releaseChatControl": Operation(self._release),
        }

    # -- acting for an account

    def enter(self, call: Context) -> None:
        """Turn a call of a module channel into one for the account it names. Raises ApiError 403 without the right to it."""
        module = call.channel
        if module is None or not is_granted(module, "module") or call.operation_id in _OWN:
            return
        bot = call.request.headers.get(_BOT_HEADER, "")
        account = next((one for one in self._world.state.channels.values() if one.bot_user_id == bot), None)
        attachment = module_book.attachment_of(self._world, module, account) if account is not None else None
        scope = _SCOPE_OF.get(call.operation_id)
        if account is None or attachment is None or scope is None or (scope and scope not in attachment.scopes):
            raise ApiError(403, FORBIDDEN)
        call.module, call.channel = module, account
        for name in ("userId", "chatId"):
            if name in call.parameters:
                call.parameters[name] = module_book.inward_id(self._world, module, account, call.parameters[name])

    def inward(self, call: Context) -> None:
        """Write the account's user ids into the body of a module channel's call."""
        module = call.module
        if module is None:
            return

        def own(value: object) -> object:
            return module_book.inward_id(self._world, module, call.owner, value) if isinstance(value, str) else value

        for name in ("to", "chatId"):
            value = call.body.get(name)
            call.body[name] = [own(one) for one in value] if isinstance(value, list) else own(value)
            if value is None:
                del call.body[name]
        chat = call.body.get("chat")
        if isinstance(chat, dict) and "userId" in chat:
            call.body["chat"] = {**chat, "userId": own(chat["userId"])}

    def outward(self, call: Context, response: Response) -> Response:
        """Write the module channel's own name for the user into a profile."""
        if call.module is not None and call.operation_id in _PROFILES and response.status == 200:
            content = json.loads(response.body)
            content["userId"] = module_book.outward_id(self._world, call.module, call.owner, content["userId"])
            response.body = json_bytes(content)
        return response

    # -- attaching

    def _attach(self, call: Context) -> Response:
        module = self._client(call)
        code = self._spend(call.form.get("code", ""), module)
        if call.form.get("grant_type") != "authorization_code":
            raise ApiError(400, "unsupported grant_type")
        if code is None:
            raise ApiError(400, "invalid authorization code")
        for name in _REPEATED:
            if name in code.given and call.form.get(name, "") != code.given[name]:
                raise ApiError(400, f"{name} does not match")
        if code.challenge is not None and not matches_challenge(code.challenge, call.form.get("code_verifier", "")):
            raise ApiError(400, "invalid code_verifier")
        account = self._world.state.channels[code.account_id]
        try:
            made = module_book.attach(self._world, module, account, code.scopes)
        except SimulatorError as error:
            raise ApiError(403, str(error)) from None
        return json_response({"bot_id": account.bot_user_id, "scopes": made.scopes})

    def _client(self, call: Context) -> Channel:
        """Return the module channel of the Authorization header or the form. Raises ApiError 403."""
        channel_id, secret = call.form.get("client_id", ""), call.form.get("client_secret", "")
        scheme, _, value = call.request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            try:
                channel_id, _, secret = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
            except (binascii.Error, ValueError):
                channel_id = ""
        module = self._world.state.channels.get(channel_id)
        if module is None or module.secret != secret or not is_granted(module, "module"):
            raise ApiError(403, "invalid client")
        return module

    def _spend(self, value: str, module: Channel) -> AttachCode | None:
        code = self._world.part(ModuleBook).codes.get(value)
        if code is None or code.used or code.module_id != module.id or code.expires_at <= self._world.clock.time():
            return None
        code.used = True
        return code if code.account_id in self._world.state.channels else None

    def _detach(self, call: Context) -> Response:
        module, bot = call.owner, call.body.get("botId")
        account = next((one for one in self._world.state.channels.values() if one.bot_user_id == bot), None)
        if account is None:
            raise ApiError(400, "user/group/room Id is not available.")
        found = module_book.attachment_of(self._world, module, account)
        if found is None:
            raise ApiError(400, "Specified channel is not detachable")
        module_book.detach(self._world, found)
        return json_response({})

    def _bots(self, call: Context) -> Response:
        module = call.owner
        if not is_granted(module, "module"):
            raise ApiError(403, FORBIDDEN)
        limit = limit_of(call.query, _BOTS_MAX, _BOTS_MAX)
        ids = [one.account_id for one in self._world.part(ModuleBook).attachments if one.module_id == module.id]
        page, following = page_of(self._world, "modules", ids, call.query.get("start"), limit)
        bots = []
        for one in page:
            account = self._world.state.channels[one]
            bot = {"userId": account.bot_user_id, "basicId": account.basic_id, "displayName": account.name}
            bots.append({**bot, "pictureUrl": account.picture_url} if account.picture_url else bot)
        return json_response({"bots": bots} if following is None else {"bots": bots, "next": following})

    # -- chat control

    def _acquire(self, call: Context) -> Response:
        module, account, chat_id = self._chat(call)
        found = Findings()
        found.boolean("expired", call.body.get("expired"))
        seconds = TTL_DEFAULT if call.body.get("ttl") is None else call.body["ttl"]
        found.number("ttl", seconds, 1, TTL_MAX)
        found.raise_if_any()
        chat = account.chats.get(chat_id)
        if joined_by(self._world, account, chat_id) is None and (chat is None or chat.status is not Friendship.FRIEND):
            raise ApiError(404, "Not found")
        control = self._world.part(ModuleBook).control.get(f"{account.id}/{chat_id}")
        if control is not None and control.module_id not in ("", module.id):
            if self._world.clock.time() - control.since < LOCK_SECONDS:
                raise ApiError(423, "Locked")
        ends = None if call.body.get("expired") is False else float(seconds)
        module_book.take_control(self._world, module, account, chat_id, ends)
        return json_response({})

    def _release(self, call: Context) -> Response:
        module, account, chat_id = self._chat(call)
        module_book.give_back(self._world, module, account, chat_id)
        return json_response({})

    def _chat(self, call: Context) -> tuple[Channel, Channel, str]:
        if call.module is None:
            raise ApiError(403, FORBIDDEN)
        chat_id = call.parameters["chatId"]
        if _CHAT_ID.fullmatch(chat_id) is None:
            raise ApiError(400, "The value for the 'chatId' parameter is invalid")
        return call.module, call.owner, chat_id


_PROFILES: Final = ("getProfile", "getGroupMemberProfile", "getRoomMemberProfile")
# Documentation for corporate users, Attach the module channel, Scopes. "": any scope will do.
_SENDING: Final = (
    "replyMessage", "pushMessage", "multicast", "broadcast", "narrowcast", "getNarrowcastProgress", "getMessageQuota",
    "getMessageQuotaConsumption", "showLoadingAnimation", "createAudienceGroup", "addAudienceToAudienceGroup",
    "createAudienceForUploadingUserIds", "addUserIdsToAudience", "createClickBasedAudienceGroup",
    "createImpBasedAudienceGroup", "updateAudienceGroupDescription", "deleteAudienceGroup", "getAudienceData",
    "getAudienceGroups", "getSharedAudienceData", "getSharedAudienceGroups",
)  # fmt: skip
_MANAGING: Final = (
    "setDefaultRichMenu", "getNumberOfMessageDeliveries", "getNumberOfFollowers", "getFriendsDemographics",
    "getMessageEvent", "getStatisticsPerUnit",
)  # fmt: skip
_READING: Final = (*_PROFILES, "getGroupSummary", "getGroupMemberCount", "getRoomMemberCount")
_SCOPE_OF: Final[dict[str, str]] = {
    # The information of the account is not in the table of scopes, but on the page about module channels.
    **dict.fromkeys(("issueLinkToken", "getBotInfo"), ""),
    **dict.fromkeys(_SENDING, "message:send"),
    **dict.fromkeys(("acquireChatControl", "releaseChatControl"), "message:receive"),
    **dict.fromkeys(_MANAGING, "account:manage"),
    "markMessagesAsRead": "message:mark_as_read",
    **dict.fromkeys(("pushTemplatedMessagesByPhone", "getPNPTemplatedMessageStatistics"), "message:templated_pnp"),
    **dict.fromkeys(_READING, "profile:read"),
    **dict.fromkeys(("createCoupon", "closeCoupon", "listCoupon", "getCouponDetail"), "coupon:manage"),
}
