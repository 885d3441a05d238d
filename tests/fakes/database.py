"""DynamoDB in memory behind ports/database.py, for model tests: tests/adapters/test_fake_database.py holds it to the real one.

It knows the PartiQL that this product emits and refuses every other. Not modelled: items beyond 400 KB, and tables that are
not there (here a table begins when it is first named).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

from chalicelib.kernel.errors import PermanentError
from chalicelib.ports.database import CONDITION_FAILED, DUPLICATE, Item, Statement

_BATCH = 25  # statements and puts that the adapter sends in one request
_VALIDATION = "ValidationError"


class FakeDatabase:
    """Implements ports.database.Database.

    step: called with what comes next and with what has been done, "before UPDATE C#1 P", "after query OPEN", around every
    single statement, put, key of a get and item of a query, which is where another worker may come in between on DynamoDB too.
    It may switch to another worker, raise the death of this one, or raise the TemporaryError of a request that failed.
    tables: pk -> sk -> item, by table; tests may look and write.
    """

    def __init__(self, step: Callable[[str], None] | None = None) -> None:
        self.step = step
        self.tables: dict[str, dict[str, dict[str, Item]]] = defaultdict(dict)

    def items(self, table: str) -> dict[tuple[str, str], Item]:
        """Return a copy of everything in a table, in order of its keys and without a step."""
        kept = self.tables[table]
        return {(pk, sk): _copied(kept[pk][sk]) for pk in sorted(kept) for sk in sorted(kept[pk])}

    def clone(self) -> FakeDatabase:
        """Return a database with the same content that goes its own way."""
        twin = FakeDatabase(self.step)
        for name, table in self.tables.items():
            twin.tables[name] = {pk: _copied(items) for pk, items in table.items()}
        return twin

    # The port -------------------------------------------------------------------------------------------------------------

    def execute(self, statements: Sequence[Statement]) -> list[str | None]:
        outcomes: list[str | None] = []
        for start in range(0, len(statements), _BATCH):
            batch = [self._execute(statement) for statement in statements[start : start + _BATCH]]
            if _VALIDATION in batch:  # the others of its request have taken place
                raise PermanentError(f"BatchExecuteStatement: {_VALIDATION}")
            outcomes += batch
        return outcomes

    def _execute(self, statement: Statement) -> str | None:
        plan = plan_of(statement.text)
        values = [_copied(value) for value in statement.parameters]
        if len(values) != plan.count:
            raise UnknownStatementError(f"{len(values)} values for {plan.count} places: {statement.text}")
        pk, sk = values[plan.pk], values[plan.sk]
        if not (isinstance(pk, str) and isinstance(sk, str) and pk and sk):
            return _VALIDATION
        if self.step is None:
            return self._write(plan, values, pk, sk)
        self.step(f"before {plan.verb} {pk} {sk}")
        outcome = self._write(plan, values, pk, sk)
        self.step(f"after {plan.verb} {pk} {sk}")
        return outcome

    def _write(self, plan: Plan, values: list[Any], pk: str, sk: str) -> str | None:
        table = self.tables[plan.table]
        item = table.get(pk, {}).get(sk)
        if plan.verb == "INSERT":
            if item is not None:
                return DUPLICATE
            table.setdefault(pk, {})[sk] = {path[0]: values[place] for path, place in plan.sets}
            return None
        if item is None:
            return None if plan.verb == "DELETE" else CONDITION_FAILED
        if not all(_holds(_found(item, path), operator, values, place) for path, operator, place in plan.conditions):
            return CONDITION_FAILED
        if plan.verb == "DELETE":
            _drop(table, pk, sk)
            return None
        # A path whose parent is missing is refused whole, so that nothing of the statement may have been written before.
        parents = [_found(item, path[:-1]) if len(path) > 1 else item for path, _ in plan.sets]
        if not all(isinstance(parent, dict) for parent in parents):
            return _VALIDATION
        for parent, (path, place) in zip(parents, plan.sets, strict=True):
            parent[path[-1]] = values[place]
        for path in plan.removes:
            parent = _found(item, path[:-1]) if len(path) > 1 else item
            if isinstance(parent, dict):
                parent.pop(path[-1], None)
        return None

    def get_many(self, table: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        found: dict[tuple[str, str], Item] = {}
        for pk, sk in dict.fromkeys(keys):
            self._step("before get", pk, sk)
            item = self.tables[table].get(pk, {}).get(sk)
            if item is not None:
                found[pk, sk] = _copied(item)
            self._step("after get", pk, sk)
        return found

    def put_many(self, table: str, items: Iterable[Item]) -> None:
        batch: list[Item] = []
        keys: set[tuple[str, str]] = set()
        for item in items:
            batch.append(_copied(item))
            keys.add((item["pk"], item["sk"]))
            if len(batch) == _BATCH:
                self._put(table, batch, keys)
                batch, keys = [], set()
        self._put(table, batch, keys)

    def _put(self, table: str, batch: list[Item], keys: set[tuple[str, str]]) -> None:
        if len(keys) < len(batch):
            raise PermanentError("BatchWriteItem: provided list of item keys contains duplicates")
        if not all(pk and sk for pk, sk in keys):
            raise PermanentError("BatchWriteItem: an empty key")
        for item in batch:
            self._step("before put", item["pk"], item["sk"])
            self.tables[table].setdefault(item["pk"], {})[item["sk"]] = item
            self._step("after put", item["pk"], item["sk"])

    def query(self, table: str, pk: str, *, prefix: str = "", after: str = "", limit: int = 0) -> list[Item]:
        self._step("before query", pk)
        found: list[Item] = []
        names, last = self._names(table, pk, prefix), after
        while not (limit and len(found) == limit):
            if found and self.step is not None:
                self.step(f"query {pk} {last}")
                names = self._names(table, pk, prefix)  # whoever came in between may have written
            place = bisect_right(names, last)
            if place == len(names):
                break
            last = names[place]
            found.append(_copied(self.tables[table][pk][last]))
        self._step("after query", pk)
        return found

    def _names(self, table: str, pk: str, prefix: str) -> list[str]:
        # By UTF-8, as DynamoDB orders; which is the order of code points, hence of str.
        return sorted(sk for sk in self.tables[table].get(pk, ()) if sk.startswith(prefix))

    def scan(self, table: str, *, segment: int, segments: int) -> Iterator[Mapping[str, Any]]:
        for pk in sorted(self.tables[table]):
            if crc32(pk.encode()) % segments == segment:
                yield from self.query(table, pk)

    def _step(self, what: str, *key: str) -> None:
        if self.step is not None:
            self.step(" ".join((what, *key)))


def _drop(table: dict[str, dict[str, Item]], pk: str, sk: str) -> None:
    del table[pk][sk]
    if not table[pk]:
        del table[pk]


# Values -------------------------------------------------------------------------------------------------------------------

_MISSING = object()


def _copied(value: Any) -> Any:
    """Return a value as it comes back from a table: a tuple as a list, a whole number as int."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return {name: _copied(entry) for name, entry in value.items()}
    if kind is list or kind is tuple:
        return [_copied(entry) for entry in value]
    if kind is float:
        return int(value) if value.is_integer() else value
    if isinstance(value, set | frozenset) and value:
        return set(value)
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"DynamoDB cannot keep a {kind.__name__}")


