"""What a cohort does at each node: the operations that a state machine calls, each harmless when it runs twice.

The engine never reads the clock to decide: logical now is the cohort's instant. Position lives in the cohort's header and in
each enrollment's pointer, so a lost execution is started again and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Job, Report
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.clock import Clock, aware
from chalicelib.kernel.errors import NotFoundError, SendingStoppedError
from chalicelib.kernel.facts import Fact, ReplyToken
from chalicelib.kernel.ids import AccountKey
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import warning
from chalicelib.ports.database import Database
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import GO_PARK, GO_STOP
from chalicelib.scenarios.cohorts import PAGE, Cohorts
from chalicelib.scenarios.graph import (
    ActionNode,
    BranchNode,
    EndNode,
    SendNode,
    SplitNode,
    WaitForResponseNode,
    WaitNode,
    main_exit,
    share_of,
    wait_ends,
)
from chalicelib.scenarios.model import Cohort, Enrollment, EnrollmentStatus, ScenarioState, Version, visit_of
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments
from chalicelib.tags.service import Tags


@dataclass(slots=True)
class Outcome:
    """What became of enrollments at a node: those who leave the main path and where to, and what happened besides."""

    leavers: list[tuple[Enrollment, str, datetime]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    gone: set[tuple[str, str]] = field(default_factory=set)


class Engine:
    """Runs nodes."""

    def __init__(
        self,
        database: Database,
        cohorts: Cohorts,
        delivery: Delivery,
        segments: Segments,
        tags: Tags,
        accounts: LineAccounts,
        clock: Clock,
    ) -> None:
        self._database = database
        self._cohorts = cohorts
        self._delivery = delivery
        self._segments = segments
        self._tags = tags
        self._accounts = accounts
        self._clock = clock
        self._versions: dict[tuple[str, int], Version] = {}

    def version(self, scenario_id: str, number: int) -> Version:
        """Return a published version; versions never change, so each is read once."""
        key = (scenario_id, number)
        if key not in self._versions:
            found = table.version(scenario_id, number)
            if found is None:
                raise NotFoundError("scenario.version_unknown", scenario_id=scenario_id, version=number)
            self._versions[key] = found
        return self._versions[key]

    # What the machine calls ------------------------------------------------------------------------------------------------

    def gate(self, name: str) -> dict[str, Any]:
        """Close a cohort that is due and say where it stands; `park` while its scenario is paused."""
        header = self._header(name)
        head = table.head(header.scenario_id)
        if head is None or head.state is ScenarioState.PAUSED:
            table.set_cohort(self._database, name, is_started=False)
            return self._answer(header, GO_PARK, header.at_due, [])
        # Closed before the hints are listed: see cohorts.py.
        table.close_cohort(self._database, name)
        shards = table.shards_in_use(self._database, name)
        if not shards:
            table.end_cohort(self._database, name)
        return self._answer(header, header.at_node if shards else GO_STOP, header.at_due, shards)

    def page(self, name: str, node_id: str, due: datetime, shard: int, cursor: str) -> tuple[str, int, list[Fact]]:
        """Do a node for one page of a shard; return the next page's cursor, "" after the last, how many stayed, and facts."""
        header = self._header(name)
        version = self.version(header.scenario_id, header.version)
        hints = table.hints(self._database, name, shard, cursor, PAGE)
        found = table.enrollments(self._database, [key for _, key in hints])
        visit = visit_of(node_id, due)
        batch_id = f"{name}|{visit}|{shard}|{cursor}"
        ours = [one for one in found.values() if _is_member(one, name, visit)]
        # Claimed by an earlier try of this page that may not have come to freeze, and gone on since by a reaction or an exit.
        owed = [one for one in found.values() if one.row.claim == batch_id and one.row.last == visit and one not in ours]
        following = hints[-1][0] if len(hints) == PAGE else ""
        outcome = self._do(version, node_id, ours, due, name, batch_id, owed=owed)
        self._leave(version, outcome.leavers)
        stayed = len(ours) - len(outcome.leavers) - len(outcome.gone)
        return following, stayed, outcome.facts

    def advance(self, name: str, node_id: str, due: datetime, stayed: int | None) -> dict[str, Any]:
        """Take a cohort to the next node; stop when nobody stayed, park when its scenario is paused.

        stayed: how many are left; None when the node lets nobody leave.
        """
        header = self._header(name)
        version = self.version(header.scenario_id, header.version)
        target = main_exit(version.graph.node(node_id))
        if stayed == 0 or not target:
            table.end_cohort(self._database, name)
            return self._answer(header, GO_STOP, due, [])
        following = version.graph.node(target)
        at_due = wait_ends(following, due) if isinstance(following, WaitNode | WaitForResponseNode) else due
        table.set_cohort(self._database, name, at_node=target, at_due=f"{at_due:%Y-%m-%dT%H:%M:%S.000Z}")
        head = table.head(header.scenario_id)
        if head is None or head.state is ScenarioState.PAUSED:
            table.set_cohort(self._database, name, is_started=False)
            return self._answer(header, GO_PARK, at_due, [])
        return self._answer(header, target, at_due, table.shards_in_use(self._database, name))

    def _header(self, name: str) -> Cohort:
        header = table.cohort(self._database, name)
        if header is None:
            raise NotFoundError("cohort.unknown", cohort=name)
        return header

    def _answer(self, header: Cohort, go: str, due: datetime, shards: list[int]) -> dict[str, Any]:
        return {"cohort": header.cohort_id, "go": go, "due": f"{aware(due):%Y-%m-%dT%H:%M:%SZ}", "shards": shards}

    # One node --------------------------------------------------------------------------------------------------------------

    def _do(
        self, version: Version, node_id: str, ones: Sequence[Enrollment], due: datetime, cohort: str, batch_id: str,
        reply: ReplyToken | None = None, owed: Sequence[Enrollment] = (),
    ) -> Outcome:  # fmt: skip
        node = version.graph.node(node_id)
        match node:
            case SendNode():
                return self._send(version, node_id, node, ones, due, cohort, batch_id, reply, owed)
            case WaitForResponseNode():
                return Outcome([(one, node.responded, due) for one in ones if node.of in one.responses])
            case BranchNode() | SplitNode():
                return self._part(version, node_id, node, ones, due)
            case ActionNode():
                return self._act(node, ones)
            case EndNode():
                ended = table.end_enrollments(
                    self._database, ones, EnrollmentStatus.DONE, node.outcome or node_id, due, in_cohort=True
                )
                return Outcome(gone={(one.row.pk, one.row.sk) for one, done in zip(ones, ended, strict=True) if done})
            case WaitNode():
                return Outcome()

    def _send(
        self, version: Version, node_id: str, node: SendNode, ones: Sequence[Enrollment], due: datetime, cohort: str,
        batch_id: str, reply: ReplyToken | None, owed: Sequence[Enrollment],
    ) -> Outcome:  # fmt: skip
        graph = version.graph
        job = Job(
            batch_id=batch_id,
            cohort=cohort,
            visit=visit_of(node_id, due),
            channel=DeliveryChannel(node.channel),
            template_id=node.template,
            source=f"scn|{version.scenario_id}|{node_id}",
            due=due,
            account=AccountKey(graph.account) if graph.account else None,
            window=graph.window(),
            hold_outside_window=graph.quiet_hours is None or graph.quiet_hours.policy == "delay",
            reply=reply,
        )
        accounts = [account.key for account in self._accounts.everyone()]
        report: Report = self._delivery.deliver(job, [one.row for one in (*ones, *owed)], accounts)
        by_row = {(one.row.pk, one.row.sk): one for one in ones}
        outcome = Outcome([(by_row[row.pk, row.sk], node_id, until) for row, until in report.held])
        if node.unreachable:
            # Skipped by an earlier try of this page too: the note on the row says so.
            skipped_now = {(row.pk, row.sk): why for row, why in report.skipped}
            for one in ones:
                key = (one.row.pk, one.row.sk)
                why = skipped_now.get(key, "")
                noted = one.path.get(job.visit, "").startswith("skipped")
                if why or noted:
                    skipped = replace(one, row=replace(one.row, last=job.visit))
                    outcome.leavers.append((skipped, node.unreachable, due))
        return outcome

    def _part(
        self, version: Version, node_id: str, node: BranchNode | SplitNode, ones: Sequence[Enrollment], due: datetime
    ) -> Outcome:
        main = main_exit(node)
        people: dict[Any, Person] = {}
        if isinstance(node, BranchNode):
            accounts = [account.key for account in self._accounts.everyone()]
            people = self._segments.load([one.cid for one in ones], accounts)
        outcome = Outcome()
        for one in ones:
            if isinstance(node, SplitNode):
                target = share_of(node, version.scenario_id, node_id, one.cid)
            else:
                target = self._case(version, node, people[one.cid], due)
            if target != main:
                outcome.leavers.append((one, target, due))
        return outcome

    def _case(self, version: Version, node: BranchNode, person: Person, due: datetime) -> str:
        account = AccountKey(version.graph.account) if version.graph.account else None
        for case in node.cases:
            if self._segments.holds(case.when, person, due, account):
                return case.next
        return node.otherwise

    def _act(self, node: ActionNode, ones: Sequence[Enrollment]) -> Outcome:
        outcome = Outcome()
        for one in ones:
            if node.do == "tag_remove":
                self._tags.remove(one.cid, node.tag)
                continue
            try:
                outcome.facts += self._tags.add(one.cid, node.tag, f"scenario:{one.scenario_id}")
            except NotFoundError:
                warning("a scenario wants a tag that was deleted", scenario_id=one.scenario_id, tag_id=node.tag)
        return outcome

    def _leave(self, version: Version, leavers: Sequence[tuple[Enrollment, str, datetime]]) -> None:
        """Move those who leave the main path to the cohort of where they go; waits begin on the way."""
        groups: dict[tuple[str, datetime], list[Enrollment]] = {}
        for one, target, moment in leavers:
            node = version.graph.node(target)
            due = wait_ends(node, moment) if isinstance(node, WaitNode | WaitForResponseNode) else moment
            groups.setdefault((target, due), []).append(one)
        for (target, due), ones in groups.items():
            self._cohorts.move(ones, version.version, target, due, self._clock.now())

    # One person, at once ---------------------------------------------------------------------------------------------------

    def walk(self, one: Enrollment, reply: ReplyToken | None) -> list[Fact]:
        """Take a fresh enrollment from node to node until it waits or ends; goes on where an earlier try stopped."""
        version = self.version(one.scenario_id, one.version)
        due = one.entered_at.replace(second=0, microsecond=0)
        node_id, facts = one.at_node, list[Fact]()
        while True:
            node = version.graph.node(node_id)
            if isinstance(node, WaitNode | WaitForResponseNode):
                self._leave(version, [(one, node_id, due)])
                return facts
            batch_id = f"{one.row.pk}|{one.row.sk}|{one.run}|{visit_of(node_id, due)}"
            try:
                outcome = self._do(version, node_id, [one], due, one.row.cohort, batch_id, reply)
            except SendingStoppedError as error:
                # Claimed and frozen: the reconciler sends it once LINE takes messages again; the person goes on meanwhile.
                warning("a message waits until sending is possible again", scenario_id=one.scenario_id, reason=error.reason)
                outcome = Outcome()
            facts += outcome.facts
            if outcome.gone:
                return facts
            if isinstance(node, SendNode):
                one, reply = self._reread(one), None  # a reply token answers once
                if one.row.status != EnrollmentStatus.ACTIVE:
                    return facts
            leaving = [(replace(left, row=one.row), target, moment) for left, target, moment in outcome.leavers]
            if leaving and (leaving[0][1] == node_id or leaving[0][2] != due):
                self._leave(version, leaving)
                return facts
            node_id = leaving[0][1] if leaving else main_exit(node)
            table.set_inline_node(self._database, one, node_id)

    def _reread(self, one: Enrollment) -> Enrollment:
        key = (one.row.pk, one.row.sk)
        return table.enrollments(self._database, [key])[key]


def _is_member(one: Enrollment, cohort: str, visit: str) -> bool:
    """Say whether an enrollment is in a cohort now: still to be done, or done by an earlier try of the same page."""
    if one.row.cohort != cohort:
        return False
    return one.row.status == EnrollmentStatus.ACTIVE or one.row.last == visit
