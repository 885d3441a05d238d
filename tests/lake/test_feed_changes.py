"""What an item of each room is in the lake, and that streams may repeat, mix up and split what they tell."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.signing import fingerprint
from chalicelib.lake.changes import UNREADABLE, change_of, change_of_item, kind_of, latest
from chalicelib.lake.deltas import columns_of, write_rows
from chalicelib.lake.manifest import DELTA_FILES
from chalicelib.lake.model import CHANGES
from chalicelib.segments.model import person_of
from tests.fakes.outside import FakeFiles
from tests.lake.streams import SECOND, Item, deltas, feeder, record, standing

AT = "2026-11-22T15:30:00.456Z"
ENROLLMENT: dict[str, Any] = {
    "pk": "C#7", "sk": "ENR#dormant#", "cid": 7, "scenario": "dormant", "version": 2, "run": 3, "status": "exited",
    "path": {"send_a__202611200900": "sent", "send_a__202611210900": "sent", "send_b__202611220900": "skipped cap", "w__1": "moved x y"},
    "responses": {"send_a": f"{AT} B clicked", "send_a|lnk_1": f"{AT} B clicked", "odd": "nothing", "old": f"{AT} click"}, "events": {},
    "entered_at": AT, "ended_at": "", "reason": "goal",
}  # fmt: skip
EXAMPLES: list[tuple[str, Item, tuple[str, dict[str, Any]]]] = [
    ("core",
     {"pk": "C#7", "sk": "P", "created_at": AT, "member_no": "M1", "name": "山田", "email": "a@b.jp", "phone": "+819012345678",
      "birthday": "1992-02-29", "gender": "female", "postal_code": "060-0001", "city": "札幌市", "address": "1-1", "name_kana": "",
      "consent_line": f"out {AT} page", "consent_sms": f"in {AT} page", "attributes": {"rank": "金", "n": 3, "ok": True, "d": "2026/1/2"},
      "aliases": [9], "done": "x"},
     ("profile",
      {"cid": 7, "created_at": "2026-11-22T15:30:00.456", "member_no": "M1", "name": "山田", "email": "a@b.jp",
       "email_print": fingerprint("a@b.jp"), "phone": "+819012345678", "phone_print": fingerprint("+819012345678"),
       "birthday": "1992-02-29", "gender": "female", "postal_code": "060-0001", "city": "札幌市", "address": "1-1",
       "has_mobile": True, "has_address": True, "out_line": True, "out_email": False, "out_sms": False, "out_postal": False,
       "attributes": [{"name": "rank", "text": "金"}, {"name": "n", "number": 3.0}, {"name": "ok", "flag": True},
                      {"name": "d", "text": "2026/1/2", "day": "2026-01-02"}]})),
    ("core", {"pk": "C#7", "sk": "P", "merged_into": 9},
     ("profile", {"cid": 7, "merged_into": 9, "has_mobile": False, "has_address": False, "out_line": False, "out_email": False,
                  "out_sms": False, "out_postal": False, "attributes": []})),
    ("core", {"pk": "C#7", "sk": "S", "count": 2, "total_yen": 300, "first_at": AT, "last_at": AT, "first_no": "A", "revision": 1},
     ("stats", {"cid": 7, "count": 2, "total_yen": 300, "first_at": AT[:-1], "last_at": AT[:-1], "first_no": "A"})),
    ("core", {"pk": "C#7", "sk": "A", "last_at": AT, "h09": 3}, ("activity", {"cid": 7, "last_at": AT[:-1]})),
    ("core", {"pk": "C#7", "sk": "T", "tag_b": "x", "tag_a": "x", "off_tag_c": "x"}, ("tags", {"cid": 7, "tags": ["tag_a", "tag_b"]})),
    ("core",
     {"pk": "C#7", "sk": "FR#main", "line_user_id": "U1", "state": "blocked", "first_seen_at": AT, "state_at": "2026-11-23T00:00:00.000Z"},
     ("friend", {"account": "main", "cid": 7, "line_user_id": "U1", "state": "blocked", "since_at": "2026-11-23T00:00:00.000"})),
    ("core", {"pk": "C#7", "sk": "FR#main", "line_user_id": "U1", "state": "unknown", "first_seen_at": AT, "state_at": ""},
     ("friend", {"account": "main", "cid": 7, "line_user_id": "U1", "state": "unknown", "since_at": AT[:-1]})),
    ("core", {"pk": "SUP#email#abc", "sk": "#", "reason": "bounced", "at": AT}, ("suppressed", {"channel": "email", "print": "abc"})),
    ("timeline",
     {"pk": "C#7", "sk": f"PUR#{AT}#N#1", "order_no": "N#1", "at": AT, "amount_yen": 500, "shop": "", "products": ["a", "b"],
      "lines": [["a", "", 2, 300], ["b", "帽子", 1, 200]]},
     ("purchase", {"cid": 7, "order_no": "N#1", "at_instant": AT[:-1], "amount_yen": 500,
                   "lines": [{"product": "a", "quantity": 2, "yen": 300}, {"product": "b", "category": "帽子", "quantity": 1, "yen": 200}]})),
    ("timeline", {"pk": "C#7", "sk": f"PUR#{AT}#N", "order_no": "N", "at": AT, "amount_yen": 0, "shop": "札幌", "products": ["a"]},
     ("purchase", {"cid": 7, "order_no": "N", "at_instant": AT[:-1], "amount_yen": 0, "shop": "札幌",
                   "lines": [{"product": "a", "quantity": 1, "yen": 0}]})),
    ("timeline", {"pk": "C#7", "sk": f"PUR#{AT}#N", "order_no": "N", "at": AT, "amount_yen": 0, "shop": "", "products": []},
     ("purchase", {"cid": 7, "order_no": "N", "at_instant": AT[:-1], "amount_yen": 0, "lines": []})),
    ("timeline", {"pk": "C#7", "sk": f"EV#{AT}#v1", "kind": "clicked", "at": AT, "link_id": "lnk_1", "source": "cmp|c1", "evidence": "B"},
     ("event", {"cid": 7, "id": f"EV#{AT}#v1", "kind": "clicked", "at_instant": AT[:-1], "source": "cmp|c1", "evidence": "B", "link": "lnk_1"})),
    ("timeline", {"pk": "C#7", "sk": f"EV#{AT}#q", "kind": "survey_answered", "at": AT, "name": "満足度", "data": {"q1": "はい"}},
     ("event", {"cid": 7, "id": f"EV#{AT}#q", "kind": "survey_answered", "at_instant": AT[:-1], "name": "満足度", "data": {"q1": "はい"}})),
    ("timeline", {"pk": "C#7", "sk": f"EV#{AT}#p", "kind": "postback", "at": AT, "account": "main", "evidence": "A", "data": "menu=1"},
     ("event", {"cid": 7, "id": f"EV#{AT}#p", "kind": "postback", "at_instant": AT[:-1], "account": "main", "evidence": "A", "data": {"data": "menu=1"}})),
    ("timeline", {"pk": "C#7", "sk": f"EV#{AT}#t", "kind": "video", "at": AT, "ttl": SECOND},
     ("event", {"cid": 7, "id": f"EV#{AT}#t", "kind": "video", "at_instant": AT[:-1], "expires_at": "2026-11-30T00:53:20"})),
    ("engine", ENROLLMENT,
     ("enrollment",
      {"cid": 7, "id": "ENR#dormant##00003", "scenario": "dormant", "version": 2, "status": "exited", "reason": "goal",
       "entered_at": AT[:-1], "sent": [{"node": "send_a", "at": "2026-11-21T09:00:00.000"}],
       "reactions": [{"node": "send_a", "evidence": "B", "at": AT[:-1]},
                     {"node": "send_a", "link": "lnk_1", "evidence": "B", "at": AT[:-1]}]})),
    ("engine", {"pk": "CMP#cmp_1#5", "sk": "000000000007", "cid": 7, "path": {"campaign": "sent"}},
     ("recipient", {"campaign": "cmp_1", "cid": 7, "at_instant": "2026-11-30T00:53:20"})),
    ("core", {"pk": "MARK#5", "sk": "#", "asked_at": AT}, ("mark", {"table": "core", "number": 5, "asked_at": AT[:-1]})),
]  # fmt: skip
KEYS = [(table, item) for table, item, _ in EXAMPLES]


@pytest.mark.parametrize(("table", "item", "expected"), EXAMPLES)
def test_an_item_becomes_a_row_of_its_kind(table: str, item: Item, expected: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    kind, row = expected
    about = {"v": "0" * 39 + "5", "at": "2026-11-30T00:53:20", "gone": False}
    change = change_of(table, record(table, 5, item))
    assert change == (kind, {**row, **about})
    write_rows(kind, [change[1]], tmp_path / "row.parquet")
    described = duckdb.sql(f"DESCRIBE SELECT * FROM '{tmp_path}/row.parquet'").fetchall()
    assert [name for name, *_ in described] == list(columns_of(kind))
    assert [type_.replace('"', "") for _, type_, *_ in described] == [type_.replace('"', "") for type_ in columns_of(kind).values()]


def test_there_is_an_example_of_every_kind() -> None:
    assert {expected[0] for _, _, expected in EXAMPLES} == set(CHANGES)


@pytest.mark.parametrize(("table", "item"), KEYS)
def test_whoever_reads_a_whole_table_finds_the_same_rows(table: str, item: Item) -> None:
    change = change_of(table, record(table, 5, item))
    assert change is not None
    kind, row = change
    assert change_of_item(table, dict(item), datetime.fromtimestamp(SECOND, UTC)) == (kind, {**row, "v": ""})


@pytest.mark.parametrize(
    ("table", "pk", "sk"),
    [
        ("core", "ID#member#M1", "#"), ("core", "COUNTER", "cid"), ("core", "C#7", "CAP"), ("core", "C#7", "LINK#main"),
        ("timeline", "ORD#1", "#"), ("timeline", "WEV#1", "#"), ("timeline", "OCC#1", "#"), ("timeline", "SHT#1", "#"),
        ("engine", "COH#x", "#"), ("engine", "CMP#cmp_1", "page-0"), ("engine", "SND#b", "0001"), ("engine", "LIVE#s", "x"),
        ("timeline", "CMP#cmp_1#5", "000000000007"), ("engine", "SUP#email#x", "#"), ("engine", "C#7", "P"),
    ],
)  # fmt: skip
def test_what_nobody_asks_about_is_in_no_kind(table: str, pk: str, sk: str) -> None:
    assert kind_of(table, pk, sk) is None


@pytest.mark.parametrize(("table", "item"), KEYS)
def test_an_item_that_is_deleted_goes_and_one_that_expired_stays(table: str, item: Item) -> None:
    change = change_of(table, record(table, 6, None, item))
    assert change is not None
    kind, row = change
    assert set(row) == {*CHANGES[kind].key, "v", "at", "gone"}
    assert row["gone"]
    assert change_of(table, record(table, 6, None, item, by="dynamodb.amazonaws.com")) is None


def test_a_former_run_is_the_row_that_it_was_when_it_was_the_present_one() -> None:
    former = {**ENROLLMENT, "sk": "HIS#ENR#dormant##00003"}
    present, kept = (change_of("engine", record("engine", 5, item)) for item in (ENROLLMENT, former))
    assert present == kept


def test_a_place_in_an_audience_is_nothing_until_the_message_left() -> None:
    for path in ({}, {"campaign": "skipped blocked"}):
        assert change_of("engine", record("engine", 1, {"pk": "CMP#c#5", "sk": "000000000007", "cid": 7, "path": path})) is None


def test_a_record_that_cannot_be_read_is_told_by_its_keys_and_holds_nobody_up() -> None:
    one, files, dead = feeder()
    broken = {"pk": "C#8", "sk": "P", "name": "山田", "birthday": "1990-13-01"}
    assert one.feed([record("core", 1, broken), record("core", 2, {"pk": "C#7", "sk": "A", "last_at": AT})]) == 1
    assert [key[0] for key in standing(files)] == ["activity"]
    ((body, attributes),) = dead.messages
    assert body == '{"pk": "C#8", "sk": "P", "table": "core", "number": "1", "error": "ValueError"}'
    assert attributes == {"kind": "lake"}


@pytest.mark.parametrize(
    ("table", "item"),
    [
        ("core", {"pk": "C#7", "sk": "S", "count": 2**31, "total_yen": 0}),
        ("core", {"pk": f"C#{2**63}", "sk": "A", "last_at": AT}),
        ("timeline", {"pk": "C#7", "sk": "PUR#x", "order_no": "N", "at": AT, "amount_yen": 2**63, "products": []}),
        ("timeline", {"pk": "C#7", "sk": "PUR#x", "order_no": "N", "at": AT, "amount_yen": 1.5, "products": []}),
    ],
)
def test_a_number_that_no_column_can_hold_is_refused_before_it_spoils_a_file(table: str, item: Item) -> None:
    with pytest.raises(TypeError):
        change_of(table, record(table, 1, item))


def test_the_same_records_make_the_same_files_and_others_make_others() -> None:
    batch = [record(table, number, item) for number, (table, item) in enumerate(KEYS)]
    one, files, _ = feeder()
    one.feed(batch)
    kept = dict(files.kept)
    one.feed(batch)
    assert files.kept == kept
    one.feed(batch[:1])
    assert len(files.kept) == len(kept) + 1


def test_a_batch_waits_when_the_files_cannot_be_reached() -> None:
    class Deaf(FakeFiles):
        def put(self, key: str, content: bytes, content_type: str) -> None:
            raise TemporaryError("PutObject")

    one, _, dead = feeder()
    one._files = Deaf()
    with pytest.raises(TemporaryError):
        one.feed([record("core", 1, {"pk": "C#7", "sk": "A", "last_at": AT})])
    assert not dead.messages


def test_a_mark_lies_in_the_lake_only_when_all_that_came_with_it_does() -> None:
    class Dying(FakeFiles):
        def put(self, key: str, content: bytes, content_type: str) -> None:
            if "/mark/" not in key:
                raise TemporaryError("PutObject")
            super().put(key, content, content_type)

    one, _, _ = feeder()
    one._files = files = Dying()
    mark = {"pk": "MARK#1", "sk": "#", "asked_at": AT}
    with pytest.raises(TemporaryError):
        one.feed([record("core", 1, mark), record("core", 2, {"pk": "C#7", "sk": "A", "last_at": AT})])
    assert files.kept == {}


# Properties -----------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = st.one_of(
    TEXT, st.booleans(), st.integers(-(10**12), 10**12), st.floats(-1e30, 1e30),
    st.dates().map(str), st.datetimes().map(lambda moment: moment.isoformat(" ")),
)  # fmt: skip
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(to_text)
PEOPLE = st.integers(1, 4).map(lambda cid: f"C#{cid}")


def some(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


def maybe(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def both(a: Item, b: Item) -> dict[str, Any]:
    return {**a, **b}


PROFILES = st.builds(
    both, some(pk=PEOPLE, sk=st.just("P"), attributes=st.dictionaries(TEXT, SCALAR, max_size=3)),
    maybe(name=TEXT, email=TEXT, phone=st.sampled_from(["+819012345678", "+81312345678", "x"]), birthday=st.dates().map(str),
          merged_into=st.integers(1, 9), consent_email=st.sampled_from(["out x y", "in x y"])),
)  # fmt: skip
FRIENDS = some(
    pk=PEOPLE, sk=st.sampled_from(["FR#main", "FR#second"]), line_user_id=TEXT, state=st.sampled_from(["following", "blocked"]),
    first_seen_at=INSTANTS, state_at=st.one_of(st.just(""), INSTANTS),
)  # fmt: skip
TAGS = some(pk=PEOPLE, sk=st.just("T"), tag_a=st.sampled_from(["", "x"]))
ITEMS = st.one_of(PROFILES, FRIENDS, TAGS)


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[tuple[str, str], Item]]:
    """Records of writes and deletions, and the items that stand in the end."""
    items: dict[tuple[str, str], Item] = {}
    records = []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        known = sorted(items)
        if known and draw(st.integers(0, 4)) == 0:
            key = draw(st.sampled_from(known))
            records.append(record("core", number, None, items.pop(key)))
            continue
        item = draw(ITEMS)
        key = (item["pk"], item["sk"])
        records.append(record("core", number, item, items.get(key)))
        items[key] = item
    return records, items


@given(lives(), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_repeated_and_mixed_up_records_come_to_what_the_table_holds(
    life: tuple[list[dict[str, Any]], dict[tuple[str, str], Item]], data: st.DataObject
) -> None:
    records, items = life
    told = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=5))))
    one, files, dead = feeder()
    while told:
        size = data.draw(st.integers(1, len(told)))
        one.feed(told[:size])
        told = told[size:]
    whole, all_at_once, _ = feeder()
    whole.feed([record("core", 1, item) for item in items.values()])
    assert not dead.messages
    assert standing(files) == standing(all_at_once)


@given(PROFILES)
@settings(max_examples=100, deadline=None)
@example({"pk": "C#1", "sk": "P", "attributes": {"nul": "a\0b", "quote": "';--\"", "day": "2026-11-22T23:30:00-05:00"}})
def test_attributes_are_what_conditions_see(item: Item) -> None:
    change = change_of("core", record("core", 1, item))
    assert change is not None
    person = person_of(Cid(1), {"P": dict(item)})
    seen = {}
    for one in change[1]["attributes"]:
        value = next(one[kind] for kind in ("text", "number", "flag") if kind in one)
        seen[one["name"]] = (type(value) is bool, value, one.get("day"))
    expected = {}
    for name in item["attributes"]:
        value = person.value(f"attribute.{name}", None, date(2026, 1, 1))
        day = person.day(f"attribute.{name}", None)
        expected[name] = (type(value) is bool, value, day.isoformat() if day else None)
    assert seen == expected


JUNK = st.recursive(
    st.one_of(SCALAR, st.none()), lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)), max_leaves=4
)  # fmt: skip


@given(st.sampled_from(KEYS), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_can_be_read_can_be_written(known: tuple[str, Item], data: st.DataObject) -> None:
    table, item = known
    names = [name for name in item if name not in ("pk", "sk")]
    spoilt = {**item, **{name: data.draw(JUNK) for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2))}}
    try:
        change = change_of(table, record(table, 1, spoilt))
    except UNREADABLE:
        return
    if change is None:
        return
    one, files, _ = feeder()
    assert one.feed([record(table, 1, spoilt)]) == 1
    assert [row["v"] for row in deltas(files)[change[0]]] == ["0" * 39 + "1"]


@given(st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_instants_are_utc_to_the_millisecond(moments: list[datetime]) -> None:
    one, files, _ = feeder()
    one.feed([record("core", cid, {"pk": f"C#{cid}", "sk": "A", "last_at": to_text(at)}) for cid, at in enumerate(moments)])
    found = {row["cid"]: row["last_at"] for row in deltas(files)["activity"]}
    assert found == {
        cid: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=None) for cid, at in enumerate(moments)
    }  # fmt: skip


def test_of_one_item_the_greatest_version_stands() -> None:
    rows = [("activity", {"cid": 1, "v": v}) for v in ("3", "5", "4")]
    assert latest(rows) == {"activity": [{"cid": 1, "v": "5"}]}


def test_files_are_named_where_folding_looks() -> None:
    one, files, _ = feeder()
    one.feed([record("core", 12, {"pk": "C#7", "sk": "A", "last_at": AT})])
    (key,) = files.kept
    assert key.startswith(f"{DELTA_FILES}activity/{'0' * 38}12-core-")
