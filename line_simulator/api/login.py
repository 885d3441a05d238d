"""The API side of LINE Login v2.1: token, verify, userinfo, revoke, profile, friendship, deauthorize."""

from __future__ import annotations

from typing import Final

from line_simulator.api import id_tokens
from line_simulator.api.assertions import OAuthError
from line_simulator.api.calls import Act, Context, Operation, Reads
from line_simulator.api.tokens import Client, Tokens, bearer, jws_like, refusing
from line_simulator.exchange import ApiError, Request, Response, json_response
from line_simulator.faults.fault_kinds import LOGIN_FAULTS
from line_simulator.faults.faults import Faults
from line_simulator.pages.dialogs import Dialogs
from line_simulator.pages.login import LoginPages, matches_challenge
from line_simulator.people.people import People
from line_simulator.world import login_book
from line_simulator.world.login_book import ACCESS_SECONDS, REFRESH_SECONDS, Code, LoginBook, LoginChannel, UserToken
from line_simulator.world.state import Friendship, JsonObject, PersonRecord, World

_ORIGIN: Final = {"Access-Control-Allow-Origin": "*"}
_MISSING: Final = "some parameters missed or invalid"
_SWEEP_AT: Final = 10_000


def login_meaning(world: World, operation_id: str, request: Request) -> str:
    """Return the operation a call on a shared path means: channel access tokens and LINE Login share three of them.

    Decided by grant_type, by whose access token it is, and by whose client_id.
    """
    match operation_id:
        case "issueChannelTokenByJWT":
            is_login = request.form().get("grant_type") in ("authorization_code", "refresh_token")
            return "issueLoginToken" if is_login else operation_id
        case "verifyChannelTokenByJWT":
            return "verifyLoginToken" if _is_users(world, request.parameters()) else operation_id
        case "revokeChannelTokenByJWT":
            return "revokeLoginToken" if _is_users(world, request.form()) else operation_id
    return operation_id


def _is_users(world: World, given: dict[str, str]) -> bool:
    with world.lock:
        return given.get("access_token") in world.part(LoginBook).access


