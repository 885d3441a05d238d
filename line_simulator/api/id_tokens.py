"""ID tokens of LINE Login: HS256 with the channel secret for web apps, ES256 for LIFF; made, spoiled on purpose, verified."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from line_simulator.api.assertions import OAuthError
from line_simulator.world.login_book import LoginBook, LoginChannel
from line_simulator.world.state import JsonObject, PersonRecord, World

ISSUER: Final = "https://access.line.me"
# No document gives the lifetime; tokens seen in public write-ups live an hour.
ID_TOKEN_SECONDS: Final = 3600


def make_claims(
    world: World, channel_id: str, user_id: str, person: PersonRecord, scopes: list[str], extra: JsonObject
) -> JsonObject:
    """Return the payload of an ID token (Get profile information from ID tokens); `extra` holds nonce, amr, auth_time."""
    now = int(world.clock.time())
    claims: JsonObject = {"iss": ISSUER, "sub": user_id, "aud": channel_id, "exp": now + ID_TOKEN_SECONDS, "iat": now}
    claims.update({name: value for name, value in extra.items() if value is not None})
    if "profile" in scopes:
        claims["name"] = person.name
        if person.picture_url:
            claims["picture"] = person.picture_url
    if "email" in scopes and person.email:
        claims["email"] = person.email
    return claims


def sign_web(channel: LoginChannel, claims: JsonObject, fault: str | None = None) -> str:
    """Return an ID token for a web app; `fault` names one of LOGIN_FAULTS that spoils it."""
    claims = {**claims, **_SPOILED.get(fault or "", {})}
    if fault == "id_token_expired":
        claims.update(iat=claims["iat"] - 2 * ID_TOKEN_SECONDS, exp=claims["iat"] - ID_TOKEN_SECONDS)
    if fault == "id_token_wrong_algorithm":
        return jwt.encode(claims, "", "none")
    secret = "0" * 32 if fault == "id_token_bad_signature" else channel.secret
    return jwt.encode(claims, secret, "HS256")


_SPOILED: Final[dict[str, JsonObject]] = {
    "id_token_wrong_audience": {"aud": "1000000000"},
    "id_token_wrong_issuer": {"iss": "https://access.example.com"},
    "id_token_wrong_nonce": {"nonce": "another-nonce"},
}


def sign_liff(world: World, claims: JsonObject) -> str:
    """Return an ID token for a LIFF app, signed with the key of /oauth2/v2.1/certs."""
    key = _key(world)
    return jwt.encode(claims, key, "ES256", {"kid": world.part(LoginBook).kid})


def certificates(world: World) -> JsonObject:
    """Return the JSON Web Key Set with the public key of ES256."""
    public: JsonObject = json.loads(ECAlgorithm.to_jwk(_key(world).public_key()))
    shown = {name: public[name] for name in ("kty", "crv", "x", "y")}
    return {"keys": [{**shown, "kid": world.part(LoginBook).kid, "alg": "ES256", "use": "sig"}]}


def check_id_token(world: World, channel: LoginChannel, given: Mapping[str, str]) -> JsonObject:
    """Return the claims of given["id_token"], checked against the channel and given nonce and user_id.

    Raises OAuthError with the documented texts (LINE Login v2.1 API reference, Verify ID token).
    """
    claims = _verified(world, channel, given.get("id_token", ""))
    if claims.get("iss") != ISSUER:
        raise _wrong("Invalid IdToken Issuer.")
    expires = claims.get("exp")
    if isinstance(expires, bool) or not isinstance(expires, int | float) or expires <= world.clock.time():
        raise _wrong("IdToken expired.")
    if claims.get("aud") != channel.id:
        raise _wrong("Invalid IdToken Audience.")
    if "nonce" in given and claims.get("nonce") != given["nonce"]:
        raise _wrong("Invalid IdToken Nonce.")
    if "user_id" in given and claims.get("sub") != given["user_id"]:
        raise _wrong("Invalid IdToken Subject Identifier.")
    return claims


def _verified(world: World, channel: LoginChannel, token: str) -> JsonObject:
    try:
        header = jwt.get_unverified_header(token)
        key: Any = channel.secret if header.get("alg") == "HS256" else _key(world).public_key()
        claims = json.loads(jwt.api_jws.decode(token, key, [header["alg"]] if header.get("alg") in ("HS256", "ES256") else []))
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _wrong("Invalid IdToken.") from None
    if not isinstance(claims, dict):
        raise _wrong("Invalid IdToken.")
    return claims


def _wrong(text: str) -> OAuthError:
    return OAuthError("invalid_request", text)


def _key(world: World) -> ec.EllipticCurvePrivateKey:
    """Return the ES256 key, the same for the same seed."""
    book = world.part(LoginBook)
    if not book.key:
        book.key, book.kid = world.ids.hex32() + world.ids.hex32()[:30], world.ids.hex32() + world.ids.hex32()
    # 62 hexadecimal digits lie below the order of P-256; zero would be no key.
    return ec.derive_private_key(int(book.key, 16) or 1, ec.SECP256R1())
