"""LineApi against the simulator, and against a server that answers what the simulator would not."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3

from chalicelib.adapters import line as adapter
from chalicelib.adapters.line import LineApi
from chalicelib.adapters.threads import Threads
from chalicelib.kernel.errors import AccountRefusedError, PermanentError, QuotaExceededError, TemporaryError
from chalicelib.ports.line import LineCredentials, Quota, SendAccepted
from line_simulator import Channel, LineSimulator, Person


@pytest.fixture
def line() -> Iterator[LineSimulator]:
    with LineSimulator(seed=1) as running:
        yield running


@pytest.fixture
def shop(line: LineSimulator) -> Channel:
    return line.channel("花屋")


@pytest.fixture
def hanako(line: LineSimulator, shop: Channel) -> Person:
    person = line.person("花子")
    person.follow(shop)
    return person


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=1.0, read=0.5))
    monkeypatch.setattr(adapter, "_pool", lambda: pool)


@pytest.fixture
def api(line: LineSimulator) -> LineApi:
    return LineApi(line.url)


@pytest.fixture
def credentials(shop: Channel) -> LineCredentials:
    return LineCredentials(shop.id, shop.secret)


def text(words: str = "こんにちは😀") -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


def to(person: Person, shop: Channel) -> str:
    return person.user_id(shop)


def shown(line: LineSimulator) -> int:
    return len(line.messages)


def test_it_pushes_once_per_retry_key(
    api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials
) -> None:
    key = str(uuid.uuid4())
    body = {"to": to(hanako, shop), "messages": text()}
    first = api.send(credentials, "push", body, key)
    again = api.send(credentials, "push", body, key)
    assert first.request_id
    assert not first.already
    assert again == SendAccepted(first.request_id, already=True)
    assert shown(line) == 1


def test_it_multicasts(api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials) -> None:
    other = line.person("次郎")
    other.follow(shop)
    api.send(credentials, "multicast", {"to": [to(hanako, shop), to(other, shop)], "messages": text()}, str(uuid.uuid4()))
    assert shown(line) == 2


def test_a_reply_token_works_once(
    api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials
) -> None:
    hanako.say(shop, "もしもし")
    token = next(
        event["replyToken"]
        for call in reversed(line.webhooks)
        for event in json.loads(call.body)["events"]
        if event.get("replyToken")
    )
    api.send(credentials, "reply", {"replyToken": token, "messages": text()})
    with pytest.raises(PermanentError, match="Invalid reply token"):
        api.send(credentials, "reply", {"replyToken": token, "messages": text()})


@pytest.mark.parametrize(
    ("fault", "kind", "maybe_done"),
    [
        ("rate_limited", TemporaryError, False),
        ("monthly_limit", QuotaExceededError, None),
        ("forbidden", AccountRefusedError, None),
        ("unauthorized", AccountRefusedError, None),
        ("error_before_accept", TemporaryError, True),
        ("error_after_accept", TemporaryError, True),
        ("hang_before_accept", TemporaryError, True),
        ("hang_after_accept", TemporaryError, True),
        ("drop_connection", TemporaryError, True),
        ("truncated_json", TemporaryError, True),
    ],
)
def test_it_tells_what_may_be_repeated(
    api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials,
    fault: str, kind: type[Exception], maybe_done: bool | None,
) -> None:  # fmt: skip
    line.fault(fault, path="/v2/bot/message/push", seconds=0.8)
    key, body = str(uuid.uuid4()), {"to": to(hanako, shop), "messages": text()}
    with pytest.raises(kind) as caught:
        api.send(credentials, "push", body, key)
    assert type(caught.value) is kind
    assert getattr(caught.value, "maybe_done", None) is maybe_done
    assert shop.secret not in str(caught.value)
    if kind is TemporaryError:
        line.faults.remove()
        api.send(credentials, "push", body, key)
        assert shown(line) == 1


@pytest.mark.parametrize(
    "fault", ["error_before_accept", "hang_before_accept", "drop_connection", "truncated_json", "rate_limited"]
)
def test_without_a_token_nothing_can_have_been_sent(
    api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials, fault: str
) -> None:
    line.fault(fault, path="/oauth2/v3/token", seconds=0.8)
    with pytest.raises(TemporaryError) as caught:
        api.send(credentials, "push", {"to": to(hanako, shop), "messages": text()})
    assert caught.value.maybe_done is False
    assert shown(line) == 0


def tokens(line: LineSimulator) -> int:
    return sum(call.path == "/oauth2/v3/token" for call in line.requests)


def test_a_token_is_kept_for_twelve_minutes(line: LineSimulator, credentials: LineCredentials) -> None:
    now = [0.0]
    api = LineApi(line.url, monotonic=lambda: now[0])
    for _ in range(5):
        api.bot_info(credentials)
    assert tokens(line) == 1
    now[0] = 719.0
    api.bot_info(credentials)
    assert tokens(line) == 1
    now[0] = 721.0
    api.bot_info(credentials)
    assert tokens(line) == 2


def test_many_threads_share_one_token_and_renew_a_dead_one_once(line: LineSimulator, credentials: LineCredentials) -> None:
    api = LineApi(line.url)
    Threads(16)(lambda _: api.bot_info(credentials), range(16))
    assert tokens(line) == 1
    dead = api.token(credentials)
    Threads(16)(lambda _: api._token(credentials, dead), range(16))
    assert tokens(line) == 2


def test_it_reads_the_months_messages(line: LineSimulator) -> None:
    for limit, kept in (("none", Quota(None, 0)), (200, Quota(200, 0))):
        channel = line.channel(f"花屋 {limit}", monthly_limit=limit)
        assert LineApi(line.url).quota(LineCredentials(channel.id, channel.secret)) == kept


def test_a_new_secret_fetches_a_new_token(line: LineSimulator, api: LineApi, credentials: LineCredentials) -> None:
    api.bot_info(credentials)
    with pytest.raises(PermanentError):
        api.bot_info(LineCredentials(credentials.channel_id, "0" * 32))
    assert tokens(line) == 2


def test_a_token_that_died_early_is_renewed_once(line: LineSimulator, api: LineApi, credentials: LineCredentials) -> None:
    api.bot_info(credentials)
    line.fault("unauthorized", path="/v2/bot/info", times=1)
    assert api.bot_info(credentials).display_name == "花屋"
    assert tokens(line) == 2


def test_a_profile_that_line_will_not_tell_is_none(
    api: LineApi, line: LineSimulator, shop: Channel, hanako: Person, credentials: LineCredentials
) -> None:
    found = api.profile(credentials, to(hanako, shop))
    assert found is not None
    assert found.display_name == "花子"
    hanako.block(shop)
    assert api.profile(credentials, to(hanako, shop)) is None
    assert api.profile(credentials, "U" + "0" * 32) is None


def test_it_gets_link_tokens_and_the_accounts_own_data(
    api: LineApi, shop: Channel, hanako: Person, credentials: LineCredentials
) -> None:
    assert api.link_token(credentials, to(hanako, shop)) != api.link_token(credentials, to(hanako, shop))
    info = api.bot_info(credentials)
    assert info.user_id.startswith("U")
    assert info.basic_id.startswith("@")


def test_it_asks_line_whether_messages_are_good(api: LineApi, credentials: LineCredentials) -> None:
    assert api.validate(credentials, "push", text()) == []
    complaints = api.validate(credentials, "push", [{"type": "text", "text": ""}])
    assert complaints
    assert "messages[0].text" in complaints[0]


def test_nobody_at_home_means_not_sent(credentials: LineCredentials) -> None:
    with pytest.raises(TemporaryError) as caught:
        LineApi("http://127.0.0.1:1").send(credentials, "push", {"to": "U", "messages": []})
    assert caught.value.maybe_done is False


# What the simulator would not say -----------------------------------------------------------------------------------------


class Server:
    """Gives out a token and then what it is told to."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.seen: list[tuple[str, bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                server.seen.append((self.path, content))
                is_token = self.path == "/oauth2/v3/token"
                answer = b'{"access_token":"t"}' if is_token else body
                self.send_response(200 if is_token else status)
                for name, value in ({} if is_token else headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*arguments: Any) -> Server:
        made.append(Server(*arguments))
        return made[-1]

    yield start
    for one in made:
        one.stop()


