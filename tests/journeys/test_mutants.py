"""A simulator that is broken on purpose must make the product's promises fail; if it did not, they would prove nothing.

The product is real from the webhook's door to the adapter that calls LINE, over HTTP in both directions; DynamoDB is MiniStack's.
"""

from __future__ import annotations

import http.server
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app import app
from chalicelib import wiring
from chalicelib.adapters.line import LineApi
from chalicelib.campaigns.model import CampaignState
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import webhook_worker, workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import InvalidError, TemporaryError
from chalicelib.kernel.ids import LineUserId
from chalicelib.kernel.windows import JST
from chalicelib.settings import settings
from chalicelib.wiring import World
from line_simulator import LineSimulator, Person, Request, Response, Settings
from line_simulator.webhooks.wire import sign
from line_simulator.world.state import Channel, Friendship
from tests.builders import MAIN, Stage
from tests.doors.conftest import records
from tests.doors.test_webhook_door import gateway_event
from tests.fakes.clock import FakeClock
from tests.fakes.line import FakeInspector
from tests.fakes.outside import FakeEmail, FakeFiles, FakeHookCaller, FakeMachines, FakeQueue, FakeSchedules, FakeSecrets, FakeSms

START = datetime(2033, 1, 11, 11, 0, tzinfo=JST).astimezone(UTC)
_TRIES = 10


class Door(http.server.ThreadingHTTPServer):
    """API Gateway in front of the product. `lies`: how many answers become 500 although the product has kept the webhook."""

    lies = 0


