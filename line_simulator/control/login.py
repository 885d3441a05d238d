"""Login channels, keys and tokens under /_sim/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from line_simulator.api.assertions import make_key, register_key, sign
from line_simulator.api.tokens import find_client
from line_simulator.control.describe import describe_page
from line_simulator.control.values import Answer, Verb, need_text, snake
from line_simulator.exchange import SimulatorError
from line_simulator.world.login_book import LoginBook, LoginChannel, add_login_channel, find_login_channel
from line_simulator.world.state import Channel, JsonObject, PersonRecord

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator


class LoginDesk:
    """What the LINE Developers Console does for channels, and logging in."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/login_channels"): lambda _, __: self._list(),
            ("POST", "/_sim/login_channels"): self._add,
            ("POST", "/_sim/channels/keys"): self._key,
            ("POST", "/_sim/channels/assertion"): self._assertion,
            ("POST", "/_sim/channels/token"): self._reissue,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do."""
        return {"log_in": self._log_in}

    def _list(self) -> Any:
        with self._line.world.lock:
            channels = self._line.world.part(LoginBook).channels
            return {"loginChannels": [_describe(one) for one in channels.values()]}

    def _add(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Create {"name", "provider"?, "callbackUrls"?, "bot"?, "id"?, "secret"?, "email"?}, or change it."""
        attributes = {snake(key): value for key, value in body.items()}
        name = need_text(attributes, "name")
        del attributes["name"]
        attributes["channel_id"] = attributes.pop("id", None) or attributes.get("channel_id")
        return _describe(add_login_channel(self._line.world, name, **attributes))

    def _key(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Register {"channel", "publicKey": JSON Web Key}, or make a pair without publicKey: {"kid", "privateKey"?}."""
        channel = self._channel(body)
        if "publicKey" in body:
            return {"kid": register_key(self._line.world, channel.id, body["publicKey"])}
        kid, private = make_key(self._line.world, channel.id)
        return {"kid": kid, "privateKey": private}

    def _assertion(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Sign for {"channel"} with a key made here: {"clientAssertion"}."""
        return {"clientAssertion": sign(self._line.world, self._channel(body).id)}

    def _reissue(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Reissue the long-lived token of {"channel", "keepOldHours"?}: {"accessToken"}."""
        hours = body.get("keepOldHours", 0)
        if isinstance(hours, bool) or not isinstance(hours, int | float):
            raise SimulatorError("keepOldHours must be a number.")
        channel = self._line.world.channel(need_text(body, "channel"))
        return {"accessToken": self._line.reissue_token(channel, hours)}

    def _log_in(self, person: PersonRecord, _: Channel, body: JsonObject) -> Any:
        """Log in at {"url", "agree"?, "addFriend"?}."""
        human = self._line.handle_of(person)
        agree, add_friend = body.get("agree", True) is not False, body.get("addFriend", False) is True
        page = human.log_in(need_text(body, "url"), agree=agree, add_friend=add_friend)
        return {"page": describe_page(page.url, page.status, page.text)}

    def _channel(self, body: JsonObject) -> Channel | LoginChannel:
        key = need_text(body, "channel")
        if find_client(self._line.world, key) is None and any(one.name == key for one in self._logins()):
            return find_login_channel(self._line.world, key)
        return self._line.world.part(LoginBook).channels.get(key) or self._line.world.channel(key)

    def _logins(self) -> list[LoginChannel]:
        with self._line.world.lock:
            return list(self._line.world.part(LoginBook).channels.values())


def _describe(channel: LoginChannel) -> JsonObject:
    return {
        "id": channel.id,
        "name": channel.name,
        "secret": channel.secret,
        "provider": channel.provider,
        "callbackUrls": channel.callback_urls,
        "bot": channel.bot_id or None,
        "email": channel.email,
    }
