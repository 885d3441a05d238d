"""DynamoDatabase on MiniStack, and with a client that throttles on demand."""

from __future__ import annotations

import threading
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ParamValidationError, ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.adapters import aws
from chalicelib.adapters import database as adapter
from chalicelib.adapters.database import DynamoDatabase
from chalicelib.adapters.threads import Threads
from chalicelib.kernel.errors import PermanentError, TemporaryError
from chalicelib.kernel.wire import from_wire, to_wire
from chalicelib.ports.database import CONDITION_FAILED, DUPLICATE, Statement

TABLE = "enishi-test-core"


@pytest.fixture
def database(tables: str) -> DynamoDatabase:
    return DynamoDatabase()


def insert(pk: str, sk: str = "a", value: Any = 1) -> Statement:
    return Statement(f"INSERT INTO \"{TABLE}\" VALUE {{'pk': ?, 'sk': ?, 'v': ?}}", (pk, sk, value))


def update(pk: str, old: Any, new: Any) -> Statement:
    return Statement(f'UPDATE "{TABLE}" SET "v"=? WHERE pk=? AND sk=? AND "v"=?', (new, pk, "a", old))


def test_it_runs_more_statements_than_a_batch_takes_and_keeps_their_order(database: DynamoDatabase) -> None:
    assert database.execute([insert(f"p{n}") for n in range(0, 60, 2)]) == [None] * 30
    outcomes = database.execute([insert(f"p{n}") for n in range(60)])
    assert outcomes == [DUPLICATE if n % 2 == 0 else None for n in range(60)]
    outcomes = database.execute([update(f"p{n}", n % 3, 9) for n in range(60)])
    assert outcomes == [None if n % 3 == 1 else CONDITION_FAILED for n in range(60)]
    assert database.execute([]) == []


def test_it_gets_and_puts_more_than_a_batch_takes(database: DynamoDatabase) -> None:
    items = [{"pk": f"p{n}", "sk": "s", "n": n} for n in range(230)]
    database.put_many(TABLE, iter(items))
    keys = [(f"p{n}", "s") for n in range(235)] + [("p1", "s"), ("p1", "other")]
    found = database.get_many(TABLE, keys)
    assert sorted(found.values(), key=lambda item: item["n"]) == items
    database.put_many(TABLE, items[:1])
    assert database.get_many(TABLE, []) == {}
    database.put_many(TABLE, [])


def test_it_pages_through_a_collection(database: DynamoDatabase) -> None:
    long = "x" * 30_000  # forty of them are more than one page of a megabyte
    items = [{"pk": "p", "sk": f"{kind}#{n:03d}", "text": long} for kind in "ab" for n in range(40)]
    database.put_many(TABLE, [*items, {"pk": "q", "sk": "a#000"}])
    names = [item["sk"] for item in items]
    assert [item["sk"] for item in database.query(TABLE, "p")] == names
    assert [item["sk"] for item in database.query(TABLE, "p", prefix="b#")] == names[40:]
    assert [item["sk"] for item in database.query(TABLE, "p", limit=7)] == names[:7]
    assert [item["sk"] for item in database.query(TABLE, "p", limit=50)] == names[:50]
    assert [item["sk"] for item in database.query(TABLE, "p", after="a#038", limit=3)] == names[39:42]
    assert [item["sk"] for item in database.query(TABLE, "p", prefix="a#", after="a#037")] == names[38:40]
    assert database.query(TABLE, "nobody") == []


def test_parts_of_a_scan_are_everything_once(database: DynamoDatabase) -> None:
    items = [{"pk": f"p{n % 20}", "sk": f"{n}", "text": "x" * 20_000} for n in range(80)]
    database.put_many(TABLE, items)
    parts = [list(database.scan(TABLE, segment=n, segments=4)) for n in range(4)]
    found = [item["sk"] for part in parts for item in part]
    assert sorted(found, key=int) == [item["sk"] for item in items]
    assert all({i["pk"] for i in one}.isdisjoint(i["pk"] for i in other) for one in parts for other in parts if one is not other)


scalars = (
    st.text(st.characters(codec="utf-8"), max_size=20) | st.booleans() | st.none() | st.integers(-(10**37), 10**37)
    | st.floats(min_value=1e-100, max_value=1e100) | st.floats(min_value=-1e100, max_value=-1e-100)
)  # fmt: skip
values = st.recursive(
    scalars | st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), min_size=1, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Whole numbers become int, the rest stays as it is; True is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(other, float):
        return float(one) == other  # beyond 2**53 the table's whole number has more digits than the float
    return one == other and isinstance(one, bool) == isinstance(other, bool) and isinstance(one, str) == isinstance(other, str)


