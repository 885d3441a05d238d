"""What the rooms really write comes through the tables' streams into the lake as the tables hold it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from chalicelib.adapters import aws
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import lake_feeder
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.facts import EmailOpened, Evidence, LinkClicked, Occurred, OptedOut
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.signing import fingerprint
from chalicelib.kernel.wire import plain
from chalicelib.lake.changes import change_of_item
from chalicelib.lake.model import CHANGES
from chalicelib.orders.model import Line, Order
from chalicelib.reactions import react
from chalicelib.settings import settings
from tests.builders import MAIN, TARO, Stage, make_stage
from tests.fakes.outside import FakeQueue
from tests.fakes.runner import Runner
from tests.lake.streams import TABLES, standing
from tests.rooms.journey import END, NOON, answer, follow, rest, say


@pytest.fixture
def stage(tables: str) -> Iterator[Stage]:
    """A stage whose tables have streams, as the template gives them."""
    database = aws.client("dynamodb")
    for table in TABLES:
        given = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        database.update_table(TableName=table, StreamSpecification=given)
    stage = make_stage()
    stage.clock.set(NOON)
    stage.world.__dict__["lake_dead"] = FakeQueue()
    yield stage
    for table in TABLES:
        database.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})


def told(table: str) -> list[dict[str, Any]]:
    """Return the records of a table's stream in the form in which Lambda hands them over."""
    arn = aws.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    streams = boto3.client("dynamodbstreams", endpoint_url=aws.client("dynamodb").meta.endpoint_url)
    records: list[dict[str, Any]] = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        iterator = place["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            for record in answer["Records"]:
                at = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
                records.append(
                    {**record, "eventSourceARN": arn, "dynamodb": {**record["dynamodb"], "ApproximateCreationDateTime": at}}
                )
            iterator = answer.get("NextShardIterator") if answer["Records"] else None
    return records


def feed(stage: Stage) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Let the function take every record, and return what then stands in the lake."""
    for table in TABLES:
        lake_feeder.handle({"Records": told(table)}, stage.world)
    dead: Any = stage.world.lake_dead
    assert dead.messages == []
    return standing(stage.files)


def everything_happens(stage: Stage) -> Cid:
    """Let each room write what it writes of a person; return him."""
    world = stage.world
    runner = Runner(stage)
    values = {"name": "山田花子", "birthday": "1992-02-29", "email": "hanako@example.jp", "phone": "090-1234-5678"}
    customer = stage.customer("M1", **values)
    world.customers.change_attribute({customer: "k1"}, "score", lambda _: 3)
    world.customers.set_consent(customer, DeliveryChannel.SMS, opted_out=True, source="page")
    world.customers.suppress(DeliveryChannel.EMAIL, "hanako@example.jp", "bounced")
    lines = (Line("ピアスA", "耳飾り", 2, 3000), Line("箱"))
    world.orders.take([Order("N1", customer, NOON, 3500, shop="札幌", lines=lines), Order("N2", customer, NOON, 500)])
    tag = world.tags.create("vip", tag_id="tag_vip").tag_id
    world.tags.add(customer, tag, "test")
    stage.template()
    stage.template("tpl_bye", "さようなら")
    stage.scenario("welcome", {"hi": say("tpl_hello", "w"), "w": rest("P1D", "bye"), "bye": say("tpl_bye", "e"), "e": END})
    friend = follow(stage)
    runner.days(0.5)
    later = stage.clock.now()
    facts = [
        LinkClicked(fact_id="c1", cid=friend, at=later, link_id="lnk_1", source="scn|welcome|hi", evidence=Evidence.PROBABLE),
        EmailOpened(fact_id="o1", cid=friend, at=later, source="cmp|cmp_x"),
        Occurred(fact_id="s1", cid=friend, at=later, event="survey_answered", name="満足度", data={"q1": "はい"}),
        OptedOut(fact_id="x1", cid=friend, at=later, channel="email"),
    ]
    react(facts, world)
    answer(stage, friend, data="menu=1")
    stage.friend(TARO)
    world.friends.block(MAIN, TARO, later, event_id="b")
    made = world.campaigns.create("news", DeliveryChannel.LINE, "tpl_bye", {"all": []})
    _, steps = world.campaigns.schedule(made.campaign_id, None)
    enqueue(steps, world)
    runner.days(3)
    return friend


def holds_what_the_tables_hold(found: dict[tuple[Any, ...], dict[str, Any]]) -> None:
    expected = {}
    for table, word in TABLES.items():
        for item in aws.client("dynamodb").scan(TableName=table)["Items"]:
            change = change_of_item(word, plain(item), datetime(2026, 11, 1, tzinfo=UTC))
            if change is not None:
                kind, row = change
                expected[kind, *(row[name] for name in CHANGES[kind].key)] = row
    assert set(found) == set(expected)
    assert {key[0] for key in found} == set(CHANGES) - {"mark"}
    for key, row in expected.items():
        kind = key[0]
        for name in CHANGES[kind].columns:
            if (kind, name) != ("recipient", "at_instant"):  # a whole table does not say when it left
                assert seen(found[key][name]) == seen(row.get(name)), (key, name)


def seen(value: Any) -> Any:
    """Return a value as text where rows have instants and days as texts, and without what is NULL."""
    match value:
        case datetime():
            return value.isoformat(timespec="milliseconds")
        case date():
            return value.isoformat()
        case list():
            return [seen(entry) for entry in value]
        case dict():
            return {name: seen(entry) for name, entry in value.items() if entry is not None}
    return value


def test_a_person_is_in_the_lake_with_all_that_he_did(stage: Stage) -> None:
    friend = everything_happens(stage)
    found = feed(stage)
    holds_what_the_tables_hold(found)
    (profile,) = (row for key, row in found.items() if key[0] == "profile" and row["member_no"] == "M1")
    assert (profile["birthday"], profile["email"], profile["has_mobile"]) == (date(1992, 2, 29), "hanako@example.jp", True)
    assert (profile["out_sms"], profile["out_line"]) == (True, False)
    assert profile["attributes"] == [{"name": "score", "text": None, "number": 3.0, "flag": None, "day": None}]
    assert found["suppressed", "email", fingerprint("hanako@example.jp")]
    assert profile["email_print"] == fingerprint("hanako@example.jp")
    orders = {key[2]: row for key, row in found.items() if key[0] == "purchase"}
    assert orders["N1"]["lines"][0] == {"product": "ピアスA", "category": "耳飾り", "quantity": 2, "yen": 3000}
    assert (orders["N1"]["at_instant"], orders["N2"]["lines"]) == (NOON.replace(tzinfo=None), [])
    assert found["stats", profile["cid"]]["total_yen"] == 4000
    assert found["tags", profile["cid"]]["tags"] == ["tag_vip"]
    assert {row["state"] for key, row in found.items() if key[0] == "friend"} == {"following", "blocked"}
    acts = {row["kind"]: row for key, row in found.items() if key[:2] == ("event", friend)}
    assert set(acts) >= {"followed", "clicked", "email_opened", "survey_answered", "opted_out", "postback"}
    assert (acts["clicked"]["source"], acts["clicked"]["link"], acts["clicked"]["evidence"]) == ("scn|welcome|hi", "lnk_1", "B")
    assert (acts["survey_answered"]["name"], acts["survey_answered"]["data"]) == ("満足度", {"q1": "はい"})
    (run,) = (row for key, row in found.items() if key[:2] == ("enrollment", friend))
    assert [one["node"] for one in run["sent"]] == ["hi", "bye"]
    assert ("hi", "lnk_1", "B") in {(one["node"], one["link"], one["evidence"]) for one in run["reactions"]}
    assert run["status"] == "done"
    assert run["ended_at"] - run["entered_at"] >= timedelta(days=1)
    assert [key[2] for key in found if key[0] == "recipient"] == [friend]


def test_a_friendship_that_moves_leaves_nothing_behind(stage: Stage) -> None:
    customer, friend = stage.customer("M1"), stage.friend()
    before = feed(stage)
    assert ("friend", "main", friend) in before
    world = stage.world
    one = world.friends.of(friend, MAIN)
    assert one is not None
    world.friends.move(one, customer)
    world.people.mark_merged(friend, customer)
    after = feed(stage)
    assert [key for key in after if key[0] == "friend"] == [("friend", "main", customer)]
    assert after["profile", friend]["merged_into"] == customer


def test_marks_come_through_every_stream(stage: Stage) -> None:
    for table in (settings().core_table, settings().timeline_table, settings().engine_table):
        stage.world.database.put_many(
            table, [{"pk": f"MARK#{n}", "sk": "#", "asked_at": "2026-12-01T03:00:00.000Z"} for n in (0, 1)]
        )
    found = feed(stage)
    assert set(found) == {("mark", table, number) for table in TABLES.values() for number in (0, 1)}
    assert {row["asked_at"] for row in found.values()} == {NOON.replace(tzinfo=None)}


def test_an_unreadable_item_is_a_dead_letter(stage: Stage) -> None:
    stage.world.database.put_many(settings().core_table, [{"pk": "C#5", "sk": "A", "last_at": "never"}])
    lake_feeder.handle({"Records": told(settings().core_table)}, stage.world)
    dead: Any = stage.world.lake_dead
    ((body, _),) = dead.messages
    assert {name: json.loads(body)[name] for name in ("table", "pk", "sk")} == {"table": "core", "pk": "C#5", "sk": "A"}
    assert stage.files.kept == {}
