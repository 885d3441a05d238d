"""Who is erased leaves no trace but what expires, whoever dies on the way, and is known when somebody else brings him back."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path

import pytest
from pyroaring import BitMap

from chalicelib.entrypoints import lake_keeper, webhook_worker, workers
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.ids import Cid
from chalicelib.lake.erasure import Receipt, purge
from chalicelib.lake.manifest import GRACE, load
from chalicelib.lake.service import Lake
from chalicelib.people.model import line_identity, member_identity, person_key
from chalicelib.settings import settings
from chalicelib.tracking.model import CLICK
from tests.builders import HANAKO, MAIN, Stage, make_stage
from tests.lake.lives import read_lake
from tests.lake.test_feed_rooms import everything_happens
from tests.rooms.journey import NOON
from tests.rooms.memory import crashes, database, make_memory_stage
from tests.rooms.test_imports import run
from tests.rooms.test_tracking import PHONE

ROOT = Path(__file__).parents[2]
TRACES = ("山田花子", "hanako@example.jp", "090-1234-5678", "M1'", HANAKO, "ORD#N1", "満足度")
# What S3 itself throws away; audiences are not left to it.
EXPIRING = tuple(
    set(re.findall(r"Prefix: (\S+/), ExpirationInDays", (ROOT / "infra/resources.yaml").read_text())) - {"lake/audience/"}
)


@pytest.fixture
def stage(tables: str, tmp_path: Path) -> Stage:
    made = make_stage()
    made.clock.set(NOON)
    made.world.__dict__["lake"] = Lake(made.world.database, made.files, made.clock, tmp_path / "work")
    return made


def all_tables() -> tuple[str, ...]:
    config = settings()
    return config.core_table, config.timeline_table, config.engine_table, config.config_table


def everything(stage: Stage, tmp_path: Path) -> Iterator[str]:
    """Yield all that is kept anywhere and does not expire, as text."""
    import duckdb

    for table in all_tables():
        yield from (repr(item) for item in stage.world.database.scan(table, segment=0, segments=1))
    for key, content in stage.files.kept.items():
        if key.startswith(EXPIRING):
            continue
        yield key
        if key.endswith(".parquet"):
            path = tmp_path / "look.parquet"
            path.write_bytes(content)
            yield repr(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall())
        else:
            yield repr(content)


def work(stage: Stage) -> None:
    """Work the queue off."""
    while stage.work.messages:
        body, _ = stage.work.messages.pop(0)
        assert workers.handle({"Records": [{"messageId": "m", "body": body, "messageAttributes": {}}]}, stage.world) == {
            "batchItemFailures": []
        }


def hour(stage: Stage) -> None:
    """Let an hour pass: the keeper comes, the reconciler comes, the queue is worked off."""
    lake_keeper.handle({"kind": "fold"}, stage.world)
    stage.clock.set(stage.clock.now() + timedelta(hours=1))
    workers.tick({"kind": "reconcile"}, stage.world)
    work(stage)
    lake_keeper.handle({"kind": "fold"}, stage.world)


def erase(stage: Stage, cid: Cid) -> Receipt:
    receipt = stage.world.erasures.order(cid, "本人の申し出", "key_1")
    workers.do({"op": "erasure", "receipt_id": receipt.receipt_id}, stage.world)
    return receipt


def a_whole_life(stage: Stage) -> tuple[Cid, Cid, Cid]:
    """Let everything happen to somebody who is a member and a friend; return both numbers, and somebody else's."""
    world = stage.world
    friend = everything_happens(stage)
    cid = world.customers.by_member_no("M1").cid
    world.friends.move(world.friends.get(MAIN, HANAKO), cid)
    world.people.mark_merged(friend, cid)
    now = stage.clock.now()
    world.webhook_log.mark_done("main", "answer", "postback", now, now, {"source": {"userId": HANAKO}})
    run(stage, f"会員番号,氏名,LINEユーザーID\r\nM1,山田花子,{HANAKO}\r\nM1,山田花子,U\r\n", account="main")
    other = stage.customer("m-jiro", name="次郎")
    stage.files.put("lake/audience/a-1.roar", BitMap([int(cid), int(other)]).serialize(), "")
    lake_keeper.handle({"kind": "rebuild"}, world)
    return cid, friend, other


