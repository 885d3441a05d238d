"""Channel access tokens: issuing, verifying, revoking, and recognising them on a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from line_simulator.api.calls import Operation, Reads
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.state import DAY_SECONDS, AccessToken, Channel, World

STATELESS_SECONDS: Final = 900
SHORT_LIVED_SECONDS: Final = int(30 * DAY_SECONDS)
SHORT_LIVED_MAX: Final = 30
# Expired stateless tokens are swept when this many tokens are held; LINE itself has no such number.
_SWEEP_AT: Final = 10_000

_UNAUTHENTICATED: Final = "Authentication failed due to the following reason: "


class Tokens:
    """The token endpoints of api.line.me and the check of the Authorization header."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the token operations."""

        def form(answer: Callable[[dict[str, str]], Response], partial: str = "") -> Operation:
            return Operation(lambda call: answer(call.form), Reads.FORM, account=False, partial=partial)

        return {
            "issueStatelessChannelToken": form(self.issue_stateless, "client_id and client_secret only, no client_assertion"),
            "issueChannelToken": form(self.issue_short_lived),
            "verifyChannelToken": form(self.verify),
            "revokeChannelToken": form(self.revoke),
        }

    def authenticate(self, header: str | None) -> Channel:
        """Return the channel whose token the Authorization header carries. Raises ApiError 401."""
        if not header:
            raise ApiError(401, _UNAUTHENTICATED + "missing authorization header")
        scheme, _, value = header.partition(" ")
        if scheme != "Bearer" or not value:
            raise ApiError(401, _UNAUTHENTICATED + "invalid authorization header")
        token = self._world.state.tokens.get(value)
        if token is None:
            raise ApiError(
                401,
                _UNAUTHENTICATED + "invalid token. Confirm that the access token in the authorization header is valid.",
            )
        if token.expires_at is not None and token.expires_at <= self._world.clock.time():
            raise ApiError(401, _UNAUTHENTICATED + "access token expired")
        return self._world.state.channels[token.channel_id]

    def issue_stateless(self, form: dict[str, str]) -> Response:
        """Answer POST /oauth2/v3/token for client id and secret: fifteen minutes, any number of tokens."""
        if "client_assertion" in form:
            return json_response({"message": "linesim: not implemented: issueStatelessChannelToken (client_assertion)"}, 501)
        channel = self._client(form)
        if isinstance(channel, Response):
            return channel
        token = self._issue(channel, "stateless", STATELESS_SECONDS)
        return json_response({"token_type": "Bearer", "access_token": token, "expires_in": STATELESS_SECONDS})

    def issue_short_lived(self, form: dict[str, str]) -> Response:
        """Answer POST /v2/oauth/accessToken: thirty days; the thirty-first token pushes the oldest out."""
        channel = self._client(form)
        if isinstance(channel, Response):
            return channel
        tokens = self._world.state.tokens
        mine = [key for key, token in tokens.items() if token.channel_id == channel.id and token.kind == "short"]
        for oldest in mine[: max(0, len(mine) - SHORT_LIVED_MAX + 1)]:
            del tokens[oldest]
        token = self._issue(channel, "short", SHORT_LIVED_SECONDS)
        return json_response({"access_token": token, "expires_in": SHORT_LIVED_SECONDS, "token_type": "Bearer"})

    def verify(self, form: dict[str, str]) -> Response:
        """Answer POST /v2/oauth/verify for short-lived and long-lived tokens."""
        token = self._world.state.tokens.get(form.get("access_token", ""))
        now = self._world.clock.time()
        if token is None or token.kind == "stateless" or (token.expires_at is not None and token.expires_at <= now):
            return oauth_error("invalid_request", "access token expired or invalid")
        # LINE shows a far future for tokens that never expire (channel-access-token.yml, example of verifyChannelToken).
        seconds = 3_138_007_490 if token.expires_at is None else int(token.expires_at - now)
        return json_response({"client_id": token.channel_id, "expires_in": seconds, "scope": "P CM"})

    def revoke(self, form: dict[str, str]) -> Response:
        """Answer POST /v2/oauth/revoke; unknown tokens are no error, stateless ones cannot be revoked."""
        if not form.get("access_token"):
            return oauth_error("invalid_request", "some parameters missed or invalid")
        token = self._world.state.tokens.get(form["access_token"])
        if token is not None and token.kind != "stateless":
            del self._world.state.tokens[form["access_token"]]
        return Response(200, b"")

    def _client(self, form: dict[str, str]) -> Channel | Response:
        if form.get("grant_type") != "client_credentials":
            return oauth_error("invalid_request", "Invalid 'client_credentials'.")
        if not form.get("client_id") or not form.get("client_secret"):
            return oauth_error("invalid_request", "some parameters missed or invalid")
        channel = self._world.state.channels.get(form["client_id"])
        if channel is None:
            return oauth_error("invalid_client", "invalid client_id")
        if channel.secret != form["client_secret"]:
            return oauth_error("invalid_client", "invalid client_secret")
        return channel

    def _issue(self, channel: Channel, kind: str, seconds: int) -> str:
        now = self._world.clock.time()
        tokens = self._world.state.tokens
        if len(tokens) >= _SWEEP_AT:
            for key in [key for key, token in tokens.items() if token.expires_at is not None and token.expires_at <= now]:
                del tokens[key]
        value = self._world.ids.token()
        tokens[value] = AccessToken(channel.id, kind, now + seconds)
        return value


def oauth_error(error: str, description: str, status: int = 400) -> Response:
    """Return an error in the shape of the token endpoints (channel-access-token.yml, ErrorResponse)."""
    return json_response({"error": error, "error_description": description}, status)
