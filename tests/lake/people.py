"""People with everything that a condition can ask about, trees that are often true of them, and the lake that such people make.

tables_of fills the tables from whole Persons by plain means, with no word of the lake's own code; what Japan calls today is nine
hours ahead, and which texts are days is written down beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import duckdb
from hypothesis import strategies as st

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Gender, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.lake.model import BASE
from chalicelib.orders.model import Line, Order, PurchaseStats
from chalicelib.segments.expression import FIELDS, STATES
from chalicelib.segments.model import Act, Contact, History, Person, Reaction, Way
from chalicelib.tracking.model import Activity

# Ends of February, of a common year and of a leap year, and an ordinary day; before, at and after midnight in Japan (15:00 UTC).
NOWS = tuple(
    datetime(year, month, day, hour, minute, tzinfo=UTC)
    for year, month, day in ((2026, 11, 22), (2027, 2, 27), (2027, 2, 28), (2028, 2, 28), (2028, 2, 29))
    for hour, minute in ((3, 0), (14, 59), (15, 0))
)
ACCOUNTS = tuple(map(AccountKey, ("main", "o'sub", "third")))
STRANGE = (
    "東京都",
    "x' OR '1'='1",
    'a"; DROP TABLE "customer"; --',
    "?",
    "%",
    "\\",
    "é",
    "e\u0301",
    "𠮷野家",
    "1",
    "true",
    " ",
    "\n",
)
HALF = "\ud800"  # half a letter: JSON can say it, UTF-8 cannot
TAGS = ("tag_a", "?", "x' OR '1'='1")
SHOPS = ("", "札幌", "o'shop")
PRODUCTS = ("ピアスA", "ピアスB", "?")
CATEGORIES = ("", "ピアス", "指輪")
NAMES = ("", "来店", "x' OR '1'='1")
LINKS = ("", "spring", "autumn")
NODES = ("", "send_a", "send_b")
KINDS = ("clicked", "email_opened", "visited", "custom")
SOURCES = (("cmp", "cmp_1"), ("cmp", "cmp_2"), ("scn", "welcome"), ("scn", "cmp_1"))
OUTCOMES = ("", "bought", "stopped")
ATTRIBUTES = ("points", "day", "a'b", "?")
PHONES = {"": False, "+819012345678": True, "+81312345678": False, "+818001234567": False, "+14155550100": True}
DAY_TEXTS = {
    "2026-11-22": date(2026, 11, 22), "2026/2/3": date(2026, 2, 3), "2024-02-29": date(2024, 2, 29),
    "2027-02-28T14:59:59Z": date(2027, 2, 28), "2027-02-28T15:00:00Z": date(2027, 3, 1), "2026-11-21 23:59": date(2026, 11, 21),
    "2026-02-30": None, "soon": None, "2026-1": None, "２０２６-11-22": None,
}  # fmt: skip
VALUES = (True, False, 0, 1, 2, 3, 1.0, 0.5, -1, 2**40, "", *STRANGE, *DAY_TEXTS)
BIRTHDAY = "profile.birthday"
AGES = (1, 4, 20, 29, 30, 39, 40)
YEN = (-500, 0, 1, 5_000, 10_000, 20_000, 49_999, 50_000, 100_000, 2**40)


def japan(moment: datetime) -> date:
    return (moment.astimezone(UTC).replace(tzinfo=None) + timedelta(hours=9)).date()


class Maker:
    """Makes people and trees that fit together out of one source of chance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.now = self._one(NOWS)
        self.today = japan(self.now)
        self.account = self._one((None, *ACCOUNTS))

    def _one(self, choices: Sequence[Any]) -> Any:
        return self._random.choice(choices)

    def _some(self, choices: Sequence[Any], most: int) -> list[Any]:
        return [self._one(choices) for _ in range(self._random.randint(0, most))]

    def _maybe(self, value: Any, otherwise: Any = None) -> Any:
        return value if self._random.random() < 0.6 else otherwise

    def _chance(self) -> bool:
        return self._random.random() < 0.5

    def _day(self) -> date:
        """A day near today, or near its anniversaries, or at one of the bounds of the scores."""
        days = self._one((0, 0, 1, 1, 2, 7, 30, 31, 90, 91, 180, 365, 366, 730, -1, -1, -7))
        return self.today - timedelta(days=days)

    def _moment(self) -> datetime:
        """An instant just before, at, or after midnight in Japan on such a day, or in its midst."""
        day = self._day()
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=9)
        return midnight + self._one((timedelta(milliseconds=-1), timedelta(0), timedelta(milliseconds=1), timedelta(hours=12)))

    def _birthday(self) -> date:
        leap = date(self._one((1904, 1996, 2000, 2024)), 2, 29)
        around = self.today + timedelta(days=self._one((-2, -1, 0, 1, 2, 400)))
        years = self._one((0, *AGES))
        try:
            return self._one(
                (leap, leap, around.replace(year=around.year - years), date(1, 1, 1), date(1994, 3, 1), date(1993, 2, 28))
            )
        except ValueError:
            return leap

    # People -----------------------------------------------------------------------------------------------------------------

    def people(self, most: int) -> list[Person]:
        return [self._person(Cid(number * 3 + 1)) for number in range(most)]

    def _person(self, cid: Cid) -> Person:
        consents = {channel: Consent(self._chance(), "x", "page") for channel in self._some(tuple(DeliveryChannel), 2)}
        friends = {key: self._friend(cid, key) for key in self._some(ACCOUNTS, 3)}
        return Person(
            Customer(cid, self._profile(), consents), self._stats(), frozenset(self._some(TAGS, 3)), friends,
            frozenset(self._some(tuple(DeliveryChannel), 1)), Activity(self._maybe(self._moment())), history=self._history(cid),
        )  # fmt: skip

    def _profile(self) -> Profile:
        words = ("", *STRANGE)
        attributes = {name: self._one(VALUES) for name in self._some(ATTRIBUTES, 4)}
        return Profile(
            member_no=self._maybe("M1", ""), name=self._one(words), birthday=self._maybe(self._birthday()),
            gender=self._maybe(self._one(tuple(Gender))), email=self._maybe("a@b.test", ""), phone=self._one(tuple(PHONES)),
            postal_code=self._maybe("060-0001", ""), prefecture=self._one(words), city=self._maybe("札幌市", ""),
            address=self._maybe("北1", ""), attributes=attributes,
        )  # fmt: skip

    def _friend(self, cid: Cid, account: AccountKey) -> Friend:
        state = self._one(tuple(FollowState))
        return Friend(cid, account, LineUserId("U" + "a" * 32), state, self._moment(), self._maybe(self._moment()))

    def _stats(self) -> PurchaseStats:
        if self._chance():
            return PurchaseStats()
        return PurchaseStats(self._one((1, 2, 3, 5, 10, 12)), self._one(YEN), self._moment(), self._moment())

    def _history(self, cid: Cid) -> History:
        shared = self._moment()  # orders of one instant: exports carry days without a time
        orders = [
            Order(f"{cid}-{number}", cid, self._maybe(shared, self._moment()), self._one(YEN), (), self._one(SHOPS), self._lines())
            for number in self._random.sample(range(20), self._random.randint(0, 4))
        ]
        return History(
            tuple(orders),
            tuple(self._act() for _ in range(self._random.randint(0, 6))),
            tuple(
                Way(self._one(SOURCES)[1], self._one(("active", "done", "exited")), self._one(OUTCOMES))
                for _ in range(self._random.randint(0, 2))
            ),
            frozenset(self._contact() for _ in range(self._random.randint(0, 3))),
            tuple(Reaction(self._contact(), self._one("ABC"), self._one(LINKS)) for _ in range(self._random.randint(0, 3))),
        )

    def _lines(self) -> tuple[Line, ...]:
        return tuple(Line(self._one(PRODUCTS), self._one(CATEGORIES), 1, 100) for _ in range(self._random.randint(0, 3)))

    def _act(self) -> Act:
        data = {key: self._one(("", "1", "x' OR '1'='1")) for key in self._some(("q1", "q'2"), 2)}
        return Act(self._one(KINDS), self._moment(), self._one(NAMES), self._one(LINKS), self._one(("", "A", "B", "C")), data)

    def _contact(self) -> Contact:
        kind, its_id = self._one(SOURCES)
        return Contact(kind, its_id, "" if kind == "cmp" else self._one(NODES[1:]))

    # Trees ------------------------------------------------------------------------------------------------------------------

    def tree(self, depth: int = 3, saved: Sequence[str] = ()) -> Any:
        chance = self._random.random()
        if depth == 0 or chance < 0.3:
            return self.leaf(saved)
        if chance < 0.5:
            return {"not": self.tree(depth - 1, saved)}
        parts = [self.tree(depth - 1, saved) for _ in range(self._one((0, 1, 2, 2, 3)))]
        return {"all" if chance < 0.75 else "any": parts}

    def leaf(self, saved: Sequence[str] = (), kind: str = "") -> Any:
        if saved and self._random.random() < 0.1:
            return {"segment": self._one(saved)}
        make = {
            "tag": self._tag, "field": self._field, "number": self._number, "date": self._date, "purchase": self._purchase,
            "event": self._event, "received": self._received, "scenario": self._scenario,
        }  # fmt: skip
        return make[kind or self._one(tuple(make))]()

    def _tag(self) -> Any:
        return {"tag": self._one((*TAGS, HALF))}

    def _field(self) -> Any:
        often = ("line.reachable", "line.reachable", "profile.age", *(f"attribute.{name}" for name in ATTRIBUTES))
        field = self._one((*FIELDS, *often))
        room, _, rest = field.partition(".")
        likely: Sequence[Any] = VALUES
        if field == BIRTHDAY:
            likely = [self._birthday().isoformat() for _ in range(9)]
        elif field == "profile.gender":
            likely = tuple(Gender)
        elif field in FIELDS and (rest in ("reachable", "linked", "known")):
            likely = (True, False, 1, "true")
        elif room in ("rfm", "purchase") or field == "profile.age":
            likely = (*range(6), 2.0, *AGES, 10_000, 2.5, True, "1", float("nan"), float("inf"), 10**400)
        if field not in (BIRTHDAY, "profile.gender"):  # which take no other values
            likely = (*likely, "札幌市", "M1", "060-0001", HALF)
        values = [self._one(likely) for _ in range(self._one((1, 2, 5)))]
        return {"field": field, "is": values[0]} if self._chance() else {"field": field, "in": values}

    def _number(self) -> Any:
        names = (
            "purchase.count",
            "profile.age",
            "rfm.recency",
            "rfm.frequency",
            "rfm.monetary",
            "attribute.points",
            "profile.city",
        )
        field = self._one((*names, "purchase.total_yen", "attribute.a'b", "customer.known"))
        numbers = (-1, 0, 2, 3, 5, 1.5, *AGES, float("nan"), float("inf"), -(10**400))
        return {"field": field, **self._span("", YEN if field == "purchase.total_yen" else numbers)}

    def _span(self, word: str, bounds: Sequence[Any], *, may_be_open: bool = False) -> dict[str, Any]:
        low, high = (f"{word}_from", f"{word}_to") if word else ("from", "to")
        found = self._one(({low: self._one(bounds)}, {high: self._one(bounds)}, {low: self._one(bounds), high: self._one(bounds)}))
        return {} if may_be_open and self._chance() else found

    def _date(self) -> Any:
        names = (
            "purchase.first",
            "purchase.last",
            "friend.since",
            "activity.last",
            "attribute.day",
            "attribute.a'b",
            BIRTHDAY,
            BIRTHDAY,
        )
        name = self._one(names)
        day = self._one((0, 0, 1, -1, 2, 7, -7, -365, 365, 366, -36_500, 36_500))
        if name == BIRTHDAY and self._chance():
            return {"date": name, "anniversary_in_days": day}
        days = (0, 1, 2, 7, 30, 90, 365, 10_000)
        ago = (
            {"before_days": self._one(days)},
            {"within_days": self._one(days)},
            {"before_days": 1, "within_days": self._one(days)},
        )
        span = self._one((("from",), ("to",), ("from", "to")))
        between = {key: self._one((self._day(), self._birthday())).isoformat() for key in span}
        return {"date": name, **self._one((*ago, {"in_days": day}, {"anniversary_in_days": day}, between))}

    def _purchase(self) -> Any:
        inner = {
            **self._maybe({"product": self._one(PRODUCTS)}, {}), **self._maybe({"category": self._one(CATEGORIES)}, {}),
            **self._maybe({}, {"shop": self._one(SHOPS)}), **self._maybe({}, self._span("amount", YEN)), **self._ago(),
            **self._maybe({}, {"which": self._one(("first", "last"))}), **self._span("count", (0, 0.5, 1, 2, 3), may_be_open=True),
            **self._span("total", (0, *YEN, 10**20, float("nan")), may_be_open=True),
        }  # fmt: skip
        return {"purchase": inner or {"shop": "札幌"}}

    def _ago(self) -> dict[str, Any]:
        days = (0, 1, 7, 30, 90, 365)
        return self._one(({}, {}, {"before_days": self._one(days)}, {"within_days": self._one(days)}))

    def _event(self) -> Any:
        inner = {
            "kind": self._one(KINDS), **self._maybe({}, {"name": self._one(NAMES)}), **self._maybe({}, {"link": self._one(LINKS)}),
            **self._maybe({}, {"evidence": self._one("ABC")}), **self._maybe({}, {"data": {self._one(("q1", "q'2")): self._one(("", "1"))}}),
            **self._ago(), **self._span("count", (0, 1, 2, 3), may_be_open=True),
        }  # fmt: skip
        return {"event": inner}

    def _received(self) -> Any:
        kind, its_id = self._one(SOURCES)
        inner = {"campaign": its_id} if kind == "cmp" else {"scenario": its_id, **self._maybe({"node": self._one(NODES)}, {})}
        if self._chance():
            return {"received": inner}
        return {"reacted": inner | self._maybe({"link": self._one(LINKS)}, {}) | self._maybe({"evidence": self._one("ABC")}, {})}

    def _scenario(self) -> Any:
        return {"scenario": {"id": self._one(SOURCES)[1], "state": self._one(STATES), "outcome": self._one(OUTCOMES)}}


