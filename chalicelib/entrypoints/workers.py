"""Long work from the work queue, and ticks from the scheduler; each step enqueues the steps that follow it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib import observability
from chalicelib.entrypoints.batches import work_through
from chalicelib.entrypoints.problems import sentences
from chalicelib.entrypoints.steps import Step, enqueue
from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.facts import Fact, OrderPlaced
from chalicelib.kernel.windows import local_date
from chalicelib.lake.cubes import CUBES
from chalicelib.reactions import react, react_to_orders
from chalicelib.segments.candidates import WAIT_SECONDS
from chalicelib.wiring import World

_STALE = timedelta(minutes=15)


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Work through an SQS batch; return the messages to be tried again."""
    return work_through(event, lambda body, _attributes: enqueue(do(json.loads(body), here), here))


def do(step: Mapping[str, Any], here: World) -> list[Step]:
    """Do one step; return those that follow."""
    match step["op"]:
        case "campaign_start":
            return here.campaigns.start(step["campaign_id"])
        case "campaign_freeze":
            return here.campaigns.freeze(step["campaign_id"], step["part"])
        case "campaign_page":
            return here.campaigns.send_page(step["campaign_id"], step["shard"], step["cursor"])
        case "campaign_rest":
            return here.campaigns.send_page(step["campaign_id"], step["shard"], step["cursor"], alone=True)
        case "scenario_entry":
            return _enter(step, here)
        case "scenario_cohorts" | "scenario_stop_page" | "scenario_move_page" | "scenario_sweep_page":
            return here.upkeep.do(dict(step), lambda facts: react(facts, here))
        case "segment_live":
            return here.live_segments.prepare(dict(step), lambda facts: react(facts, here))
        case "segment_notes":
            return here.live_segments.forget_notes(dict(step))
        case "segment_sizes":
            observability.info("segments measured", segments=here.asking.measure(here.clock.now()))
            return []
        case "cube":
            return _cube(step, here)
        case "scenario_counts":
            here.counts.roll_up(step["scenario_id"], step["version"], here.clock.now())
            return []
        case "archive":
            return here.archives.do(step)
        case "erasure":
            return _erase(step["receipt_id"], here)
        case "rehearsal":
            return here.full_rehearsals.do(step["rehearsal_id"], step["part"])
        case "import":
            more = here.imports.work(step["import_id"], lambda facts: _follow(facts, here), sentences)
            return [dict(step)] if more else []
        case unknown:
            raise DomainError("step.unknown", op=unknown)


def tick(event: Mapping[str, Any], here: World) -> None:
    """Do what a schedule asks for; every firing may come twice."""
    match event["kind"]:
        case "campaign":
            enqueue([{"op": "campaign_start", "campaign_id": event["campaign_id"]}], here)
        case "scenario_entry":
            step = {"op": "scenario_entry", "scenario_id": event["scenario_id"], "at": event["at"], "part": 0}
            enqueue([step], here)
        case "step":
            enqueue([event["step"]], here)
        case "reconcile":
            started, steps = here.upkeep.reconcile()
            enqueue(steps, here)
            enqueue(_roll_ups(here), here)
            enqueue(here.live_segments.overdue(), here)
            enqueue(here.live_segments.ended(), here)
            enqueue(({"op": "erasure", "receipt_id": receipt_id} for receipt_id in here.erasures.due()), here)
            pages = here.delivery.reconcile(_STALE)
            enqueue(here.campaigns.overdue(), here)
            observability.info("reconciled", cohorts_started=started, pages_settled=pages)
        case "plan":
            enqueue([{"op": "segment_sizes"}], here)
            enqueue(({"op": "cube", "cube": cube} for cube in CUBES), here)
            observability.info("planned", cohorts_started=here.upkeep.plan())
        case "restored":
            observability.info("restored", cohorts_started=here.upkeep.revive())
        case unknown:
            raise DomainError("tick.unknown", kind=unknown)


def _erase(receipt_id: str, here: World) -> list[Step]:
    receipt = here.erasures.receipt(receipt_id)
    for cid in receipt.cids:
        here.scenario_people.erase(cid, receipt.at)
    here.erasures.carry_out(receipt_id)
    return []


def _roll_ups(here: World) -> list[Step]:
    """Return the steps that add up what was counted (scenarios/counts.py), for every version that anybody has been in."""
    heads = [head for head in here.scenarios.everyone() if head.version]
    versions = [(head.scenario_id, version) for head in heads for version in range(1, head.version + 1)]
    return [{"op": "scenario_counts", "scenario_id": scenario_id, "version": version} for scenario_id, version in versions]


def _cube(step: Mapping[str, Any], here: World) -> list[Step]:
    """Add up a month of what happened day by day, then the months before it, each in a step of its own."""
    until = step.get("until") or local_date(here.clock.now()).isoformat()
    month = step.get("month") or (date.fromisoformat(until) - timedelta(days=1)).isoformat()
    answer = here.analyst.ask({"op": "cube", "cube": step["cube"], "month": month, "until": until})
    return [{**step, "month": answer["next"], "until": until}] if answer.get("next") else []


def _enter(step: Mapping[str, Any], here: World) -> list[Step]:
    scenario_id, at = step["scenario_id"], _instant(step["at"])
    head = here.scenarios.get(scenario_id)
    if step["part"] == 0:
        here.scenarios.arm(head)
    version = step.get("version", head.version)
    part = here.entries.by_schedule(scenario_id, at, step["part"], version)
    if part is None:
        return []
    if part == step["part"]:
        return [{**step, "version": version, "delay_seconds": WAIT_SECONDS}]
    return [{"op": step["op"], "scenario_id": scenario_id, "at": step["at"], "part": part, "version": version}]


def _follow(facts: list[Fact], here: World) -> None:
    """Do what follows from rows of an import; from its orders all at once."""
    react_to_orders([fact for fact in facts if isinstance(fact, OrderPlaced)], here)
    react((fact for fact in facts if not isinstance(fact, OrderPlaced)), here)


def _instant(text: str) -> datetime:
    try:
        return from_text(text)
    except ValueError as error:
        raise InvalidError("time.malformed", given=text) from error
