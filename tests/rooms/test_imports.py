from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.adapters.aws import client
from chalicelib.friends.model import FollowState
from chalicelib.imports.model import ImportJob, ImportKind, ImportState
from chalicelib.imports.service import Sizes
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import OrderPlaced
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.rooms.crashes import Crash, every_crash

CUSTOMERS = "会員番号,氏名,メールアドレス\r\nM1,山田花子,Hanako@shop.test\r\nM2,鈴木太郎,\r\n"
ORDERS = '注文番号,会員番号,注文日,金額\r\nN1,M1,2026/11/01,"1,000"\r\nN2,M1,2026/11/05,500\r\nN3,M2,2026-11-03,300円\r\n'


def begin(stage: Stage, content: str | bytes, kind: ImportKind = ImportKind.CUSTOMERS, **given: Any) -> str:
    options: dict[str, Any] = {"dry_run": False, "trigger": False, "mapping": {}, **given}
    job, url = stage.world.imports.create(kind, **options)
    assert url == f"https://files.test/put/{job.file_key}"
    stage.files.put(job.file_key, content.encode() if isinstance(content, str) else content, "text/csv")
    stage.world.imports.start(job.import_id)
    return job.import_id


def run(
    stage: Stage, content: str | bytes, kind: ImportKind = ImportKind.CUSTOMERS, **given: Any
) -> tuple[ImportJob, list[OrderPlaced]]:
    facts: list[OrderPlaced] = []
    import_id = begin(stage, content, kind, **given)
    while stage.world.imports.work(import_id, facts.extend):
        pass
    return stage.world.imports.get(import_id), facts


def tally(job: ImportJob) -> tuple[ImportState, int, int, int, int]:
    return job.state, job.rows, job.created, job.changed + job.same, job.failed


def errors(stage: Stage, job: ImportJob) -> list[str]:
    content = stage.files.kept[job.errors_key]
    assert content.startswith(b"\xef\xbb\xbf"), "a spreadsheet must see that it is UTF-8"
    return content.decode("utf-8-sig").split("\r\n")[:-1]


def everything(stage: Stage) -> list[Any]:
    names = (settings().core_table, settings().timeline_table, settings().engine_table)
    return [client("dynamodb").scan(TableName=name)["Items"] for name in names]


def test_customers_come_in_and_again_without_harm(stage: Stage) -> None:
    job, _ = run(stage, CUSTOMERS)
    assert tally(job) == (ImportState.DONE, 2, 2, 0, 0)
    assert stage.world.customers.by_member_no("M1").profile.email == "hanako@shop.test"
    before = everything(stage)
    again, _ = run(stage, CUSTOMERS)
    assert tally(again) == (ImportState.DONE, 2, 0, 2, 0)
    assert everything(stage) == before


