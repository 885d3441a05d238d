"""Assertion signing keys of channels, and the JSON Web Tokens channels sign with them to get access tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from line_simulator.exchange import ApiError, Response, SimulatorError, json_response
from line_simulator.world.state import JsonObject, World, part

AUDIENCE: Final = "https://api.line.me/"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_MAX_SECONDS: Final = 1800
TOKEN_MAX_SECONDS: Final = 2_592_000
_KEY_BITS: Final = 2048


@part("keys")
@dataclass(slots=True)
class KeyBook:
    """The public keys registered for channels, by kid; `pairs` are those the simulator made for tests, private half included."""

    public: dict[str, JsonObject] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, JsonObject] = field(default_factory=dict)


class OAuthError(Exception):
    """The token endpoints refuse, in their own shape (channel-access-token.yml, ErrorResponse)."""

    def __init__(self, error: str, description: str = "", status: int = 400) -> None:
        super().__init__(description or error)
        self.error = error
        self.description = description
        self.status = status

    def response(self) -> Response:
        """Return the answer LINE would give."""
        content = {"error": self.error}
        if self.description:
            content["error_description"] = self.description
        return json_response(content, self.status)


def register_key(world: World, channel_id: str, public_jwk: object) -> str:
    """Register a public key for a channel, as the console does, and return its kid.

    Raises SimulatorError for a key LINE's console would refuse (Issue channel access token v2.1, Assertion signing key).
    """
    key = _checked_key(public_jwk)
    with world.lock:
        book = world.part(KeyBook)
        kid = world.ids.request_id()
        book.public[kid] = key
        book.channels[kid] = channel_id
        world.state.next_sequence()
        return kid


def make_key(world: World, channel_id: str) -> tuple[str, JsonObject]:
    """Make a key pair, register its public half for a channel, and return the kid and the private JSON Web Key."""
    pair: JsonObject = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, _KEY_BITS)))
    # PyJWT names both uses in key_ops; LINE's console takes "use" alone.
    private = {"alg": "RS256", "use": "sig", **{name: value for name, value in pair.items() if name != "key_ops"}}
    with world.lock:
        kid = register_key(world, channel_id, {name: private[name] for name in ("kty", "alg", "use", "e", "n")})
        world.part(KeyBook).pairs[kid] = private
    return kid, private


def sign(world: World, channel_id: str, kid: str | None = None, **claims: Any) -> str:
    """Return an assertion of a channel, signed with a key the simulator made (made now if need be).

    claims replace the usual iss, sub, aud, exp (ten minutes from now) and token_exp (30 days); None leaves one out.
    """
    with world.lock:
        book = world.part(KeyBook)
        mine = [one for one in book.pairs if book.channels[one] == channel_id]
        signing = kid if kid in book.pairs else mine[0] if mine else make_key(world, channel_id)[0]
        key = jwt.PyJWK(book.pairs[signing], "RS256")
    payload: JsonObject = {
        "iss": channel_id,
        "sub": channel_id,
        "aud": AUDIENCE,
        "exp": int(world.clock.time()) + 600,
        "token_exp": TOKEN_MAX_SECONDS,
        **claims,
    }
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.api_jws.encode(json.dumps(payload).encode(), key, "RS256", {"kid": kid or signing})


def read_assertion(world: World, given: Mapping[str, str]) -> tuple[str, JsonObject]:
    """Return the channel id and the claims of a request's client_assertion.

    Raises OAuthError 400 when the assertion is wrong and ApiError 404 when its key is not registered.
    Only "Invalid exp", the mismatch of iss and the missing key have documented texts; the others are guessed.
    """
    if given.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError("invalid_request", "Invalid 'client_assertion_type'.")
    text = given.get("client_assertion", "")
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError):
        raise OAuthError("invalid_client", "Invalid client_assertion") from None
    book = world.part(KeyBook)
    kid = header.get("kid")
    if not isinstance(kid, str) or kid not in book.public:
        raise ApiError(404, "Cannot find channel key that satisfies the conditions")
    claims = _verified(text, book.public[kid])
    if claims.get("iss") != book.channels[kid]:
        raise OAuthError("invalid_client", "iss and clientId of key do not match")
    if claims.get("sub") != claims["iss"]:
        raise OAuthError("invalid_client", "Invalid sub")
    if claims.get("aud") not in (AUDIENCE, [AUDIENCE]):
        raise OAuthError("invalid_client", "Invalid aud")
    now = world.clock.time()
    expires = _whole(claims.get("exp"))
    if expires is None or not now < expires <= now + ASSERTION_MAX_SECONDS:
        raise OAuthError("invalid_client", "Invalid exp")
    return claims["iss"], claims


def token_seconds(claims: JsonObject) -> int:
    """Return the wished lifetime of a token v2.1, at most thirty days. Raises OAuthError."""
    seconds = _whole(claims.get("token_exp"))
    if seconds is None or not 0 < seconds <= TOKEN_MAX_SECONDS:
        raise OAuthError("invalid_client", "Invalid token_exp")
    return seconds


def _verified(text: str, key: JsonObject) -> JsonObject:
    try:
        payload = jwt.api_jws.decode(text, jwt.PyJWK(key, "RS256"), ["RS256"])
        claims = json.loads(payload)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise OAuthError("invalid_client", "Invalid signature") from None
    if not isinstance(claims, dict):
        raise OAuthError("invalid_client", "Invalid client_assertion")
    return claims


def _whole(value: object) -> int | None:
    """Return a whole number; LINE's own sample writes exp and token_exp as text of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _checked_key(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise SimulatorError("A public key is a JSON Web Key, an object.")
    if "kid" in value:
        raise SimulatorError("The public key must not have a kid; registering gives it one.")
    if "d" in value:
        raise SimulatorError("This is a private key; register its public half.")
    if value.get("kty") != "RSA" or value.get("alg") != "RS256":
        raise SimulatorError("The public key must have kty RSA and alg RS256.")
    if value.get("use") != "sig" and value.get("key_ops") != ["verify"]:
        raise SimulatorError('The public key must have use "sig" or key_ops ["verify"].')
    try:
        key = RSAAlgorithm.from_jwk(value)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        raise SimulatorError("The public key cannot be read; e and n must be Base64URL numbers.") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _KEY_BITS:
        raise SimulatorError("The public key must be an RSA key of 2048 bits.")
    return value
