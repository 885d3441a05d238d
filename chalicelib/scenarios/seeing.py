"""What can be seen of scenarios: one person's way with its reasons, and why somebody is not in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState
from chalicelib.delivery.results import refusals
from chalicelib.kernel.clock import Clock, from_text
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import parse_duration
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.scenarios.graph import EventTrigger, ManualTrigger, Scenario
from chalicelib.scenarios.model import INLINE, Enrollment, EnrollmentStatus, ScenarioHead, ScenarioState, visit_of
from chalicelib.scenarios.paths import Step, path_of
from chalicelib.scenarios.people import ScenarioPeople
from chalicelib.scenarios.records import TableRecords
from chalicelib.scenarios.schedules import audience_of, next_at, schedule_of
from chalicelib.scenarios.service import Scenarios
from chalicelib.scenarios.telling import label_of, tell, when
from chalicelib.segments.model import Person
from chalicelib.segments.sentence import Sentence
from chalicelib.segments.service import Segments
from chalicelib.tracking.service import Tracking

# What the timeline calls the events of a trigger, where it has another word for them.
_KINDS = {"follow": "followed"}


@dataclass(frozen=True, slots=True)
class Told:
    """A step with its sentence. result: of a send, `accepted`, `failed …`, `unknown`, `open`; empty when no longer known."""

    step: Step
    label: str
    sentence: Sentence
    result: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A person's run through a scenario. is_whole: whether all that was noted could be explained."""

    one: Enrollment
    name: str
    told: tuple[Told, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why somebody is not in a scenario. is_sure: whether it is known, or only likely."""

    code: str
    sentence: Sentence
    is_sure: bool = True


class Seeing:
    """Answers questions about people in scenarios; writes nothing."""

    def __init__(
        self,
        scenarios: Scenarios,
        people: ScenarioPeople,
        records: TableRecords,
        ledger: Ledger,
        segments: Segments,
        accounts: LineAccounts,
        tracking: Tracking,
        clock: Clock,
    ) -> None:
        self._scenarios = scenarios
        self._people = people
        self._records = records
        self._ledger = ledger
        self._segments = segments
        self._accounts = accounts
        self._tracking = tracking
        self._clock = clock

    # His way -----------------------------------------------------------------------------------------------------------------

    def stories(self, cid: Cid) -> list[Story]:
        """Return all of a person's runs, the latest first."""
        ones = sorted(self._people.of(cid), key=lambda one: one.entered_at, reverse=True)
        return [self.story(one) for one in ones]

    def story(self, one: Enrollment) -> Story:
        """Return one run, step by step."""
        graphs = self._graphs(one)
        header = self._records.cohort(one.row.cohort) if one.row.cohort != INLINE else None
        path = path_of(one, graphs, (header.at_node, header.at_due) if header else None)
        told = [
            Told(
                step,
                label_of(graphs[step.version], step.node),
                tell(step, graphs[step.version]),
                self._result(one, step) if step.what == "sent" else "",
            )
            for step in path.steps
        ]
        return Story(one, graphs[one.version].name, tuple(told), path.is_whole)

    def _graphs(self, one: Enrollment) -> dict[int, Scenario]:
        found = ((number, self._records.version(one.scenario_id, number)) for number in range(1, one.version + 1))
        return {number: version.graph for number, version in found if version is not None}

    def _result(self, one: Enrollment, step: Step) -> str:
        """Return what the provider said to a send; the batch is found by its derived name, as long as it is kept."""
        for batch_id in self._batch_ids(one, step):
            for batch in self._ledger.batches(batch_id):
                found = result_for(batch, one.cid)
                if found:
                    return found
        return ""

    def _batch_ids(self, one: Enrollment, step: Step) -> Iterator[str]:
        visit = visit_of(step.node, step.at)
        if one.row.claim and one.row.last == visit:
            yield one.row.claim
            return
        key = one.row.sk.removeprefix("HIS#").rpartition("#")[0] if one.row.sk.startswith("HIS#") else one.row.sk
        yield f"{one.row.pk}|{key}|{one.run}|{visit}"
        header = self._records.cohort(step.cohort) if step.cohort != INLINE else None
        if header is not None:
            yield f"{step.cohort}|{visit}|{one.cid % header.shards}|"  # the first page of his shard; others have a cursor

    # Why he is not in it -------------------------------------------------------------------------------------------------------

    def why_not(self, cid: Cid, scenario_id: str) -> list[Finding]:
        """Return why a person is not in a scenario, as far as it can be told honestly. Raises NotFoundError(`scenario.unknown`)."""
        head = self._scenarios.get(scenario_id)
        version = self._records.version(scenario_id, head.version)
        if version is None:
            return [Finding("never_published", Sentence("まだ公開されていません", "the scenario has never been published"))]
        graph = version.graph
        account = AccountKey(graph.account) if graph.account else None
        asked = [condition for condition in (graph.filter, audience_of(graph)) if condition is not None]
        person = self._segments.load([cid], [known.key for known in self._accounts.everyone()], conditions=asked)[cid]
        runs = [one for one in self._people.of(cid) if one.scenario_id == scenario_id]
        return [
            *_by_runs(graph, runs, self._clock.now()),
            *_by_state(head),
            *self._by_trigger(graph, head, person, account),
            *self._by_filter(graph, person, account),
        ]

    def _by_filter(self, graph: Scenario, person: Person, account: AccountKey | None) -> Iterator[Finding]:
        if graph.filter is not None and not self._segments.holds(graph.filter, person, self._clock.now(), account):
            said = Sentence("いまは登録条件（絞り込み）に当てはまりません", "does not fulfil the scenario's filter now")
            yield Finding("filter_refused", said, is_sure=False)

    def _by_trigger(self, graph: Scenario, head: ScenarioHead, person: Person, account: AccountKey | None) -> Iterator[Finding]:
        now = self._clock.now()
        if isinstance(graph.trigger, ManualTrigger):
            said = Sentence("手動またはAPIでだけ登録されるシナリオです", "people enter this scenario by hand or API only")
            yield Finding("by_hand_only", said)
        elif isinstance(graph.trigger, EventTrigger):
            yield from self._by_event(graph.trigger, head, person)
        elif (condition := audience_of(graph)) is not None and not self._segments.holds(condition, person, now, account):
            yield Finding(
                "condition_not_met", Sentence("いまは開始条件に当てはまりません", "does not fulfil the trigger's condition now")
            )
        elif (schedule := schedule_of(graph)) is not None:
            at = next_at(schedule, now)
            ja, en = (
                (f"次の登録は{when(at)}です", f"who fulfils it enters next at {when(at)}")
                if at
                else ("次の予定はありません", "no more")
            )
            yield Finding(
                "next_time", Sentence(f"開始条件に当てはまります。{ja}", f"fulfils the trigger's condition; {en}"), is_sure=False
            )

    def _by_event(self, trigger: EventTrigger, head: ScenarioHead, person: Person) -> Iterator[Finding]:
        published = [from_text(version["published_at"]) for version in self._scenarios.versions(head.scenario_id)]
        since = min(published, default=self._clock.now())
        last = self._last_of(trigger, person)
        if last is None:
            said = Sentence("きっかけの出来事の記録がありません", "nothing is known of the event that would start it")
            yield Finding(
                "trigger_never_happened",
                said,
                is_sure=trigger.event not in ("tag_added", "tag_removed", "segment_entered", "segment_left"),
            )
        elif last < since:
            said = Sentence(
                f"きっかけの出来事（{when(last)}）は公開（{when(since)}）より前でした", "the event came before the publication"
            )
            yield Finding("trigger_before_publication", said)
        else:
            said = Sentence(
                f"きっかけに近い出来事が{when(last)}にありました。商品・リンクなどの絞り込みか、その時の条件に合わなかった可能性があります",
                f"such an event came at {when(last)}; what narrows it, or the filter of that time, may not have fitted",
            )
            yield Finding("trigger_narrowed", said, is_sure=False)

    def _last_of(self, trigger: EventTrigger, person: Person) -> datetime | None:
        if trigger.event in ("purchase", "first_purchase"):
            return person.stats.first_at if trigger.event == "first_purchase" else person.stats.last_at
        kind = _KINDS.get(trigger.event, trigger.event)
        numbers = (person.customer.cid, *person.customer.aliases)
        events = (item for number in numbers for item in self._tracking.timeline(number))
        moments = [from_text(item["at"]) for item in events if item["kind"] == kind]
        return max(moments, default=None)


def result_for(batch: Batch, cid: Cid) -> str:
    """Return what became of a person's message in a batch; empty when he is not in it."""
    for call, result in zip(batch.calls, batch.results, strict=True):
        if cid in call.members:
            refused = refusals(call, result).get(cid)
            if refused is not None:
                return f"failed {refused}"
            if not result:
                return "unknown" if batch.state is BatchState.UNKNOWN else "open"
            return result.partition(" ")[0]
    return ""


def _by_state(head: ScenarioHead) -> Iterator[Finding]:
    if head.state is ScenarioState.PAUSED:
        since = when(head.paused_at)
        said = Sentence(f"{since}から一時停止中のため、だれも登録されません", f"paused since {since}: nobody enters")
        yield Finding("paused", said)
    elif head.state is ScenarioState.STOPPED:
        yield Finding("stopped", Sentence("シナリオは中止されています", "the scenario was called off"))


def _by_runs(graph: Scenario, runs: list[Enrollment], now: datetime) -> Iterator[Finding]:
    last = max(runs, key=lambda one: one.entered_at, default=None)
    if last is None:
        return
    if any(one.row.status == EnrollmentStatus.ACTIVE for one in runs):
        yield Finding("is_in", Sentence(f"{when(last.entered_at)}から登録中です", f"has been in it since {when(last.entered_at)}"))
    elif graph.reentry.mode == "never":
        said = Sentence(f"{when(last.entered_at)}に一度登録され、再登録しない設定です", "was in it once, and nobody enters twice")
        yield Finding("reentry_never", said)
    elif graph.reentry.mode == "after_exit" and last.ended_at is not None:
        again = last.ended_at + parse_duration(graph.reentry.cooldown)
        if again > now:
            yield Finding(
                "reentry_later", Sentence(f"再登録できるのは{when(again)}からです", f"may enter again from {when(again)} on")
            )