class _Knock(http.server.BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = app(gateway_event("main", body, dict(self.headers), is_base64=True), None)["statusCode"]
        if self.server.lies:
            self.server.lies -= 1
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


class House:
    """The product connected to one simulated account; 花子 and 太郎 have phones. Both share a clock that stands still."""

    def __init__(self, line: LineSimulator) -> None:
        self.line = line
        line.clock.set_scale(1e-9)
        line.clock.set(START.timestamp())
        self.door = Door(("127.0.0.1", 0), _Knock)
        threading.Thread(target=self.door.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{self.door.server_port}/webhook/main"
        self.channel = line.channel("縁商店", webhook_url=url, redelivery=True, monthly_limit="none")
        self.hanako, self.taro = line.person("花子"), line.person("太郎")
        self.stage = _stage(line, self.channel)
        wiring.use_world(self.stage.world)

    def close(self) -> None:
        """Shut the door."""
        self.door.shutdown()
        self.door.server_close()
        wiring.use_world(None)

    def wait(self, seconds: float) -> None:
        """Let time pass for both."""
        self.stage.clock.advance(seconds=seconds)
        self.line.clock.set(self.stage.clock.now().timestamp())

    def work(self) -> None:
        """Work through both queues as SQS feeds them: what failed comes again five seconds later."""
        self.line.drain()
        for _ in range(_TRIES):
            events, self.stage.events.messages = self.stage.events.messages, []
            steps, self.stage.work.messages = self.stage.work.messages, []
            if not events and not steps:
                return
            for message in events:
                if webhook_worker.handle(records(message), self.stage.world)["batchItemFailures"]:
                    self.stage.events.messages.append(message)
            for body, attributes in steps:
                try:
                    enqueue(workers.do(json.loads(body), self.stage.world), self.stage.world)
                except TemporaryError:
                    self.stage.work.messages.append((body, attributes))
            self.wait(5)
        raise AssertionError("the product did not come to an end")

    def befriend(self) -> None:
        """Let both add the account."""
        for person in (self.hanako, self.taro):
            person.follow(self.channel)
        self.work()

    def campaign(self, text: str = "新作です") -> str:
        """Send a campaign to everybody."""
        self.stage.template("tpl_news", text)
        made = self.stage.world.campaigns.create("news", DeliveryChannel.LINE, "tpl_news", {"all": []})
        _, steps = self.stage.world.campaigns.schedule(made.campaign_id, None)
        enqueue(steps, self.stage.world)
        self.work()
        return made.campaign_id

    def calls(self, verb: str) -> list[int]:
        """Return the statuses of all calls of this kind."""
        return [call.status for call in self.line.requests if call.path == f"/v2/bot/message/{verb}"]

    def got(self, person: Person) -> list[str]:
        """Return what somebody read on his phone."""
        return [one.message["text"] for one in person.inbox(self.channel)]


def _stage(line: LineSimulator, channel: Channel) -> Stage:
    clock = FakeClock(START)
    world = World(settings(), clock)
    api: Any = LineApi(line.url)
    queues = (FakeQueue(), FakeQueue())
    fakes = (FakeEmail(), FakeSms(), FakeFiles(), FakeSecrets(), *queues, FakeMachines(), FakeSchedules(), FakeHookCaller())
    stage = Stage(world, clock, api, *fakes)
    for name in ("line", "email", "sms", "files", "secrets", "events", "work", "machines", "schedules", "hook_caller"):
        world.__dict__[name] = getattr(stage, name)
    world.__dict__["line_inspector"] = FakeInspector()
    world.line_accounts.connect("main", "縁商店", channel.id, channel.secret)
    return stage


# What the product promises ------------------------------------------------------------------------------------------------


def it_knows_who_follows(house: House) -> None:
    house.hanako.follow(house.channel)
    house.work()
    friend = house.stage.world.friends.find(MAIN, LineUserId(house.hanako.user_id(house.channel)))
    assert friend is not None
    assert friend.display_name == "花子"


def a_welcome_that_line_took_and_did_not_confirm_comes_once(house: House) -> None:
    template = house.stage.template("tpl_hello", "ようこそ")
    send = {"type": "send", "channel": "line", "template": template, "next": "end"}
    house.stage.scenario("welcome", {"hello": send, "end": {"type": "end"}})
    house.line.fault("error_after_accept", path="/v2/bot/message/reply", times=1)
    house.hanako.follow(house.channel)
    house.work()
    assert len(house.calls("reply")) == 2
    assert house.got(house.hanako) == ["ようこそ"]


def nothing_reaches_somebody_whose_block_we_never_heard_of(house: House) -> None:
    house.befriend()
    house.line.fault("webhook_lost", event="unfollow")
    house.taro.block(house.channel)
    house.campaign()
    assert house.got(house.hanako) == ["新作です"]
    assert house.got(house.taro) == []


def a_campaign_that_line_took_and_did_not_confirm_comes_once(house: House) -> None:
    house.befriend()
    house.line.fault("error_after_accept", path="/v2/bot/message/push", times=1)
    house.campaign()
    assert len(house.calls("push")) == 3
    assert [house.got(person) for person in (house.hanako, house.taro)] == [["新作です"]] * 2
    assert house.line.invariants(unique_content=True).ok


def it_slows_down_when_line_says_so_and_loses_nothing(house: House) -> None:
    house.befriend()
    house.line.limit("pushMessage", 1, 12)
    house.campaign("{{name|お客様}}へ")
    assert 429 in house.calls("push")
    assert Counter(len(house.got(person)) for person in (house.hanako, house.taro)) == {1: 2}


def it_hears_from_line_what_is_wrong_with_a_message(house: House) -> None:
    credentials = house.stage.world.line_accounts.credentials("main")
    assert house.stage.line.validate(credentials, "push", [{"type": "text", "text": "あ" * 5000}]) == []
    complaints = house.stage.line.validate(credentials, "push", [{"type": "text", "text": "あ" * 5001}])
    assert any("messages[0].text" in one for one in complaints)


def a_campaign_waits_when_the_month_is_used_up_and_then_reaches_the_rest(house: House) -> None:
    house.befriend()
    house.channel.monthly_limit = 1
    campaign_id = house.campaign()
    assert len(house.got(house.hanako) + house.got(house.taro)) == 1
    assert house.stage.world.campaigns.get(campaign_id).state is CampaignState.PARKED
    house.channel.monthly_limit = None
    enqueue(house.stage.world.campaigns.resume(campaign_id)[1], house.stage.world)
    house.work()
    assert [house.got(person) for person in (house.hanako, house.taro)] == [["新作です"]] * 2


def a_tap_that_is_delivered_twice_counts_once(house: House) -> None:
    house.befriend()
    house.door.lies = 1
    house.hanako.postback(house.channel, "好き")
    house.work()
    assert house.door.lies == 0
    friend = house.stage.world.friends.get(MAIN, LineUserId(house.hanako.user_id(house.channel)))
    assert [item["kind"] for item in house.stage.world.tracking.timeline(friend.cid)].count("postback") == 1


def an_account_with_a_wrong_secret_is_not_taken(house: House) -> None:
    try:
        house.stage.world.line_accounts.connect("other", "別館", house.channel.id, "0" * 32)
    except InvalidError:
        return
    raise AssertionError("a wrong secret was taken")


# Ways to be broken --------------------------------------------------------------------------------------------------------


class SignsNothing(LineSimulator):
    signature: str | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        post: Any = self.webhook_queue._post
        self.webhook_queue._post = lambda url, body, _, *more: post(url, body, self.signature, *more)  # type: ignore[method-assign]


class SignsWithAnotherSecret(SignsNothing):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.signature = sign("0" * 32, b"{}")


class TakesReplyTokensAgain(LineSimulator):
    def handle(self, request: Request) -> Response:
        answer = super().handle(request)
        for token in self.world.state.reply_tokens.values():
            token.used = False
        return answer


class ReachesThoseWhoBlocked(LineSimulator):
    def handle(self, request: Request) -> Response:
        with self.world.lock:
            chats = [chat for channel in self.world.state.channels.values() for chat in channel.chats.values()]
            blocked = [chat for chat in chats if chat.status is Friendship.BLOCKED]
            for chat in blocked:
                chat.status = Friendship.FRIEND
            try:
                return super().handle(request)
            finally:
                for chat in blocked:
                    chat.status = Friendship.BLOCKED


class ForgetsRetryKeys(LineSimulator):
    def handle(self, request: Request) -> Response:
        answer = super().handle(request)
        self.world.state.retries.clear()
        return answer


class HasNoRateLimits(LineSimulator):
    def handle(self, request: Request) -> Response:
        self.limits.unlimited = True
        return super().handle(request)


class FindsEverythingValid(LineSimulator):
    def handle(self, request: Request) -> Response:
        return Response(200) if "/validate/" in request.path else super().handle(request)


class HasNoMonthlyLimit(LineSimulator):
    def handle(self, request: Request) -> Response:
        for channel in self.world.state.channels.values():
            channel.monthly_limit = None
        return super().handle(request)


class RedeliversUnderNewNames(LineSimulator):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        redeliver = self.webhook_queue._redeliver

        def renamed(delivery: Any, channel: Channel) -> None:
            content = json.loads(delivery.body)
            for event in content["events"]:
                event["webhookEventId"] = self.world.ids.ulid(self.clock.time())
            delivery.parcel = replace(delivery.parcel, body=json.dumps(content).encode())
            redeliver(delivery, channel)

        self.webhook_queue._redeliver = renamed  # type: ignore[method-assign]


class TrustsAnySecret(LineSimulator):
    def handle(self, request: Request) -> Response:
        for channel in self.world.state.channels.values():
            request = replace(request, body=request.body.replace(b"0" * 32, channel.secret.encode()))
        return super().handle(request)


Promise = Callable[[House], None]
MUTANTS: list[tuple[type[LineSimulator], Promise]] = [
    (SignsNothing, it_knows_who_follows),
    (SignsWithAnotherSecret, it_knows_who_follows),
    (TakesReplyTokensAgain, a_welcome_that_line_took_and_did_not_confirm_comes_once),
    (ReachesThoseWhoBlocked, nothing_reaches_somebody_whose_block_we_never_heard_of),
    (ForgetsRetryKeys, a_campaign_that_line_took_and_did_not_confirm_comes_once),
    (HasNoRateLimits, it_slows_down_when_line_says_so_and_loses_nothing),
    (FindsEverythingValid, it_hears_from_line_what_is_wrong_with_a_message),
    (HasNoMonthlyLimit, a_campaign_waits_when_the_month_is_used_up_and_then_reaches_the_rest),
    (RedeliversUnderNewNames, a_tap_that_is_delivered_twice_counts_once),
    (TrustsAnySecret, an_account_with_a_wrong_secret_is_not_taken),
]
_NAMES = [mutant.__name__ for mutant, _ in MUTANTS]


@pytest.fixture
def house(request: pytest.FixtureRequest, tables: str) -> Iterator[House]:
    kind: type[LineSimulator] = request.param
    with kind(seed=1, settings=Settings(redelivery_delays=(0.01, 0.01))) as line:
        built = House(line)
        yield built
        built.close()


@pytest.mark.parametrize(
    ("house", "promise"),
    [(LineSimulator, promise) for promise in dict.fromkeys(promise for _, promise in MUTANTS)],
    indirect=["house"],
)
def test_a_sound_simulator_lets_the_product_keep_its_promise(house: House, promise: Promise) -> None:
    promise(house)


@pytest.mark.parametrize(("house", "promise"), MUTANTS, ids=_NAMES, indirect=["house"])
def test_a_broken_simulator_makes_a_promise_fail(house: House, promise: Promise) -> None:
    with pytest.raises(AssertionError):
        promise(house)
