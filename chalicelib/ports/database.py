"""Bulk work on DynamoDB that PynamoDB does not offer: independent conditional writes by the batch, whole item collections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# An item as plain Python values: str, int, float, bool, None, list, dict, set[str].
Item = dict[str, Any]
CONDITION_FAILED = "ConditionalCheckFailed"
DUPLICATE = "DuplicateItem"


@dataclass(frozen=True, slots=True)
class Statement:
    """One PartiQL statement on one item, with its parameters in order."""

    text: str
    parameters: tuple[Any, ...]

    @classmethod
    def insert(cls, table: str, item: Mapping[str, Any]) -> Statement:
        """Return the write of an item that is not there yet; over an existing one it is a DUPLICATE."""
        names = ", ".join(f"'{name}': ?" for name in item)
        return cls(f'INSERT INTO "{table}" VALUE {{{names}}}', tuple(item.values()))


class Database(Protocol):
    """Raises TemporaryError when DynamoDB throttles or cannot be reached."""

    def execute(self, statements: Sequence[Statement]) -> list[str | None]:
        """Run independent conditional writes; return per statement None when it took place, else the reason's code.

        A lost condition is CONDITION_FAILED, an INSERT over an existing item is DUPLICATE; any other reason raises.
        """
        ...

    def get_many(self, table: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        """Return the items of these (pk, sk) keys, strongly consistent; missing ones are left out."""
        ...

    def put_many(self, table: str, items: Iterable[Item]) -> None:
        """Write items without a condition; only for writes that are the same every time."""
        ...

    def query(self, table: str, pk: str, *, prefix: str = "", after: str = "", limit: int = 0) -> list[Item]:
        """Return the items of a collection in order of sk, strongly consistent; limit 0 is all."""
        ...

    def scan(self, table: str, *, segment: int, segments: int) -> Iterator[Mapping[str, Any]]:
        """Yield every item of one of `segments` parts; items of one pk follow each other."""
        ...
