"""The database of the model tests answers as DynamoDB does, and reads every statement that the product emits."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters.database import DynamoDatabase
from chalicelib.kernel.errors import PermanentError
from chalicelib.ports.database import CONDITION_FAILED, DUPLICATE, Database, Item, Statement
from tests.fakes.database import FakeDatabase, UnknownStatementError, plan_of

TABLE = "enishi-test-engine"
KEYS = [(pk, sk) for pk in ("C#1", "COH#a", "é") for sk in ("#", "A#01", "A#02", "B#1", "ﾊ", "🙂")]
VALUES: list[Any] = ["", "x", "active", 0, 1, -7, 1.5, 2.0, True, False, None, [], [1], [1, True, "x"], (1, 1.0), {}, {"k": 1}, {"k": {"l": ""}}, {"p", "q"}]  # fmt: skip
PATHS = ['"a"', '"b"', '"m"', '"m"."k"', '"m"."j"', '"m"."k"."l"', "plain"]


def some(dice: random.Random) -> Any:
    return dice.choice(VALUES)


def item(dice: random.Random) -> Item:
    pk, sk = dice.choice(KEYS)
    extra = {"m": dice.choice([{}, {"k": some(dice)}, "no map"])} if dice.random() < 0.7 else {}
    return {"pk": pk, "sk": sk, **{name: some(dice) for name in ("a", "b") if dice.random() < 0.8}, **extra}


def change(dice: random.Random) -> Statement:
    """An UPDATE or a DELETE in the product's grammar, most often of something that is there."""
    texts: list[str] = []
    values: list[Any] = []
    is_delete = dice.random() < 0.15
    if not is_delete:
        paths = dice.sample(['"a"', '"b"', dice.choice(['"m"', '"m"."k"', '"m"."j"', '"m"."k"."l"', "plain"])], dice.randint(1, 3))
        sets = [path for path in paths if dice.random() < 0.75]
        removes = [path for path in paths if path not in sets]
        values += [some(dice) for _ in sets]
        comma = ", ".join(f"{path}=?" for path in sets)
        texts += [f"SET {comma}"] if dice.random() < 0.3 and sets else [f"SET {path}=?" for path in sets]
        texts += [f"REMOVE {path}" for path in removes]
    values += dice.choice(KEYS)
    conditions = ["pk=?", "sk=?"]
    for path in dice.sample(PATHS, dice.choice([0, 0, 1, 1, 2])):
        test = dice.choice(["=?", "=?", "<>?", " IS MISSING", " IS NOT MISSING"])
        conditions.append(path + test)
        values += [some(dice)] if "?" in test else []
    verb = f'DELETE FROM "{TABLE}"' if is_delete else f'UPDATE "{TABLE}" {" ".join(texts)}'
    return Statement(f"{verb} WHERE {' AND '.join(conditions)}", tuple(values))


def operation(dice: random.Random) -> Callable[[Database], Any]:
    match dice.choice(["insert", "change", "change", "change", "get", "put", "query", "query"]):
        case "insert":
            inserts = [Statement.insert(TABLE, item(dice)) for _ in range(dice.choice([1, 3]))]
            return lambda database: database.execute(inserts)
        case "change":
            one = change(dice)
            return lambda database: database.execute([one])
        case "get":
            keys = dice.sample(KEYS, dice.randint(0, 6))
            return lambda database: database.get_many(TABLE, [*keys, *keys[:1]])
        case "put":
            items = [item(dice) for _ in range(dice.randint(0, 4))]
            return lambda database: database.put_many(TABLE, items)
        case _:
            pk, prefix = dice.choice(KEYS)[0], dice.choice(["", "", "A#", "Z", "ﾊ"])
            after, limit = dice.choice(["", "", "A#01", "B#1"]), dice.choice([0, 0, 1, 2])
            after = after if after.startswith(prefix) else ""
            return lambda database: database.query(TABLE, pk, prefix=prefix, after=after, limit=limit)


def outcome(of: Callable[[Database], Any], database: Database) -> Any:
    try:
        return of(database)
    except PermanentError:
        return "refused for good"


def typed(value: Any) -> Any:
    """A value in which True is not 1; but 2.0 is 2, for MiniStack keeps the zero that DynamoDB drops."""
    if isinstance(value, dict):
        return {name: typed(entry) for name, entry in value.items()}
    return [typed(entry) for entry in value] if isinstance(value, list) else (isinstance(value, bool), value)


def everything(database: Database) -> Any:
    found = [item for segment in range(3) for item in database.scan(TABLE, segment=segment, segments=3)]
    return typed(sorted(found, key=lambda item: (item["pk"], item["sk"])))


@pytest.mark.parametrize("seed", range(4))
def test_it_answers_any_sequence_of_operations_as_dynamodb_does(tables: str, seed: int) -> None:
    dice = random.Random(seed)
    real, fake = DynamoDatabase(), FakeDatabase()
    seen: set[str] = set()
    for number in range(400):
        one = operation(dice)
        answer = outcome(one, fake)
        assert typed(answer) == typed(outcome(one, real)), number
        seen |= {str(word) for word in answer} if isinstance(answer, list) and len(answer) == 1 else {str(answer)[:7]}
    assert everything(fake) == everything(real)
    assert {"None", CONDITION_FAILED, DUPLICATE, "refused"} <= seen


