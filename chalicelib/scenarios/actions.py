"""What a scenario does besides sending: each verb once per person and visit, however often its page runs.

Tags carry who put them on or took them off, attributes the changes that are done (customers), notices and the facts for other
scenarios a derived key. Webhooks are sent like messages (nodes.py).
"""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.customers.model import Scalar
from chalicelib.customers.service import Customers
from chalicelib.delivery.notices import Notices
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.facts import Fact, ProfileChanged, ScenarioAsked
from chalicelib.kernel.ids import Cid
from chalicelib.scenarios.model import Enrollment
from chalicelib.scenarios.ports import Acting
from chalicelib.tags.service import Tags

# Verbs whose rooms are still to come: they fill them in (`Actions.fill`); until then the linter refuses them.
OPEN_VERBS = ("rich_menu", "coupon", "points")
SCORE = "score"  # the attribute that `score_add` adds to
Verb = Callable[[Acting], list[Fact]]


class Actions:
    """Does actions. Implements scenarios.ports.Effects."""

    def __init__(self, tags: Tags, customers: Customers, notices: Notices) -> None:
        self._tags = tags
        self._customers = customers
        self._notices = notices
        self._verbs: dict[str, Verb] = {
            "tag_add": lambda acting: self._tags.add_many(self._by(acting), acting.node.tag),
            "tag_remove": lambda acting: self._tags.remove_many(self._by(acting), acting.node.tag),
            "attribute_set": lambda acting: self._change(acting, acting.node.attribute, lambda _: acting.node.value),
            "attribute_add": lambda acting: self._change(acting, acting.node.attribute, _adding(acting.node.by)),
            "score_add": lambda acting: self._change(acting, SCORE, _adding(acting.node.by)),
            "notify_staff": self._notify,
            "scenario_start": _ask_scenario,
            "scenario_stop": _ask_scenario,
        }

    def fill(self, word: str, verb: Verb) -> None:
        """Let another room do a verb."""
        self._verbs[word] = verb

    @property
    def known(self) -> frozenset[str]:
        """Return the verbs that can be done."""
        return frozenset({*self._verbs, "webhook"})

    def act(self, acting: Acting) -> list[Fact]:
        """Do an action for a page of members; see Effects."""
        verb = self._verbs.get(acting.node.do)
        if verb is None:
            raise NotFoundError("scenario.action_unavailable", action=acting.node.do)
        return verb(acting)

    def _living(self, acting: Acting) -> list[tuple[Cid, Enrollment]]:
        """Return the enrollments with the person whom each concerns now: he may have been linked since he entered."""
        living = self._customers.living(one.cid for one in acting.ones)
        return [(living[one.cid], one) for one in acting.ones]

    def _by(self, acting: Acting) -> dict[Cid, str]:
        # The person's own item holds it, so it need not name him.
        return {cid: f"scenario:{one.scenario_id} {acting.visit} {one.run}" for cid, one in self._living(acting)}

    def _change(self, acting: Acting, name: str, change: Callable[[Scalar | None], Scalar | None]) -> list[Fact]:
        todo = [(cid, _key(acting, one)) for cid, one in self._living(acting)]
        while todo:  # a person may be in it for several occurrences at once
            keys = dict(reversed(todo))
            self._customers.change_attribute(keys, name, change)
            todo = [(cid, key) for cid, key in todo if keys[cid] != key]
        return [ProfileChanged(fact_id=_key(acting, one), cid=one.cid, at=max(acting.due, one.entered_at)) for one in acting.ones]

    def _notify(self, acting: Acting) -> list[Fact]:
        node, graph = acting.node, acting.version.graph
        title = f"{graph.name}: {node.label or acting.node_id}"
        self._notices.tell(acting.key, title, node.text, list(dict(self._living(acting))))
        return []


def _ask_scenario(acting: Acting) -> list[Fact]:
    node, verb = acting.node, acting.node.do.removeprefix("scenario_")
    return [
        ScenarioAsked(
            # Not before he entered himself: a walk's minutes are full ones.
            fact_id=_key(acting, one), cid=one.cid, at=max(acting.due, one.entered_at), scenario_id=node.scenario, verb=verb
        )
        for one in acting.ones
    ]  # fmt: skip


def _adding(by: int) -> Callable[[Scalar | None], Scalar]:
    def change(old: Scalar | None) -> Scalar:
        return by + (old if isinstance(old, int | float) and not isinstance(old, bool) else 0)

    return change


def _key(acting: Acting, one: Enrollment) -> str:
    """Return what an action on one person at one visit is known by."""
    return f"{one.row.pk}|{one.row.sk}|{one.run}|{acting.visit}"
