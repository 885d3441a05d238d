"""Channel access tokens of all four kinds: who gets one, how long it lives, how it ends."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from line_simulator import Channel, LineSimulator, Request, SimulatorError

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = {"content-type": "application/x-www-form-urlencoded"}
DAY = 86_400


class Desk:
    """The token endpoints, without a socket."""

    def __init__(self, line: LineSimulator, shop: Channel) -> None:
        self.line = line
        self.shop = shop

    def post(self, path: str, **fields: str) -> tuple[int, Any]:
        return self._ask(Request("POST", path, "", FORM, urlencode(fields).encode()))

    def get(self, path: str, **fields: str) -> tuple[int, Any]:
        return self._ask(Request("GET", path, urlencode(fields)))

    def _ask(self, request: Request) -> tuple[int, Any]:
        answer = self.line.handle(request)
        return answer.status, json.loads(answer.body) if answer.body else None

    def assertion(self, **claims: Any) -> dict[str, str]:
        return {"client_assertion_type": ASSERTION, "client_assertion": self.line.assertion(self.shop, **claims)}

    def client(self) -> dict[str, str]:
        return {"client_id": self.shop.id, "client_secret": self.shop.secret}

    def issue(self, kind: str, **claims: Any) -> dict[str, Any]:
        granted = {"grant_type": "client_credentials"}
        status, body = {
            "stateless": lambda: self.post("/oauth2/v3/token", **granted, **self.client()),
            "stateless by assertion": lambda: self.post("/oauth2/v3/token", **granted, **self.assertion()),
            "short": lambda: self.post("/v2/oauth/accessToken", **granted, **self.client()),
            "v21": lambda: self.post("/oauth2/v2.1/token", **granted, **self.assertion(**claims)),
        }[kind]()
        assert status == 200, body
        return dict(body)

    def opens(self, token: str) -> int:
        return self.line.handle(Request("GET", "/v2/bot/info", "", {"authorization": f"Bearer {token}"})).status


@pytest.fixture
def desk(line: LineSimulator, shop: Channel) -> Desk:
    return Desk(line, shop)


@pytest.mark.parametrize(
    ("kind", "seconds"), [("stateless", 900), ("stateless by assertion", 900), ("short", 30 * DAY), ("v21", 30 * DAY)]
)
def test_a_token_opens_the_api_for_its_time(desk: Desk, line: LineSimulator, kind: str, seconds: int) -> None:
    issued = desk.issue(kind)
    assert (issued["token_type"], issued["expires_in"]) == ("Bearer", seconds)
    assert desk.opens(issued["access_token"]) == 200
    line.clock.advance(seconds - 5)
    assert desk.opens(issued["access_token"]) == 200
    line.clock.advance(10)
    assert desk.opens(issued["access_token"]) == 401


def test_a_token_v21_lives_as_long_as_wished(desk: Desk, line: LineSimulator) -> None:
    issued = desk.issue("v21", token_exp=3600)
    assert issued["expires_in"] == 3600
    assert desk.get("/oauth2/v2.1/verify", access_token=issued["access_token"])[1]["expires_in"] in (3599, 3600)
    line.clock.advance(3601)
    assert desk.opens(issued["access_token"]) == 401
    assert desk.get("/oauth2/v2.1/verify", access_token=issued["access_token"]) == (
        400,
        {"error": "invalid_request", "error_description": "The access token expired"},
    )


def test_the_thirty_first_token_v21_is_refused_until_one_ends(desk: Desk, line: LineSimulator) -> None:
    tokens = [desk.issue("v21", token_exp=600)["access_token"] for _ in range(29)] + [desk.issue("v21")["access_token"]]
    full = {"message": "The maximum number of access tokens has already been issued"}
    assert desk.post("/oauth2/v2.1/token", grant_type="client_credentials", **desk.assertion()) == (400, full)
    assert desk.post("/oauth2/v2.1/revoke", access_token=tokens[-1], **desk.client()) == (200, None)
    desk.issue("v21")
    line.clock.advance(601)
    assert len(desk.get("/oauth2/v2.1/tokens/kid", **desk.assertion())[1]["kids"]) == 1
    assert len(desk.issue("stateless")["access_token"]) > 20


def test_the_thirty_first_short_lived_token_pushes_the_oldest_out(desk: Desk, line: LineSimulator) -> None:
    tokens = [desk.issue("short")["access_token"] for _ in range(31)]
    assert [desk.opens(token) for token in tokens[:3]] == [401, 200, 200]
    line.clock.advance(30 * DAY + 1)
    # Expired ones do not count.
    desk.issue("short")
    assert desk.opens(tokens[5]) == 401


def test_key_ids_name_the_live_tokens(desk: Desk) -> None:
    first, second = desk.issue("v21"), desk.issue("v21")
    assert desk.get("/oauth2/v2.1/tokens/kid", **desk.assertion()) == (200, {"kids": [first["key_id"], second["key_id"]]})
    desk.post("/oauth2/v2.1/revoke", access_token=first["access_token"], **desk.client())
    assert desk.get("/oauth2/v2.1/tokens/kid", **desk.assertion())[1] == {"kids": [second["key_id"]]}
    assert desk.opens(first["access_token"]) == 401


@pytest.mark.parametrize(
    ("claims", "status", "answer"),
    [
        ({"iss": "1", "sub": "1"}, 400, "iss and clientId of key do not match"),
        ({"sub": "1"}, 400, "Invalid sub"),
        ({"aud": "https://api.line.me"}, 400, "Invalid aud"),
        ({"aud": {"a": 1}}, 400, "Invalid aud"),
        ({"exp": 1}, 400, "Invalid exp"),
        ({"exp": None}, 400, "Invalid exp"),
        ({"exp": "soon"}, 400, "Invalid exp"),
        ({"exp": True}, 400, "Invalid exp"),
        ({"exp": 10**30}, 400, "Invalid exp"),
        ({"token_exp": 2_592_001}, 400, "Invalid token_exp"),
        ({"token_exp": 0}, 400, "Invalid token_exp"),
        ({"token_exp": None}, 400, "Invalid token_exp"),
        ({"kid": "00000000-0000-0000-0000-000000000000"}, 404, "Cannot find channel key that satisfies the conditions"),
    ],
)
def test_a_wrong_assertion_gets_no_token(desk: Desk, claims: dict[str, Any], status: int, answer: str) -> None:
    found, body = desk.post("/oauth2/v2.1/token", grant_type="client_credentials", **desk.assertion(**claims))
    assert found == status
    assert body == ({"message": answer} if status == 404 else {"error": "invalid_client", "error_description": answer})


def test_an_assertion_may_live_thirty_minutes(desk: Desk, line: LineSimulator) -> None:
    now = int(line.clock.time())
    # LINE's own sample writes the numbers as text.
    assert desk.issue("v21", exp=str(now + 1790), token_exp="60")["expires_in"] == 60
    refused = desk.post("/oauth2/v2.1/token", grant_type="client_credentials", **desk.assertion(exp=now + 1900))
    assert refused[1]["error_description"] == "Invalid exp"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.x", "é.é.é", "." * 9])
@pytest.mark.parametrize("path", ["/oauth2/v2.1/token", "/oauth2/v3/token"])
def test_nonsense_is_no_assertion(desk: Desk, path: str, text: str) -> None:
    status, body = desk.post(path, grant_type="client_credentials", client_assertion_type=ASSERTION, client_assertion=text)
    assert status in (400, 404)
    assert "message" in body or body["error"] == "invalid_client"


def test_another_key_signs_in_vain(desk: Desk, line: LineSimulator, shop: Channel) -> None:
    kid, _ = line.make_channel_key(shop)
    stranger = rsa.generate_private_key(65537, 2048)
    now = int(line.clock.time())
    claims = {"iss": shop.id, "sub": shop.id, "aud": "https://api.line.me/", "exp": now + 60, "token_exp": 60}
    forged = jwt.encode(claims, stranger, "RS256", {"kid": kid})
    symmetric = jwt.encode(claims, "0" * 32, "HS256", {"kid": kid})
    for text in (forged, symmetric, jwt.encode(claims, "", "none", {"kid": kid})):
        status, body = desk.post(
            "/oauth2/v2.1/token", grant_type="client_credentials", client_assertion_type=ASSERTION, client_assertion=text
        )
        assert (status, body["error"]) == (400, "invalid_client")


def test_a_key_of_ones_own_is_registered(desk: Desk, line: LineSimulator, shop: Channel) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "alg": "RS256"}
    kid = line.channel_key(shop, public)
    claims = {"iss": shop.id, "sub": shop.id, "aud": "https://api.line.me/", "exp": int(line.clock.time()) + 60, "token_exp": 60}
    signed = jwt.encode(claims, key, "RS256", {"kid": kid})
    status, body = desk.post(
        "/oauth2/v2.1/token", grant_type="client_credentials", client_assertion_type=ASSERTION, client_assertion=signed
    )
    assert (status, body["expires_in"]) == (200, 60)
    for wrong, sentence in [
        ({**public, "kid": kid}, "must not have a kid"),
        ({**public, "d": "AQAB"}, "private key"),
        ({**public, "kty": "EC"}, "kty RSA"),
        ({**public, "alg": None}, "alg RS256"),
        ({**public, "key_ops": None}, "key_ops"),
        ({**public, "n": 5}, "cannot be read"),
        ({**public, "n": "gAAB" + "AAAB" * 127}, "2048 bits"),
        ("text", "an object"),
    ]:
        with pytest.raises(SimulatorError, match=sentence):
            line.channel_key(shop, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "fields", "error", "description"),
    [
        ("/oauth2/v3/token", {"grant_type": "client_credentials"}, "invalid_request", "Invalid 'client_credentials'."),
        ("/oauth2/v3/token", {"grant_type": "password"}, "invalid_request", "Invalid 'client_credentials'."),
        ("/v2/oauth/accessToken", {}, "invalid_request", "some parameters missed or invalid"),
        ("/oauth2/v2.1/token", {"grant_type": "password"}, "unsupported_grant_type", "unsupported grant_type"),
        ("/oauth2/v2.1/token", {"grant_type": "client_credentials"}, "invalid_request", "Invalid 'client_assertion_type'."),
        ("/oauth2/v2.1/revoke", {}, "invalid_request", "some parameters missed or invalid"),
        ("/oauth2/v2.1/revoke", {"access_token": "a.b.c"}, "invalid_client", "invalid client_id"),
        ("/v2/oauth/verify", {"access_token": "a.b"}, "invalid_request", "access_token in invalid format"),
    ],
)
def test_missing_and_wrong_fields(desk: Desk, path: str, fields: dict[str, str], error: str, description: str) -> None:
    assert desk.post(path, **fields) == (400, {"error": error, "error_description": description})


def test_each_kind_is_verified_and_revoked_where_it_belongs(desk: Desk, shop: Channel) -> None:
    tokens = {kind: desk.issue(kind)["access_token"] for kind in ("stateless", "short", "v21")}
    verified = {kind: desk.post("/v2/oauth/verify", access_token=token)[0] for kind, token in tokens.items()}
    assert verified == {"stateless": 400, "short": 200, "v21": 400}
    assert desk.post("/v2/oauth/verify", access_token=shop.access_token)[1]["expires_in"] > 10 * 365 * DAY
    verified = {kind: desk.get("/oauth2/v2.1/verify", access_token=token)[0] for kind, token in tokens.items()}
    assert verified == {"stateless": 200, "short": 400, "v21": 200}
    for token in tokens.values():
        desk.post("/v2/oauth/revoke", access_token=token)
    assert {kind: desk.opens(token) for kind, token in tokens.items()} == {"stateless": 200, "short": 401, "v21": 200}
    for token in tokens.values():
        desk.post("/oauth2/v2.1/revoke", access_token=token, **desk.client())
    assert {kind: desk.opens(token) for kind, token in tokens.items()} == {"stateless": 200, "short": 401, "v21": 401}
    # An unknown one is no error.
    assert desk.post("/oauth2/v2.1/revoke", access_token=tokens["v21"], **desk.client()) == (200, None)


def test_another_channel_cannot_revoke(desk: Desk, line: LineSimulator) -> None:
    token = desk.issue("v21")["access_token"]
    other = Desk(line, line.channel("本屋"))
    assert desk.post("/oauth2/v2.1/revoke", access_token=token, **other.client())[0] == 400
    assert desk.opens(token) == 200


def test_a_reissued_long_lived_token_may_overlap_a_day(desk: Desk, line: LineSimulator, shop: Channel) -> None:
    old = shop.access_token
    new = line.reissue_token(shop, keep_old_hours=24)
    assert [desk.opens(old), desk.opens(new)] == [200, 200]
    line.clock.advance(DAY + 1)
    assert [desk.opens(old), desk.opens(new)] == [401, 200]
    newest = line.reissue_token(shop)
    assert [desk.opens(new), desk.opens(newest)] == [401, 200]
    with pytest.raises(SimulatorError, match="0 to 24 hours"):
        line.reissue_token(shop, 25)


def test_keys_and_tokens_outlive_a_restart(tmp_path: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        desk = Desk(line, line.channel("花屋"))
        token, assertion = desk.issue("v21"), desk.assertion()
    with LineSimulator(seed=2, data=tmp_path) as line:
        desk = Desk(line, line.channel("花屋"))
        assert desk.opens(token["access_token"]) == 200
        assert desk.get("/oauth2/v2.1/tokens/kid", **assertion)[1] == {"kids": [token["key_id"]]}


def test_the_control_interface_registers_signs_and_reissues(desk: Desk, line: LineSimulator, shop: Channel) -> None:
    def sim(path: str, **body: Any) -> tuple[int, Any]:
        answer = line.handle(Request("POST", path, "", {}, json.dumps(body).encode()))
        return answer.status, json.loads(answer.body)

    made = sim("/_sim/channels/keys", channel="花屋")[1]
    assert made["privateKey"]["kty"] == "RSA"
    public = {name: made["privateKey"][name] for name in ("kty", "alg", "use", "e", "n")}
    assert sim("/_sim/channels/keys", channel=shop.id, publicKey=public)[1]["kid"] != made["kid"]
    signed = sim("/_sim/channels/assertion", channel=shop.id)[1]["clientAssertion"]
    fields = {"client_assertion_type": ASSERTION, "client_assertion": signed}
    assert desk.post("/oauth2/v3/token", grant_type="client_credentials", **fields)[0] == 200
    assert desk.opens(sim("/_sim/channels/token", channel=shop.id, keepOldHours=1)[1]["accessToken"]) == 200
    assert sim("/_sim/channels/token", channel=shop.id, keepOldHours="x") == (422, {"message": "keepOldHours must be a number."})
    assert sim("/_sim/channels/keys", channel="nobody")[0] == 404
