"""`make demo`: two hundred people, three scenarios, fifty days in about a minute, and proof that nobody got anything twice.

Everything is real but the outside: the deployed template, LINE's webhooks signed by the simulator, Step Functions, DynamoDB.
Seeded: the same run prints the same funnel.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from chalicelib.kernel.windows import JST
from line_simulator import LineSimulator
from local import checks
from local.api import Api, ApiError
from local.cast import Member, members
from local.child import LocalError
from local.clock import set_clock
from local.funnel import print_funnels, print_transitions, print_way
from local.seed import ACCOUNT, SHOP_NAME, bring_members_in, configure, key_for
from local.shop import Shop
from local.stack import LocalStack
from local.time_machine import TimeMachine

PEOPLE = 200
MEMBERS = 120
NEWCOMERS = 4  # every fourth member has not bought anything yet
START = datetime(2030, 1, 7, 11, 0, tzinfo=JST).astimezone(UTC)  # a Monday
DAYS = 50
_STILL = 0.0001  # the clock all but stands still between jumps, so that a slow machine changes nothing


@dataclass(slots=True)
class Story:
    """What happened to one person, as the demo saw it from outside; the checks compare it with what he got."""

    name: str
    user_id: str
    member: Member | None = None
    followed_at: datetime | None = None
    linked_at: datetime | None = None
    blocked_at: datetime | None = None
    first_order_at: datetime | None = None
    responses: list[tuple[datetime, str]] = field(default_factory=list)


class Demo:
    """One run. on_delivery hears of every message that LINE delivers."""

    def __init__(self, folder: Path, seed: int, *, people: int = PEOPLE, member_count: int = MEMBERS, quiet: bool = False) -> None:
        self.seed = seed
        self.quiet = quiet
        self.folder = folder
        self._started = time.monotonic()
        set_clock(folder / "clock.json", START, _STILL)
        self.line = LineSimulator(seed=seed, clock_file=folder / "clock.json")
        self.line.start()
        # Real seconds that a killed worker's messages stay hidden.
        hidden = {"EventsVisibilitySeconds": "8", "WorkVisibilitySeconds": "8"}
        self.stack = LocalStack(folder, line_url=self.line.url, parameters={"LogLevel": "WARNING", **hidden})
        self.people_count, self.member_count = people, member_count
        self.stories: dict[str, Story] = {}
        self.on_delivery: Callable[[str], None] = lambda _kind: None
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._shop: Shop | None = None

    def start(self) -> None:
        """Bring everything up and fill it."""
        self.stack.start()
        self._clock_still()
        self.machine = TimeMachine(self.stack.endpoint, self.stack.clock_path, self.line.url, scale=_STILL)
        os.environ.update(self.stack.env)
        token = key_for(self.stack)
        self.api = Api(self.stack.api_url, token)
        self._shop = Shop(0, self.stack.api_url, token, ACCOUNT)
        self._shop.start()
        self.channel = self.line.channel(
            SHOP_NAME, webhook_url=f"{self.stack.api_url}/webhook/{ACCOUNT}", monthly_limit=30_000, redelivery=True
        )
        configure(self.api, self.channel.id, self.channel.secret, self._shop.url)
        self.members = members(self._random("members"), self.member_count, START)
        self.newcomers = self.members[-(self.member_count // NEWCOMERS) :]
        for member in self.newcomers:
            member.orders.clear()
        bring_members_in(self.api, self.members)
        self.say(f"{self.people_count} 人・会員 {self.member_count} 人・シナリオ 3 本の準備ができました / ready")
        self._write_agenda()
        self.line.on_delivery(self._react)

    def stop(self) -> None:
        """Stop everything."""
        if self._shop:
            self._shop.stop()
        self.stack.stop()
        self.line.stop()

    def say(self, text: str) -> None:
        """Show progress."""
        if not self.quiet:
            print(f"  {time.monotonic() - self._started:5.1f} s  {text}", flush=True)

    def _clock_still(self) -> None:
        set_clock(self.stack.clock_path, START, _STILL)

    def _random(self, *words: object) -> random.Random:
        return random.Random("|".join(str(word) for word in (self.seed, *words)))

    # What people mean to do -------------------------------------------------------------------------------------------------

    def _write_agenda(self) -> None:
        for number in range(self.people_count):
            member = self.members[number] if number < len(self.members) else None
            name = member.name if member else f"友だち{number + 1:03d}"
            person = self.line.person(f"{name}#{number + 1:03d}")
            story = self.stories[person.id] = Story(name, person.user_id(self.channel), member)
            # In bursts of ten, as after a poster in the shop: a burst is lived through at once.
            at = START + timedelta(hours=1, minutes=20 * (number // 10))
            self.at(at, partial(self._follow, person, story))
            rng = self._random(person.id, "block")
            if rng.random() < 0.12:
                moment = at + timedelta(days=rng.randint(1, 12), hours=rng.randint(0, 5))
                self.at(moment, partial(self._block, person, story))
        for number, member in enumerate(self.newcomers):
            at = START + timedelta(days=1 + number % 5, hours=2)
            self.at(at, partial(self._buy, member))

    def at(self, moment: datetime, action: Callable[[], None]) -> None:
        """Let something happen at a virtual instant."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), action))

    def _follow(self, person: Any, story: Story) -> None:
        story.followed_at = self.machine.now()
        person.follow(self.channel)

    def _block(self, person: Any, story: Story) -> None:
        story.blocked_at = self.machine.now()
        person.block(self.channel)

    def _buy(self, member: Member) -> None:
        now = self.machine.now()
        for story in self.stories.values():
            if story.member is member:
                story.first_order_at = now
        body = {"order_no": f"N-{member.member_no}", "member_no": member.member_no, "amount_yen": 4980, "products": ["ピアスA"]}
        self._until_taken({**body, "ordered_at": now.isoformat(), "shop": "オンライン"})

    def _until_taken(self, order: dict[str, Any]) -> None:
        """Send an order as a till does: again, until somebody answers; it counts once all the same."""
        refused = ""
        for _ in range(60):
            try:
                self.api.post("/orders", order)
            except ApiError as error:
                if error.status < 500:
                    raise
                refused = str(error)
                time.sleep(0.5)
            else:
                return
        raise LocalError(f"注文を受け取ってもらえません / nobody takes an order: {refused} / {self.stack.last_words()}")

    # How people react -------------------------------------------------------------------------------------------------------

    def _react(self, _channel: Any, person: Any, received: Any) -> None:
        story = self.stories[person.id]
        kind = checks.kind_of(received.message)
        self.on_delivery(kind)
        rng = self._random(person.id, kind)
        now = received.at
        if kind == "invite":
            self.at(now, lambda: self._link(person, story, received))
        elif kind == "hello_buttons" and story.member and rng.random() < 0.6:
            self.at(now + timedelta(minutes=5), lambda: person.postback(self.channel, "enishi:link"))
        elif kind in ("dormant", "dormant_again"):
            chance = 0.35 if kind == "dormant" else 0.25
            if rng.random() < chance:
                delay = timedelta(hours=rng.randint(1, 60))
                self.at(now + delay, lambda: self._respond(person, story, received, kind))

    def _link(self, person: Any, story: Story, received: Any) -> None:
        if story.blocked_at or story.member is None:
            return
        page = person.tap(self.channel, received, 0).page
        dialog = person.browser.submit(page, member=story.member.member_no, password="demo")  # noqa: S106 - the shop's sample
        person.link_account(dialog)
        story.linked_at = self.machine.now()

    def _respond(self, person: Any, story: Story, received: Any, kind: str) -> None:
        if story.blocked_at:
            return
        story.responses.append((self.machine.now(), kind))
        person.tap(self.channel, received, self._random(person.id, kind, "way").randint(0, 1))

    # Living through it ------------------------------------------------------------------------------------------------------

    def live(self, days: int = DAYS) -> None:
        """Go from one thing that is due to the next until the last day is over."""
        end = START + timedelta(days=days)
        shown = 0
        while True:
            self.rest()
            moments = [moment for moment in (self.machine.next_due(), self._agenda[0][0] if self._agenda else None) if moment]
            moment = max(min(moments, default=end), self.machine.now())
            if moment >= end:
                break
            self.machine.advance_to(moment)
            self.line.drain(60)
            while self._agenda and self._agenda[0][0] <= self.machine.now():
                heapq.heappop(self._agenda)[2]()
            day = (self.machine.now() - START).days
            if day >= shown + 10:
                shown = day
                self.say(f"{day} 日目 / day {day}")
        self.machine.advance_to(end)
        self.rest()

    def transitions(self) -> int:
        """Return how many steps the state machines have made, by which AWS bills them."""
        return int(self.machine.status()["transitions"])

    def longest_way(self, outcome: checks.Outcome) -> tuple[str, list[Any]]:
        """Return the name of who got most by LINE, and his runs as the API tells them."""
        user_id = max(sorted(outcome.line), key=lambda one: len(outcome.line[one]))
        name = next(story.name for story in self.stories.values() if story.user_id == user_id)
        friend = self.api.get(f"/line-accounts/{ACCOUNT}/friends/{user_id}")
        return name, self.api.get(f"/customers/{friend['customer_id']}/scenarios")["items"]

    def rest(self) -> None:
        """Wait until nothing moves."""
        self.line.drain(120)
        self.machine.settle(120)
        self.line.drain(60)


