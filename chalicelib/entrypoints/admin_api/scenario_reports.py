"""Scenarios as they run: funnels, cohorts, one person's way and its reasons, what does not move."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.entrypoints.admin_api.customers import cid_in
from chalicelib.entrypoints.admin_api.framework import Call, View, endpoint
from chalicelib.kernel.errors import InvalidError

if TYPE_CHECKING:  # they know the tables, which a webhook's cold start must not pay for
    from chalicelib.scenarios.reports import Crowdedness, StepReport
    from chalicelib.scenarios.seeing import Story, Told


class TextView(View, kw_only=True):
    """A sentence for people."""

    ja: str
    en: str


class PathStep(View, kw_only=True):
    """Something that happened to the person at a step, or happens now. result: of a send, what the provider said."""

    version: int
    node: str
    label: str
    at: datetime
    what: str
    why: str
    until: datetime | None
    target: str
    result: str
    text: TextView


class StoryView(View, kw_only=True):
    """A person's run through a scenario, step by step. is_whole: whether all that was noted could be explained."""

    scenario_id: str
    name: str
    version: int
    run: int
    status: str
    reason: str
    entered_at: datetime
    ended_at: datetime | None
    cohort: str
    responses: dict[str, str]
    is_whole: bool
    steps: list[PathStep]


class StoryList(View, kw_only=True):
    """A person's runs through scenarios, the latest first."""

    items: list[StoryView]


class FindingView(View, kw_only=True):
    """One reason. is_sure: False when it is only likely."""

    code: str
    text: TextView
    is_sure: bool


class FindingList(View, kw_only=True):
    """Why somebody is not in a scenario, as far as it can be told."""

    findings: list[FindingView]


class FunnelStep(View, kw_only=True):
    """One step. share: reached, of all who entered; ways: by the step that follows."""

    node: str
    kind: str
    label: str
    reached: int
    share: float
    sent: int
    failed: int
    skipped: dict[str, int]
    held: int
    responded: int
    clicked: dict[str, int]
    ways: dict[str, int]
    ended: dict[str, int]
    standing: int
    next_due: datetime | None


class ReportView(View, kw_only=True):
    """A version as a funnel, steps in order. conversion: goal of entered. is_exact: False when many stand and are estimated."""

    version: int
    entered: int
    standing: int
    ended: dict[str, int]
    exited: dict[str, int]
    goal: int
    conversion: float
    is_exact: bool
    steps: list[FunnelStep]


class CohortView(View, kw_only=True):
    """People who do a step together. hold: why it stands still. is_exact: False when its people are estimated."""

    cohort: str
    version: int
    node: str
    due: datetime
    state: str
    is_started: bool
    hold: str
    people: int
    is_exact: bool


class CohortList(View, kw_only=True):
    """Live cohorts, the earliest first."""

    items: list[CohortView]


class StandingCohort(View, kw_only=True):
    """A cohort that does not move by itself. why: overdue, held, paused, far."""

    scenario_id: str
    cohort: str
    node: str
    due: datetime
    why: str
    hold: str


class StandingView(View, kw_only=True):
    """Everything that stands still: cohorts by why, pages of messages that are frozen, batches of unknown fate."""

    counts: dict[str, int]
    cohorts: list[StandingCohort]
    frozen: list[str]
    unknown: list[dict[str, Any]]


def _step(told: Told) -> PathStep:
    step, text = told.step, TextView(ja=told.sentence.ja, en=told.sentence.en)
    return PathStep(
        version=step.version,
        node=step.node,
        label=told.label,
        at=step.at,
        what=step.what,
        why=step.why,
        until=step.until,
        target=step.target,
        result=told.result,
        text=text,
    )


def _story(story: Story) -> StoryView:
    one = story.one
    return StoryView(
        scenario_id=one.scenario_id,
        name=story.name,
        version=one.version,
        run=one.run,
        status=one.row.status,
        reason=one.reason,
        entered_at=one.entered_at,
        ended_at=one.ended_at,
        cohort=one.row.cohort,
        responses=dict(one.responses),
        is_whole=story.is_whole,
        steps=[_step(told) for told in story.told],
    )


