"""What the trial promises: everybody's way worked out from what he did, against what LINE, mailboxes, phones and printer got."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.checks import Outcome as Arrived
from local.checks import _get, _letters, kind_of

if TYPE_CHECKING:
    from tests.journeys.trial import Member, Trial

# What people do comes to our ears at half past, and a page that is tried again and again is late by minutes.
_LATE = timedelta(minutes=90)
_EAGER = timedelta(minutes=5)
_LINE_KINDS = {"first_try": "dormant", "second_try": "dormant_again", "nudge": "dormant_again", "voices": "voices"}


@dataclass(slots=True)
class Outcome:
    """Everything that arrived anywhere, and the enrollments as they ended, by member number. unknown: whose message may be lost."""

    line: dict[str, list[tuple[str, datetime]]]
    mails: list[str]
    phones: list[str]
    letters: list[str]
    enrollments: dict[str, Mapping[str, Any]]
    unknown: set[str]
    faults: Mapping[str, int]
    line_faults: list[dict[str, Any]]
    executions: int
    live: int
    dead: int

    def sent(self) -> dict[str, int]:
        """Return how many left by each channel."""
        line = sum(len(messages) for messages in self.line.values())
        return {"LINE": line, "メール": len(self.mails), "SMS": len(self.phones), "郵送DM": len(self.letters)}

    def ends(self) -> Counter[str]:
        """Return how many ended how."""
        return Counter(f"v{item['version']} {item['reason'] or item['status']}" for item in self.enrollments.values())


def collect(trial: Trial) -> Outcome:
    """Gather what arrived and what was kept."""
    from chalicelib.wiring import world
    from tests.journeys.trial import SCENARIO

    here = world()
    line: dict[str, list[tuple[str, datetime]]] = {}
    for received in trial.line.messages:
        line.setdefault(received.user_id, []).append((kind_of(received.message), received.at))
    mails = _get(trial.stack.endpoint + "/_ministack/ses/messages")["messages"]
    texts = _get(trial.stack.endpoint + "/_ministack/sns/sms-messages")["sms_messages"]
    printed = Arrived()
    _letters(trial, printed)  # type: ignore[arg-type]  # it asks for nothing but the stack
    profiles = here.database.scan(here.settings.core_table, segment=0, segments=1)
    members_of = {
        int(item["pk"].removeprefix("C#")): item["member_no"] for item in profiles if item["sk"] == "P" and "member_no" in item
    }
    engine = here.database.scan(here.settings.engine_table, segment=0, segments=1)
    status = _get(trial.stack.endpoint + "/_enishi/status")
    return Outcome(
        line=line,
        mails=[mail["To"][0] for box in mails.values() for mail in box],
        phones=[number for number, found in texts.items() for _ in found],
        letters=printed.letters,
        enrollments={members_of[item["cid"]]: item for item in engine if item["sk"].startswith(f"ENR#{SCENARIO}#")},
        unknown={members_of[cid] for cid in _of_unknown_fate(trial)},
        faults=status["faults"],
        line_faults=trial.line.faults.describe() or trial.faults_of_line,
        executions=status["executions"],
        live=len(list(here.records.live_cohorts(SCENARIO))),
        dead=sum(len(trial.api.get(f"/dead-letters/{queue}")["items"]) for queue in ("events", "work")),
    )


def _of_unknown_fate(trial: Trial) -> set[int]:
    """Return the people in calls of which nobody knows whether they were taken."""
    from chalicelib.wiring import world

    pages = {entry["batch_id"] for entry in trial.api.get("/deliveries/unknown")["items"]}
    return {
        int(cid)
        for page in pages
        for batch in world().ledger.batches(page)
        for call, result in zip(batch.calls, batch.results, strict=True)
        if result.startswith("unknown")
        for cid in call.members
    }


@dataclass(slots=True)
class Way:
    """What should have become of a member. steps: by node, `sent` or `skipped`, and when it was due."""

    steps: dict[str, tuple[str, datetime]]
    end: str
    version: int


def way_of(one: Member) -> Way:
    """Work out a member's way from what he did, by the marketer's drawing and nothing of the product's."""
    from tests.journeys.trial import ENTRY, PAUSE, RESUME, SECOND_DEADLINE

    if not one.user_id or _is_blocked(one, ENTRY):
        return _by_channel(one, {"first_try": ("skipped", ENTRY)}, ENTRY, 1)
    steps = {"first_try": ("sent", ENTRY)}
    answer = _first(one, ENTRY, RESUME)
    if answer:
        # Who answers in the pause goes on when it is over, in the new version.
        goes_on_at = RESUME if answer >= PAUSE else _soon(answer)
        return _answered(one, steps, goes_on_at, 1 if answer < PAUSE else 2)
    if _has_bought(one, RESUME):
        return Way(steps, "goal", 1 if _has_bought(one, PAUSE) else 2)
    if _is_blocked(one, RESUME):
        return _by_channel(one, {**steps, "nudge": ("skipped", RESUME)}, RESUME, 2)
    steps["nudge"] = ("sent", RESUME)
    answer = _first(one, RESUME, SECOND_DEADLINE)
    if answer:
        return _answered(one, steps, _soon(answer), 2)
    if _has_bought(one, SECOND_DEADLINE):
        return Way(steps, "goal", 2)
    return _by_channel(one, steps, SECOND_DEADLINE, 2)