def _found(item: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        item = item.get(name, _MISSING) if isinstance(item, dict) else _MISSING
    return item


def _holds(value: Any, operator: str, values: Sequence[Any], place: int) -> bool:
    match operator:
        case "IS MISSING":
            return value is _MISSING
        case "IS NOT MISSING":
            return value is not _MISSING
        case "=":
            return _same(value, values[place])
        case _:
            return not _same(value, values[place])


def _same(one: Any, other: Any) -> bool:
    """True is not 1, whatever Python says."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


# Statements ---------------------------------------------------------------------------------------------------------------

Path = tuple[str, ...]


class UnknownStatementError(Exception):
    """A statement that this fake does not know; teach it, and show by the conformance test that it learned right."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement, read once. Places are positions among the parameters; -1 where a condition needs none."""

    verb: str
    table: str
    sets: tuple[tuple[Path, int], ...]
    removes: tuple[Path, ...]
    conditions: tuple[tuple[Path, str, int], ...]
    pk: int
    sk: int
    count: int


_NAME = r'(?:"[^"]+"|[A-Za-z_]\w*)'
_PATH = rf"{_NAME}(?:\.{_NAME})*"
_INSERT = re.compile(r"INSERT INTO \"([^\"]+)\" VALUE \{((?:'[^']+': \?(?:, )?)+)\}")
_CHANGE = re.compile(rf'(UPDATE|DELETE FROM) "([^"]+)"((?: SET .+?| REMOVE {_PATH})*) WHERE (.+)')
_CLAUSE = re.compile(rf" (?:SET ({_PATH}\s?=\s?\?(?:, {_PATH}\s?=\s?\?)*)|REMOVE ({_PATH}))")
_CONDITION = re.compile(rf"({_PATH})(?:\s?(=|<>)\s?\?| (IS MISSING|IS NOT MISSING))")


@cache
def plan_of(text: str) -> Plan:
    """Read a statement; raises UnknownStatementError."""
    if insert := _INSERT.fullmatch(text):
        names = re.findall(r"'([^']+)'", insert[2])
        values = tuple(((name,), place) for place, name in enumerate(names))
        if len({*names}) < len(names) or not {"pk", "sk"} <= {*names} or insert[2].endswith(", "):
            raise UnknownStatementError(text)
        return Plan("INSERT", insert[1], values, (), (), names.index("pk"), names.index("sk"), len(names))
    change = _CHANGE.fullmatch(text)
    if change is None:
        raise UnknownStatementError(text)
    verb = change[1].partition(" ")[0]
    sets, removes = _clauses(text, change[3])
    conditions = _conditions(text, change[4], len(sets))
    keys = {path: place for path, operator, place in conditions if operator == "="}
    changed = [*(path for path, _ in sets), *removes]
    is_overlapping = any(one == other[: len(one)] for i, one in enumerate(changed) for j, other in enumerate(changed) if i != j)
    if (
        is_overlapping
        or (verb == "UPDATE") != bool(changed)
        or not {("pk",), ("sk",)} <= keys.keys()
        or {("pk",), ("sk",)} & {*changed}
    ):
        raise UnknownStatementError(text)
    others = tuple(condition for condition in conditions if condition[0] not in {("pk",), ("sk",)})
    if len(conditions) != len(others) + 2:
        raise UnknownStatementError(text)
    count = len(sets) + sum(place >= 0 for _, _, place in conditions)
    return Plan(verb, change[2], sets, removes, others, keys["pk",], keys["sk",], count)


def _clauses(text: str, clauses: str) -> tuple[tuple[tuple[Path, int], ...], tuple[Path, ...]]:
    sets: list[Path] = []
    removes: list[Path] = []
    at = 0
    while at < len(clauses):
        clause = _CLAUSE.match(clauses, at)
        if clause is None:
            raise UnknownStatementError(text)
        at = clause.end()
        if clause[2]:
            removes.append(_path(clause[2]))
        else:
            sets += [_path(one[0]) for one in re.finditer(rf"{_PATH}(?=\s?=)", clause[1])]
    return tuple((path, place) for place, path in enumerate(sets)), tuple(removes)


def _conditions(text: str, where: str, place: int) -> list[tuple[Path, str, int]]:
    conditions = []
    for part in where.split(" AND "):
        condition = _CONDITION.fullmatch(part)
        if condition is None:
            raise UnknownStatementError(text)
        needs_value = condition[2] is not None
        conditions.append((_path(condition[1]), condition[2] or condition[3], place if needs_value else -1))
        place += needs_value
    return conditions


def _path(text: str) -> Path:
    return tuple(name.strip('"') for name in re.findall(_NAME, text))
