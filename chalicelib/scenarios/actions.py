"""What a scenario does besides sending: each verb once per person and visit, however often its page runs."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.customers.service import Customers
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.facts import Fact, ScenarioAsked, TagRemoved
from chalicelib.scenarios.model import Enrollment
from chalicelib.scenarios.ports import Acting
from chalicelib.tags.service import Tags

# Verbs whose rooms are still to come: they fill them in (`Actions.fill`); until then the linter refuses them.
OPEN_VERBS = ("rich_menu", "coupon", "points")
Verb = Callable[[Acting], list[Fact]]


class Actions:
    """Does actions. Implements scenarios.ports.Effects."""

    def __init__(self, tags: Tags, customers: Customers) -> None:
        self._tags = tags
        self._customers = customers
        self._verbs: dict[str, Verb] = {
            "tag_add": self._tag_add,
            "tag_remove": self._tag_remove,
            "scenario_start": self._scenario,
            "scenario_stop": self._scenario,
        }

    def fill(self, word: str, verb: Verb) -> None:
        """Let another room do a verb."""
        self._verbs[word] = verb

    @property
    def known(self) -> frozenset[str]:
        """Return the verbs that can be done."""
        return frozenset(self._verbs)

    def act(self, acting: Acting) -> list[Fact]:
        """Do an action for a page of members; see Effects."""
        verb = self._verbs.get(acting.node.do)
        if verb is None:
            raise NotFoundError("scenario.action_unavailable", action=acting.node.do)
        return verb(acting)

    def _tag_add(self, acting: Acting) -> list[Fact]:
        facts: list[Fact] = []
        for one in acting.ones:
            facts += self._tags.add(one.cid, acting.node.tag, f"scenario:{one.scenario_id}")
        return facts

    def _tag_remove(self, acting: Acting) -> list[Fact]:
        for one in acting.ones:
            self._tags.remove(one.cid, acting.node.tag)
        return [TagRemoved(fact_id=_key(acting, one), cid=one.cid, at=acting.due, tag_id=acting.node.tag) for one in acting.ones]

    def _scenario(self, acting: Acting) -> list[Fact]:
        node, verb = acting.node, acting.node.do.removeprefix("scenario_")
        return [
            ScenarioAsked(fact_id=_key(acting, one), cid=one.cid, at=acting.due, scenario_id=node.scenario, verb=verb)
            for one in acting.ones
        ]


def _key(acting: Acting, one: Enrollment) -> str:
    """Return what an action on one person at one visit is known by."""
    return f"{one.row.pk}|{one.row.sk}|{one.run}|{acting.visit}"
