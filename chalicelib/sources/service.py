"""Keep the systems that report, check that they are it, and take the orders that they tell of.

Config item `SRC` / id; the secret lies in Secrets Manager under `source/{id}`, the former one beside it for a day.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.customers.service import Customers
from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.errors import ConflictError, DomainError, InvalidError, NotFoundError, UnauthenticatedError
from chalicelib.kernel.facts import OrderPlaced
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order, numbered
from chalicelib.orders.service import Orders
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.ports.secrets import Secrets
from chalicelib.settings import settings
from chalicelib.sources.model import FORMER_LIFE, Report, Source, SourceKind, check, is_proven

_PK = "SRC"
_LONGEST_ID = 40
Refuse = Callable[[Mapping[str, Any]], None]  # raises ConflictError when a new profile is of somebody who was erased


class Sources:
    """Systems that report."""

    def __init__(
        self, customers: Customers, orders: Orders, refuse: Refuse, database: Database, secrets: Secrets, clock: Clock
    ) -> None:
        self._customers = customers
        self._orders = orders
        self._refuse = refuse
        self._database = database
        self._secrets = secrets
        self._clock = clock

    def everyone(self) -> list[Source]:
        """Return all sources by id."""
        return [_source(item) for item in self._database.query(settings().config_table, _PK)]

    def get(self, source_id: str) -> Source:
        """Return a source. Raises NotFoundError(`source.unknown`)."""
        key = (_PK, source_id)
        item = self._database.get_many(settings().config_table, [key]).get(key) if 0 < len(source_id) <= _LONGEST_ID else None
        if item is None:
            raise NotFoundError("source.unknown")
        return _source(item)

    def save(self, source: Source, secret: str = "") -> str:
        """Create or change a source; return the secret that was made for a new one, which is shown this once, else "".

        secret: the one that the other side has made (Shopify does); the former is accepted for a day.
        Raises InvalidError(`source.*`).
        """
        check(source)
        kept = self._secrets.refresh(_secret_of(source.source_id))
        if source.kind is SourceKind.SHOPIFY and not secret and kept is None:
            raise InvalidError("source.secret_missing")
        made = ""
        if not secret and kept is None:
            secret = made = f"src_{random.token_urlsafe(32)}"
        if secret:
            # Before the source: nothing is taken that is not signed.
            self._replace(source.source_id, kept, secret)
        item = {
            "pk": _PK,
            "sk": source.source_id,
            "name": source.name,
            "kind": str(source.kind),
            "is_enabled": source.is_enabled,
            "creates": source.creates,
            "shop": source.shop,
            "header": source.header,
            "mapping": dict(source.mapping),
        }
        self._database.put_many(settings().config_table, [item])
        return made

    def renew(self, source_id: str) -> str:
        """Return a new secret for a source; the former is accepted for a day. Raises NotFoundError(`source.unknown`)."""
        source = self.get(source_id)
        if source.kind is SourceKind.SHOPIFY:
            raise InvalidError("source.secret_missing")
        secret = f"src_{random.token_urlsafe(32)}"
        self._replace(source_id, self._secrets.refresh(_secret_of(source_id)), secret)
        return secret

    def _replace(self, source_id: str, kept: Mapping[str, Any] | None, secret: str) -> None:
        if kept and kept["secret"] == secret:
            return
        former = {"former": kept["secret"], "replaced_at": to_text(self._clock.now())} if kept else {}
        self._secrets.put(_secret_of(source_id), {"secret": secret, **former})

    def delete(self, source_id: str) -> None:
        """Forget a source and its secret; harmless when there is none."""
        statement = Statement(f'DELETE FROM "{settings().config_table}" WHERE pk=? AND sk=?', (_PK, source_id))
        self._database.execute([statement])
        self._secrets.delete(_secret_of(source_id))

    def proven(self, source_id: str, headers: Mapping[str, str], body: bytes) -> Source:
        """Return the source that signed this body. headers: names in lower case.

        Raises NotFoundError(`source.unknown`) and UnauthenticatedError(`source.signature_refused`).
        """
        source = self.get(source_id)
        if not source.is_enabled:
            raise NotFoundError("source.unknown")
        name, now = _secret_of(source_id), self._clock.now()
        kept = self._secrets.get(name)
        if is_proven(source, _accepted(kept, now), headers, body, now):
            return source
        fresh = self._secrets.refresh(name)  # a secret younger than our memory
        if fresh != kept and is_proven(source, _accepted(fresh, now), headers, body, now):
            return source
        raise UnauthenticatedError("source.signature_refused")

    def take(self, source: Source, reports: Sequence[Report]) -> tuple[list[OrderPlaced], list[Cid | DomainError]]:
        """Enter the orders of reports; return their facts, again when told again, and whom each concerns or why it is refused."""
        people = self._people(source, reports)
        orders = []
        for report, person in zip(reports, people, strict=True):
            if isinstance(person, int):
                number = numbered(source.source_id, report.order_no)
                orders.append(Order(number, person, report.at, report.amount_yen, (), report.shop, report.lines))
        facts, tellings = self._orders.take(orders) if orders else ([], [])
        problems = (telling.problem for telling in tellings)
        return facts, [(next(problems) or person) if isinstance(person, int) else person for person in people]

    def _people(self, source: Source, reports: Iterable[Report]) -> list[Cid | DomainError]:
        found: dict[str, Cid | DomainError] = {}
        for report in reports:
            if report.member_no not in found:
                found[report.member_no] = self._person(source, report)
        return [found[report.member_no] for report in reports]

    def _person(self, source: Source, report: Report) -> Cid | DomainError:
        try:
            return self._customers.by_member_no(report.member_no).cid
        except NotFoundError as unknown:
            if not source.creates:
                return unknown
            values = {"member_no": report.member_no, **report.profile}
            try:
                self._refuse(values)
            except ConflictError as erased:
                return erased
            # Only whom nobody knows: what the company has written about its customers is not overwritten by a till.
            return self._customers.save(values)[0].cid


def _accepted(kept: Mapping[str, Any] | None, now: datetime) -> list[str]:
    if not kept:
        return []
    is_young = "former" in kept and now - from_text(kept["replaced_at"]) < FORMER_LIFE
    return [str(kept["secret"]), *([str(kept["former"])] if is_young else [])]


def _secret_of(source_id: str) -> str:
    return f"source/{source_id}"


def _source(item: Item) -> Source:
    return Source(
        item["sk"],
        item["name"],
        SourceKind(item["kind"]),
        item["is_enabled"],
        item["creates"],
        item["shop"],
        item["header"],
        item["mapping"],
    )
