"""What people do for channels in the LINE Developers Console: login channels, signing keys, long-lived tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from line_simulator.api.assertions import make_key, register_key, sign
from line_simulator.api.dispatch import Api
from line_simulator.world.login_book import LoginChannel, add_login_channel
from line_simulator.world.state import Channel, JsonObject, World


class Console:
    """The console's verbs, as methods of LineSimulator."""

    world: World
    api: Api

    def login_channel(
        self,
        name: str,
        provider: str | None = None,
        callback_urls: Sequence[str] | None = None,
        bot: Channel | str | None = None,
        **attributes: Any,
    ) -> LoginChannel:
        """Return the LINE Login channel of this id or name, created if need be, with the given attributes set.

        bot is the Messaging API channel to link, of the same provider. attributes: channel_id, secret, email (whether it may
        ask for addresses).
        """
        return add_login_channel(self.world, name, provider=provider, callback_urls=callback_urls, bot=bot, **attributes)

    def channel_key(self, channel: Channel | LoginChannel, public_jwk: JsonObject) -> str:
        """Register an assertion signing key (a public JSON Web Key) as the console does, and return its kid."""
        return register_key(self.world, channel.id, public_jwk)

    def make_channel_key(self, channel: Channel | LoginChannel) -> tuple[str, JsonObject]:
        """Make and register an assertion signing key; returns its kid and the private JSON Web Key."""
        return make_key(self.world, channel.id)

    def assertion(self, channel: Channel | LoginChannel, kid: str | None = None, **claims: Any) -> str:
        """Return a client_assertion of a channel, signed with a key made by make_channel_key (made now if need be).

        claims replace iss, sub, aud, exp, token_exp; None leaves one out. kid is what the header says.
        """
        return sign(self.world, channel.id, kid, **claims)

    def reissue_token(self, channel: Channel, keep_old_hours: float = 0) -> str:
        """Give a channel a new long-lived access token, as the console does; the old one lives up to 24 hours on."""
        return self.api.tokens.reissue_long_lived(channel, keep_old_hours)
