"""Real people: the purchase history of 23,570 CDNOW customers, through the public CSV import and two scenarios.

Who was contacted is compared with an independent computation over the raw file. The file lies outside the repository
(../shared/data/cdnow_master.txt.gz; Fader & Hardie 2001); without it this journey says so and is skipped.
"""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.imports.model import ImportKind, ImportState
from chalicelib.kernel.windows import JST
from chalicelib.reactions import react_to_orders
from tests.builders import Stage, make_stage
from tests.fakes.runner import Runner

DATA = Path(__file__).parents[3] / "shared" / "data" / "cdnow_master.txt.gz"
DAY_ZERO = date(1997, 1, 1)
DORMANT_ON = date(1998, 8, 3)

pytestmark = [
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not DATA.exists(), reason=f"the CDNOW purchase history is not there ({DATA.name})"),
]


@dataclass(frozen=True)
class Purchase:
    """One line of the file. number: its place, which makes the order number."""

    number: int
    customer: str
    day: date
    cents: int


def read() -> list[Purchase]:
    purchases = []
    with gzip.open(DATA, "rt") as lines:
        next(lines)
        for number, line in enumerate(lines):
            customer, day, _, dollars = line.split()
            moment = date(int(day[:4]), int(day[4:6]), int(day[6:]))
            purchases.append(Purchase(number, customer, moment, round(float(dollars) * 100)))
    return purchases


def line_id(customer: str) -> str:
    return "U" + customer.rjust(32, "0")


def has_line(customer: str) -> bool:
    return int(customer) % 10 < 6


def has_phone(customer: str) -> bool:
    return int(customer) % 10 < 8


@pytest.fixture(scope="module")
def purchases() -> list[Purchase]:
    return read()


def bring_in(stage: Stage, kind: ImportKind, text: str, *, trigger: bool = False) -> None:
    job, _ = stage.world.imports.create(kind, dry_run=False, trigger=trigger, mapping={}, account="main")
    stage.files.put(job.file_key, text.encode(), "text/csv")
    stage.world.imports.start(job.import_id)
    while stage.world.imports.work(job.import_id, lambda facts: react_to_orders(facts, stage.world)):
        pass
    done = stage.world.imports.get(job.import_id)
    assert (done.state, done.failed) == (ImportState.DONE, 0), done
    assert done.created == text.count("\n") - 1


def customers_csv(people: list[str]) -> str:
    rows = ["会員番号,氏名,電話番号,LINEユーザーID"]
    for one in people:
        phone = f"0901{int(one):07d}" if has_phone(one) else ""
        rows.append(f"{one},顧客{one},{phone},{line_id(one) if has_line(one) else ''}")
    return "\n".join(rows) + "\n"


def orders_csv(purchases: list[Purchase]) -> str:
    rows = ["注文番号,会員番号,注文日,金額"]
    rows += [f"O{p.number:06d},{p.customer},{p.day:%Y-%m-%d},{p.cents}" for p in purchases]
    return "\n".join(rows) + "\n"


def at(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), tzinfo=JST).astimezone(UTC)