def test_no_trace_in_tables_files_bitmaps_and_logs(stage: Stage, tmp_path: Path) -> None:
    logs = io.StringIO()
    with redirect_stdout(logs):
        cid, friend, other = a_whole_life(stage)
        found = "\n".join(everything(stage, tmp_path))
        assert [trace for trace in TRACES if trace not in found] == []

        receipt = erase(stage, friend)
        assert set(load(stage.files)[0].erased) == {cid, friend} == set(receipt.cids)
        assert not any(stage.world.database.query(settings().core_table, person_key(one)) for one in receipt.cids)
        hour(stage)
    assert stage.world.erasures.receipt(receipt.receipt_id).done_at is not None
    assert stage.world.erasures.due() == []
    left = list(everything(stage, tmp_path))
    assert [(trace, text[:200]) for trace in TRACES for text in left if trace in text] == []
    assert [trace for trace in TRACES if trace in logs.getvalue()] == []
    assert {row[0] for row in read_lake(stage.files, tmp_path / "read")["customer"]}.isdisjoint({cid, friend})
    assert BitMap.deserialize(stage.files.kept["lake/audience/a-1.roar"]) == BitMap([int(other)])
    assert any("次郎" in text for text in left)
    assert stage.world.webhook_log.is_done("answer")


def test_he_is_known_when_somebody_brings_him_back_until_it_is_his_own_wish(stage: Stage) -> None:
    erasures = stage.world.erasures
    cid = stage.customer("m-hanako", email="hanako@example.jp", phone="+819011112222")
    former = stage.friend()
    stage.world.friends.move(stage.world.friends.get(MAIN, HANAKO), cid)
    stage.world.people.mark_merged(former, cid)
    receipt = erase(stage, former)
    known = [member_identity("m-hanako"), line_identity(MAIN, HANAKO), "email#hanako@example.jp", "phone#+819011112222"]
    assert erasures.erased([*known, member_identity("m-jiro")]) == dict.fromkeys(known, receipt.receipt_id)
    for values in ({"member_no": "m-hanako"}, {"member_no": "m-9", "phone": "+819011112222"}):
        with pytest.raises(ConflictError, match="customer.erased"):
            erasures.refuse(values)
    erasures.refuse({"member_no": "m-9", "email": None})
    with pytest.raises(ConflictError, match="erasure.runs"):
        erasures.lift(receipt.receipt_id, "key_2")
    # A new follow by himself makes a new person, whom carrying out the receipt again does not touch.
    anew = stage.friend(HANAKO, stage.clock.now() + timedelta(minutes=1))
    assert anew not in (cid, former)
    stale = {"pk": person_key(cid), "sk": "FR#main", "line_user_id": HANAKO}  # by somebody who had read him before
    stage.world.database.put_many(settings().core_table, [stale])
    hour(stage)
    assert stage.world.people.find(line_identity(MAIN, HANAKO)) == anew
    for _ in range(2):
        erasures.lift(receipt.receipt_id, "key_2")
        assert erasures.erased(known) == {}
    lifted = erasures.receipt(receipt.receipt_id)
    assert (lifted.lifted_by, lifted.prints, lifted.cids, lifted.reason) == ("key_2", (), receipt.cids, "本人の申し出")
    erasures.refuse({"member_no": "m-hanako"})


def test_it_is_done_when_nobody_is_on_his_way_with_him_and_no_file_holds_him(stage: Stage) -> None:
    early, late = stage.customer("m1"), stage.customer("m2")
    receipt = erase(stage, early)
    lake_keeper.handle({"kind": "fold"}, stage.world)
    assert stage.world.erasures.carry_out(receipt.receipt_id).done_at is None
    receipts = [receipt, erase(stage, late)]
    stage.clock.set(stage.clock.now() + GRACE)
    done = [stage.world.erasures.carry_out(one.receipt_id).done_at for one in receipts]
    assert done == [stage.clock.now(), None]
    lake_keeper.handle({"kind": "fold"}, stage.world)
    assert stage.world.erasures.carry_out(receipts[1].receipt_id).done_at is not None


