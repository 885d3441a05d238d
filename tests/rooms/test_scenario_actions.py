"""What scenarios do besides sending: each verb once per person and visit, whatever dies on the way."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.delivery.hooks import Hook
from chalicelib.entrypoints import scenario_steps
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid, customer_id
from chalicelib.reactions import react
from chalicelib.scenarios.actions import OPEN_VERBS
from chalicelib.scenarios.graph import ActionNode
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.ports import Acting
from chalicelib.settings import settings
from tests.builders import HANAKO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, rest, say, texts
from tests.rooms.memory import crashes, database, inside, look, people

WAIT = {"w": rest("P9D", "e"), "e": END}
EVENT = {"type": "event", "event": "custom", "name": "x"}
TWO = (8, 16)  # in one shard


def stand(stage: Stage, **action: Any) -> str:
    """Bring two people to an action at the beginning of a scenario; return their cohort."""
    stage.world.tags.create("常連", tag_id="tag_vip")
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "12:00"}}
    stage.scenario("other", WAIT, trigger=action.pop("other", {"type": "manual"}))
    people(stage, *TWO, attributes={"visits": 3})
    stage.scenario("acts", {"a": {"type": "action", "next": "w", **action}, **WAIT}, trigger=trigger)
    look(stage, "acts", NOON)
    (cohort,) = stage.world.records.live_cohorts("acts")
    return str(cohort.cohort_id)


def page(stage: Stage, cohort: str) -> None:
    """Do the pages of a cohort where it stands, as its machine asks for them."""
    gate = scenario_steps.handle({"op": "gate", "cohort": cohort, "run": 0}, stage.world)
    for shard in gate["shards"]:
        event = {name: gate[name] for name in ("cohort", "run", "due")} | {"op": "page", "node": gate["go"], "shard": shard}
        scenario_steps.handle({**event, "cursor": "", "stayed": 0, "calls": 0}, stage.world)


def attributes(stage: Stage) -> list[dict[str, Any]]:
    return [stage.world.customers.load([Cid(n)])[Cid(n)].profile.attributes for n in TWO]


def test_a_tag_is_put_on_and_told_of(memory: Stage) -> None:
    added = {"type": "event", "event": "tag_added", "tag": "tag_vip"}
    cohort = stand(memory, do="tag_add", tag="tag_vip", other=added)
    for number in crashes(memory, lambda: page(memory, cohort)):
        page(memory, cohort)
        assert [memory.world.tags.of(Cid(n)) for n in TWO] == [{"tag_vip"}] * 2
        assert inside(memory, "other") == set(TWO), f"death at step {number}"


def test_a_tag_is_taken_off_and_told_of_who_carried_it(memory: Stage) -> None:
    removed = {"type": "event", "event": "tag_removed", "tag": "tag_vip"}
    cohort = stand(memory, do="tag_remove", tag="tag_vip", other=removed)
    memory.world.tags.add(Cid(8), "tag_vip", "staff")
    for number in crashes(memory, lambda: page(memory, cohort)):
        page(memory, cohort)
        assert [memory.world.tags.of(Cid(n)) for n in TWO] == [frozenset()] * 2
        assert inside(memory, "other") == {8}, f"death at step {number}"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"do": "attribute_set", "attribute": "visits", "value": 1}, {"visits": 1}),
        ({"do": "attribute_set", "attribute": "段階", "value": "検討中"}, {"visits": 3, "段階": "検討中"}),
        ({"do": "attribute_add", "attribute": "visits", "by": 2}, {"visits": 5}),
        ({"do": "attribute_add", "attribute": "calls", "by": -1}, {"visits": 3, "calls": -1}),
        ({"do": "score_add", "by": 10}, {"visits": 3, "score": 10}),
    ],
)
def test_an_attribute_changes_once(memory: Stage, action: dict[str, Any], expected: dict[str, Any]) -> None:
    cohort = stand(memory, **action)
    for number in crashes(memory, lambda: page(memory, cohort)):
        for _ in range(2):
            page(memory, cohort)
            assert attributes(memory) == [expected] * 2, f"death at step {number}"


def test_the_staff_is_told_once_of_everybody_on_a_page(memory: Stage) -> None:
    memory.world.notices.set_addresses(["staff@shop.test"])
    cohort = stand(memory, do="notify_staff", text="電話してください", label="電話")
    for number in crashes(memory, lambda: page(memory, cohort)):
        page(memory, cohort)
        (notice,) = memory.world.notices.latest()
        assert (notice.title, notice.text, set(notice.customers)) == ("acts: 電話", "電話してください", set(TWO))
        # Whether an e-mail that was begun has left is the provider's to tell (delivery's own tests): not twice.
        assert len(memory.email.sent) <= 1, f"death at step {number}"
        memory.email.sent.clear()
    page(memory, cohort)
    assert [email.to for email in memory.email.sent] == ["staff@shop.test"]


def test_a_webhook_is_called_under_one_key_for_each(memory: Stage) -> None:
    memory.world.hooks.save(Hook("pos", "POS", "https://pos.test/"))
    cohort = stand(memory, do="webhook", target="pos", data={"coupon": "A1"})
    for number in crashes(memory, lambda: page(memory, cohort)):
        page(memory, cohort)
        memory.world.delivery.reconcile(timedelta(0))
        told = {headers["Idempotency-Key"]: json.loads(content) for _, content, headers in memory.hook_caller.sent}
        assert sorted(call["customer_id"] for call in told.values()) == sorted(customer_id(Cid(n)) for n in TWO), number
        assert all(call["data"] == {"scenario": "acts", "node": "a", "coupon": "A1"} for call in told.values())
        assert all(one.path["a__202612010300"] == "sent" for n in TWO for one in memory.world.records.of(Cid(n)))
        memory.hook_caller.sent.clear()


def test_another_scenario_is_begun_once(memory: Stage) -> None:
    cohort = stand(memory, do="scenario_start", scenario="other")
    for number in crashes(memory, lambda: page(memory, cohort)):
        for _ in range(2):
            page(memory, cohort)
            assert inside(memory, "other") == set(TWO), f"death at step {number}"
            assert all(len(memory.world.scenario_people.of(Cid(n))) == 2 for n in TWO)


def test_another_scenario_ends_for_who_is_in_it(memory: Stage) -> None:
    cohort = stand(memory, do="scenario_stop", scenario="other")
    memory.world.entries.by_hand("other", Cid(8), "api", NOON - timedelta(days=1))
    for number in crashes(memory, lambda: page(memory, cohort)):
        page(memory, cohort)
        ones = [one for one in memory.world.scenario_people.of(Cid(8)) if one.scenario_id == "other"]
        assert [(one.row.status, one.reason) for one in ones] == [(EnrollmentStatus.EXITED, "stopped_by_scenario")], number
    later = memory.clock.now() + timedelta(days=1)
    memory.world.entries.by_hand("other", Cid(16), "api2", later)
    page(memory, cohort)
    assert inside(memory, "other") == {8, 16}
    (again,) = [one for one in memory.world.scenario_people.current(Cid(16)) if one.scenario_id == "other"]
    assert again.entered_at == later, "he came in after it was stopped for him"


def test_a_walk_does_every_verb_once_wherever_it_dies(memory: Stage) -> None:
    memory.world.tags.create("常連", tag_id="tag_vip")
    memory.world.hooks.save(Hook("pos", "POS", "https://pos.test/"))
    memory.scenario("other", WAIT, trigger={"type": "manual"})
    verbs: list[dict[str, Any]] = [
        {"do": "tag_add", "tag": "tag_vip"}, {"do": "score_add", "by": 1}, {"do": "webhook", "target": "pos"},
        {"do": "scenario_start", "scenario": "other"}, {"do": "attribute_add", "attribute": "visits", "by": 1},
    ]  # fmt: skip
    nodes = {
        f"n{i}": {"type": "action", "next": f"n{i + 1}" if i + 1 < len(verbs) else "w", **verb} for i, verb in enumerate(verbs)
    }
    memory.scenario("acts", {**nodes, **WAIT}, trigger=EVENT)
    people(memory, 8)
    fact = Occurred(fact_id="f", cid=Cid(8), at=NOON, event="custom", name="x")
    for number in crashes(memory, lambda: react([fact], memory.world)):
        react([fact], memory.world)
        profile = memory.world.customers.load([Cid(8)])[Cid(8)].profile
        assert profile.attributes == {"score": 1, "visits": 1}, f"death at step {number}"
        assert (inside(memory, "acts"), inside(memory, "other")) == ({8}, {8})
        assert len({headers["Idempotency-Key"] for _, _, headers in memory.hook_caller.sent}) == 1
        memory.hook_caller.sent.clear()


def test_what_an_action_did_takes_a_person_out_before_he_goes_on(stage: Stage) -> None:
    stage.clock.set(NOON)
    stage.world.tags.create("常連", tag_id="tag_vip")
    stage.template("tpl_a", "a")
    nodes = {"t": {"type": "action", "do": "tag_add", "tag": "tag_vip", "next": "a"}, "a": say("tpl_a", "e"), "e": END}
    stage.scenario("acts", nodes, trigger=EVENT, exits=[{"event": "tag_added", "tag": "tag_vip"}])
    cid = stage.friend()
    stage.clock.advance(minutes=5)
    entered = stage.clock.now() - timedelta(minutes=1)
    react([Occurred(fact_id="f", cid=cid, at=entered, event="custom", name="x")], stage.world)
    (one,) = stage.world.scenario_people.of(cid)
    assert (one.row.status, one.reason, texts(stage, HANAKO)) == (EnrollmentStatus.EXITED, "tag_added", [])


def test_two_occurrences_of_one_person_each_count(memory: Stage) -> None:
    nodes = {"w": rest("P1D", "d"), "d": {"type": "action", "do": "score_add", "by": 5, "next": "e"}, "e": END}
    memory.scenario("acts", nodes, trigger=EVENT, reentry={"mode": "always"})
    people(memory, 8)
    runner = Runner(memory)
    for fact_id in ("f1", "f2"):
        react([Occurred(fact_id=fact_id, cid=Cid(8), at=NOON, event="custom", name="x")], memory.world)
    runner.days(2)
    assert memory.world.customers.load([Cid(8)])[Cid(8)].profile.attributes == {"score": 10}


def test_who_was_linked_meanwhile_is_acted_on_as_who_he_is_now(stage: Stage) -> None:
    stage.clock.set(NOON)
    tag = stage.world.tags.create("常連").tag_id
    nodes = {"w": rest("P1D", "t"), "t": {"type": "action", "do": "tag_add", "tag": tag, "next": "s"},
             "s": {"type": "action", "do": "score_add", "by": 5, "next": "e"}, "e": END}  # fmt: skip
    stage.scenario("acts", nodes, trigger=EVENT)
    friend, customer = stage.friend(), stage.customer("M1")
    runner = Runner(stage)
    react([Occurred(fact_id="f", cid=friend, at=NOON, event="custom", name="x")], stage.world)
    stage.world.people.mark_merged(friend, customer)
    runner.days(2)
    assert stage.world.tags.of(customer) == {tag}
    assert stage.world.customers.get(customer).profile.attributes == {"score": 5}


def test_a_verb_waits_for_the_room_that_does_it(memory: Stage) -> None:
    actions, done = memory.world.actions, []
    for verb in OPEN_VERBS:
        version: Any = None
        acting = Acting(version, "n", ActionNode(do=verb, next="e"), "n__1", NOON, "key", [])  # type: ignore[arg-type]
        assert verb not in actions.known
        with pytest.raises(NotFoundError, match="action_unavailable"):
            actions.act(acting)
        actions.fill(verb, lambda acting: (done.append(acting.node.do), [])[1])
        assert actions.act(acting) == []
        assert verb in actions.known
    assert done == list(OPEN_VERBS)


def test_a_page_costs_no_call_for_each(memory: Stage) -> None:
    cohort = stand(memory, do="score_add", by=1)
    everybody = range(8, 8 * 200, 8)
    people(memory, *everybody)
    memory.clock.advance(days=1)
    look(memory, "acts", memory.clock.now())
    calls: list[str] = []
    for name in ("execute", "get_many", "query", "put_many"):
        real = getattr(database(memory), name)

        def counted(*args: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:
            calls.append(_name)
            return _real(*args, **more)

        setattr(database(memory), name, counted)
    (later,) = [found for found in memory.world.records.live_cohorts("acts") if found.cohort_id != cohort]
    calls.clear()
    page(memory, str(later.cohort_id))
    assert len(calls) < 30
    kept = database(memory).items(settings().core_table)
    assert sum(item.get("attributes", {}).get("score", 0) for item in kept.values()) == len(everybody) - len(TWO)
