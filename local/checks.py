"""What the demo promises, checked from outside: what LINE, the mailbox, the phones and the printer really got.

The expected way of each person is worked out here from what he did, by other means than the product's own.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.windows import JST
from chalicelib.scenarios.ready_made import drawings
from local.cast import fits

if TYPE_CHECKING:
    from local.demo import Demo, Story

PROMISES = 7
# A message of LINE's is recognised by what stands still in it.
_KINDS = (
    ("hello", "友だち追加ありがとうございます"),
    ("hello_buttons", "会員連携のご案内"),
    ("story", "読みもの"),
    ("offer", "はじめてのお買い物に使える"),
    ("thanks", "お使い心地はいかがですか"),
    ("coupon", "クーポンをお届けします"),
    ("remind", "期限がもうすぐです"),
    ("dormant", "お久しぶりです"),
    ("dormant_again", "新作のご案内"),
    ("voices", "お客様の声をお届けします"),
    ("linked", "連携が完了しました"),
    ("link_failed", "連携ができませんでした"),
    ("invite", "会員アカウントとの連携"),
)


def kind_of(message: Mapping[str, Any]) -> str:
    """Return which of the seeds' messages this is."""
    text = str(message.get("altText") or message.get("text") or "")
    return next((kind for kind, mark in _KINDS if mark in text), "other")


@dataclass(slots=True)
class Outcome:
    """Everything that arrived anywhere. line: per user id the kinds with their instants; the others by address."""

    line: dict[str, list[tuple[str, datetime]]] = field(default_factory=dict)
    mails: list[tuple[str, str]] = field(default_factory=list)
    sms: list[tuple[str, str]] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    letter_files: int = 0
    visits: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    ends: dict[str, Counter[str]] = field(default_factory=dict)


def collect(demo: Demo) -> Outcome:
    """Gather what arrived."""
    outcome = Outcome()
    for received in demo.line.messages:
        outcome.line.setdefault(received.user_id, []).append((kind_of(received.message), received.at))
    mails = _get(demo.stack.endpoint + "/_ministack/ses/messages")["messages"]
    outcome.mails = sorted((mail["To"][0], mail["Subject"]) for box in mails.values() for mail in box)
    texts = _get(demo.stack.endpoint + "/_ministack/sns/sms-messages")["sms_messages"]
    outcome.sms = sorted((number, one["Message"]) for number, list_ in texts.items() for one in list_)
    _letters(demo, outcome)
    _visits(demo, outcome)
    return outcome


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
        return json.load(answer)


def _letters(demo: Demo, outcome: Outcome) -> None:
    import csv
    import io

    files = demo.stack.client("s3")
    bucket = demo.stack.outputs["FilesBucket"]
    for entry in files.list_objects_v2(Bucket=bucket, Prefix="postal/").get("Contents", []):
        if entry["Key"].endswith(".csv"):
            content = files.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().decode("cp932")
            outcome.letters += [f"{row['郵便番号']} {row['住所1']} {row['氏名']}" for row in csv.DictReader(io.StringIO(content))]
        else:
            outcome.letter_files += 1


def _visits(demo: Demo, outcome: Outcome) -> None:
    from chalicelib.wiring import world

    for item in world().database.scan(world().settings.engine_table, segment=0, segments=1):
        if not item["sk"].startswith("ENR#"):
            continue
        nodes = outcome.visits.setdefault(item["scenario"], {})
        for visit, note in item["path"].items():
            nodes.setdefault(visit.partition("__")[0], Counter())[note] += 1
        ended = item["reason"] if item["status"] != "active" else "進行中"
        outcome.ends.setdefault(item["scenario"], Counter())[ended or item["status"]] += 1


# The promises -------------------------------------------------------------------------------------------------------------


def check(demo: Demo, outcome: Outcome) -> list[str]:
    """Return every broken promise in a sentence."""
    problems = [f"LINEシミュレーター: {line}" for line in demo.line.invariants().broken]
    problems += _each_once(outcome)
    problems += _nobody_after_a_block(demo)
    for story in demo.stories.values():
        problems += _as_designed(demo, story, outcome)
    problems += _fallbacks(demo, outcome)
    problems += _newcomers(demo, outcome)
    problems += _nothing_left(demo)
    return problems


