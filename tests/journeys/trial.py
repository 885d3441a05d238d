"""A thousand people through the ready-made win-back on MiniStack while everything fails: `python -m tests.journeys.trial --seed 1`.

People live by the simulator's habits. Functions are killed at random calls; LINE, SES, SNS, DynamoDB and Step Functions refuse,
fail and lose answers. In the middle the scenario is paused, drawn anew with another structure, its people are moved and it goes
on. What everybody should have got is worked out in trial_checks.py from what he did.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import urllib3

from chalicelib.kernel.windows import JST
from line_simulator import Habits, LineSimulator
from line_simulator import Settings as LineSettings
from local.api import Api, ApiError
from local.child import LocalError
from local.clock import set_clock
from local.faults import Faults, deaths
from local.seed import ACCOUNT, SHOP_NAME, bring_in, key_for
from local.shop import Shop
from local.stack import LocalStack
from local.time_machine import TimeMachine
from tests.journeys import trial_checks

SCENARIO = "dormant90"
_STILL = 0.0001
_JUST_BEFORE = timedelta(seconds=0.1)


def jst(day: int, hour: int, minute: int = 0) -> datetime:
    """Return an instant of January 2030 in Japan."""
    return datetime(2030, 1, day, hour, minute, tzinfo=JST).astimezone(UTC)


START, ENTRY = jst(7, 11), jst(8, 10)
# The first deadline, the 11th at 20:00, falls into the pause; the second is two days later at noon.
PAUSE, RESUME, SECOND_DEADLINE, END = jst(10, 15), jst(11, 21), jst(13, 12), jst(14, 15)
PURCHASES = {jst(9, 15): 0.03, jst(11, 15): 0.015, jst(12, 15): 0.015}  # shares of the people
HABITS = Habits(
    open_rate=0.7,
    look_median_seconds=6 * 3600,
    tap_rate=0.6,
    taps={"新作を見る": 2.0, "また今度": 1.0},
    reply_rate=0.03,
    block_rate=0.03,
    quiet_hours=(23, 7),
)
FAULTS = Faults(
    deaths={"app.app": 0.004, "app.webhook_worker": 0.0003, "app.work_worker": 0.01, "app.scenario_steps": 0.001}
    | {"app.ticks": 0.02, "app.feedback": 0.04},
    most_deaths=2,
    shares={"dynamodb.throttled": 0.002, "dynamodb.partly": 0.03, "dynamodb.failed": 0.0001, "dynamodb.answer_lost": 0.0001}
    | {"ses.throttled": 0.03, "ses.failed": 0.02, "ses.answer_lost": 0.02, "sns.throttled": 0.03, "states.throttled": 0.05},
)
LINE_FAULTS = {"rate_limited": 0.01, "error_before_accept": 0.005, "error_after_accept": 0.005, "drop_connection": 0.003}


@dataclass(slots=True)
class Member:
    """Somebody who has not bought for a hundred days, and what he did meanwhile. user_id: empty without LINE."""

    member_no: str
    name: str
    user_id: str = ""
    email: str = ""
    phone: str = ""
    street: str = ""
    responses: list[datetime] = field(default_factory=list)
    blocked_at: datetime | None = None
    bought_at: datetime | None = None


class Trial:
    """One run."""

    def __init__(self, folder: Path, seed: int, people: int) -> None:
        self.seed, self.people = seed, people
        self.rng = random.Random(seed)
        self._began = time.monotonic()
        set_clock(folder / "clock.json", START, _STILL)
        settings = LineSettings(
            redelivery_delays=(0.5, 1.0, 2.0, 4.0, 8.0, 8.0), webhook_timeout_seconds=10.0, journal_size=100_000
        )
        self.line = LineSimulator(seed=seed, clock_file=folder / "clock.json", settings=settings)
        self.line.start()
        # Real seconds until another worker gets what a killed one had in its hands: more than a slow machine needs for a batch,
        # or five workers hold the same message when one of them dies, and it counts as tried five times.
        hidden = {"EventsVisibilitySeconds": "6", "WorkVisibilitySeconds": "6", "MailVisibilitySeconds": "6"}
        parameters = {"LogLevel": "WARNING", **hidden}
        self.stack = LocalStack(folder, line_url=self.line.url, parameters=parameters, faulty=True)
        self.shop: Shop | None = None
        self.members: list[Member] = []
        self.by_user: dict[str, Member] = {}
        self.clicks: list[tuple[Member, datetime]] = []
        self.faults_of_line: list[dict[str, Any]] = []
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def say(self, text: str) -> None:
        """Show progress."""
        print(f"  {time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    # Before -------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything up and fill it; nothing goes wrong yet."""
        self.stack.start()
        set_clock(self.stack.clock_path, START, _STILL)
        os.environ.update(self.stack.env)
        # The simulator's own plans are no stops of the clock: what falls due until half past is done at half past.
        self.machine = TimeMachine(self.stack.endpoint, self.stack.clock_path, scale=_STILL)
        token = key_for(self.stack)
        self.api = Api(self.stack.api_url, token)
        self.shop = shop = Shop(0, self.stack.api_url, token, ACCOUNT)
        shop.start()
        url = f"{self.stack.api_url}/webhook/{ACCOUNT}"
        self.channel = self.line.channel(SHOP_NAME, webhook_url=url, monthly_limit="none", redelivery=True)
        account = {"key": ACCOUNT, "name": SHOP_NAME, "channel_id": self.channel.id, "channel_secret": self.channel.secret}
        self.api.post("/line-accounts", account)
        self.api.post("/links", {"link_id": "new_items", "name": "新作", "url": shop.url + "new"})
        self.api.post(f"/ready-made-scenarios/{SCENARIO}", {"account": ACCOUNT})
        self._bring_members_in()
        self.api.post(f"/scenarios/{SCENARIO}/publish")
        self.line.act(HABITS, self.channel, seed=self.seed)
        self._follow_clicks()
        self.rest()
        self.say(f"{len(self.members)} 人の準備ができました / ready")

    def _bring_members_in(self) -> None:
        users = self.line.crowd(self.people, self.channel)
        for number in range(1, self.people + self.people // 20 + 1):
            user_id = users[number - 1] if number <= len(users) else ""
            member = Member(f"M{number:05d}", f"会員{number:05d}", user_id)
            member.email = f"m{number:05d}@example.jp" if self.rng.random() < 0.4 else ""
            member.phone = f"0901{number:07d}" if self.rng.random() < 0.5 else ""
            member.street = f"北一条西1丁目1-{number}" if self.rng.random() < 0.7 else ""
            self.members.append(member)
        self.by_user = {one.user_id: one for one in self.members if one.user_id}
        rows = ["会員番号,氏名,メールアドレス,電話番号,郵便番号,都道府県,市区町村,番地,LINEユーザーID"]
        for one in self.members:
            home = f"060-0001,北海道,札幌市中央区,{one.street}" if one.street else ",,,"
            rows.append(f"{one.member_no},{one.name},{one.email},{one.phone},{home},{one.user_id}")
        last = (START - timedelta(days=100)).date()
        orders = ["注文番号,会員番号,注文日,金額"] + [f"D-{one.member_no},{one.member_no},{last},4980" for one in self.members]
        for kind, lines in (("customers", rows), ("orders", orders)):
            job = bring_in(self.api, kind, "\n".join(lines).encode(), account=ACCOUNT)
            if job["state"] != "done" or job["failed"]:
                raise LocalError(f"the {kind} were not taken: {job}")

    def _follow_clicks(self) -> None:
        """Note who taps a link when, and open it as people do: again, when the page does not come."""
        click = self.line.people.click

        def clicked(record: Any, channel: Any, message_id: str, url: str) -> None:
            click(record, channel, message_id, url)
            member = self.by_user[self.line.handle_of(record).user_id(self.channel)]
            self.clicks.append((member, self.machine.now()))
            self.line.aside(partial(self._open, record, url))

        self.line.people.click = clicked  # type: ignore[method-assign, assignment]

    def _open(self, record: Any, url: str) -> None:
        for _ in range(100):
            try:
                if self.line.handle_of(record).open(url).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise LocalError(f"a link does not open: {url}")

    # The staff ----------------------------------------------------------------------------------------------------------------

    def order(self, name: str, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> None:
        """Give an order as people at a screen do: again when it seems to have failed, and then it may be done already."""
        for number in range(60):
            try:
                self.api.call(method, path, body or {}, key=f"trial-{name}")
            except (ApiError, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, ApiError) and error.status < 500:
                    if number and error.status == 409:
                        return
                    raise
                time.sleep(0.3)
            else:
                return
        raise LocalError(f"nobody takes the order {name}")

    def buy(self, share: float) -> None:
        """Let some of those who have not done anything yet buy."""
        self.note_what_people_did()
        idle = [one for one in self.members if not one.bought_at and not one.responses and not one.blocked_at]
        for one in self.rng.sample(idle, min(len(idle), round(share * self.people))):
            one.bought_at = self.machine.now()
            body = {"order_no": f"N-{one.member_no}", "member_no": one.member_no, "amount_yen": 4980, "products": ["ピアスA"]}
            self.order(f"buy-{one.member_no}", "/orders", {**body, "ordered_at": one.bought_at.isoformat(), "shop": "店"})

    def pause_and_redraw(self) -> None:
        """Pause, publish a drawing of another structure, and move everybody to it."""
        self.order("pause", f"/scenarios/{SCENARIO}/pause", {"reason": "文面の差し替え"})
        graph = self.api.get(f"/scenarios/{SCENARIO}")["draft"]
        self.order("draft", f"/scenarios/{SCENARIO}", {"graph": second_version(graph)}, method="PUT")
        self.order("publish", f"/scenarios/{SCENARIO}/publish")
        mapping = {"second_try": "nudge", "wait_second": "wait_nudge"}
        self.order("move", f"/scenarios/{SCENARIO}/move", {"from_version": 1, "mapping": mapping})
        self.rest()
        self.say("一時停止して第2版へ移しました / paused, and moved to the second version")

    def resume(self) -> None:
        """Go on at once."""
        self.order("resume", f"/scenarios/{SCENARIO}/resume", {"mode": "now"})
        self.rest()
        self.say("再開しました / resumed")

    # Living through it --------------------------------------------------------------------------------------------------------

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Let something happen at a virtual instant."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), action))

    def live(self, *, calm: bool) -> None:
        """Go from one thing that is due to the next; people do at half past what they meant to do in the hour before."""
        if not calm:
            replace(FAULTS, seed=self.seed).write(self.stack.faults_path)
            for kind, share in LINE_FAULTS.items():
                self.line.fault(kind, path="/v2/bot/message/*", probability=share)
        self.at(PAUSE, self.pause_and_redraw)
        self.at(RESUME, self.resume)
        for moment, share in PURCHASES.items():
            self.at(moment, partial(self.buy, share))
        for moment in (PAUSE, RESUME, SECOND_DEADLINE, *PURCHASES):
            # Whatever people meant to do by then is done by then.
            self.at(moment - timedelta(minutes=7), lambda: None)
            self.at(moment - _JUST_BEFORE, lambda: None)
        shown = 0
        while self.machine.now() < END:
            stops = [self.machine.next_due(), self._next_half_past(), self._agenda[0][0] if self._agenda else None, END]
            self.machine.advance_to(max(min(stop for stop in stops if stop), self.machine.now()), 240)
            self.rest()
            while self._agenda and self._agenda[0][0] <= self.machine.now():
                heapq.heappop(self._agenda)[2]()
                self.rest()
            if (self.machine.now() - START).days > shown:
                shown = (self.machine.now() - START).days
                self.say(f"{shown} 日目 / day {shown}、強制終了 {deaths(self.stack.faults_path).total()} 回 / deaths")
        self.calm_down()

    def _next_half_past(self) -> datetime:
        due = self.line.status()["next_due"]
        if due is None:
            return END
        moment = datetime.fromtimestamp(due, tz=UTC)
        ahead = (moment - timedelta(minutes=30)).replace(minute=30, second=0, microsecond=0)
        while ahead < moment or ahead <= self.machine.now():
            ahead += timedelta(hours=1)
        return ahead

    def calm_down(self) -> None:
        """Let everything work again, and wait until what was left open has been seen to."""
        self.stack.faults_path.unlink(missing_ok=True)
        self.faults_of_line = self.line.faults.describe()
        self.line.faults.remove()
        self.machine.advance(timedelta(hours=3), 240)
        self.rest()

    def rest(self) -> None:
        """Wait until nothing moves."""
        for _ in range(2):
            self.line.drain(240)
            self.machine.settle(240)

    def note_what_people_did(self) -> None:
        """Read who answered or blocked when: from the simulator's record of webhooks, and the taps of links."""
        for one in self.members:
            one.responses = []
        for one, at in self.clicks:
            one.responses.append(at)
        for delivery in self.line.webhooks:
            for event in json.loads(delivery.body).get("events", ()):
                member = self.by_user.get(event["source"].get("userId", ""))
                moment = datetime.fromtimestamp(event["timestamp"] / 1000, tz=UTC)
                if member and event["type"] in ("postback", "message"):
                    member.responses.append(moment)
                if member and event["type"] == "unfollow":
                    member.blocked_at = moment

    def stop(self) -> None:
        """Stop everything."""
        if self.shop:
            self.shop.stop()
        self.stack.stop()
        self.line.stop()


def second_version(graph: dict[str, Any]) -> dict[str, Any]:
    """Return the drawing with another structure: the second message has another name and a shorter wait, e-mail comes before SMS."""
    nodes = dict(graph["nodes"])
    nodes["nudge"] = {**nodes.pop("second_try"), "next": "wait_nudge"}
    nodes["wait_nudge"] = {**nodes.pop("wait_second"), "of": "nudge", "timeout": "P2D"}
    nodes["wait_first"] = {**nodes["wait_first"], "timed_out": "nudge"}
    by_mail = {"when": {"field": "email.reachable", "is": True}, "next": "mail"}
    nodes["by_channel"] = {**nodes["by_channel"], "cases": [by_mail, *nodes["by_channel"]["cases"]]}
    nodes["mail"] = {"type": "send", "label": "メール", "channel": "email", "template": "tpl_dormant_mail", "next": "fallback"}
    return {**graph, "nodes": nodes}


def run(folder: Path, seed: int, people: int, *, calm: bool) -> int:
    """Run, print figures and every broken promise; return how many there are."""
    trial = Trial(folder, seed, people)
    try:
        trial.start()
        mail = {"subject": "お久しぶりです", "text": "{{name|お客}}様\n\n新作が入りました。\n{{link.new_items}}"}
        trial.api.post(
            "/templates", {"template_id": "tpl_dormant_mail", "name": "休眠：メール", "channel": "email", "content": mail}
        )
        trial.live(calm=calm)
        trial.note_what_people_did()
        outcome = trial_checks.collect(trial)
        problems = trial_checks.check(trial, outcome)
        _print_figures(trial, outcome)
        for problem in problems:
            print(f"  ✗ {problem}")
        print(f"  seed {seed}: {len(problems)} broken", flush=True)
        return len(problems)
    finally:
        trial.stop()


def _print_figures(trial: Trial, outcome: Any) -> None:
    died = deaths(trial.stack.faults_path)
    print("  送ったもの / sent: " + "、".join(f"{word} {count}" for word, count in outcome.sent().items()))
    print("  結果 / outcome: " + "、".join(f"{word} {count}" for word, count in sorted(outcome.ends().items())))
    print("  強制終了 / deaths: " + "、".join(f"{word} {count}" for word, count in sorted(died.items())))
    print("  AWSの不調 / faults of AWS: " + "、".join(f"{word} {count}" for word, count in sorted(outcome.faults.items())))
    line = Counter({fault["kind"]: fault["applied"] for fault in outcome.line_faults})
    print("  LINEの不調 / faults of LINE: " + "、".join(f"{word} {count}" for word, count in sorted(line.items())))


def main() -> None:
    """Run with a seed; exit non-zero when a promise was broken."""
    parser = argparse.ArgumentParser(description="A thousand people while everything fails.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--calm", action="store_true", help="let nothing fail")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="enishi-trial-"))
    try:
        broken = run(folder, options.seed, options.people, calm=options.calm)
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"  CPU {own.ru_utime + own.ru_stime:.0f} s + {children.ru_utime + children.ru_stime:.0f} s")
    finally:
        if options.keep:
            print(f"  {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