def _answered(one: Member, steps: dict[str, tuple[str, datetime]], at: datetime, version: int) -> Way:
    if _has_bought(one, at):
        return Way(steps, "goal", version)
    return Way({**steps, "voices": ("skipped" if _is_blocked(one, at) else "sent", at)}, "反応あり", version)


def _soon(answer: datetime) -> datetime:
    """Return when who answers goes on: at the next full five minutes."""
    return answer + timedelta(seconds=-answer.timestamp() % _EAGER.total_seconds())


def _by_channel(one: Member, steps: dict[str, tuple[str, datetime]], at: datetime, version: int) -> Way:
    ways = {"mail": one.email if version == 2 else "", "sms": one.phone, "letter": one.street}
    node = next((node for node, address in ways.items() if address), "")
    if not node:
        return Way(steps, "届く方法なし", version)
    return Way({**steps, node: ("sent", at)}, "代替配信", version)


def _first(one: Member, start: datetime, end: datetime) -> datetime | None:
    """Return his first answer within [start, end), unless he bought before."""
    found = min((at for at in one.responses if start <= at < end), default=None)
    return None if found is None or _has_bought(one, found) else found


def _is_blocked(one: Member, at: datetime) -> bool:
    return one.blocked_at is not None and one.blocked_at < at


def _has_bought(one: Member, at: datetime) -> bool:
    return one.bought_at is not None and one.bought_at < at


# The promises ---------------------------------------------------------------------------------------------------------------


def check(trial: Trial, outcome: Outcome) -> list[str]:
    """Return every broken promise in a sentence."""
    ways = {one.member_no: way_of(one) for one in trial.members}
    problems = [f"LINE: {broken}" for broken in trial.line.invariants().broken]
    for one in trial.members:
        problems += _line_of(one, ways[one.member_no], outcome.line.get(one.user_id, []))
        problems += _path_of(one, ways[one.member_no], outcome.enrollments.get(one.member_no))
    problems += _addresses(trial, ways, outcome)
    lost = [delivery.state for delivery in trial.line.webhooks if delivery.state != "delivered"]
    rest = {
        "live cohorts": outcome.live,
        "executions": outcome.executions,
        "dead letters": outcome.dead,
        "webhooks that never arrived": len(lost),
    }
    return problems + [f"{number} {what} are left" for what, number in rest.items() if number]


def _line_of(one: Member, way: Way, got: list[tuple[str, datetime]]) -> list[str]:
    expected = {_LINE_KINDS[node]: at for node, (note, at) in way.steps.items() if node in _LINE_KINDS and note == "sent"}
    counts = Counter(kind for kind, _ in got)
    found = [f"{one.member_no} got {kind} {n} times" for kind, n in counts.items() if n > 1]
    if set(counts) != set(expected):
        found.append(f"{one.member_no} got {sorted(counts)} on LINE, expected {sorted(expected)}: {_story(one)}")
    late = [kind for kind, at in got if kind in expected and not expected[kind] <= at <= expected[kind] + _LATE]
    return found + [f"{one.member_no} got {kind} at the wrong time, expected {expected[kind]}: {got}" for kind in late]


def _path_of(one: Member, way: Way, kept: Mapping[str, Any] | None) -> list[str]:
    if kept is None:
        return [f"{one.member_no} never entered"]
    notes = {
        visit.rpartition("__")[0]: note.partition(" ")[0] for visit, note in kept["path"].items() if not note.startswith("moved")
    }
    expected = {node: note for node, (note, _) in way.steps.items()}
    end = (kept["reason"], kept["version"])
    if kept["status"] == "active" or notes != expected or end != (way.end, way.version):
        was = f"{notes} {kept['status']} {end}"
        return [f"{one.member_no} went {was}, expected {expected} {(way.end, way.version)}: {_story(one)}"]
    return []


def _story(one: Member) -> str:
    return f"answers {sorted(one.responses)[:3]}, blocked {one.blocked_at}, bought {one.bought_at}"


def _addresses(trial: Trial, ways: Mapping[str, Way], outcome: Outcome) -> list[str]:
    """Mails and letters to exactly those who should get one; an SMS too, but for what is on the list of unknown fate."""

    def of(node: str) -> list[Member]:
        return [one for one in trial.members if node in ways[one.member_no].steps]

    found = []
    mails = Counter(one.email for one in of("mail"))
    if mails != Counter(outcome.mails):
        found.append(f"mails: {_difference(mails, Counter(outcome.mails))}")
    letters = Counter(f"060-0001 札幌市中央区{one.street} {one.name}" for one in of("letter"))
    if letters != Counter(outcome.letters):
        found.append(f"letters: {_difference(letters, Counter(outcome.letters))}")
    phones = Counter("+81" + re.sub(r"\D", "", one.phone)[1:] for one in of("sms"))
    may_lack = Counter("+81" + one.phone[1:] for one in of("sms") if one.member_no in outcome.unknown)
    got = Counter(outcome.phones)
    if got - phones or (phones - got) - may_lack:
        found.append(f"SMS: {_difference(phones, got)}, unknown {len(may_lack)}")
    others = outcome.unknown - {one.member_no for one in of("sms")}
    return found + ([f"unknown fate beside SMS: {sorted(others)}"] if others else [])


def _difference(expected: Counter[str], got: Counter[str]) -> str:
    return f"missing {dict(expected - got)}, extra {dict(got - expected)}"