def _each_once(outcome: Outcome) -> list[str]:
    found = []
    for user_id, messages in outcome.line.items():
        doubled = {kind for kind, n in Counter(kind for kind, _ in messages).items() if n > 1}
        found += [f"{user_id} に {kind} が2回届いた / twice" for kind in doubled]
    for what, entries in (("メール", outcome.mails), ("SMS", [number for number, _ in outcome.sms]), ("郵送DM", outcome.letters)):
        found += [f"{what} が2回: {entry} / twice" for entry, n in Counter(entries).items() if n > 1]
    return found


def _nobody_after_a_block(demo: Demo) -> list[str]:
    blocked = {story.user_id: story.blocked_at for story in demo.stories.values() if story.blocked_at}
    found = []
    for call in demo.line.requests:
        if call.path not in ("/v2/bot/message/push", "/v2/bot/message/multicast") or call.status >= 400:
            continue
        to = (call.json() or {}).get("to", [])
        for user_id in [to] if isinstance(to, str) else to:
            moment = blocked.get(user_id)
            if moment and call.at > moment.timestamp() + 1:
                found.append(f"ブロック後の {user_id} に送ろうとした / tried to send after a block")
    return found


def _local(moment: datetime) -> datetime:
    return moment.astimezone(JST)


def _at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=JST)


def _as_designed(demo: Demo, story: Story, outcome: Outcome) -> list[str]:
    got = {kind: moment for kind, moment in outcome.line.get(story.user_id, [])}
    expected = _welcome(demo, story) | _dormant(demo, story)
    expected |= _first_purchase(demo, story)
    ours = {kind for kind, _ in _KINDS} - {"invite", "linked", "link_failed"}
    missing = {kind for kind in expected if kind not in got}
    extra = {kind for kind in got if kind in ours and kind not in expected}
    late = {kind for kind, moment in expected.items() if kind in got and abs((got[kind] - moment).total_seconds()) > 360}
    found = [f"{story.name} に {kind} が届かなかった / missing" for kind in sorted(missing)]
    found += [f"{story.name} に {kind} が余分に届いた / unexpected" for kind in sorted(extra)]
    found += [
        f"{story.name} の {kind} の時刻が違う（{got[kind]}、予定 {expected[kind]}） / at the wrong time" for kind in sorted(late)
    ]
    return found


def _reaches(story: Story, moment: datetime) -> bool:
    return story.followed_at is not None and (story.blocked_at is None or moment < story.blocked_at)


def _welcome(demo: Demo, story: Story) -> dict[str, datetime]:
    if story.followed_at is None:
        return {}
    day = _local(story.followed_at).date()
    plan = {
        "hello": story.followed_at,
        "hello_buttons": story.followed_at,
        "story": _at(day + timedelta(days=7), 10),
        "offer": _at(day + timedelta(days=14), 10),
    }
    return {kind: moment for kind, moment in plan.items() if _reaches(story, moment) and moment < demo.machine.now()}


def _enters_dormant(story: Story, now: datetime) -> datetime | None:
    """Return the ten o'clock at which he first counts as dormant, from the day after the demo's start."""
    from local.demo import START

    if story.member is None or not story.member.orders:
        return None
    last = max(_local(at).date() for _, at, _, _, _ in story.member.orders)
    day = max(last + timedelta(days=90), _local(START).date() + timedelta(days=1))
    moment = _at(day, 10)
    return moment if moment < now else None


@dataclass(slots=True)
class DormantWay:
    """Which steps of the dormant scenario somebody goes, and when."""

    steps: dict[str, datetime]
    falls_back_at: datetime | None


def dormant_way(story: Story, now: datetime) -> DormantWay:
    """Work out a member's way through the dormant scenario from what he did."""
    first = _enters_dormant(story, now)
    if first is None:
        return DormantWay({}, None)
    if story.linked_at is None or story.linked_at > first or not _reaches(story, first):
        return DormantWay({}, first)
    steps = {"dormant": first}
    second = _at(_local(first).date() + timedelta(days=3), 20)
    answer = next((at for at, kind in story.responses if kind == "dormant" and at < second), None)
    if answer is None:
        if second >= now:
            return DormantWay(steps, None)
        if not _reaches(story, second):
            return DormantWay(steps, second)
        steps["dormant_again"] = second
        last = _at(_local(second).date() + timedelta(days=3), 12)
        answer = next((at for at, kind in story.responses if second <= at < last), None)
        if answer is None:
            return DormantWay(steps, last if last < now else None)
    thanks = answer + timedelta(seconds=(-answer.timestamp()) % 300)
    if _reaches(story, thanks):
        steps["voices"] = thanks
    return DormantWay(steps, None)