@pytest.mark.parametrize("test", ["=", "<>"])
def test_any_two_values_compare_as_in_dynamodb(tables: str, test: str) -> None:
    inserts = [Statement.insert(TABLE, {"pk": f"{n}", "sk": "#", "a": value}) for n, value in enumerate(VALUES)]
    text = f'UPDATE "{TABLE}" SET "b"=? WHERE pk=? AND sk=? AND "a"{test}?'
    compares = [Statement(text, (1, f"{n}", "#", value)) for n in range(len(VALUES)) for value in VALUES]
    real, fake = DynamoDatabase(), FakeDatabase()
    assert fake.execute(inserts) == real.execute(inserts) == [None] * len(VALUES)
    assert fake.execute(compares) == real.execute(compares)


def test_puts_of_one_item_in_one_request_are_refused_by_both(tables: str) -> None:
    twice = [{"pk": "p", "sk": "s"}] * 2
    for database in (DynamoDatabase(), FakeDatabase()):
        with pytest.raises(PermanentError):
            database.put_many(TABLE, twice)


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * FROM "t" WHERE pk=? AND sk=?',
        'UPDATE "t" SET "a"="a"+? WHERE pk=? AND sk=?',
        'UPDATE "t" SET "a"=? SET "a"."b"=? WHERE pk=? AND sk=?',
        'UPDATE "t" SET "a"=? WHERE pk=? AND sk=? OR "b"=?',
        'UPDATE "t" SET "a"=? WHERE pk=? AND sk=? AND "b">?',
        'UPDATE "t" SET "a"=? WHERE pk=?',
        'UPDATE "t" SET "a"=? WHERE pk=? AND sk<>?',
        'UPDATE "t" SET "a"=? WHERE pk=? AND sk=? AND sk=?',
        'UPDATE "t" SET "sk"=? WHERE pk=? AND sk=?',
        'UPDATE "t" SET "a"=? REMOVE "b", "c" WHERE pk=? AND sk=?',
        'UPDATE "t" WHERE pk=? AND sk=?',
        'DELETE FROM "t"',
        'DELETE FROM "t" SET "a"=? WHERE pk=? AND sk=?',
        "INSERT INTO \"t\" VALUE {'pk': ?, 'a': ?}",
        "INSERT INTO \"t\" VALUE {'pk': ?, 'sk': 'x'}",
        "INSERT INTO \"t\" VALUE {'pk': ?, 'sk': ?, 'sk': ?}",
        "INSERT INTO \"t\" VALUE {'pk': ?, 'sk': ?, }",
    ],
)
def test_what_it_does_not_know_is_refused_and_not_guessed(text: str) -> None:
    with pytest.raises(UnknownStatementError):
        plan_of(text)


def test_values_must_be_as_many_as_places() -> None:
    with pytest.raises(UnknownStatementError):
        FakeDatabase().execute([Statement(f'DELETE FROM "{TABLE}" WHERE pk=? AND sk=?', ("p", "s", 1))])


def test_nothing_is_shared_with_whoever_wrote_or_read() -> None:
    database = FakeDatabase()
    mine: Any = {"pk": "p", "sk": "s", "list": [1], "map": {"k": "v"}}
    database.put_many(TABLE, [mine])
    twin = database.clone()
    for copy in (mine, database.query(TABLE, "p")[0], database.items(TABLE)["p", "s"], twin.tables[TABLE]["p"]["s"]):
        copy["list"].append(2)
        copy["map"]["k"] = "w"
    assert database.get_many(TABLE, [("p", "s")]) == {("p", "s"): {"pk": "p", "sk": "s", "list": [1], "map": {"k": "v"}}}


def test_every_single_write_and_read_is_a_step_of_its_own() -> None:
    steps: list[str] = []
    database = FakeDatabase(step=steps.append)
    database.execute([Statement.insert(TABLE, {"pk": "p", "sk": sk}) for sk in "ab"])
    database.get_many(TABLE, [("p", "a")])
    database.query(TABLE, "p")
    assert steps == [
        *("before INSERT p a", "after INSERT p a", "before INSERT p b", "after INSERT p b", "before get p a", "after get p a"),
        *("before query p", "query p a", "query p b", "after query p"),
    ]


def test_a_query_sees_what_others_write_behind_the_item_that_it_has_come_to() -> None:
    def write(what: str) -> None:
        if what == "query p b":
            database.tables[TABLE]["p"] |= {sk: {"pk": "p", "sk": sk} for sk in "ad"}
            del database.tables[TABLE]["p"]["c"]

    database = FakeDatabase(step=write)
    database.tables[TABLE]["p"] = {sk: {"pk": "p", "sk": sk} for sk in "bc"}
    assert [item["sk"] for item in database.query(TABLE, "p")] == ["b", "d"]
