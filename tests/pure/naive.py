"""The scenario format told once more, for one person and without cohorts: what tests hold the engine to.

It reads the JSON of docs/scenario-format.md and imports nothing of the product. Rules that come from cohorts and that it states
itself: a wait of a length ends at a full minute (below an hour), five minutes (below a day) or quarter of an hour; who reacts
goes on at the next five minutes; who leaves the main path together with others may find the cohort of that instant under way
and go with the next, five minutes later. Only the last is not his alone to know: `late` says how often it happened.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

JST = ZoneInfo("Asia/Tokyo")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@dataclass(frozen=True)
class Deed:
    """What a person does or suffers. what: message, click, buy, custom, block, opt_out, tag, untag."""

    what: str
    at: datetime
    detail: str = ""
    evidence: str = "A"


@dataclass
class Somebody:
    cid: int
    reach: set[str]
    tags: set[str] = field(default_factory=set)
    born: date | None = None
    day: str = ""  # what the trigger brought


@dataclass
class Life:
    """What became of him. visits: of sends only, (node, minute) -> sent | skipped."""

    visits: list[tuple[str, datetime, str]] = field(default_factory=list)
    ended: tuple[str, str, datetime] | None = None
    stands: tuple[str, datetime] | None = None


def length(text: str) -> timedelta:
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", text)
    assert found, text
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def up_to(moment: datetime, grain: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rest = (moment - epoch) % grain
    return moment if not rest else moment + (grain - rest)


def on_day(day: date, clock: str) -> datetime:
    hour, minute = (int(part) for part in clock.split(":"))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=JST).astimezone(UTC)


def wait_end(node: Mapping[str, Any], begin: datetime) -> datetime:
    span = length(node.get("duration") or node.get("timeout") or "P0D")
    clock, weekdays = node.get("at"), node.get("weekdays")
    end = begin + span
    if clock:
        due = on_day(end.astimezone(JST).date(), clock)
        # Day 7 at 10:00 counts days, whatever the hour at which the wait began; below a day the length has to pass.
        if due < end and (span < DAY or due <= begin):
            due = on_day(end.astimezone(JST).date() + DAY, clock)
    else:
        due = up_to(end, MINUTE if span < timedelta(hours=1) else timedelta(minutes=5 if span < DAY else 15))
    if weekdays and DAYS[due.astimezone(JST).weekday()] not in weekdays:
        day = due.astimezone(JST).date()
        while DAYS[day.weekday()] not in weekdays:
            day += DAY
        return on_day(day, clock or "00:00")
    return due


def own_day_end(node: Mapping[str, Any], person: Somebody, begin: datetime) -> datetime | None:
    until = node["until"]
    if until["date"].startswith("trigger."):
        day = date.fromisoformat(person.day) if person.day else None
    else:
        day = person.born
    if day is None:
        return None
    shift, clock = timedelta(days=until.get("offset_days", 0)), node.get("at") or "00:00"
    if not until.get("yearly"):
        return on_day(day + shift, clock)
    for year in range(begin.year - 1, begin.year + 4):
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        there = date(year, 2, 28) if (day.month, day.day) == (2, 29) and not leap else date(year, day.month, day.day)
        if on_day(there + shift, clock) >= begin:
            return on_day(there + shift, clock)
    raise AssertionError


class Naive:
    """One person's way. late: how many times five minutes after `due` the cohort was that took him at a node."""

    def __init__(
        self, graph: Mapping[str, Any], scenario_id: str, person: Somebody, deeds: list[Deed], late: Callable[[str, datetime], int]
    ) -> None:
        self.graph, self.nodes, self.id = graph, graph["nodes"], scenario_id
        self.person, self.late = person, late
        self.deeds = sorted(deeds, key=lambda deed: deed.at)
        self.life = Life()
        self.sent: dict[str, datetime] = {}  # node -> last
        self.all_sent: list[tuple[datetime, str]] = []  # what counts against caps, with its channel
        self.reactions: dict[str, tuple[datetime, str]] = {}
        self.happened: dict[str, datetime] = {}
        self.last_node = ""
        self.entered = datetime.min.replace(tzinfo=UTC)

    # Time ---------------------------------------------------------------------------------------------------------------

    def live(self, entered: datetime, until: datetime, *, first_due: datetime | None = None) -> Life:
        """first_due: the instant of the cohort into which a schedule put him; without it he is walked at once."""
        self.entered = entered
        while self.deeds and self.deeds[0].at <= entered:
            self.undergo(self.deeds.pop(0))
        node, due = self.graph["start"], first_due or entered.replace(second=0, microsecond=0)
        if first_due is None and self.is_timed(node):
            due = wait_end(self.nodes[node], due)
        while True:
            if due > until:
                self.pass_time(until, node)
                if self.moved:
                    node, due = self.moved
                    continue
                if not self.life.ended:
                    self.life.stands = (node, due)
                return self.life
            self.pass_time(due, node)
            if self.life.ended:
                return self.life
            if self.moved:
                node, due = self.moved
                continue
            way = self.do(node, due)
            if way is None:
                return self.life
            node, due = way

    def is_timed(self, node: str) -> bool:
        kind = self.nodes[node]
        return kind["type"] == "wait_for_response" or (kind["type"] == "wait" and "until" not in kind)

    def to(self, target: str, moment: datetime) -> tuple[str, datetime]:
        """He goes on with everybody."""
        return target, wait_end(self.nodes[target], moment) if self.is_timed(target) else moment

    def aside(self, target: str, moment: datetime) -> tuple[str, datetime]:
        """He leaves the main path, and joins those who do so too."""
        target, due = self.to(target, moment)
        return target, due + timedelta(minutes=5) * self.late(target, due)

    # What he does -------------------------------------------------------------------------------------------------------

    moved: tuple[str, datetime] | None = None

    def pass_time(self, until: datetime, standing: str) -> None:
        self.moved = None
        while self.deeds and self.deeds[0].at <= until and not self.life.ended and not self.moved:
            deed = self.deeds.pop(0)
            self.undergo(deed)
            self.hear(deed, standing)

    def undergo(self, deed: Deed) -> None:
        if deed.what == "opt_out" or (deed.what == "block" and "line" in self.person.reach):
            self.person.reach.discard("line")
            self.why_not = "opted_out" if deed.what == "opt_out" else "blocked"
        elif deed.what == "tag":
            self.person.tags.add(deed.detail)
        elif deed.what == "untag":
            self.person.tags.discard(deed.detail)

    why_not = "not_a_friend"

    def is_meant(self, occasion: Mapping[str, Any], deed: Deed) -> bool:
        names = {
            "buy": "purchase",
            "custom": "custom",
            "block": "blocked",
            "opt_out": "opted_out",
            "message": "message",
            "click": "clicked",
        }
        event = names.get(deed.what, "")
        if occasion["event"] == "responded":
            return deed.what in ("message", "click")
        if occasion["event"] != event:
            return False
        return deed.what != "custom" or occasion.get("name", "") in ("", deed.detail)

    def hear(self, deed: Deed, standing: str) -> None:
        goal = self.graph.get("goal")
        if goal and goal.get("exit", True) and self.is_meant(goal, deed):
            if "window" not in goal or deed.at <= self.entered + length(goal["window"]):
                return self.end("exited", "goal", deed.at)
        for way in self.graph.get("exits", []):
            occasion = {"event": way} if isinstance(way, str) else way
            if self.is_meant(occasion, deed):
                return self.end("exited", occasion["event"], deed.at)
        answered = self.last_node if deed.what == "message" else deed.detail if deed.what == "click" else ""
        self.note(deed, answered)
        node = self.nodes[standing]
        if node["type"] != "wait_for_response":
            return None
        since = self.sent.get(node["of"])
        if since is None or deed.at < since:
            return None
        if "on" in node:
            if not self.is_meant(node["on"], deed):
                return None
        elif not answered or deed.evidence > node.get("evidence", "B"):
            return None
        self.moved = self.aside(node["responded"], up_to(deed.at, timedelta(minutes=5)))
        return None

    def note(self, deed: Deed, answered: str) -> None:
        if deed.what == "buy":
            self.happened["purchase"] = deed.at
        if deed.what == "custom":
            self.happened["custom"] = self.happened[f"custom {deed.detail}"] = deed.at
        since = self.sent.get(answered)
        if since is None or deed.at < since:
            return
        known = self.reactions.get(answered)
        if known is None or known[0] < since or deed.evidence < known[1]:
            self.reactions[answered] = (deed.at, deed.evidence)

    def end(self, status: str, reason: str, at: datetime) -> None:
        self.life.ended = (status, reason, at)

    # What the scenario does -----------------------------------------------------------------------------------------------

    def do(self, node_id: str, due: datetime) -> tuple[str, datetime] | None:
        node = self.nodes[node_id]
        kind = node["type"]
        stays = self.graph.get("stays_while")
        if stays and kind not in ("wait", "end") and not self.holds(stays):
            self.end("exited", "left_segment", due)
            return None
        if kind == "wait":
            return self.own_day(node_id, node, due) if "until" in node else self.to(node["next"], due)
        if kind == "wait_for_response":
            known, since = self.reactions.get(node["of"]), self.sent.get(node["of"])
            if "on" not in node and known and since and known[0] >= since and known[1] <= node.get("evidence", "B"):
                return self.aside(node["responded"], due)
            return self.to(node["timed_out"], due)
        if kind == "end":
            self.end("done", node.get("outcome") or node_id, due)
            return None
        if kind == "branch":
            target = next((case["next"] for case in node["cases"] if self.holds(case["when"])), node["otherwise"])
            return self.to(target, due) if target == node["otherwise"] else self.aside(target, due)
        if kind == "split":
            target = self.share(node_id, node)
            biggest = max(node["shares"], key=lambda share: share["weight"])["next"]
            return self.to(target, due) if target == biggest else self.aside(target, due)
        if kind == "action":
            (self.person.tags.add if node["do"] == "tag_add" else self.person.tags.discard)(node["tag"])
            return self.to(node["next"], due)
        return self.send(node_id, node, due)

    def own_day(self, node_id: str, node: Mapping[str, Any], due: datetime) -> tuple[str, datetime]:
        end = own_day_end(node, self.person, due)
        if end is None:
            missing = node.get("missing") or node["next"]
            return self.to(missing, due) if missing == node["next"] else self.aside(missing, due)
        if end > due:
            return node_id, end + timedelta(minutes=5) * self.late(node_id, end)
        return self.to(node["next"], due)

    def share(self, node_id: str, node: Mapping[str, Any]) -> str:
        digest = hashlib.sha256(f"{self.person.cid}|{self.id}|{node_id}".encode()).digest()
        point = int.from_bytes(digest[:8], "big") % sum(share["weight"] for share in node["shares"])
        for share in node["shares"]:
            if point < share["weight"]:
                return str(share["next"])
            point -= share["weight"]
        raise AssertionError

    def holds(self, condition: Mapping[str, Any]) -> bool:
        if "tag" in condition:
            return condition["tag"] in self.person.tags
        if "not" in condition:
            return not self.holds(condition["not"])
        if "responded" in condition:
            of, least = condition["responded"].get("of", ""), condition["responded"].get("evidence", "B")
            return any(of in ("", node) and evidence <= least for node, (_, evidence) in self.reactions.items())
        asked = condition["happened"]
        at = self.happened.get(f"{asked['event']} {asked['name']}" if asked.get("name") else asked["event"])
        if at is None:
            return False
        since = asked.get("since", "entry")
        return at > self.entered if since == "entry" else since in self.sent and at >= self.sent[since]

    def send(self, node_id: str, node: Mapping[str, Any], due: datetime) -> tuple[str, datetime] | None:
        now = max(due, self.entered)
        if node["channel"] not in self.person.reach:
            return self.skip(node_id, node, due, self.why_not if node["channel"] == "line" else "no_address")
        if not node.get("important"):
            held, why = self.not_now(node["channel"], now)
            if why:
                return self.skip(node_id, node, due, why)
            if held:
                return node_id, held + timedelta(minutes=5) * self.late(node_id, held)
            if self.graph.get("caps"):
                self.all_sent.append((now, node["channel"]))
        self.sent[node_id], self.last_node = due, node_id
        self.life.visits.append((node_id, due, "sent"))
        return self.to(node["next"], due)

    def skip(self, node_id: str, node: Mapping[str, Any], due: datetime, why: str) -> tuple[str, datetime]:
        self.life.visits.append((node_id, due, f"skipped {why}"))
        self.last_node = node_id
        if node.get("unreachable"):
            return self.aside(node["unreachable"], due)
        return self.to(node["next"], due)

    def not_now(self, channel: str, now: datetime) -> tuple[datetime | None, str]:
        """Return until when a message waits, or why it is left out: caps first, then the hour."""
        waits = []
        for cap in self.graph.get("caps", []):
            per = length(cap["per"])
            counted = sorted(
                at for at, by in self.all_sent if now - at < per and (cap.get("scope", "all") != "channel" or by == channel)
            )
            if len(counted) >= cap["most"]:
                if cap.get("policy", "delay") == "skip":
                    return None, "cap"
                waits.append(up_to(counted[len(counted) - cap["most"]] + per, timedelta(minutes=15)))
        if waits:
            return max(waits), ""
        quiet = self.graph.get("quiet_hours")
        if not quiet:
            return None, ""
        clock = f"{now.astimezone(JST):%H:%M}"
        start, end = quiet["start"], quiet["end"]
        is_quiet = start <= clock < end if start < end else clock >= start or clock < end
        if not is_quiet:
            return None, ""
        if quiet.get("policy", "delay") == "skip":
            return None, "outside_window"
        opens = on_day(now.astimezone(JST).date(), end)
        return opens if opens >= now else on_day(now.astimezone(JST).date() + DAY, end), ""