class Killer:
    """Kills the functions' process, as kill -9 does, while it has just called LINE; it is started again half a second later.

    moments: kind of message and how many of it must have arrived, e.g. {"hello": 3}.
    """

    def __init__(self, demo: Demo, moments: dict[str, int]) -> None:
        self._demo = demo
        self._moments = moments
        self._seen: Counter[str] = Counter()
        self.kills = 0

    def __call__(self, kind: str) -> None:
        """Hear of a delivery, from the simulator's own thread."""
        self._seen[kind] += 1
        if self._moments.get(kind) == self._seen[kind]:
            self.kills += 1
            self._demo.stack.kill_host()
            threading.Timer(0.5, self._demo.stack.restart_host).start()


def run(folder: Path, options: argparse.Namespace) -> int:
    """Run the demo, print what came of it, and return the number of broken promises."""
    demo = Demo(folder, options.seed, people=options.people, member_count=options.members)
    killer = Killer(demo, {kind: int(number) for kind, _, number in (word.partition(":") for word in options.kill)})
    demo.on_delivery = killer
    try:
        demo.start()
        demo.live(options.days)
        demo.say("終わりました。結果を確かめています / done, checking")
        outcome = checks.collect(demo)
        print_transitions(demo.transitions(), sum(ends.total() for ends in outcome.ends.values()))
        print_funnels(outcome)
        print_way(*demo.longest_way(outcome))
        problems = checks.check(demo, outcome)
        if options.kill:
            print(f"  関数を途中で強制終了した回数 / functions killed in the middle: {killer.kills}")
        for problem in problems:
            print(f"  ✗ {problem}")
        if not problems:
            print(f"  ✓ 約束はすべて守られました（確認 {checks.PROMISES} 項目） / every promise kept")
        return len(problems)
    finally:
        demo.stop()


def main() -> None:
    """Run with a seed; exit non-zero when a promise was broken."""
    parser = argparse.ArgumentParser(description="Fifty days of a shop in about a minute.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--kill", nargs="*", default=[], metavar="KIND:N", help="kill -9 the functions after the Nth such message")
    parser.add_argument("--keep", action="store_true", help="keep logs and data")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    folder = Path(tempfile.mkdtemp(prefix="enishi-demo-"))
    try:
        broken = run(folder, options)
    except LocalError as error:
        sys.exit(str(error))
    finally:
        if options.keep:
            print(f"  {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