def test_it_needs_a_reason_and_a_person(stage: Stage) -> None:
    erasures = stage.world.erasures
    for reason in (" ", "x" * 501):
        with pytest.raises(InvalidError, match="erasure.no_reason"):
            erasures.order(stage.customer("m1"), reason, "key_1")
    with pytest.raises(NotFoundError, match="customer.unknown"):
        erasures.order(Cid(987_654_321), "because", "key_1")
    for receipt_id in ("era_1", "", "x" * 3000):
        with pytest.raises(NotFoundError, match="erasure.unknown"):
            erasures.receipt(receipt_id)


def test_nobody_is_there_any_more_to_be_changed(stage: Stage) -> None:
    cid = stage.customer("m1")
    erase(stage, cid)
    with pytest.raises(NotFoundError, match="customer.unknown"):
        stage.world.customers.change(cid, {"name": "花子"})


def test_an_old_link_of_his_notes_nothing(stage: Stage) -> None:
    cid, other = stage.customer("m1"), stage.customer("m2")
    stage.world.tracking.create_link("sale", "セール", "https://shop.test/sale")
    visits = []
    for one in (cid, other):
        token = stage.world.tracking.click_url("sale", one, "cmp|c", stage.clock.now()).rpartition("/")[2]
        at = to_text(stage.clock.now() + timedelta(minutes=1))
        visits.append({"purpose": CLICK, "token": token, "method": "GET", "agent": PHONE, "visit_id": "v1", "at": at})
    erase(stage, cid)
    for visit in visits:
        webhook_worker.handle_message(json.dumps(visit), {"kind": "visit"}, stage.world)
    assert len(stage.world.tracking.timeline(other)) == 1
    assert not stage.world.tracking.timeline(cid) and not stage.world.people.is_there(cid)


def test_what_was_written_meanwhile_goes_at_the_next_look(stage: Stage, tmp_path: Path) -> None:
    cid = stage.customer("m1", name="山田花子")
    receipt = erase(stage, cid)
    stage.world.customers.write({cid: {"name": "山田花子"}})  # by somebody who had read him before
    assert stage.world.erasures.due() == [receipt.receipt_id]
    hour(stage)
    assert not [text for text in everything(stage, tmp_path) if "山田花子" in text]


def test_a_death_anywhere_is_healed_by_the_next_look(stage: Stage, tmp_path: Path) -> None:
    friend = everything_happens(stage)
    cid = stage.world.customers.by_member_no("M1").cid
    stage.world.friends.move(stage.world.friends.get(MAIN, HANAKO), cid)
    stage.world.people.mark_merged(friend, cid)
    inside = make_memory_stage()
    for table in all_tables():
        inside.world.database.put_many(table, map(dict, stage.world.database.scan(table, segment=0, segments=1)))
    erasures, began = inside.world.erasures, stage.clock.now()
    inside.clock.set(began)
    for number in crashes(inside, lambda: erase(inside, cid)):
        inside.clock.set(began)
        if not erasures.due():
            erase(inside, cid)  # nobody was told that it was ordered
        for _ in range(2):
            for receipt_id in erasures.due():
                workers.do({"op": "erasure", "receipt_id": receipt_id}, inside.world)
            purge(inside.files, tmp_path, inside.clock.now())
            inside.clock.set(began + GRACE)
        assert erasures.due() == []
        (receipt,) = erasures.page(None, 10).items
        assert receipt.done_at is not None and set(receipt.cids) == {cid, friend}
        known = [member_identity("M1"), line_identity(MAIN, HANAKO), "email#hanako@example.jp"]
        assert erasures.erased(known) == dict.fromkeys(known, receipt.receipt_id)
        left = [repr(item) for table in all_tables() for item in database(inside).items(table).values()]
        assert [(number, trace, text) for trace in TRACES for text in left if trace in text] == []
        inside.clock.set(began)


def test_whether_somebody_is_being_erased_is_asked_once_however_many_are(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    cids = [stage.customer(f"M{number}") for number in range(6)]
    for cid in cids[1:]:
        stage.world.erasures.order(cid, "本人の申し出", "key_1")
    asked, read = [], stage.world.database.get_many
    monkeypatch.setattr(stage.world.database, "get_many", lambda table, keys: asked.append(table) or read(table, keys))
    assert not stage.world.erasures.under_way(cids[:1]) and stage.world.erasures.under_way(cids[:2])
    assert len(asked) == 2