def test_an_empty_cell_leaves_what_is_known(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    run(stage, "会員番号,氏名\r\nM1,\r\n")
    assert stage.world.customers.by_member_no("M1").profile.name == "山田花子"


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_files_of_japanese_systems_are_read(stage: Stage, encoding: str) -> None:
    text = "会員番号,氏名\r\nM1,髙橋①ｱｷ～\r\n"
    job, _ = run(stage, text.encode(encoding))
    assert tally(job)[:3] == (ImportState.DONE, 1, 1)
    assert stage.world.customers.by_member_no("M1").profile.name == text.encode(encoding).decode(encoding).split(",")[2].strip()


def test_a_dry_run_changes_nothing_and_says_what_would_happen(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    before = everything(stage)
    job, _ = run(stage, CUSTOMERS + "M3,新人,\r\n,名無し,\r\nM4,x,not-mail\r\n", dry_run=True)
    assert tally(job) == (ImportState.DONE, 5, 1, 2, 2)
    orders, facts = run(stage, ORDERS + "N4,M9,2026/11/01,1\r\n", ImportKind.ORDERS, dry_run=True, trigger=True)
    assert tally(orders) == (ImportState.DONE, 4, 3, 0, 1)
    assert facts == []
    stage.world.imports.work(orders.import_id, lambda _: pytest.fail("done is done"))
    assert everything(stage) == before


def test_refused_rows_come_back_as_a_file_with_line_and_reason(stage: Stage) -> None:
    text = '会員番号,氏名,メールアドレス\r\nM1,花子,a@b.test\r\n,名無し,\r\n\r\nM2,"=1+1",bad\r\nM3,"二\n行",x\r\nM4,短い\r\n'
    job, _ = run(stage, text)
    assert tally(job) == (ImportState.DONE, 5, 1, 0, 4)
    assert errors(stage, job) == [
        "行,列,理由,Reason,会員番号,氏名,メールアドレス",
        "3,会員番号,customer.member_no_missing,customer.member_no_missing,,名無し,",
        "5,メールアドレス,customer.email_malformed,customer.email_malformed,M2,'=1+1,bad",
        '6,メールアドレス,customer.email_malformed,customer.email_malformed,M3,"二\n行",x',
        "8,,import.row_length,import.row_length,M4,短い",
    ]
    assert stage.world.imports.errors_url(job) == f"https://files.test/get/{job.errors_key}"


def test_a_file_in_another_encoding_than_was_named_is_refused(stage: Stage) -> None:
    job, _ = run(stage, CUSTOMERS.encode("cp932"), encoding="utf-8")
    assert job.state is ImportState.FAILED
    assert "import.encoding_unknown" in job.problem
    with pytest.raises(InvalidError, match="import.encoding_unknown"):
        stage.world.imports.preview(job.import_id, {})


def test_a_row_that_is_no_text_is_shown_with_signs_in_the_place_of_its_bytes(stage: Stage) -> None:
    content = "会員番号,氏名\r\nM1,".encode("cp932") + b"\x81\r\nM2," + "花子\r\n".encode("cp932")
    job, _ = run(stage, content, encoding="cp932")
    assert stage.world.imports.preview(job.import_id, {}).rows == [["M1", "\ufffd"], ["M2", "花子"]]


def test_refused_rows_put_right_are_read_as_their_file_was(stage: Stage) -> None:
    content = '会員番号,メールアドレス,点,いつ\r\nM1,oops,"1,200",1/2/2026\r\n'
    mapping = {"attribute.points": "点", "attribute.day": "いつ"}
    types = {"attribute.points": "number", "attribute.day": "date"}
    first, _ = run(stage, content, mapping=mapping, types=types, dates="dmy")
    assert first.failed == 1
    mended = stage.files.kept[first.errors_key].replace(b"oops", b"m1@shop.test")
    assert tally(run(stage, mended)[0]) == (ImportState.DONE, 1, 1, 0, 0)
    assert stage.world.customers.by_member_no("M1").profile.attributes == {"points": 1200, "day": "2026-02-01"}


def test_refused_rows_of_an_export_that_we_know_keep_what_its_codes_said(stage: Stage) -> None:
    content = "登録ID,タグ_1,友だち情報_2,友だち情報_3\r\nID,購入者,好きな花,メールアドレス\r\n7,1,薔薇,oops\r\n"
    first, _ = run(stage, content)
    assert (first.preset, first.failed) == ("lstep", 1)
    run(stage, stage.files.kept[first.errors_key].replace(b"oops", b"m7@shop.test"))
    customer = stage.world.customers.by_member_no("lstep-7")
    assert customer.profile.attributes == {"好きな花": "薔薇"}
    assert len(stage.world.tags.of(customer.cid)) == 1


def test_an_import_without_refused_rows_has_no_file_of_them(stage: Stage) -> None:
    job, _ = run(stage, CUSTOMERS)
    assert stage.world.imports.errors_url(job) == ""
    assert job.errors_key not in stage.files.kept


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "import.empty"), (b"\xff\xfe\xff", "import.encoding_unknown"), ("氏名\r\n花子", "import.columns_missing"),
     ('会員番号\r\n"M1', "import.quotes_broken"), (b"\x89PNG\r\n\x1a\n\x80\xa0", "import.encoding_unknown"),
     (b"a\rb\rc", "import"), ("会員番号," + "x" * 200_000, "import")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_fails_with_its_reason(stage: Stage, content: bytes | str, word: str) -> None:
    job, _ = run(stage, content)
    assert job.state is ImportState.FAILED
    assert job.problem.startswith(word)


def test_lines_that_end_in_a_carriage_return_alone_are_read(stage: Stage) -> None:
    job, _ = run(stage, "会員番号,氏名\rM1,花子\rM2,太郎\r")
    assert tally(job)[:3] == (ImportState.DONE, 2, 2)


def test_a_mapping_names_the_columns_and_the_companys_own_fields(stage: Stage) -> None:
    mapping = {"member_no": "コード", "attribute.rank": "ランク"}
    run(stage, "コード,会員番号,ランク\r\nM1,X9,gold\r\nM2,X8,\r\n", mapping=mapping)
    assert stage.world.customers.by_member_no("M1").profile.attributes == {"rank": "gold"}
    with pytest.raises(NotFoundError):
        stage.world.customers.by_member_no("X9")


def test_an_attribute_that_is_imported_leaves_the_others(stage: Stage) -> None:
    stage.customer("M1", attributes={"points": 5, "rank": "silver"})
    run(stage, "会員番号,ランク\r\nM1,bronze\r\nM1,gold\r\nM2,gold\r\n", mapping={"attribute.rank": "ランク"})
    assert stage.world.customers.by_member_no("M1").profile.attributes == {"points": 5, "rank": "gold"}


def test_two_imports_at_once_leave_each_others_attributes(stage: Stage) -> None:
    stage.customer("M1", attributes={"points": 5})
    given = (
        ("会員番号,ランク\r\nM1,gold\r\n", {"attribute.rank": "ランク"}),
        ("会員番号,靴\r\nM1,24\r\n", {"attribute.shoes": "靴"}),
    )
    first, second = (begin(stage, text, mapping=mapping) for text, mapping in given)
    write, later = stage.world.customers.write, [second]

    def interrupted(changes: dict[Cid, dict[str, Any]]) -> None:
        if later:
            stage.world.imports.work(later.pop(), lambda _: None)
        write(changes)

    stage.world.customers.write = interrupted  # type: ignore[method-assign]
    stage.world.imports.work(first, lambda _: None)
    assert stage.world.customers.by_member_no("M1").profile.attributes == {"points": 5, "rank": "gold", "shoes": "24"}


def test_line_ids_enter_friends_of_their_customers(stage: Stage) -> None:
    taro = stage.friend(TARO)
    other = LineUserId("U" + "d" * 32)
    text = f"会員番号,LINEユーザーID\r\nM1,{HANAKO}\r\nM2,{TARO}\r\nM3,U123\r\nM4,\r\nM5,{other}\r\n"
    job, _ = run(stage, text, account="main")
    member = stage.world.customers.by_member_no("M1").cid
    friend = stage.world.friends.get(MAIN, HANAKO)
    assert (friend.cid, friend.state) == (member, FollowState.UNKNOWN)
    assert stage.world.friends.get(MAIN, TARO).cid == taro
    assert stage.world.customers.by_member_no("M2").cid == taro, "whom we knew by his own acts is this new member"
    assert [line.split(",")[:3] for line in errors(stage, job)[1:]] == [
        ["4", "LINEユーザーID", "customer.line_user_id_malformed"],
    ]
    assert stage.world.friends.get(MAIN, other).cid == stage.world.customers.by_member_no("M5").cid
    again, _ = run(stage, text, account="main")
    assert (again.created, again.changed, again.same, again.failed) == (0, 0, 4, 1), "again without harm"


def test_line_ids_without_an_account_are_refused(stage: Stage) -> None:
    job, _ = run(stage, f"会員番号,LINEユーザーID\r\nM1,{HANAKO}\r\n")
    assert job.failed == 1
    with pytest.raises(NotFoundError):
        stage.world.imports.create(ImportKind.CUSTOMERS, dry_run=False, trigger=False, mapping={}, account="nowhere")


def test_orders_come_in_once_and_the_odd_ones_are_refused(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    text = ORDERS + "N1,M1,2026/11/09,9\r\nN4,M9,2026/11/01,1\r\nN5,M1,昨日,1\r\nN6,M1,2026/11/01,無料\r\n,M1,2026/11/01,1\r\n"
    job, facts = run(stage, text, ImportKind.ORDERS)
    assert tally(job) == (ImportState.DONE, 8, 3, 0, 5)
    assert [line.split(",")[2] for line in errors(stage, job)[1:]] == [
        "order.twice_in_file", "customer.unknown", "order.time_malformed", "order.amount_malformed", "order.order_no_malformed",
    ]  # fmt: skip
    assert facts == [], "history starts nothing unless it is asked to"
    cid = stage.world.customers.by_member_no("M1").cid
    before = everything(stage)
    stats = stage.world.orders.stats([cid])[cid]
    assert (stats.count, stats.total_yen, stats.first_at) == (2, 1500, datetime(2026, 10, 31, 15, tzinfo=UTC))
    run(stage, text, ImportKind.ORDERS)
    after = stage.world.orders.stats([cid])[cid]
    assert (after.count, after.total_yen) == (2, 1500)
    assert [len(items) for items in everything(stage)] == [len(items) for items in before]


def test_an_order_of_another_customer_is_refused(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    run(stage, ORDERS, ImportKind.ORDERS)
    job, _ = run(stage, "注文番号,会員番号,注文日,金額\r\nN1,M2,2026/11/01,1000\r\n", ImportKind.ORDERS)
    assert tally(job) == (ImportState.DONE, 1, 0, 0, 1)
    assert "order.of_another_customer" in errors(stage, job)[1]


def test_with_trigger_the_facts_are_handed_on_before_the_chunk_counts_as_done(stage: Stage) -> None:
    run(stage, CUSTOMERS)
    import_id = begin(stage, ORDERS, ImportKind.ORDERS, trigger=True)
    handed: list[OrderPlaced] = []

    def act(facts: list[OrderPlaced]) -> None:
        assert stage.world.imports.get(import_id).rows == 0
        handed.extend(facts)
        if len(handed) == 3:
            raise Crash

    with pytest.raises(Crash):
        stage.world.imports.work(import_id, act)
    assert not stage.world.imports.work(import_id, act)
    assert handed[:3] == handed[3:], "told again, the same facts"
    assert [(fact.order_no, fact.is_first) for fact in handed[:3]] == [("N1", True), ("N2", False), ("N3", True)]


def test_a_long_file_goes_on_where_the_last_worker_stopped(stage: Stage) -> None:
    number = 230
    rows = "".join(f"M{i},客{i}\r\n" if i % 20 else ",無番\r\n" for i in range(number))
    import_id = begin(stage, "会員番号,氏名\r\n" + rows)
    seconds = iter(range(0, 10_000, 150))
    stage.world.imports._monotonic = lambda: float(next(seconds))
    stage.world.imports._sizes = Sizes(window=64, batch=30, stretch=60)
    rounds, shares = 1, [0]
    while stage.world.imports.work(import_id, lambda _: None):
        rounds += 1
        job = stage.world.imports.get(import_id)
        assert job.state is ImportState.RUNNING
        shares.append(job.percent)
    job = stage.world.imports.get(import_id)
    assert rounds > 2
    assert shares == sorted(shares) and shares[-1] > 50 and job.percent == 100
    assert tally(job) == (ImportState.DONE, number, number - 12, 0, 12)
    lines = errors(stage, job)
    assert [line.split(",")[0] for line in lines[1:]] == [str(2 + i) for i in range(0, number, 20)]


def test_a_crash_anywhere_is_healed_by_the_next_worker(stage: Stage) -> None:
    run(stage, "会員番号\r\n" + "".join(f"M{i}\r\n" for i in range(120)))
    jobs: dict[int, str] = {}

    def scene(number: int) -> Callable[[], Any]:
        text = f"注文番号,会員番号,注文日,金額\r\nN{number}-1,M{number},2026/11/01,700\r\nN{number}-2,M{number},2026/11/02,50\r\nN{number}-3,nobody,2026/11/02,1\r\n"
        jobs[number] = begin(stage, text, ImportKind.ORDERS)
        return lambda: stage.world.imports.work(jobs[number], lambda _: None)

    for number, _, again in every_crash(scene):
        again()
        job = stage.world.imports.get(jobs[number])
        assert (job.state, job.rows, job.failed) == (ImportState.DONE, 3, 1)
        assert len(errors(stage, job)) == 2
        cid = stage.world.customers.by_member_no(f"M{number}").cid
        stats = stage.world.orders.stats([cid])[cid]
        assert (stats.count, stats.total_yen) == (2, 750)


def test_an_import_starts_once_its_file_is_there_and_once_only(stage: Stage) -> None:
    job, _ = stage.world.imports.create(ImportKind.CUSTOMERS, dry_run=False, trigger=False, mapping={})
    with pytest.raises(InvalidError, match="import.no_file"):
        stage.world.imports.start(job.import_id)
    assert not stage.world.imports.work(job.import_id, lambda _: None)
    stage.files.put(job.file_key, CUSTOMERS.encode(), "text/csv")
    stage.world.imports.start(job.import_id)
    # Whoever started it may have died before the work was enqueued: starting a running import again is harmless.
    assert stage.world.imports.start(job.import_id).state is ImportState.RUNNING
    while stage.world.imports.work(job.import_id, lambda _: None):
        pass
    with pytest.raises(ConflictError, match="import.started"):
        stage.world.imports.start(job.import_id)


def test_an_unknown_import_is_unknown(stage: Stage) -> None:
    for import_id in ("imp_x", "", "x" * 2000):
        with pytest.raises(NotFoundError, match="import.unknown"):
            stage.world.imports.get(import_id)
