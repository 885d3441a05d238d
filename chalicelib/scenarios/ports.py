"""What the engine needs of the house, and what a rehearsal puts in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chalicelib.delivery.model import Job, Report, Row
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.scenarios.graph import ActionNode
from chalicelib.scenarios.model import Enrollment, Version
from chalicelib.segments.model import Person


class Outbox(Protocol):
    """The one way out: delivery, or a rehearsal's that sends nothing."""

    def deliver(self, job: Job, rows: Sequence[Row], accounts: Sequence[AccountKey]) -> Report:
        """Bring one page of members their message; see delivery.service.Delivery."""
        ...


class Crowd(Protocol):
    """People and conditions."""

    def load(
        self, cids: Iterable[Cid], accounts: Iterable[AccountKey], *, conditions: Iterable[object] = ()
    ) -> Mapping[Cid, Person]:
        """Return people by the number asked for. conditions: those that will be asked of them."""
        ...

    def holds(self, condition: object, person: Person, now: datetime, account: AccountKey | None = None) -> bool:
        """Say whether a person fulfils a condition at `now`."""
        ...


class Accounts(Protocol):
    """The company's LINE accounts."""

    def everyone(self) -> Sequence[Any]:
        """Return all accounts, each with its `key`."""
        ...


@dataclass(frozen=True, slots=True)
class Acting:
    """One page of members who are to be acted on. key: derived, the same when the page runs again."""

    version: Version
    node_id: str
    node: ActionNode
    visit: str
    due: datetime
    key: str
    ones: Sequence[Enrollment]


class Effects(Protocol):
    """What else than sending a scenario does: tags, attributes, notices, webhooks, other scenarios."""

    def act(self, acting: Acting) -> list[Fact]:
        """Do an action for a page of members, each once however often it runs; return what follows.

        Raises NotFoundError when what it names is missing: the cohort is parked until somebody has seen to it.
        """
        ...
