"""Crowds live by their habits, on the virtual clock, the same way for the same seed."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, Habits, LineSimulator, Person, Request, SimulatorError
from line_simulator.people.habits import read_habits
from line_simulator.webhooks import webhook_events
from line_simulator.world.activity import Activity
from line_simulator.world.clock import TOKYO
from line_simulator.world.rich_menu_book import menus_of

DAY = 86_400.0
CONFIRM = {
    "type": "template",
    "altText": "どうぞ",
    "template": {
        "type": "confirm",
        "text": "どうぞ",
        "actions": [
            {"type": "postback", "label": "はい", "data": "yes", "displayText": "はい"},
            {"type": "uri", "label": "見る", "uri": "https://shop.test/a?token=1"},
        ],
    },
}
VIDEO = {
    "type": "video",
    "originalContentUrl": "https://shop.test/v.mp4",
    "previewImageUrl": "https://shop.test/v.png",
    "trackingId": "film",
}


def sends(line: LineSimulator, shop: Channel, caller: Any, *messages: Any) -> None:
    status, answer, _ = caller(line, shop)("POST", "/v2/bot/message/broadcast", {"messages": list(messages)})
    assert status == 200, answer


def events(receiver: Any, kind: str) -> list[dict[str, Any]]:
    return [event for event in receiver.events if event["type"] == kind]


def test_shares_come_out_as_told_and_webhooks_are_signed(line: LineSimulator, shop: Channel, receiver: Any, caller: Any) -> None:
    habits = Habits(open_rate=0.5, tap_rate=0.4, reply_rate=0.1, replies=("どうも",), taps={"はい": 3, "見る": 1})
    group = line.act(habits, shop, crowd=2000)
    sends(line, shop, caller, CONFIRM)
    line.clock.advance(30 * DAY)
    line.drain(30)
    total = group.total
    assert total["received"] == 2000
    assert abs(total["looked"] - 1000) < 100
    assert abs(total["tapped"] - 400) < 70
    assert abs(total["replied"] - 100) < 40
    yes = len(events(receiver, "postback"))
    assert abs(yes - 0.75 * total["tapped"]) < 50
    assert {event["postback"]["data"] for event in events(receiver, "postback")} == {"yes"}
    assert {event["message"]["text"] for event in events(receiver, "message")} == {"どうも"}
    assert all("x-line-signature" in headers for headers, _ in receiver.received)
    assert line.world.due.next() is None
    assert line.actors.describe()[0]["waiting"] == 0


def test_each_deed_bears_its_own_time_and_they_come_in_order(
    line: LineSimulator, shop: Channel, receiver: Any, caller: Any
) -> None:
    start = line.clock.time()
    line.act(Habits(open_rate=1, tap_rate=1, taps={"0": 1}, look_median_seconds=3600, tap_median_seconds=60), shop, crowd=100)
    sends(line, shop, caller, CONFIRM)
    line.clock.advance(10 * DAY)
    line.drain(30)
    stamps = [event["timestamp"] / 1000 for event in events(receiver, "postback")]
    assert len(stamps) == 100
    assert stamps == sorted(stamps)
    median = stamps[50] - start
    assert 2000 < median < 7000
    assert max(stamps) < start + 10 * DAY


def lived(tmp: Path, caller: Any, *, threads: int, restart: bool = False, step: float = DAY / 2) -> Any:
    """Let a crowd live with messages sent by several threads at once; return who did what, and when."""
    habits = Habits(open_rate=0.5, tap_rate=0.5, reply_rate=0.2, fatigue=0.05, fatigue_free=2, unblock_rate=0.5, video_rate=0.5)
    done = []
    # With its time in a file, the clock stands still between the runs too, as slow as it was made.
    file = tmp.with_suffix(".json")
    line = LineSimulator(seed=7, clock_file=file, data=tmp, rate_limits=False).start()
    shop = line.channel("花屋", monthly_limit="none")
    line.clock.set_scale(1e-9)
    line.clock.set(2_000_000_000.0)
    line.act(habits, shop, crowd=200)
    for day in range(6):
        texts = [{"type": "text", "text": f"{day}/{number} https://s.test/{time.monotonic_ns()}"} for number in range(threads)]
        workers = [threading.Thread(target=sends, args=(line, shop, caller, text, CONFIRM, VIDEO)) for text in texts]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if restart and day == 3:
            line.stop()
            line = LineSimulator(seed=7, clock_file=file, data=tmp, rate_limits=False).start()
            shop = line.channel("花屋")
        for _ in range(round(2 * DAY / step)):
            line.clock.advance(step)
    line.clock.advance(60 * DAY)
    line.drain(30)
    for user_id, chat in shop.chats.items():
        person = line.world.state.owners[user_id][1].id
        said = [(round(one.at), json.dumps(one.message, sort_keys=True)) for one in chat.said or ()]
        done.append((person, chat.status, round(chat.since) if chat.ever_blocked else 0, sorted(said)))
    total = line.actors.describe()[0]["counts"]
    line.stop()
    return sorted(done), total


def test_the_same_seed_gives_the_same_lives_whatever_threads_jumps_and_restarts_do(tmp_path: Path, caller: Any) -> None:
    first = lived(tmp_path / "a", caller, threads=4)
    assert min(first[1][what] for what in ("looked", "tapped", "replied", "played", "blocked", "unblocked")) > 5
    assert lived(tmp_path / "b", caller, threads=4, step=DAY / 7) == first
    assert lived(tmp_path / "c", caller, threads=4, restart=True) == first


def test_quiet_hours_are_quiet(line: LineSimulator, shop: Channel, receiver: Any, caller: Any) -> None:
    evening = datetime(2033, 5, 1, 22, 30, tzinfo=TOKYO).timestamp()
    line.clock.set(evening)
    line.act(Habits(open_rate=1, reply_rate=1, quiet_hours=(23, 7)), shop, crowd=200)
    sends(line, shop, caller, {"type": "text", "text": "夜分に"})
    line.clock.advance(3 * DAY)
    line.drain(30)
    hours = Counter(datetime.fromtimestamp(event["timestamp"] / 1000, TOKYO).hour for event in events(receiver, "message"))
    assert sum(hours.values()) == 200
    assert not set(hours) & {23, 0, 1, 2, 3, 4, 5, 6}
    assert hours[7] > 50
    (activity,) = line.world.part(Activity).sendings.values()
    looks = {datetime.fromtimestamp(at, TOKYO).hour for at in activity.impressions.values()}
    assert len(activity.impressions) == 200
    assert not looks & {23, 0, 1, 2, 3, 4, 5, 6}


def test_too_many_messages_drive_people_away_and_some_come_back(
    line: LineSimulator, shop: Channel, receiver: Any, caller: Any
) -> None:
    habits = Habits(open_rate=0, fatigue=0.2, fatigue_free=2, fatigue_days=7, unblock_rate=1, unblock_median_days=30)
    group = line.act(habits, shop, crowd=300)
    for number in range(2):
        sends(line, shop, caller, {"type": "text", "text": f"{number}"})
        line.clock.advance(2 * DAY)
    assert "blocked" not in group.total
    sends(line, shop, caller, {"type": "text", "text": "三通目"})
    line.clock.advance(2 * DAY)
    assert 30 < group.total["blocked"] < 100
    line.clock.advance(100 * DAY)
    line.drain(30)
    assert group.total["unblocked"] == group.total["blocked"] == len(events(receiver, "unfollow"))
    assert {event["follow"]["isUnblocked"] for event in events(receiver, "follow")} == {True}


def test_a_crowd_arrives_with_webhooks_over_time(line: LineSimulator, shop: Channel, receiver: Any) -> None:
    start = line.clock.time()
    group = line.act(Habits(), shop, crowd=50, arrive_seconds=7 * DAY)
    assert not any(chat.ever_friend for chat in shop.chats.values())
    line.clock.advance(3.5 * DAY)
    assert 10 < group.total["followed"] < 40
    line.clock.advance(4 * DAY)
    line.drain(30)
    stamps = [event["timestamp"] / 1000 - start for event in events(receiver, "follow")]
    assert len(stamps) == 50
    assert max(stamps) <= 7 * DAY


def test_live_lets_an_account_answer_within_the_minute(line: LineSimulator, shop: Channel, receiver: Any, caller: Any) -> None:
    api = caller(line, shop)
    answered: list[int] = []

    class Answering(list[Any]):
        def append(self, item: Any) -> None:
            super().append(item)
            answered.extend(api.reply(event["replyToken"])[0] for event in json.loads(item[1])["events"])

    receiver.received = Answering()
    line.act(Habits(open_rate=1, reply_rate=0.5), shop, crowd=5)
    sends(line, shop, caller, {"type": "text", "text": "お元気ですか"})
    line.live(DAY)
    # An answer may make somebody write again.
    assert len(answered) >= 2
    assert set(answered) == {200}


def test_links_are_opened_when_habits_say_so(line: LineSimulator, shop: Channel, receiver: Any, caller: Any) -> None:
    button = {"type": "uri", "label": "見る", "uri": receiver.url.replace("/hook", "/page")}
    message = {"type": "text", "text": "どうぞ", "quickReply": {"items": [{"type": "action", "action": button}]}}
    group = line.act(Habits(open_rate=1, tap_rate=1, open_links=True), shop, crowd=3)
    sends(line, shop, caller, message)
    line.clock.advance(30 * DAY)
    line.drain(30)
    assert (group.total["tapped"], group.total["opened"]) == (3, 3)


def test_rich_menus_are_tapped_all_over(line: LineSimulator, shop: Channel, receiver: Any, caller: Any) -> None:
    api = caller(line, shop)
    areas = [
        {"bounds": {"x": 1250 * n, "y": 0, "width": 1250, "height": 843}, "action": {"type": "postback", "data": f"{n}"}}
        for n in range(2)
    ]
    menu = {"size": {"width": 2500, "height": 843}, "selected": True, "name": "m", "chatBarText": "m", "areas": areas}
    menu_id = api("POST", "/v2/bot/richmenu", menu)[1]["richMenuId"]
    menus_of(line.world, shop).menus[menu_id].image = b"x"
    assert api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")[0] == 200
    group = line.act(Habits(open_rate=1, menu_rate=0.5), shop, crowd=100)
    sends(line, shop, caller, {"type": "text", "text": "メニューを見てね"})
    line.clock.advance(30 * DAY)
    line.drain(30)
    taps = Counter(event["postback"]["data"] for event in events(receiver, "postback"))
    assert 35 < group.total["menu"] == sum(taps.values()) < 75
    assert min(taps["0"], taps["1"]) > 10


def test_people_with_habits_of_their_own_keep_them(line: LineSimulator, shop: Channel, hanako: Person, caller: Any) -> None:
    everybody = line.act(Habits(open_rate=0), shop)
    keen = line.act(Habits(open_rate=1), shop, [hanako])
    line.crowd(3, shop)
    sends(line, shop, caller, {"type": "text", "text": "a"})
    line.clock.advance(30 * DAY)
    assert (keen.total, everybody.total) == ({"received": 1, "looked": 1}, {"received": 3})
    line.actors.remove(keen.id)
    sends(line, shop, caller, {"type": "text", "text": "b"})
    line.clock.advance(30 * DAY)
    assert everybody.total == {"received": 7}


def control(line: LineSimulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    path, _, query = path.partition("?")
    answer = line.handle(Request(method, path, query, {}, json.dumps(body).encode() if body is not None else b""))
    return answer.status, json.loads(answer.body)


def test_the_interface_gives_takes_and_counts(line: LineSimulator, shop: Channel, caller: Any) -> None:
    body = {"channel": "花屋", "crowd": 10, "habits": {"openRate": 1, "tapRate": 0.5, "quietHours": [23, 7]}}
    assert control(line, "POST", "/_sim/actors", body) == (200, {"id": "a1", "people": 10})
    sends(line, shop, caller, CONFIRM)
    line.clock.advance(3 * DAY)
    (group,) = control(line, "GET", "/_sim/actors")[1]["actors"]
    assert group["counts"]["looked"] == 10
    assert sum(day["looked"] for day in group["days"].values() if "looked" in day) == 10
    assert group["habits"]["openRate"] == 1.0
    sends(line, shop, caller, CONFIRM)
    line.world.due.run()
    assert control(line, "DELETE", "/_sim/actors?channel=花屋") == (200, {"removed": 1})
    line.clock.advance(3 * DAY)
    assert control(line, "GET", "/_sim/actors") == (200, {"actors": []})
    assert control(line, "POST", "/_sim/actors", {"channel": "花屋"})[1]["people"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"openRate": 2},
        {"openRate": float("nan")},
        {"openRate": True},
        {"openRate": "1"},
        {"spread": -1},
        {"spread": float("inf")},
        {"quietHours": [1]},
        {"quietHours": [1, 99]},
        {"taps": {"0": -1}},
        {"taps": [1]},
        {"replies": [""], "replyRate": 1},
        {"replies": [], "replyRate": 1},
        {"love": 1},
        {"fatigueFree": 10**40},
        [],
        "x",
        None,
    ],
)
def test_habits_that_cannot_be_are_refused_in_a_sentence(line: LineSimulator, shop: Channel, wrong: Any) -> None:
    status, answer = control(line, "POST", "/_sim/actors", {"channel": "花屋", "habits": wrong})
    assert status == 422, answer
    assert answer["message"].endswith(".")
    assert line.actors.describe() == []


@pytest.mark.parametrize(
    "wrong",
    [{"crowd": True}, {"crowd": -1}, {"people": "花子"}, {"people": [1]}, {"people": ["誰"]}, {"x": 1}, {"arriveWithin": "soon"},
     {"arriveWithin": "1d"}, {"arriveWithin": -5, "crowd": 1}],
)  # fmt: skip
def test_actors_that_cannot_be_are_refused_in_a_sentence(line: LineSimulator, shop: Channel, wrong: Any) -> None:
    status, answer = control(line, "POST", "/_sim/actors", {"channel": "花屋", **wrong})
    assert status in (404, 422), answer
    assert answer["message"].endswith(".")


def test_habits_are_checked_in_python_too() -> None:
    with pytest.raises(SimulatorError, match="open_rate"):
        read_habits(Habits(open_rate=1.5))


def test_reply_tokens_of_a_talkative_crowd_do_not_pile_up(
    line: LineSimulator, shop: Channel, hanako: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_events, "_TOKENS_BETWEEN", 50)
    shop.webhook_url = ""
    for number in range(200):
        hanako.postback(shop, f"{number}")
        if number % 45 == 0:
            line.clock.advance(1300)
    assert len(line.world.state.reply_tokens) < 100
    assert max(one.event_at for one in line.world.state.reply_tokens.values()) > line.clock.time() - 1300