@endpoint(
    "GET", "/customers/{customer_id}/scenarios", scope="scenarios:read", response=StoryList,
    summary="シナリオの経路・現在地と理由 / A person's ways through scenarios, with reasons",
)  # fmt: skip
def list_stories(call: Call[None]) -> StoryList:
    """Tell a person's ways."""
    return StoryList(items=[_story(story) for story in call.world.seeing.stories(cid_in(call))])


@endpoint(
    "GET", "/customers/{customer_id}/scenarios/{scenario_id}/why", scope="scenarios:read", response=FindingList,
    summary="なぜこのシナリオに入っていないのか / Why a person is not in a scenario",
)  # fmt: skip
def get_why(call: Call[None]) -> FindingList:
    """Say why somebody is not in a scenario."""
    found = call.world.seeing.why_not(cid_in(call), call.path["scenario_id"])
    views = [
        FindingView(code=one.code, text=TextView(ja=one.sentence.ja, en=one.sentence.en), is_sure=one.is_sure) for one in found
    ]
    return FindingList(findings=views)


@endpoint(
    "GET", "/scenarios/{scenario_id}/report", scope="scenarios:read", response=ReportView, query=("version",),
    summary="ステップごとの人数・離脱・反応・目標達成 / A scenario as a funnel",
)  # fmt: skip
def get_report(call: Call[None]) -> ReportView:
    """Return the funnel of a version."""
    text = call.query.get("version") or "0"
    if not re.fullmatch("[0-9]{1,5}", text):
        raise InvalidError("api.parameter_malformed", name="version")
    report = call.world.reports.report(call.path["scenario_id"], int(text))
    return ReportView(
        version=report.version,
        entered=report.entered,
        standing=report.standing,
        ended=dict(report.ended),
        exited=dict(report.exited),
        goal=report.goal,
        conversion=round(report.goal / report.entered, 4) if report.entered else 0.0,
        is_exact=report.is_exact,
        steps=[_funnel_step(step) for step in report.steps],
    )


def _funnel_step(step: StepReport) -> FunnelStep:
    return FunnelStep(**{name: getattr(step, name) for name in FunnelStep.__struct_fields__})


def _cohort(crowd: Crowdedness) -> CohortView:
    cohort = crowd.cohort
    return CohortView(
        cohort=cohort.cohort_id,
        version=cohort.version,
        node=cohort.at_node,
        due=cohort.at_due,
        state=cohort.state,
        is_started=cohort.is_started,
        hold=cohort.hold,
        people=crowd.people,
        is_exact=crowd.is_exact,
    )


@endpoint(
    "GET", "/scenarios/{scenario_id}/cohorts", scope="scenarios:read", response=CohortList,
    summary="進行中のまとまり（ステップ・予定時刻・人数・止まっている理由） / Live cohorts",
)  # fmt: skip
def list_cohorts(call: Call[None]) -> CohortList:
    """List live cohorts."""
    head = call.world.scenarios.get(call.path["scenario_id"])
    live = sorted(call.world.records.live_cohorts(head.scenario_id), key=lambda cohort: cohort.at_due)
    return CohortList(items=[_cohort(crowd) for crowd in call.world.reports.crowded(live)])


@endpoint(
    "GET", "/operations/standing", scope="operations:read", response=StandingView,
    summary="止まっているもの（期限超過・保留・送信待ち・到達不明） / What does not move",
)  # fmt: skip
def get_standing(call: Call[None]) -> StandingView:
    """Say what stands still."""
    found = call.world.upkeep.standing()
    frozen = call.world.ledger.open_batches(call.world.clock.now())
    unknown = call.world.delivery.unknown()
    whys = [one.why for one in found]
    cohorts = [
        StandingCohort(
            scenario_id=one.cohort.scenario_id,
            cohort=one.cohort.cohort_id,
            node=one.cohort.at_node,
            due=one.cohort.at_due,
            why=one.why,
            hold=one.cohort.hold,
        )
        for one in found
    ]
    counts = {why: whys.count(why) for why in ("overdue", "held", "paused", "far")}
    counts |= {"frozen": len(frozen), "unknown": len(unknown)}
    return StandingView(counts=counts, cohorts=cohorts[:500], frozen=frozen[:500], unknown=unknown[:500])
