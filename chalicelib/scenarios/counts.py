"""How many went through each node: counted where it happens, each page and each person once however often they are repeated.

`CNT#scenario#version` / `P#page` what a page came to, `W#…` a walk, `O#…` one thing of one person, `S#…` many items added up.
A key is derived from what is counted, so a repeated page writes the same item again. Nothing is counted by adding to a number:
that could not be repeated. Items are rolled up once nothing can repeat them any more; an `S` names what it covers until that is
deleted, so a crash in between counts nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import to_text
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.scenarios.model import Enrollment
from chalicelib.settings import settings

Words = Mapping[str, int]
# A page may be repeated as long as its cohort stands at the node: the reconciler looks every hour, people within a day. What
# one person did is told again within minutes, but for dead letters, which find it noted on his enrollment.
_PAGE_REST = timedelta(days=2)
_PERSON_REST = timedelta(hours=1)
_CHUNK = 400  # keys of one roll-up: well below the 400 KB of an item


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that happens to one person once in a run. node: "" where it does not matter where he stands."""

    one: Enrollment
    node: str
    word: str

    @property
    def pk(self) -> str:
        """The collection that it is counted in."""
        return _collection(self.one.scenario_id, self.one.version)

    @property
    def sk(self) -> str:
        """Its own key, the same when it is counted again."""
        return f"O#{_run(self.one)}|{self.node}|{self.word}"


class Counts:
    """Counts in the engine table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, scenario_id: str, version: int, batch_id: str, nodes: Mapping[str, Words], at: datetime) -> None:
        """Keep what a page came to."""
        self._put(_collection(scenario_id, version), f"P#{batch_id}", nodes, at)

    def walked(self, one: Enrollment, version: int, nodes: Mapping[str, Words], at: datetime) -> None:
        """Keep what a walk came to so far; what a longer walk of the same run came to takes its place."""
        if nodes:
            self._put(_collection(one.scenario_id, version), f"W#{_run(one)}", nodes, at)

    def happen(self, things: Iterable[Thing], at: datetime) -> None:
        """Count what happens to people once in a run: before it is done, so that no crash can lose it."""
        items = [
            {"pk": thing.pk, "sk": thing.sk, "at": to_text(at), "nodes": {thing.node: {thing.word: 1}}, "covers": []}
            for thing in things
        ]
        self._database.put_many(settings().engine_table, items)

    def did_not(self, things: Iterable[Thing]) -> None:
        """Take back what was counted and then did not happen: somebody else was faster."""
        for thing in things:
            self._delete(thing.pk, [thing.sk])

    def read(self, scenario_id: str, version: int) -> dict[str, Counter[str]]:
        """Return how often what happened, by node; what happened to people wherever they stood is under ""."""
        items = self._database.query(settings().engine_table, _collection(scenario_id, version))
        return summed(items)

    def roll_up(self, scenario_id: str, version: int, now: datetime) -> int:
        """Add up what has come to rest, and delete it; return how many items went. Harmless when repeated or broken off."""
        pk = _collection(scenario_id, version)
        gone = 0
        for item in self._database.query(settings().engine_table, pk, prefix="S#"):
            if item["covers"]:  # an earlier try broke off here
                gone += self._settle(item)
        for prefix, rest in (("O#", _PERSON_REST), ("W#", _PERSON_REST), ("P#", _PAGE_REST), ("S#", _PAGE_REST)):
            gone += self._roll(pk, prefix, to_text(now - rest), now)
        return gone

    def _roll(self, pk: str, prefix: str, before: str, now: datetime) -> int:
        gone, after = 0, ""
        while True:
            found = self._page_of(pk, prefix, after)
            if not found:
                return gone
            after = found[-1]["sk"]
            old = [item for item in found if item["at"] < before]
            if len(old) > 1:
                covers = [item["sk"] for item in old]
                nodes = {node: dict(words) for node, words in summed(old).items()}
                total = {
                    "pk": pk,
                    "sk": f"S#{to_text(now)}#{covers[0]}"[:500],
                    "at": to_text(now),
                    "nodes": nodes,
                    "covers": covers,
                }
                self._database.put_many(settings().engine_table, [total])
                gone += self._settle(total)

    def _page_of(self, pk: str, prefix: str, after: str) -> list[Item]:
        found = self._database.query(settings().engine_table, pk, after=after or prefix, limit=_CHUNK)
        return [item for item in found if item["sk"].startswith(prefix)]

    def _settle(self, total: Item) -> int:
        """Delete what a sum covers, then let it cover nothing."""
        self._delete(total["pk"], total["covers"])
        self._database.put_many(settings().engine_table, [{**total, "covers": []}])
        return len(total["covers"])

    def _delete(self, pk: str, keys: Sequence[str]) -> None:
        text = f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?'
        self._database.execute([Statement(text, (pk, key)) for key in keys])

    def _put(self, pk: str, sk: str, nodes: Mapping[str, Words], at: datetime) -> None:
        kept = {node: dict(words) for node, words in nodes.items()}
        self._database.put_many(settings().engine_table, [{"pk": pk, "sk": sk, "at": to_text(at), "nodes": kept, "covers": []}])


def _collection(scenario_id: str, version: int) -> str:
    return f"CNT#{scenario_id}#{version}"


def _run(one: Enrollment) -> str:
    return f"{one.row.pk}|{one.row.sk}|{one.run}"


def summed(items: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Return the sum of count items by node, leaving out what another of them covers already."""
    kept = {item["sk"]: item for item in items}
    covered = {key for item in kept.values() for key in item["covers"]}
    total: dict[str, Counter[str]] = {}
    for key, item in kept.items():
        if key not in covered:
            for node, words in item["nodes"].items():
                total.setdefault(node, Counter()).update(words)
    return total