# One number makes forty people and the trees that are asked of them: Hypothesis would need minutes to draw each part by itself.
MAKERS = st.integers(0, 2**48).map(Maker)


# The lake that they make ----------------------------------------------------------------------------------------------------


def tables_of(people: Iterable[Person]) -> duckdb.DuckDBPyConnection:
    """Return a connection in which every table of BASE holds what these people are."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in BASE}
    for person in people:
        _add(person, rows)
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for name, table in BASE.items():
        columns = ", ".join(f'"{column}" {kind}' for column, kind in table.columns.items())
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
        # As one parameter: DuckDB takes a fifth of a millisecond for each.
        values = [json.dumps(rows[name], default=str), json.dumps([dict(table.columns)])]
        connection.execute(f'INSERT INTO "{name}" SELECT unnest(from_json(?, ?), max_depth := 2)', values)
    return connection


def _add(person: Person, rows: dict[str, list[dict[str, Any]]]) -> None:
    cid, profile = person.cid, person.customer.profile
    refused = {channel for channel, consent in person.customer.consents.items() if consent.is_opted_out} | person.suppressed
    open_on = {key: friend for key, friend in person.friends.items() if friend.state != "blocked"}
    friend_at = next((friend.state_at or friend.first_seen_at for _, friend in sorted(open_on.items())), None)
    rows["customer"].append(_customer(person, refused, friend_at))
    words = ("member_no", "name", "name_kana", "email", "phone", "postal_code", "address", "building")
    rows["identity"].append({"cid": cid} | {word: getattr(profile, word) or None for word in words})
    for key, friend in person.friends.items():
        reachable = key in open_on and DeliveryChannel.LINE not in refused
        day = japan(friend.state_at or friend.first_seen_at)
        rows["friend"].append({"account": key, "cid": cid, "state": friend.state, "reachable": reachable, "day": day})
    rows["tag"] += [{"tag": tag, "cid": cid} for tag in person.tags]
    for name, value in profile.attributes.items():
        typed = "flag" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        day_named = DAY_TEXTS.get(value) if isinstance(value, str) else None
        rows["attribute"].append({"name": name, "cid": cid, typed: value, "day": day_named})
    _add_history(cid, person.history, rows)


def _customer(person: Person, refused: set[DeliveryChannel], friend_at: datetime | None) -> dict[str, Any]:
    profile, stats = person.customer.profile, person.stats
    acted_at = person.activity.last_at
    moments = [moment for moment in (acted_at, stats.last_at, friend_at) if moment]
    posted = profile.postal_code and profile.name and profile.address and (profile.prefecture or profile.city)
    has = {"line": friend_at, "email": profile.email, "sms": PHONES[profile.phone], "postal": posted}
    reachable = {f"{channel}_reachable": bool(address) and channel not in refused for channel, address in has.items()}
    nothing = None if person.cid % 2 else 0  # who never ordered has either
    return reachable | {
        "cid": person.cid, "known": profile.member_no != "", "linked": profile.member_no != "" and len(person.friends) > 0,
        "gender": profile.gender, "birthday": profile.birthday, "prefecture": profile.prefecture or None, "city": profile.city or None,
        "count": stats.count or nothing, "total_yen": stats.total_yen if stats.count else nothing,
        "first_day": stats.first_at and japan(stats.first_at), "last_day": stats.last_at and japan(stats.last_at),
        "friend_day": friend_at and japan(friend_at), "acted_day": acted_at and japan(acted_at),
        "activity_day": japan(max(moments)) if moments else None,
    }  # fmt: skip


def _plain(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _add_history(cid: Cid, history: History, rows: dict[str, list[dict[str, Any]]]) -> None:
    ordered = sorted(history.orders, key=lambda order: (order.at, order.order_no))
    for order in ordered:
        for number, line in enumerate(order.lines or (Line(""),)):
            rows["purchase"].append({
                "cid": cid, "order_no": order.order_no, "line": number, "day": japan(order.at), "at": _plain(order.at),
                "shop": order.shop or None, "amount_yen": order.amount_yen, "product": line.product or None,
                "category": line.category or None, "quantity": line.quantity, "yen": line.yen, "is_first": order is ordered[0],
                "is_last": order is ordered[-1],
            })  # fmt: skip
    for number, act in enumerate(history.acts):
        rows["event"].append({
            "cid": cid, "id": f"EV#{number}", "kind": act.kind, "day": japan(act.at), "at": _plain(act.at), "name": act.name or None,
            "link": act.link or None, "evidence": act.evidence or None, "data": dict(act.data) if act.data else None,
        })  # fmt: skip
    for number, way in enumerate(history.ways):
        row = {"cid": cid, "id": f"ENR#{number}", "scenario": way.scenario_id, "status": way.status, "reason": way.reason or None}
        rows["enrollment"].append(row)
    for one in history.contacts:
        rows["received"].append({"kind": one.kind, "id": one.id, "node": one.node, "cid": cid})
    for to, evidence, link in {(each.to, each.evidence, each.link) for each in history.reactions}:
        rows["reaction"].append({"kind": to.kind, "id": to.id, "node": to.node, "cid": cid, "link": link, "evidence": evidence})
