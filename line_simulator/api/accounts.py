"""Everything the API tells or sets about an account: quota, profile, followers, link tokens, webhook endpoint."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from line_simulator.api.asking import day_of, limit_of, page_of
from line_simulator.api.calls import Operation, Reads
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.webhooks.webhooks import Webhooks
from line_simulator.world import screens
from line_simulator.world.consents import is_nameless, known
from line_simulator.world.ids import is_user_id
from line_simulator.world.state import Channel, Friendship, JsonObject, LinkToken, PersonRecord, World

LINK_TOKEN_SECONDS: Final = 600.0
_FOLLOWERS_DEFAULT: Final = 300
_FOLLOWERS_MAX: Final = 1000
_BAD_ENDPOINT: Final = "Invalid webhook endpoint URL"


class Accounts:
    """Answers of the read and settings operations. Callers hold the world's lock."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self._world = world
        self._webhooks = webhooks

    def operations(self) -> dict[str, Operation]:
        """Return the operations on an account."""
        sent = {
            f"getNumberOfSent{via.capitalize()}Messages": self._sent_operation(via)
            for via in ("reply", "push", "multicast", "broadcast")
        }
        return {
            **sent,
            "getMessageQuota": Operation(lambda call: self.quota(call.owner)),
            "getMessageQuotaConsumption": Operation(lambda call: self.consumption(call.owner)),
            "getProfile": Operation(lambda call: self.profile(call.owner, call.parameters["userId"])),
            "getBotInfo": Operation(lambda call: self.bot_info(call.owner)),
            "getFollowers": Operation(lambda call: self.followers(call.owner, call.query)),
            "issueLinkToken": Operation(lambda call: self.link_token(call.owner, call.parameters["userId"])),
            "getWebhookEndpoint": Operation(lambda call: self.webhook(call.owner)),
            "setWebhookEndpoint": Operation(lambda call: self.set_webhook(call.owner, call.body), Reads.JSON),
            # Unlocked: this one waits for the bot, which may be calling us meanwhile.
            "testWebhookEndpoint": Operation(
                lambda call: self.test_webhook(call.owner, call.body), Reads.JSON, optional_body=True, locked=False
            ),
            "showLoadingAnimation": Operation(lambda call: self.start_loading(call.owner, call.body), Reads.JSON),
            "markMessagesAsReadByToken": Operation(lambda call: self.mark_as_read(call.owner, call.body), Reads.JSON),
        }

    def _sent_operation(self, via: str) -> Operation:
        return Operation(lambda call: self.sent_count(call.owner, via, call.query))

    def quota(self, channel: Channel) -> Response:
        """Answer getMessageQuota."""
        if channel.monthly_limit is None:
            return json_response({"type": "none"})
        return json_response({"type": "limited", "value": channel.monthly_limit})

    def consumption(self, channel: Channel) -> Response:
        """Answer getMessageQuotaConsumption for this month in Japan."""
        return json_response({"totalUsage": channel.used.get(self._world.month(), 0)})

    def sent_count(self, channel: Channel, via: str, parameters: dict[str, str]) -> Response:
        """Answer getNumberOfSent…Messages, ready when the day is over (Settings.small_delivery_counts_hidden for few)."""
        date = parameters.get("date", "")
        if day_of(date) is None:
            raise ApiError(400, "The value for the 'date' parameter is invalid")
        today = f"{self._world.tokyo():%Y%m%d}"
        count = channel.sent.get(f"{date}/{via}", 0)
        if date < "20180331":
            return json_response({"status": "out_of_service"})
        if date >= today:
            return json_response({"status": "unready"})
        if 0 < count < 20 and self._world.settings.small_delivery_counts_hidden:
            return json_response({"status": "unavailable_for_privacy"})
        return json_response({"status": "ready", "success": count})

    def profile(self, channel: Channel, user_id: str) -> Response:
        """Answer getProfile: 404 for blocked, strangers, and people without consent alike."""
        person, status = self._person(channel, user_id)
        if person is None or status is not Friendship.FRIEND or is_nameless(self._world, user_id):
            raise ApiError(404, "Not found")
        profile = {"displayName": person.name, "userId": user_id, "language": person.language}
        if person.picture_url:
            profile["pictureUrl"] = person.picture_url
        if person.status_message:
            profile["statusMessage"] = person.status_message
        return json_response(profile)

    def bot_info(self, channel: Channel) -> Response:
        """Answer getBotInfo."""
        info = {
            "userId": channel.bot_user_id,
            "basicId": channel.basic_id,
            "displayName": channel.name,
            "chatMode": channel.chat_mode,
            "markAsReadMode": "manual" if screens.reads_by_hand(channel) else "auto",
        }
        if channel.picture_url:
            info["pictureUrl"] = channel.picture_url
        return json_response(info)

    def followers(self, channel: Channel, parameters: dict[str, str]) -> Response:
        """Answer getFollowers: verified accounts only, consenting friends only, in pages."""
        if not channel.verified:
            raise ApiError(403, "Access to this API is not available for your account")
        limit = limit_of(parameters, _FOLLOWERS_DEFAULT, _FOLLOWERS_MAX)
        friends = [user for user, chat in channel.chats.items() if self._is_listed(user, chat.status)]
        page, following = page_of(self._world, "followers", friends, parameters.get("start"), limit)
        content: JsonObject = {"userIds": page}
        if following is not None:
            content["next"] = following
        return json_response(content)

    def _is_listed(self, user_id: str, status: Friendship) -> bool:
        return status is Friendship.FRIEND and known(self._world, user_id) is not None

    def link_token(self, channel: Channel, user_id: str) -> Response:
        """Answer issueLinkToken: friends only, ten minutes, one use."""
        person, status = self._person(channel, user_id)
        if person is None or status is not Friendship.FRIEND:
            raise ApiError(404, "Not found")
        token = self._world.ids.url_token()
        expires_at = self._world.clock.time() + LINK_TOKEN_SECONDS
        self._world.state.link_tokens[token] = LinkToken(channel.id, user_id, expires_at)
        return json_response({"linkToken": token})

    def webhook(self, channel: Channel) -> Response:
        """Answer getWebhookEndpoint."""
        if not channel.webhook_url:
            raise ApiError(404, "Webhook endpoint not found")
        return json_response({"endpoint": channel.webhook_url, "active": channel.webhook_active})

    def set_webhook(self, channel: Channel, body: JsonObject) -> Response:
        """Answer setWebhookEndpoint. Plain http is taken here, which LINE would refuse."""
        channel.webhook_url = self._endpoint(body.get("endpoint"))
        return json_response({})

    def test_webhook(self, channel: Channel, body: JsonObject) -> Response:
        """Answer testWebhookEndpoint: send an empty, signed webhook now and report what happened."""
        url = channel.webhook_url if body.get("endpoint") is None else self._endpoint(body["endpoint"])
        if not url:
            raise ApiError(404, "Webhook endpoint not found")
        if not _resolves(url):
            # The reference shows this body for a domain name that does not resolve (Test webhook endpoint).
            raise ApiError(400, _BAD_ENDPOINT)
        at = datetime.fromtimestamp(self._world.clock.time(), UTC)
        outcome = self._webhooks.test(channel, url)
        return json_response(
            {
                "success": outcome.reason == "OK",
                "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "statusCode": outcome.status,
                "reason": outcome.reason,
                "detail": outcome.detail,
            }
        )

    def _endpoint(self, value: object) -> str:
        found = Findings()
        # At most 500 characters (messaging-api.yml, SetWebhookEndpointRequest.endpoint).
        if not found.text("endpoint", value, 500):
            found.raise_if_any()
        parts = urlsplit(str(value))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ApiError(400, _BAD_ENDPOINT)
        return str(value)

    def start_loading(self, channel: Channel, body: JsonObject) -> Response:
        """Answer showLoadingAnimation: 5 to 60 seconds in steps of 5, users only."""
        found = Findings()
        found.text("chatId", body.get("chatId"), 100)
        seconds = body.get("loadingSeconds", 20)
        found.number("loadingSeconds", seconds, 5, 60)
        if isinstance(seconds, int) and seconds % 5:
            found.add("loadingSeconds", "must be a multiple of five")
        if isinstance(body.get("chatId"), str) and not is_user_id(body["chatId"]):
            found.add("chatId", "Only user id is acceptable, please confirm if there are any group/room ids or illegal ids.")
        found.raise_if_any()
        screens.start_loading(self._world, channel, body["chatId"], seconds)
        return json_response({}, 202)

    def mark_as_read(self, channel: Channel, body: JsonObject) -> Response:
        """Answer markMessagesAsReadByToken."""
        if self._world.state.read_tokens.get(str(body.get("markAsReadToken"))) != channel.id:
            raise ApiError(400, "Invalid markAsReadToken. Tokens must be used by the bot that received them via Webhook.")
        screens.mark_as_read(self._world, body["markAsReadToken"])
        return json_response({})

    def _person(self, channel: Channel, user_id: str) -> tuple[PersonRecord | None, Friendship]:
        if not is_user_id(user_id):
            raise ApiError(400, "The value for the 'userId' parameter is invalid")
        owner = self._world.state.owners.get(user_id)
        chat = channel.chats.get(user_id)
        if owner is None or owner[0] != channel.provider or chat is None:
            return None, Friendship.NONE
        return owner[1], chat.status


def _resolves(url: str) -> bool:
    """Tell whether the host of a URL has an address."""
    parts = urlsplit(url)
    try:
        socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    return True