def _dormant(demo: Demo, story: Story) -> dict[str, datetime]:
    return dormant_way(story, demo.machine.now()).steps


def _fallbacks(demo: Demo, outcome: Outcome) -> list[str]:
    """Everybody who did not respond gets an SMS, else a letter, else nothing; nobody else does."""
    phones, homes = Counter[str](), Counter[str]()
    stories = {id(story.member): story for story in demo.stories.values() if story.member}
    for member in demo.members:
        story = stories.get(id(member))
        if story is None or dormant_way(story, demo.machine.now()).falls_back_at is None:
            continue
        if member.phone:
            phones["+81" + re.sub(r"\D", "", member.phone)[1:]] += 1
        elif member.address[3]:
            homes[f"{member.address[0]} {member.address[2]}{member.address[3]} {_printed(member.name)}"] += 1
    found = []
    if phones != Counter(number for number, _ in outcome.sms):
        found.append(f"SMSの宛先が予定と違う / other people got an SMS: {_difference(phones, Counter(n for n, _ in outcome.sms))}")
    if homes != Counter(outcome.letters):
        found.append(f"郵送DMの宛先が予定と違う / other people got a letter: {_difference(homes, Counter(outcome.letters))}")
    if outcome.letters and not outcome.letter_files:
        found.append("印刷用PDFがない / no PDF")
    return found


def _printed(name: str) -> str:
    kept = "".join(char if fits(char) else "〓" for char in name)
    return kept


def _difference(expected: Counter[str], got: Counter[str]) -> str:
    return f"missing {dict(expected - got)}, extra {dict(got - expected)}"


_FIRST = (("thanks", 3), ("coupon", 7), ("remind", 30))


def _first_purchase(demo: Demo, story: Story) -> dict[str, datetime]:
    if story.first_order_at is None:
        return {}
    day = _local(story.first_order_at).date()
    plan = {kind: _at(day + timedelta(days=days), 18) for kind, days in _FIRST}
    now = demo.machine.now()
    return {
        kind: moment
        for kind, moment in plan.items()
        if moment < now and story.linked_at and story.linked_at < moment and _reaches(story, moment)
    }


def _newcomers(demo: Demo, outcome: Outcome) -> list[str]:
    """Whoever cannot be reached on LINE at a step of the first-purchase scenario gets that step by e-mail, if he has one."""
    templates = {template["template_id"]: template["content"] for template in drawings()["first_purchase"].templates}
    subjects = {kind: templates[f"tpl_{kind}_mail"]["subject"] for kind, _ in _FIRST}
    expected = Counter[tuple[str, str]]()
    for story in demo.stories.values():
        if story.first_order_at is None or story.member is None or not story.member.email:
            continue
        by_line = _first_purchase(demo, story)
        day = _local(story.first_order_at).date()
        for kind, days in _FIRST:
            moment = _at(day + timedelta(days=days), 18)
            if kind not in by_line and moment < demo.machine.now():
                name = story.member.name
                expected[story.member.email, re.sub(r"\{\{name\|[^}]*\}\}", _printed(name), subjects[kind])] += 1
    got = Counter(outcome.mails)
    return [] if expected == got else [f"メールが予定と違う / other mails: {_difference_pairs(expected, got)}"]


def _difference_pairs(expected: Counter[tuple[str, str]], got: Counter[tuple[str, str]]) -> str:
    return f"missing {dict(expected - got)}, extra {dict(got - expected)}"


def _nothing_left(demo: Demo) -> list[str]:
    """No dead letters, nothing of unknown fate, no half-done import."""
    found = []
    for queue in ("events", "work", "mail"):
        letters = demo.api.get(f"/dead-letters/{queue}")["items"]
        if letters:
            found.append(f"{queue} に処理できないメッセージが {len(letters)} 件 / dead letters")
    unknown = demo.api.get("/deliveries/unknown")["items"]
    if unknown:
        found.append(f"到達不明の配信が {len(unknown)} 件 / deliveries of unknown fate")
    return found


def summary(outcome: Outcome) -> dict[str, int]:
    """Return how many left by each channel."""
    line: dict[str, int] = defaultdict(int)
    for messages in outcome.line.values():
        line["LINE"] += len(messages)
    return {"LINE": line["LINE"], "メール": len(outcome.mails), "SMS": len(outcome.sms), "郵送DM": len(outcome.letters)}