@given(values)
def test_what_is_written_is_what_is_read(value: Any) -> None:
    assert same(from_wire(to_wire(value)), value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_what_is_written_to_a_table_is_what_is_read(database: DynamoDatabase, value: Any) -> None:
    database.put_many(TABLE, [{"pk": "round", "sk": "trip", "v": value}])
    assert same(database.get_many(TABLE, [("round", "trip")])["round", "trip"]["v"], value)


@pytest.mark.parametrize("value", [set(), frozenset(), object(), b"bytes", 1j])
def test_what_dynamodb_cannot_keep_is_refused_before_the_call(value: Any) -> None:
    with pytest.raises(TypeError):
        to_wire(value)


@pytest.mark.parametrize(("number", "value"), [("5", 5), ("-5", -5), ("0", 0), ("1.5", 1.5), ("1E+2", 100.0), ("-1.5E-7", -1.5e-7)])
def test_it_reads_every_way_to_write_a_number(number: str, value: float) -> None:
    assert from_wire({"N": number}) == value


def test_a_page_of_items_is_read_as_botocore_reads_it(database: DynamoDatabase) -> None:
    item = {"pk": "p", "sk": "s", "t": "「'\"\n🙂", "n": 1.5, "no": None, "yes": True, "l": [1, {"m": "x"}], "ss": {"a", "b"}}
    database.put_many(TABLE, [item])
    key = {"pk": {"S": "p"}, "sk": {"S": "s"}}
    ours, theirs = (made.get_item(TableName=TABLE, Key=key) for made in (aws.client("dynamodb"), boto3.client("dynamodb")))
    assert ours["Item"] == theirs["Item"]
    assert ours["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_what_dynamodb_refuses_is_told_as_botocore_tells_it(database: DynamoDatabase) -> None:
    made = aws.client("dynamodb")
    with pytest.raises(made.exceptions.ResourceNotFoundException) as caught:
        made.get_item(TableName="nowhere", Key={"pk": {"S": "p"}, "sk": {"S": "s"}})
    assert aws.code_of(caught.value) == "ResourceNotFoundException"


def test_an_answer_that_is_cut_short_is_no_answer(database: DynamoDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = msgspec.json.decode
    monkeypatch.setattr(msgspec.json, "decode", lambda body: whole(body[:-1]))
    with pytest.raises(TemporaryError) as caught:
        database.execute([insert("p")])
    assert caught.value.maybe_done
    monkeypatch.undo()
    assert database.execute([insert("p")]) == [DUPLICATE]


def test_tests_check_arguments_by_the_service_model(database: DynamoDatabase) -> None:
    with pytest.raises(ParamValidationError, match="Keys"):
        aws.client("dynamodb").batch_get_item(RequestItems={TABLE: {"Keys": "all of them"}})


# A client that throttles ----------------------------------------------------------------------------------------------------


class Client:
    """Answers each call by the next of `answers`: a function of the request, or an exception."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.calls.append(arguments)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer(arguments)

        return call


def throttled(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[DynamoDatabase, Client, list[float]]:
    client, slept = Client(*answers), []
    monkeypatch.setattr(adapter, "client", lambda *_, **__: client)
    return DynamoDatabase(sleep=slept.append), client, slept


def outcomes(*codes: str | None) -> Any:
    return lambda _: {"Responses": [{"Error": {"Code": code}} if code else {} for code in codes]}


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "x")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "code", ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "TransactionConflict"]
)
def test_only_throttled_statements_are_repeated(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    database, client, slept = throttled(
        monkeypatch, outcomes(None, code, CONDITION_FAILED, code), outcomes(code, None), outcomes(DUPLICATE)
    )
    assert database.execute([insert(f"p{n}") for n in range(4)]) == [None, DUPLICATE, CONDITION_FAILED, None]
    sent = [[statement["Parameters"][0]["S"] for statement in call["Statements"]] for call in client.calls]
    assert sent == [["p0", "p1", "p2", "p3"], ["p1", "p3"], ["p1"]]
    assert slept == [0.05, 0.1]


def test_it_gives_up_on_endless_throttling(monkeypatch: pytest.MonkeyPatch) -> None:
    database, client, slept = throttled(monkeypatch, outcomes("ThrottlingError"))
    with pytest.raises(TemporaryError):
        database.execute([insert("p")])
    assert len(client.calls) == 8
    assert max(slept) <= 2.0


def test_another_reason_is_permanent(monkeypatch: pytest.MonkeyPatch) -> None:
    database, _, _ = throttled(monkeypatch, outcomes("ValidationError"))
    with pytest.raises(PermanentError):
        database.execute([insert("p")])


@pytest.mark.parametrize("first", [refusal("ProvisionedThroughputExceededException"), refusal("ThrottlingException"),
                                   ConnectTimeoutError(endpoint_url="x")])  # fmt: skip
def test_a_call_that_certainly_did_nothing_is_repeated(monkeypatch: pytest.MonkeyPatch, first: Exception) -> None:
    database, client, _ = throttled(monkeypatch, first, outcomes(None))
    assert database.execute([insert("p")]) == [None]
    assert len(client.calls) == 2


@pytest.mark.parametrize(
    "first", [ReadTimeoutError(endpoint_url="x"), refusal("InternalServerError", 500), outcomes("InternalServerError")]
)
def test_a_write_that_may_have_happened_is_not_repeated_lest_it_lose_to_itself(monkeypatch: pytest.MonkeyPatch, first: Any) -> None:
    database, client, _ = throttled(monkeypatch, first, outcomes(CONDITION_FAILED))
    with pytest.raises(TemporaryError) as caught:
        database.execute([insert("p")])
    assert caught.value.maybe_done
    assert len(client.calls) == 1


def test_unprocessed_keys_and_items_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    key = {"pk": {"S": "b"}, "sk": {"S": "s"}}
    database, client, slept = throttled(
        monkeypatch,
        lambda _: {"Responses": {TABLE: [{"pk": {"S": "a"}, "sk": {"S": "s"}}]}, "UnprocessedKeys": {TABLE: {"Keys": [key]}}},
        lambda _: {"Responses": {TABLE: [key]}, "UnprocessedKeys": {}},
    )
    assert set(database.get_many(TABLE, [("a", "s"), ("b", "s")])) == {("a", "s"), ("b", "s")}
    assert client.calls[1]["RequestItems"][TABLE] == {"Keys": [key], "ConsistentRead": True}
    assert slept == [0.05]
    request = {"PutRequest": {"Item": key}}
    database, client, slept = throttled(
        monkeypatch, lambda _: {"UnprocessedItems": {TABLE: [request]}}, lambda _: {"UnprocessedItems": {}}
    )
    database.put_many(TABLE, [{"pk": "a", "sk": "s"}, {"pk": "b", "sk": "s"}])
    assert client.calls[1]["RequestItems"] == {TABLE: [request]}
    for endless, verb in (
        (lambda call: {"Responses": {}, "UnprocessedKeys": call["RequestItems"]}, lambda db: db.get_many(TABLE, [("a", "s")])),
        (lambda call: {"UnprocessedItems": call["RequestItems"]}, lambda db: db.put_many(TABLE, [{"pk": "a", "sk": "s"}])),
    ):
        database, _, _ = throttled(monkeypatch, endless)
        with pytest.raises(TemporaryError):
            verb(database)


# Batches at once -------------------------------------------------------------------------------------------------------------


def test_batches_run_at_once_and_their_outcomes_stand_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(4, timeout=10)

    def answer(call: dict[str, Any]) -> Any:
        together.wait()  # passes only when four requests are under way
        names = [statement["Parameters"][0]["S"] for statement in call["Statements"]]
        return {"Responses": [{"Error": {"Code": DUPLICATE}} if int(name[1:]) % 3 == 0 else {} for name in names]}

    _, client, _ = throttled(monkeypatch, answer)
    outcomes = DynamoDatabase(each=Threads(4)).execute([insert(f"p{n}") for n in range(99)])
    assert outcomes == [DUPLICATE if n % 3 == 0 else None for n in range(99)]
    assert len(client.calls) == 4


def test_items_are_put_and_read_by_many_threads_as_by_one(tables: str) -> None:
    database, items = DynamoDatabase(each=Threads(8)), [{"pk": f"p{n}", "sk": "s", "n": n} for n in range(230)]
    database.put_many(TABLE, items)
    found = database.get_many(TABLE, [(f"p{n}", "s") for n in range(235)])
    assert sorted(found.values(), key=lambda item: item["n"]) == items


def test_the_first_error_is_raised_when_everything_has_come_to_its_end() -> None:
    ended, raised = [], threading.Event()

    def work(entry: int) -> None:
        if entry < 2:
            raise ValueError(entry)
        raised.wait(0.2)  # the last to end, unless the error was raised before
        ended.append(entry)

    with pytest.raises(ValueError, match="0"):
        Threads(3)(work, range(3))
    assert ended == [2]
    raised.set()