MINE = LineCredentials("id&grant_type=x", "s+e=cret&")


@pytest.mark.parametrize(
    ("status", "body"), [(413, b"<html>"), (400, b"{"), (404, b""), (403, b"[]"), (400, b'{"details":["x",7]}'), (302, b"")]
)
def test_a_refusal_is_final_whatever_its_body(server: Any, status: int, body: bytes) -> None:
    running = server(status, body, {"Location": "http://169.254.169.254/latest"} if status == 302 else None)
    with pytest.raises(PermanentError):
        LineApi(running.url).send(MINE, "push", {})
    assert [path for path, _ in running.seen] == ["/oauth2/v3/token", "/v2/bot/message/push"]


def test_taken_already_is_taken_even_when_the_answer_is_cut(server: Any) -> None:
    running = server(409, b'{"mess', {"X-Line-Accepted-Request-Id": "first"})
    assert LineApi(running.url).send(MINE, "push", {}, "k") == SendAccepted("first", already=True)


def test_credentials_are_written_as_a_form(server: Any) -> None:
    running = server(200, b"{}")
    LineApi(running.url).send(MINE, "push", {})
    assert running.seen[0][1] == b"grant_type=client_credentials&client_id=id%26grant_type%3Dx&client_secret=s%2Be%3Dcret%26"
    assert "s+e=cret" not in repr(MINE)