class Login:
    """LINE Login and the operations whose path it shares with channel access tokens. Callers hold the world's lock."""

    def __init__(self, world: World, tokens: Tokens, faults: Faults) -> None:
        self._world = world
        self._tokens = tokens
        self._faults = faults
        people = People(world)
        self._pages = LoginPages(world, people, faults)
        self._dialogs = Dialogs(world, people, faults)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            **self._pages.operations(),
            **self._dialogs.operations(),
            **self._token_operations(),
            "verifyIdToken": Operation(refusing(self.verify_id_token), Reads.FORM, account=False),
            "getUserInfo": Operation(readable_by_pages(self.userinfo), account=False),
            "postUserInfo": Operation(readable_by_pages(self.userinfo), account=False),
            "getLoginProfile": Operation(readable_by_pages(self.profile), account=False),
            "getFriendshipStatus": Operation(readable_by_pages(self.friendship), account=False),
            "deauthorizeUser": Operation(self.deauthorize, Reads.JSON, account=False),
            "getLoginCerts": Operation(lambda _: json_response(id_tokens.certificates(self._world)), account=False),
            "getOpenIdConfiguration": Operation(self.configuration, account=False),
        }

    def _token_operations(self) -> dict[str, Operation]:
        tokens = self._tokens

        def issue(call: Context) -> Response:
            if call.form.get("grant_type") != "client_credentials":
                raise OAuthError("unsupported_grant_type", "unsupported grant_type")
            return tokens.issue_by_assertion(call.form)

        def revoke(call: Context) -> Response:
            if not call.form.get("access_token"):
                raise OAuthError("invalid_request", _MISSING)
            return tokens.revoke_v21(tokens.client(call.form), call.form["access_token"])

        return {
            "issueChannelTokenByJWT": Operation(refusing(issue), Reads.FORM, account=False),
            "verifyChannelTokenByJWT": Operation(
                refusing(lambda call: tokens.verify_v21(call.query.get("access_token", ""))), account=False
            ),
            "revokeChannelTokenByJWT": Operation(refusing(revoke), Reads.FORM, account=False),
            "issueLoginToken": Operation(refusing(self.token), Reads.FORM, account=False),
            "verifyLoginToken": Operation(refusing(self.verify), account=False),
            "revokeLoginToken": Operation(refusing(self.revoke), Reads.FORM, account=False),
        }

    # -- tokens

    def token(self, call: Context) -> Response:
        """Answer POST /oauth2/v2.1/token for a code or a refresh token. Only the text about refresh tokens is documented."""
        form = call.form
        code = self._spend(form.get("code")) if form["grant_type"] == "authorization_code" else None
        channel = self._login_client(form)
        call.client_id = channel.id
        if form["grant_type"] == "refresh_token":
            return self._refresh(channel, form.get("refresh_token", ""))
        if code is None or code.channel_id != channel.id:
            raise OAuthError("invalid_grant", "invalid authorization code")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri does not match")
        if code.challenge is not None and not matches_challenge(code.challenge, form.get("code_verifier", "")):
            raise OAuthError("invalid_grant", "invalid code_verifier")
        return self._issue(channel, code)

    def _spend(self, value: str | None) -> Code | None:
        """Use up a code and return it if it was good; it is gone even if the rest of the call fails."""
        code = self._world.part(LoginBook).codes.get(value or "")
        if code is None or code.used or code.expires_at <= self._world.clock.time():
            return None
        code.used = True
        return code

    def _issue(self, channel: LoginChannel, code: Code) -> Response:
        book, now = self._world.part(LoginBook), self._world.clock.time()
        refresh = self._world.ids.url_token(15)
        book.refresh[refresh] = UserToken(channel.id, code.user_id, code.scopes, now + REFRESH_SECONDS)
        content: JsonObject = {
            "access_token": self._access_token(channel.id, code.user_id, code.scopes),
            "expires_in": ACCESS_SECONDS,
        }
        person = login_book.person_of(self._world, code.user_id)
        if "openid" in code.scopes and person is not None:
            extra = {"nonce": code.nonce, "amr": [code.amr], "auth_time": code.auth_time}
            claims = id_tokens.make_claims(self._world, channel.id, code.user_id, person, code.scopes, extra)
            spoiling = tuple(kind for kind in LOGIN_FAULTS if kind.startswith("id_token_"))
            fault = login_book.struck(self._faults, spoiling, channel)
            content["id_token"] = id_tokens.sign_web(channel, claims, fault)
        return json_response(
            {**content, "refresh_token": refresh, "scope": _shown(code.scopes), "token_type": "Bearer"},
            200,
            **{"Cache-Control": "no-store"},
        )

    def _access_token(self, channel_id: str, user_id: str, scopes: list[str]) -> str:
        book, now = self._world.part(LoginBook), self._world.clock.time()
        for tokens in (book.access, book.refresh):
            if len(tokens) >= _SWEEP_AT:
                for old in [key for key, one in tokens.items() if one.expires_at <= now]:
                    del tokens[old]
        value = jws_like(self._world.ids)
        book.access[value] = UserToken(channel_id, user_id, scopes, now + ACCESS_SECONDS)
        self._world.state.next_sequence()
        return value

    def _refresh(self, channel: LoginChannel, value: str) -> Response:
        """Answer a refresh: a new access token; the refresh token stays, and does not live longer for it."""
        token = self._world.part(LoginBook).refresh.get(value)
        if token is None or token.channel_id != channel.id or token.expires_at <= self._world.clock.time():
            raise OAuthError("invalid_grant", "invalid refresh token")
        access = self._access_token(channel.id, token.user_id, token.scopes)
        return json_response(
            {
                "token_type": "Bearer",
                "scope": _shown(token.scopes),
                "access_token": access,
                "expires_in": ACCESS_SECONDS,
                "refresh_token": value,
            },
            200,
            **{"Cache-Control": "no-store"},
        )

    def issue_for_liff(self, channel: LoginChannel, person: PersonRecord, scopes: list[str]) -> JsonObject:
        """Return accessToken and idToken (with openid) as a LIFF app gets them, the ID token signed with ES256."""
        user_id = self._world.user_id(person, channel.provider)
        content = {"accessToken": self._access_token(channel.id, user_id, scopes)}
        if "openid" in scopes:
            claims = id_tokens.make_claims(self._world, channel.id, user_id, person, scopes, {"amr": ["linesso"]})
            content["idToken"] = id_tokens.sign_liff(self._world, claims)
        return content

    def verify(self, call: Context) -> Response:
        """Answer GET /oauth2/v2.1/verify for a user's access token."""
        token = self._world.part(LoginBook).access[call.query["access_token"]]
        left = token.expires_at - self._world.clock.time()
        if left <= 0:
            raise OAuthError("invalid_request", "access token expired")
        return json_response({"scope": _shown(token.scopes), "client_id": token.channel_id, "expires_in": int(left)})

    def revoke(self, call: Context) -> Response:
        """Answer POST /oauth2/v2.1/revoke for a user's access token."""
        channel = self._login_client(call.form)
        book = self._world.part(LoginBook)
        if book.access[call.form["access_token"]].channel_id != channel.id:
            raise OAuthError("invalid_request", "The access token malformed")
        del book.access[call.form["access_token"]]
        return Response(200, b"")

    def verify_id_token(self, call: Context) -> Response:
        """Answer POST /oauth2/v2.1/verify: the claims of a good ID token."""
        channel = self._world.part(LoginBook).channels.get(call.form.get("client_id", ""))
        if channel is None:
            # What an unknown client_id gets is not documented; no audience can fit it.
            raise OAuthError("invalid_request", "Invalid IdToken Audience." if call.form.get("client_id") else _MISSING)
        return json_response(id_tokens.check_id_token(self._world, channel, call.form))

    def _login_client(self, form: dict[str, str]) -> LoginChannel:
        if not form.get("client_id") or not form.get("client_secret"):
            raise OAuthError("invalid_request", _MISSING)
        client: Client = self._tokens.client(form)
        if not isinstance(client, LoginChannel):
            raise OAuthError("invalid_client", "invalid client_id")
        return client

    # -- users

    def user(self, call: Context, *scopes: str) -> tuple[UserToken, PersonRecord]:
        """Return the user token of a call and its person. Raises ApiError 401, or 403 without one of the scopes.

        The status codes are documented, the texts are guesses.
        """
        token = self._world.part(LoginBook).access.get(bearer(call.request.headers.get("authorization")))
        person = login_book.person_of(self._world, token.user_id) if token else None
        if token is None or person is None:
            raise ApiError(401, "invalid token")
        if token.expires_at <= self._world.clock.time():
            raise ApiError(401, "The access token expired")
        if scopes and not set(scopes) & set(token.scopes):
            raise ApiError(403, "The access token does not have the required scope")
        call.client_id = token.channel_id
        return token, person

    def userinfo(self, call: Context) -> Response:
        """Answer userinfo, which takes the scope openid."""
        token, person = self.user(call, "openid")
        content = {"sub": token.user_id}
        if "profile" in token.scopes:
            content["name"] = person.name
            if person.picture_url:
                content["picture"] = person.picture_url
        return json_response(content)

    def profile(self, call: Context) -> Response:
        """Answer GET /v2/profile, which takes the scope profile."""
        token, person = self.user(call, "profile")
        content = {"userId": token.user_id, "displayName": person.name}
        if person.picture_url:
            content["pictureUrl"] = person.picture_url
        if person.status_message:
            content["statusMessage"] = person.status_message
        return json_response(content)

    def friendship(self, call: Context) -> Response:
        """Answer GET /friendship/v1/status: whether the user is a friend of the linked account and has not blocked it."""
        token, _ = self.user(call, "profile")
        channel = self._world.part(LoginBook).channels[token.channel_id]
        bot = login_book.linked_account(self._world, channel)
        chat = bot.chats.get(token.user_id) if bot else None
        return json_response({"friendFlag": chat is not None and chat.status is Friendship.FRIEND})

    def deauthorize(self, call: Context) -> Response:
        """Answer POST /user/v1/deauthorize: takes back all a user granted; needs a token v2.1 or a stateless one."""
        channel = self._tokens.recognise(call.request.headers.get("authorization"))
        call.client_id = channel.channel_id
        if channel.kind not in ("v21", "stateless"):
            raise ApiError(403, "Access to this API is not available for your account")
        value = call.body.get("userAccessToken")
        token = self._world.part(LoginBook).access.get(value) if isinstance(value, str) else None
        alive = token is not None and token.expires_at > self._world.clock.time()
        if token is None or not alive or token.channel_id != channel.channel_id:
            raise ApiError(400, "invalid token")
        login_book.withdraw(self._world, token.channel_id, token.user_id)
        self._world.state.next_sequence()
        return Response(204, b"")

    def configuration(self, call: Context) -> Response:
        """Answer the OpenID discovery document. Like LINE's, it lists ES256 only although web apps get HS256.

        The endpoints lie on this simulator; the issuer is LINE's, as in the ID tokens.
        """
        origin = f"http://{call.request.headers.get('host', '127.0.0.1')}"
        return json_response(
            {
                "issuer": id_tokens.ISSUER,
                "authorization_endpoint": f"{origin}/oauth2/v2.1/authorize",
                "token_endpoint": f"{origin}/oauth2/v2.1/token",
                "revocation_endpoint": f"{origin}/oauth2/v2.1/revoke",
                "userinfo_endpoint": f"{origin}/oauth2/v2.1/userinfo",
                "scopes_supported": ["openid", "profile", "email"],
                "jwks_uri": f"{origin}/oauth2/v2.1/certs",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )


def readable_by_pages(answer: Act) -> Act:
    """Return `answer` with the header that lets a page of any origin, such as a LIFF app, read it."""

    def act(call: Context) -> Response:
        try:
            response = answer(call)
        except ApiError as error:
            error.headers.update(_ORIGIN)
            raise
        response.headers.update(_ORIGIN)
        return response

    return act


def preflight(_: Context) -> Response:
    """Answer a browser that asks whether a page of another origin may call."""
    allowed = {"Access-Control-Allow-Headers": "authorization, content-type", "Access-Control-Allow-Methods": "GET, POST"}
    return Response(204, b"", headers={**_ORIGIN, **allowed})


def _shown(scopes: list[str]) -> str:
    """Return scopes as LINE shows them: email is never among them (LINE Login v2.1 API reference, Issue access token)."""
    return " ".join(scope for scope in scopes if scope != "email")
