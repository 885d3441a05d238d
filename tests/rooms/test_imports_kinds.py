"""Exports of other tools, orders line by line, events and tags; and imports that are stopped, doubled or gone through again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import Gender
from chalicelib.friends.model import FollowState
from chalicelib.imports.model import ImportJob, ImportKind, ImportState
from chalicelib.imports.service import Sizes
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import ConflictError
from chalicelib.kernel.facts import Fact, Occurred, OrderPlaced, ProfileChanged, TagAdded
from chalicelib.kernel.ids import LineUserId
from chalicelib.orders.model import Line
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.pure.test_import_files import LME, LSTEP
from tests.rooms.crashes import every_crash
from tests.rooms.test_imports import CUSTOMERS, ORDERS, begin, errors, everything

BY_LINE = (
    "注文番号,会員番号,注文日,商品名,商品カテゴリ,数量,単価,合計金額\r\n"
    "N1,M1,2026-11-01,指輪,宝飾,1,9000,9500\r\n"
    "N1,M1,2026-11-01,箱,包装,2,250,9500\r\n"
    "N2,M2,2026-11-02,茶,飲料,3,100,\r\n"
)


def run(stage: Stage, content: str | bytes, kind: ImportKind = ImportKind.CUSTOMERS, **given: Any) -> tuple[ImportJob, list[Fact]]:
    facts: list[Fact] = []
    import_id = begin(stage, content, kind, **given)
    while stage.world.imports.work(import_id, facts.extend):
        pass
    return stage.world.imports.get(import_id), facts


def counts(job: ImportJob) -> tuple[int, int, int, int, int]:
    return job.rows, job.created, job.changed, job.same, job.failed


def reasons(stage: Stage, job: ImportJob) -> list[tuple[str, str]]:
    return [(line.split(",")[0], line.split(",")[2]) for line in errors(stage, job)[1:]]


def tag_names(stage: Stage, cid: Any) -> set[tuple[str, str]]:
    known = {tag.tag_id: (tag.name, tag.folder) for tag in stage.world.tags.everyone()}
    return {known[tag_id] for tag_id in stage.world.tags.of(cid)}


# People ---------------------------------------------------------------------------------------------------------------------


def test_rows_are_told_apart_as_new_changed_and_same(stage: Stage) -> None:
    assert counts(run(stage, CUSTOMERS)[0]) == (2, 2, 0, 0, 0)
    text = CUSTOMERS.replace("鈴木太郎", "鈴木次郎") + "M3,新人,\r\nM3,新人,new@shop.test\r\n"
    tried = run(stage, text, dry_run=True)[0]
    assert counts(tried) == (4, 1, 2, 1, 0)
    assert counts(run(stage, text)[0]) == counts(tried), "a dry run tells what will be"
    assert counts(run(stage, text)[0]) == (4, 0, 0, 4, 0)


def test_an_export_of_lstep_brings_customers_tags_and_fields(stage: Stage) -> None:
    job, facts = run(stage, LSTEP, account="main")
    assert (job.preset, counts(job)) == ("lstep", (1, 1, 0, 0, 0))
    customer = stage.world.customers.by_member_no("lstep-123")
    attributes = {"LINE登録名": "はなこ", "友だち追加日時": "2024-05-11", "好きな色": "赤"}
    assert (customer.profile.attributes, str(customer.profile.birthday)) == (attributes, "1990-01-31")
    assert tag_names(stage, customer.cid) == {("春の会", "Lステップ")}
    assert facts == [], "tags that are history start nothing"
    before = everything(stage)
    assert counts(run(stage, LSTEP, account="main")[0]) == (1, 0, 0, 1, 0)
    assert everything(stage) == before


def test_an_export_of_lme_brings_friends_as_they_were_there(stage: Stage) -> None:
    text = LME.decode("cp932").replace("友だち追加日", "友だち追加日時").replace(",色\r\n", ",ブロック\r\n").replace(",赤", ",1")
    job, facts = run(stage, text, account="main", trigger=True, mapping={"friend.blocked": "ブロック"})
    assert (job.preset, counts(job)) == ("lme", (1, 1, 0, 0, 0))
    friend = stage.world.friends.get(MAIN, HANAKO)
    assert (friend.state, friend.first_seen_at) == (FollowState.BLOCKED, datetime(2024, 5, 10, 15, tzinfo=UTC))
    assert stage.world.customers.get(friend.cid).profile.phone == "+819012345678"
    assert tag_names(stage, friend.cid) == {("春", "エルメ")}
    assert [type(fact) for fact in facts] == [TagAdded, ProfileChanged]
    stage.clock.set(stage.clock.now() + timedelta(minutes=1))
    stage.world.friends.follow(MAIN, HANAKO, stage.clock.now(), event_id="e", is_unblocked=True, reply=None)
    run(stage, text, account="main")
    assert stage.world.friends.get(MAIN, HANAKO).state is FollowState.FOLLOWING, "what he did later stands"


def test_a_friend_is_attached_to_a_new_member_and_never_taken_from_another(stage: Stage) -> None:
    hanako, taro = stage.friend(HANAKO), stage.friend(TARO)
    run(stage, f"会員番号,LINEユーザーID\r\nM1,{HANAKO}\r\n", account="main")
    known = stage.customer("M2")
    text = f"会員番号,LINEユーザーID\r\nM9,{HANAKO}\r\nM2,{TARO}\r\nM3,{TARO}\r\nM4,{TARO}\r\nM3,U{'e' * 32}\r\n"
    job, _ = run(stage, text, account="main")
    assert stage.world.customers.by_member_no("M1").cid == hanako
    assert stage.world.customers.by_member_no("M3").cid == taro
    assert stage.world.customers.by_member_no("M2").cid == known
    assert reasons(stage, job) == [(line, "customer.line_user_id_taken") for line in ("2", "3", "5", "6")]


def test_everybody_may_get_a_tag_and_nobody_too_many(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.imports.customer_rows.MOST_TAGS", 3)
    cid = stage.customer("M1")
    for number in range(2):
        stage.world.tags.add(cid, stage.world.tags.create(f"t{number}").tag_id, "x")
    job, _ = run(stage, "会員番号,氏名,タグ\r\nM1,花子,t0|t1\r\nM2,太郎,a、b\r\n", tag="取込", tag_folder="移行")
    assert counts(job) == (2, 1, 1, 0, 0)
    assert tag_names(stage, stage.world.customers.by_member_no("M2").cid) == {("取込", "移行"), ("a", "移行"), ("b", "移行")}
    job, _ = run(stage, "会員番号,氏名,タグ\r\nM1,改名,a\r\n")
    assert reasons(stage, job) == [("2", "tag.too_many")]
    assert stage.world.customers.by_member_no("M1").profile.name == "花子", "a row is taken whole or not at all"


def test_tags_alone_make_nobody(stage: Stage) -> None:
    cid, friend = stage.customer("M1"), stage.friend(HANAKO)
    text = f"会員番号,LINEユーザーID,タグ\r\nM1,,春\r\n,{HANAKO},春 夏\r\nM9,,春\r\nM1,{HANAKO},秋\r\n"
    job, _ = run(stage, text, ImportKind.TAGS, account="main")
    assert counts(job) == (4, 0, 2, 0, 2)
    assert reasons(stage, job) == [("4", "customer.unknown"), ("5", "customer.line_user_id_taken")]
    assert (tag_names(stage, cid), tag_names(stage, friend)) == ({("春", "")}, {("春 夏", "")})
    assert counts(run(stage, text, ImportKind.TAGS, account="main")[0]) == (4, 0, 0, 2, 2)


def test_days_written_otherwise_and_cells_that_are_always_the_same(stage: Stage) -> None:
    run(
        stage,
        "会員番号,生年月日,性別\r\nM1,31/12/1990,女\r\nM2,昭和60年2月3日,\r\n",
        dates="dmy",
        defaults={"city": "札幌市", "gender": "男"},
    )
    one, two = (stage.world.customers.by_member_no(number).profile for number in ("M1", "M2"))
    assert (str(one.birthday), one.gender, one.city) == ("1990-12-31", Gender.FEMALE, "札幌市")
    assert (str(two.birthday), two.gender, two.city) == ("1985-02-03", Gender.MALE, "札幌市")


# Orders ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_rows_of_one_order_come_in_as_its_lines(stage: Stage, batch: int) -> None:
    run(stage, CUSTOMERS)
    stage.world.imports._sizes = Sizes(window=30, batch=batch, stretch=batch)
    job, facts = run(stage, BY_LINE, ImportKind.ORDERS, trigger=True)
    assert counts(job) == (3, 2, 0, 0, 0)
    found = stage.world.orders.find(["N1", "N2"])
    assert found["N1"].lines == (Line("指輪", "宝飾", 1, 9000), Line("箱", "包装", 2, 500))
    assert (found["N1"].amount_yen, found["N2"].amount_yen) == (9500, 300)
    assert [fact.order_no for fact in facts if isinstance(fact, OrderPlaced)] == ["N1", "N2"]
    before = everything(stage)
    assert counts(run(stage, BY_LINE, ImportKind.ORDERS)[0]) == (3, 0, 0, 2, 0)
    assert [len(items) for items in everything(stage)] == [len(items) for items in before]


def test_an_order_is_taken_whole_or_not_at_all(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    text = BY_LINE + "N3,M1,2026-11-03,茶,飲料,1,100,\r\nN3,M1,2026-11-03,箸,食器,二,100,\r\n"
    text += "N4,M1,2026-11-03,茶,飲料,1,100,\r\nN4,M1\r\nN5,M1,2026-11-03,皿,食器,1,100,1\r\nN5,M1,2026-11-03,皿,食器,1,100,2\r\n"
    text += "N1,M1,2026-11-01,後から,宝飾,1,1,9500\r\nN6,M1,2026-11-04,本,本,1,7,\r\n"
    job, _ = run(stage, text, ImportKind.ORDERS)
    assert reasons(stage, job) == [
        ("5", "order.line_refused"), ("6", "order.amount_malformed"), ("7", "order.line_refused"), ("8", "import.row_length"),
        ("9", "order.rows_differ"), ("10", "order.rows_differ"), ("11", "order.scattered"),
    ]  # fmt: skip
    assert (job.rows, job.created, job.failed) == (11, 3, 7)
    assert set(stage.world.orders.find(["N1", "N2", "N3", "N4", "N5", "N6"])) == {"N1", "N2", "N6"}


def test_an_order_that_is_told_otherwise_later_is_refused_and_stands(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    run(stage, ORDERS, ImportKind.ORDERS)
    job, _ = run(stage, ORDERS.replace("500", "501"), ImportKind.ORDERS)
    assert counts(job) == (3, 0, 0, 2, 1)
    assert reasons(stage, job) == [("3", "order.differs")]
    assert stage.world.orders.find(["N2"])["N2"].amount_yen == 500


def test_a_file_may_say_whose_numbers_its_orders_have(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    run(stage, ORDERS, ImportKind.ORDERS)
    other = ORDERS.replace("2026", "2025")
    assert counts(run(stage, other, ImportKind.ORDERS)[0])[-1] == 3, "without it they are other tellings of the same"
    for _ in range(2):
        job, _ = run(stage, other, ImportKind.ORDERS, source="ec")
    assert counts(job) == (3, 0, 0, 3, 0)
    assert len(stage.world.orders.find(["N1", "N2", "ec N1", "ec N2"])) == 4
    assert counts(run(stage, ORDERS, ImportKind.ORDERS, source="pos")[0]) == (3, 0, 0, 3, 0), "known before they had a source"


def test_orders_of_somebody_who_was_merged_are_told_again_without_complaint(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    run(stage, ORDERS, ImportKind.ORDERS)
    one, two = (stage.world.customers.by_member_no(number).cid for number in ("M1", "M2"))
    stage.world.duplicates.merge(one, two, "test")
    for dry_run in (True, False):
        assert counts(run(stage, ORDERS, ImportKind.ORDERS, dry_run=dry_run)[0]) == (3, 0, 0, 3, 0)
    assert stage.world.orders.stats([one])[one].count == 3
    run(stage, ORDERS + "N4,M2,2026-11-04,70\r\n", ImportKind.ORDERS)
    assert stage.world.orders.stats([one])[one].count == 4
    run(stage, "会員番号,タグ\r\nM2,VIP\r\n", ImportKind.TAGS)
    assert tag_names(stage, one) == {("VIP", "")}


def test_events_of_somebody_who_was_merged_are_told_again_without_complaint(stage: Stage) -> None:
    one, two = stage.customer("M1"), stage.customer("M2")
    text = "イベントID,種類,会員番号,日時,名称\r\nE1,来店,M2,2024/05/01 10:00,本店\r\n"
    run(stage, text, ImportKind.EVENTS)
    stage.world.duplicates.merge(one, two, "test")
    assert counts(run(stage, text.replace("M2", "M1"), ImportKind.EVENTS)[0]) == (1, 0, 0, 1, 0)
    assert counts(run(stage, text.replace("E1", "E2"), ImportKind.EVENTS)[0]) == (1, 1, 0, 0, 0)
    assert len(stage.world.tracking.timeline(one)) == 1


# Events ---------------------------------------------------------------------------------------------------------------------


def test_events_of_long_ago_come_into_timelines_and_start_nothing(stage: Stage) -> None:
    cid = stage.customer("M1")
    text = "種類,会員番号,日時,名称\r\n来店,M1,2024/05/01 10:00,本店\r\n来店,M1,2024/05/01 10:00,本店\r\ncustom,M1,2024-05-02,見学\r\n来店,M9,2024-05-01,\r\n来店,M1,2999-01-01,\r\n"
    job, facts = run(stage, text, ImportKind.EVENTS)
    assert (counts(job), facts) == ((5, 2, 0, 0, 3), [])
    assert reasons(stage, job) == [("3", "event.twice_in_file"), ("5", "customer.unknown"), ("6", "event.time_malformed")]
    assert [(item["kind"], item["name"]) for item in stage.world.tracking.timeline(cid)] == [
        ("reservation_visited", "本店"),
        ("custom", "見学"),
    ]
    before = everything(stage)
    assert counts(run(stage, text, ImportKind.EVENTS)[0]) == (5, 0, 0, 2, 3)
    assert everything(stage) == before


def test_events_of_today_may_start_scenarios(stage: Stage) -> None:
    stage.customer("M1")
    text = f"イベントID,会員番号,日時,備考\r\nE1,M1,{to_text(stage.clock.now() - timedelta(days=1))},急\r\nE2,M1,2020-01-01,\r\n"
    given = {"defaults": {"event": "custom", "name": "下見"}, "mapping": {"data.note": "備考"}, "trigger": True}
    job, facts = run(stage, text, ImportKind.EVENTS, **given)
    assert counts(job) == (2, 1, 0, 0, 1)
    (fact,) = facts
    assert isinstance(fact, Occurred) and (fact.fact_id, fact.name, fact.data) == ("custom|E1", "下見", {"note": "急"})


# Stopped, doubled, again ----------------------------------------------------------------------------------------------------


def test_too_many_refused_rows_stop_an_import(stage: Stage) -> None:
    stage.world.imports._sizes = Sizes(window=64, batch=10, stretch=20)
    text = "会員番号\r\n" + "".join(f"M{i}\r\n" if i < 30 else "会員\r\n" for i in range(100))
    job, _ = run(stage, text, most_refused=5)
    assert (job.state, job.problem, job.rows, job.created, job.failed) == (
        ImportState.FAILED,
        "import.too_many_refused()",
        40,
        30,
        10,
    )
    assert len(errors(stage, job)) == 11


def test_a_million_refused_rows_fill_neither_memory_nor_the_file(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.imports.service._MOST_KEPT", 1_000)
    job, _ = run(stage, "会員番号\r\n" + "会員\r\n" * 1_500)
    assert (job.failed, job.kept) == (1_500, pytest.approx(1_000, abs=200))
    assert len(stage.files.kept[job.errors_key]) < 1_300


def test_a_file_that_breaks_in_the_middle_says_where_and_keeps_what_is_in(stage: Stage) -> None:
    job, _ = run(stage, '会員番号,氏名\r\nM1,花子\r\n会員,x\r\nM2,"太郎"様\r\nM3,次郎\r\n')
    assert (job.state, job.problem, job.rows) == (ImportState.FAILED, "import.quotes_broken(line=4)", 2)
    assert reasons(stage, job) == [("3", "customer.member_no_malformed")]
    assert stage.world.customers.by_member_no("M1").profile.name == "花子"
    stage.files.put(job.file_key, CUSTOMERS.encode(), "text/csv")
    stage.world.imports.start(job.import_id)
    assert not stage.world.imports.work(job.import_id, lambda _: None)
    assert counts(stage.world.imports.get(job.import_id)) == (2, 1, 1, 0, 0)


def test_an_import_is_called_off_between_two_stretches(stage: Stage) -> None:
    stage.world.imports._sizes = Sizes(window=64, batch=2, stretch=2)
    import_id = begin(stage, "会員番号\r\n会員\r\n" + "".join(f"M{i}\r\n" for i in range(10)))
    seconds = iter(range(0, 10_000, 201))
    stage.world.imports._monotonic = lambda: float(next(seconds))
    for _ in range(3):
        assert stage.world.imports.work(import_id, lambda _: None)
    cancelled = stage.world.imports.cancel(import_id)
    assert stage.world.imports.cancel(import_id) == cancelled
    assert (cancelled.state, cancelled.rows, cancelled.created, cancelled.failed) == (ImportState.CANCELLED, 4, 3, 1)
    assert not stage.world.imports.work(import_id, lambda _: None)
    assert stage.world.imports.errors_url(cancelled) and len(errors(stage, cancelled)) == 2
    done = run(stage, CUSTOMERS)[0]
    with pytest.raises(ConflictError, match="import.over"):
        stage.world.imports.cancel(done.import_id)


def test_an_import_that_is_called_off_while_rows_are_taken_ends(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    import_id = begin(stage, ORDERS, ImportKind.ORDERS, trigger=True)
    assert not stage.world.imports.work(import_id, lambda _: stage.world.imports.cancel(import_id))
    assert stage.world.imports.get(import_id).state is ImportState.CANCELLED


def test_two_workers_of_one_import_count_every_row_once(stage: Stage) -> None:
    stage.world.imports._sizes = Sizes(window=64, batch=2, stretch=2)
    run(stage, "会員番号\r\n" + "".join(f"M{i}\r\n" for i in range(9)))
    text = (
        "注文番号,会員番号,注文日,金額\r\n" + "".join(f"N{i},M{i},2026-11-01,100\r\n" for i in range(9)) + "N9,M99,2026-11-01,1\r\n"
    )
    import_id = begin(stage, text, ImportKind.ORDERS, trigger=True)
    depth: list[int] = []

    def another(_: list[Any]) -> None:
        if len(depth) < 3:
            depth.append(1)
            stage.world.imports.work(import_id, another)

    stage.world.imports.work(import_id, another)
    job = stage.world.imports.get(import_id)
    assert (job.state, job.rows, job.created + job.same, job.failed) == (ImportState.DONE, 10, 9, 1)
    assert len(errors(stage, job)) == 2
    cids = [stage.world.customers.by_member_no(f"M{i}").cid for i in range(9)]
    assert [stats.count for stats in stage.world.orders.stats(cids).values()] == [1] * 9


def test_two_imports_of_the_same_people_at_once(stage: Stage) -> None:
    stage.world.imports._sizes = Sizes(window=64, batch=3, stretch=3)
    seconds = iter(range(0, 1_000_000, 201))
    stage.world.imports._monotonic = lambda: float(next(seconds))
    text = "会員番号,氏名\r\n" + "".join(f"M{i},客{i}\r\n" for i in range(12))
    jobs = [begin(stage, text), begin(stage, text.replace("氏名", "住所"))]
    while any([stage.world.imports.work(import_id, lambda _: None) for import_id in jobs]):
        pass
    assert [stage.world.imports.get(import_id).state for import_id in jobs] == [ImportState.DONE] * 2
    assert stage.world.people.highest() < 40
    profile = stage.world.customers.by_member_no("M7").profile
    assert (profile.name, profile.address) == ("客7", "客7")


def test_a_death_anywhere_among_people_friends_and_tags_is_healed(stage: Stage) -> None:
    jobs: dict[int, tuple[str, LineUserId]] = {}
    stage.world.imports._sizes = Sizes(window=64, batch=2, stretch=2)
    stage.world.tags.create("春")

    def scene(number: int) -> Callable[[], Any]:
        user_id = LineUserId(f"U{number:032x}")
        text = f"会員番号,氏名,LINEユーザーID,タグ\r\nC{number},花子,{user_id},春\r\n,x,,\r\n"
        jobs[number] = (begin(stage, text, account="main"), user_id)
        return lambda: stage.world.imports.work(jobs[number][0], lambda _: None)

    for number, _, again in every_crash(scene):
        again()
        job = stage.world.imports.get(jobs[number][0])
        assert (job.state, job.rows, job.failed) == (ImportState.DONE, 2, 1)
        customer = stage.world.customers.by_member_no(f"C{number}")
        assert customer.profile.name == "花子"
        assert stage.world.friends.get(MAIN, jobs[number][1]).cid == customer.cid
        assert tag_names(stage, customer.cid) == {("春", "")}


def test_whoever_was_erased_is_not_brought_back(stage: Stage) -> None:
    text = f"会員番号,メールアドレス,LINEユーザーID\r\nM1,hanako@shop.test,{HANAKO}\r\n"
    run(stage, text, account="main")
    receipt = stage.world.erasures.order(stage.world.customers.by_member_no("M1").cid, "本人の希望", "店長")
    stage.world.erasures.carry_out(receipt.receipt_id)
    again = text + f"M7,Hanako@shop.test,\r\nM8,,{HANAKO}\r\nM9,taro@shop.test,\r\n"
    job, _ = run(stage, again, account="main")
    assert counts(job) == (4, 1, 0, 0, 3)
    assert reasons(stage, job) == [(line, "customer.erased") for line in ("2", "3", "4")]
    stage.friend(HANAKO)
    assert counts(run(stage, text, account="main")[0]) == (1, 0, 1, 0, 0), "he came back by himself"
