"""Scenarios that come with the product, as drawings with their templates: to be fitted to the shop, then published."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import ConflictError, NotFoundError

if TYPE_CHECKING:  # the drawings alone are read without a database too
    from chalicelib.messages.service import Messages
    from chalicelib.scenarios.model import ScenarioHead
    from chalicelib.scenarios.service import Scenarios

_DRAWINGS = Path(__file__).parent / "drawings"


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """A drawing that comes with the product.

    purpose, needs: {ja, en}, what it is for and what has to be set first. links: {link_id, name}. templates: {template_id,
    name, channel, content}. graph: the grammar's, without an account.
    """

    ready_id: str
    purpose: Mapping[str, str]
    needs: tuple[Mapping[str, str], ...]
    links: tuple[Mapping[str, str], ...]
    templates: tuple[Mapping[str, Any], ...]
    graph: Mapping[str, Any]


class ReadyMades:
    """Hands out drawings."""

    def __init__(self, scenarios: Scenarios, messages: Messages) -> None:
        self._scenarios = scenarios
        self._messages = messages

    def everyone(self) -> list[ReadyMade]:
        """Return all of them by id."""
        return list(drawings().values())

    def get(self, ready_id: str) -> ReadyMade:
        """Return one. Raises NotFoundError(`ready_made.unknown`)."""
        found = drawings().get(ready_id)
        if found is None:
            raise NotFoundError("ready_made.unknown", ready_id=ready_id)
        return found

    def draw(self, ready_id: str, scenario_id: str = "", account: str = "") -> ScenarioHead:
        """Make a draft and the templates that are not there yet; publishes nothing, changes nothing; harmless when repeated.

        Raises NotFoundError(`ready_made.unknown`), ConflictError(`scenario.taken`), InvalidError(`scenario.id_malformed`).
        """
        found = self.get(ready_id)
        name, graph = scenario_id or ready_id, {**found.graph, "account": account}
        head = next((known for known in self._scenarios.everyone() if known.scenario_id == name), None)
        if head is None:
            head = self._scenarios.save_draft(name, graph)
        elif head.draft != graph:
            raise ConflictError("scenario.taken", scenario_id=name)
        for template in found.templates:
            channel = DeliveryChannel(template["channel"])
            try:
                self._messages.create(template["name"], channel, template["content"], template["template_id"])
            except ConflictError as error:
                if error.code != "template.taken":  # the shop's own text stays
                    raise
        return head


@lru_cache(maxsize=1)
def drawings() -> Mapping[str, ReadyMade]:
    """Return all ready-made scenarios by id."""
    found = {}
    for path in sorted(_DRAWINGS.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        parts = {name: tuple(data[name]) for name in ("needs", "links", "templates")}
        found[path.stem] = ReadyMade(path.stem, data["purpose"], graph=data["graph"], **parts)
    return found