def contacts(stage: Stage) -> dict[str, Counter[str]]:
    """Return per message text how often each LINE user id was sent it."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for _, body, _ in stage.line.sent:
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        found[body["messages"][0]["text"]].update(to)
    return found


FIRST_PURCHASE: dict[str, Any] = {
    "d3": {"type": "wait", "duration": "P3D", "at": "18:00", "next": "thanks"},
    "thanks": {"type": "send", "channel": "line", "template": "tpl_thanks", "next": "d7"},
    "d7": {"type": "wait", "duration": "P4D", "at": "18:00", "next": "coupon"},
    "coupon": {"type": "send", "channel": "line", "template": "tpl_coupon", "next": "d30"},
    "d30": {"type": "wait", "duration": "P23D", "at": "18:00", "next": "remind"},
    "remind": {"type": "send", "channel": "line", "template": "tpl_remind", "next": "done"},
    "done": {"type": "end"},
}
DORMANT: dict[str, Any] = {
    "first": {"type": "send", "channel": "line", "template": "tpl_hello", "next": "w1", "unreachable": "sms"},
    "w1": {"type": "wait_for_response", "of": "first", "timeout": "P3D", "at": "20:00", "responded": "done", "timed_out": "second"},
    "second": {"type": "send", "channel": "line", "template": "tpl_again", "next": "w2", "unreachable": "sms"},
    "w2": {"type": "wait_for_response", "of": "second", "timeout": "P3D", "at": "12:00", "responded": "done", "timed_out": "sms"},
    "sms": {"type": "send", "channel": "sms", "template": "tpl_sms", "next": "done"},
    "done": {"type": "end"},
}
CONDITION = {"all": [{"date": "purchase.last", "before_days": 90}, {"purchase": {"total_from": 40000}}]}


def first_purchase(stage: Stage, purchases: list[Purchase], people: list[str]) -> None:
    """Play the first-purchase scenario over the whole history and compare who got what."""
    stage.clock.set(at(DAY_ZERO, 0))
    for name in ("thanks", "coupon", "remind"):
        stage.template(f"tpl_{name}", name)
    stage.scenario("first_purchase", FIRST_PURCHASE, trigger={"type": "event", "event": "first_purchase"})
    bring_in(stage, ImportKind.CUSTOMERS, customers_csv(people))
    bring_in(stage, ImportKind.ORDERS, orders_csv(purchases), trigger=True)
    Runner(stage).until(at(DORMANT_ON - timedelta(days=1), 0))
    expected = {line_id(customer) for customer in people if has_line(customer)}
    found = contacts(stage)
    assert set(found) == {"thanks", "coupon", "remind"}
    for text, counts in found.items():
        assert set(counts) == expected, text
        assert set(counts.values()) == {1}, text


def dormant(stage: Stage, purchases: list[Purchase], people: list[str]) -> None:
    """Wake the dormant, nobody answers, fall back to SMS; compare with the raw file."""
    stage.line.sent.clear()
    stage.clock.set(at(DORMANT_ON, 9))
    stage.template("tpl_hello", "hello")
    stage.template("tpl_again", "again")
    stage.template("tpl_sms", "sms", "sms")
    trigger = {"type": "segment", "condition": CONDITION, "schedule": {"at": "10:00"}}
    stage.scenario("dormant", DORMANT, trigger=trigger, goal={"event": "purchase"})
    stage.clock.set(at(DORMANT_ON, 10))
    part: int | None = 0
    while part is not None:
        part = stage.world.entries.by_schedule("dormant", stage.clock.now(), part)
    stage.schedules.armed.clear()  # one morning's entry is what the file is asked about below
    Runner(stage).until(at(DORMANT_ON + timedelta(days=10), 0))

    # The same question asked of the raw file, by other means.
    last: dict[str, date] = {}
    total: Counter[str] = Counter()
    for p in purchases:
        last[p.customer] = max(last.get(p.customer, p.day), p.day)
        total[p.customer] += p.cents
    sleeping = {c for c in people if (DORMANT_ON - last[c]).days >= 90 and total[c] >= 40000}
    on_line = {line_id(c) for c in sleeping if has_line(c)}
    on_phone = {f"+81901{int(c):07d}" for c in sleeping if has_phone(c)}
    assert 300 < len(sleeping) < 3000, len(sleeping)
    found = contacts(stage)
    assert set(found["hello"]) == on_line
    assert set(found["again"]) == on_line
    assert {n for counts in found.values() for n in counts.values()} == {1}
    assert Counter(number for number, _, _ in stage.sms.sent) == Counter(dict.fromkeys(on_phone, 1))


def test_it_contacts_exactly_whom_the_raw_file_says(tables: str, purchases: list[Purchase]) -> None:
    people = sorted({p.customer for p in purchases})
    assert (len(people), len(purchases)) == (23570, 69659)
    stage = make_stage()
    first_purchase(stage, purchases, people)
    dormant(stage, purchases, people)
