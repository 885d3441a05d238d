"""The World: every adapter and service of this process, made on first use."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.kernel.clock import Clock, SystemClock
from chalicelib.settings import Settings, settings

if TYPE_CHECKING:
    from chalicelib.archive.service import Archives
    from chalicelib.campaigns.service import Campaigns
    from chalicelib.customers.service import Customers
    from chalicelib.delivery.answers import Answers
    from chalicelib.delivery.caps import Caps
    from chalicelib.delivery.hooks import Hooks
    from chalicelib.delivery.ledger import Ledger
    from chalicelib.delivery.notices import Notices
    from chalicelib.delivery.service import Delivery
    from chalicelib.duplicates.service import Duplicates
    from chalicelib.friends.service import Friends
    from chalicelib.idempotency.service import Idempotency
    from chalicelib.identity_links.service import IdentityLinks
    from chalicelib.imports.service import Imports
    from chalicelib.kernel.each import Mapper
    from chalicelib.lake.cubes import Cubes
    from chalicelib.lake.erasure import Erasures
    from chalicelib.lake.feed import Feeder
    from chalicelib.lake.marks import Marks
    from chalicelib.lake.questions import Questions
    from chalicelib.lake.service import Lake
    from chalicelib.line_accounts.service import LineAccounts
    from chalicelib.messages.service import Messages
    from chalicelib.orders.service import Orders
    from chalicelib.people.service import People
    from chalicelib.ports.analyst import Analyst
    from chalicelib.ports.database import Database
    from chalicelib.ports.email import EmailSender
    from chalicelib.ports.files import Files
    from chalicelib.ports.hooks import HookCaller
    from chalicelib.ports.line import Line
    from chalicelib.ports.line_setup import LineInspector
    from chalicelib.ports.machines import Machines
    from chalicelib.ports.queues import DeadLetters, Queue
    from chalicelib.ports.schedules import Schedules
    from chalicelib.ports.secrets import Secrets
    from chalicelib.ports.sms import SmsSender
    from chalicelib.scenarios.actions import Actions
    from chalicelib.scenarios.cohorts import Cohorts
    from chalicelib.scenarios.counted import CountedRecords
    from chalicelib.scenarios.counts import Counts
    from chalicelib.scenarios.engine import Engine
    from chalicelib.scenarios.entries import Entries
    from chalicelib.scenarios.full_rehearsals import FullRehearsals
    from chalicelib.scenarios.lint_parts import Kind
    from chalicelib.scenarios.people import ScenarioPeople
    from chalicelib.scenarios.published import Published
    from chalicelib.scenarios.ready_made import ReadyMades
    from chalicelib.scenarios.rehearsals import Rehearsals
    from chalicelib.scenarios.reports import Reports
    from chalicelib.scenarios.seeing import Seeing
    from chalicelib.scenarios.service import Scenarios
    from chalicelib.scenarios.upkeep import Upkeep
    from chalicelib.segments.asking import Asking
    from chalicelib.segments.candidates import Candidates
    from chalicelib.segments.live import LiveSegments
    from chalicelib.segments.scores import Scores
    from chalicelib.segments.service import Segments
    from chalicelib.sources.service import Sources
    from chalicelib.staff.service import Staff
    from chalicelib.tags.service import Tags
    from chalicelib.tracking.service import Tracking
    from chalicelib.webhook_log.service import WebhookLog

# Imports stand inside the properties on purpose: the webhook door lives in the same bundle and must not pay for PynamoDB.


class World:
    """Everything a door may use. Tests set an attribute before first use to put a fake in an adapter's place."""

    def __init__(self, config: Settings, clock: Clock) -> None:
        self.settings = config
        self.clock = clock

    # Adapters ---------------------------------------------------------------------------------------------------------------

    @cached_property
    def database(self) -> Database:
        """DynamoDB in bulk."""
        from chalicelib.adapters.database import DynamoDatabase

        return DynamoDatabase(each=self.each_request)

    @cached_property
    def secrets(self) -> Secrets:
        """Secrets Manager."""
        from chalicelib.adapters.secrets import SecretsManager

        return SecretsManager(self.settings.secret_prefix)

    @cached_property
    def line(self) -> Line:
        """LINE's Messaging API."""
        from chalicelib.adapters.line import LineApi

        return LineApi(self.settings.line_api_url)

    @cached_property
    def line_inspector(self) -> LineInspector:
        """LINE's settings of an account."""
        from chalicelib.adapters.line import LineApi
        from chalicelib.adapters.line_setup import SdkInspector

        return SdkInspector(self.settings.line_api_url, LineApi(self.settings.line_api_url))

    @cached_property
    def email(self) -> EmailSender:
        """SES."""
        from chalicelib.adapters.email import SesEmail

        return SesEmail(self.settings.mail_configuration_set)

    @cached_property
    def sms(self) -> SmsSender:
        """SMS."""
        from chalicelib.adapters.sms import SnsSms

        return SnsSms(self.settings.sms_sender_id)

    @cached_property
    def files(self) -> Files:
        """S3."""
        from chalicelib.adapters.files import S3Files

        return S3Files(self.settings.files_bucket)

    @cached_property
    def events(self) -> Queue:
        """The queue from the doors to the webhook worker."""
        from chalicelib.adapters.queues import SqsQueue

        return SqsQueue(self.settings.events_queue_url)

    @cached_property
    def work(self) -> Queue:
        """The queue of long work."""
        from chalicelib.adapters.queues import SqsQueue

        return SqsQueue(self.settings.work_queue_url)

    @cached_property
    def mail_events(self) -> Queue:
        """The queue of what SES tells about our e-mail."""
        from chalicelib.adapters.queues import SqsQueue

        return SqsQueue(self.settings.mail_queue_url)

    @cached_property
    def lake_dead(self) -> Queue:
        """Where records go that the lake cannot read."""
        from chalicelib.adapters.queues import SqsQueue

        return SqsQueue(self.settings.lake_dead_url)

    def dead_letters(self, queue: str) -> DeadLetters:
        """What the `events`, the `work` or the `mail` queue gave up, and what did not get into the `lake`."""
        from chalicelib.adapters.queues import SqsQueue

        urls = {
            "events": self.settings.events_dead_url,
            "work": self.settings.work_dead_url,
            "mail": self.settings.mail_dead_url,
            "lake": self.settings.lake_dead_url,
        }
        return SqsQueue(urls[queue])

    @cached_property
    def machines(self) -> Machines:
        """Step Functions."""
        from chalicelib.adapters.machines import StepFunctions

        return StepFunctions(self.settings.machine_arn_prefix, self.settings.machine_role_arn)

    @cached_property
    def schedules(self) -> Schedules:
        """EventBridge Scheduler."""
        from chalicelib.adapters.schedules import EventBridgeSchedules

        return EventBridgeSchedules(self.settings.schedule_group, self.settings.ticks_function_arn, self.settings.schedule_role_arn)

    @cached_property
    def analyst(self) -> Analyst:
        """The lake, asked through its own function: DuckDB is in no other."""
        from chalicelib.adapters.analyst import LambdaAnalyst

        return LambdaAnalyst(f"enishi-{self.settings.stage}-lake-query")

    @cached_property
    def each(self) -> Mapper:
        """How the calls of a batch are worked through."""
        from chalicelib.adapters.line import CALLS_AT_ONCE
        from chalicelib.adapters.threads import Threads

        return Threads(CALLS_AT_ONCE)

    @cached_property
    def each_request(self) -> Mapper:
        """How DynamoDB's batches are worked through; in threads of their own, for a call of a batch may ask DynamoDB too."""
        from chalicelib.adapters.database import REQUESTS_AT_ONCE
        from chalicelib.adapters.threads import Threads

        return Threads(REQUESTS_AT_ONCE)

    # Rooms ------------------------------------------------------------------------------------------------------------------

    @cached_property
    def people(self) -> People:
        """Numbers and identities."""
        from chalicelib.people.service import People

        return People(self.database, self.clock)

    @cached_property
    def line_accounts(self) -> LineAccounts:
        """LINE accounts."""
        from chalicelib.line_accounts.service import LineAccounts

        return LineAccounts(self.line, self.secrets, self.clock)

    @cached_property
    def staff(self) -> Staff:
        """API keys."""
        from chalicelib.staff.service import Staff

        return Staff(self.clock)

    @cached_property
    def tags(self) -> Tags:
        """Tags."""
        from chalicelib.tags.service import Tags

        return Tags(self.people, self.database, self.clock)

    @cached_property
    def friends(self) -> Friends:
        """Friends."""
        from chalicelib.friends.service import Friends

        return Friends(self.people, self.line_accounts, self.line, self.clock, self.database)

    @cached_property
    def customers(self) -> Customers:
        """Customers."""
        from chalicelib.customers.service import Customers

        return Customers(self.people, self.database, self.clock)

    @cached_property
    def orders(self) -> Orders:
        """Orders."""
        from chalicelib.orders.service import Orders

        return Orders(self.people, self.database)

    @cached_property
    def imports(self) -> Imports:
        """Imports."""
        from chalicelib.imports.customer_rows import CustomerRows
        from chalicelib.imports.event_rows import EventRows
        from chalicelib.imports.model import ImportKind
        from chalicelib.imports.order_rows import OrderRows
        from chalicelib.imports.service import Imports
        from chalicelib.imports.taking import Taker

        people = CustomerRows(self.people, self.customers, self.friends, self.tags, self.erasures.erased)
        takers: dict[ImportKind, Taker] = {
            ImportKind.CUSTOMERS: people,
            ImportKind.TAGS: people,
            ImportKind.ORDERS: OrderRows(self.people, self.orders, self.tags),
            ImportKind.EVENTS: EventRows(self.people, self.tracking, self.clock),
        }
        return Imports(takers, self.line_accounts, self.files, self.clock)

    @cached_property
    def identity_links(self) -> IdentityLinks:
        """Identity links."""
        from chalicelib.identity_links.service import IdentityLinks

        return IdentityLinks(
            self.people,
            self.friends,
            self.customers,
            self.line_accounts,
            self.line,
            self.secrets,
            self.clock,
            self.settings.line_access_url,
        )

    @cached_property
    def messages(self) -> Messages:
        """Templates."""
        from chalicelib.messages.service import Messages

        return Messages(self.clock)

    @cached_property
    def tracking(self) -> Tracking:
        """Links and the timeline."""
        from chalicelib.tracking.service import Tracking

        return Tracking(self.secrets, self.database, self.clock, self.settings.public_url)

    @cached_property
    def idempotency(self) -> Idempotency:
        """API calls that must not happen twice."""
        from chalicelib.idempotency.service import Idempotency

        return Idempotency(self.database, self.clock)

    @cached_property
    def webhook_log(self) -> WebhookLog:
        """Events that LINE sent."""
        from chalicelib.webhook_log.service import WebhookLog

        return WebhookLog(self.database, self.clock, self.settings.raw_event_days)

    @cached_property
    def lake_feeder(self) -> Feeder:
        """From the tables' streams into the lake."""
        from chalicelib.lake.feed import Feeder

        config = self.settings
        tables = {config.core_table: "core", config.timeline_table: "timeline", config.engine_table: "engine"}
        return Feeder(self.files, self.lake_dead, tables)

    @cached_property
    def lake(self) -> Lake:
        """The lake's keeper, in the process that has DuckDB; the files that it has folded lie here for the next time."""
        from tempfile import gettempdir

        from chalicelib.lake.service import Lake

        return Lake(self.database, self.files, self.clock, Path(gettempdir()) / "enishi-keeper", self.each)

    @cached_property
    def erasures(self) -> Erasures:
        """People who want to be forgotten."""
        from chalicelib.lake.erasure import Erasures

        return Erasures(self.people, self.database, self.files, self.secrets, self.clock)

    @cached_property
    def questions(self) -> Questions:
        """The lake, asked in the process that has DuckDB; what it copies there outlives a call."""
        from tempfile import gettempdir

        from chalicelib.lake.audiences import Audiences
        from chalicelib.lake.cubes import Cubes
        from chalicelib.lake.questions import Questions
        from chalicelib.lake.reader import Reader

        return Questions(Reader(self.files, Path(gettempdir()) / "enishi-lake"), Audiences(self.files), Cubes(self.files))

    @cached_property
    def segments(self) -> Segments:
        """Conditions."""
        from chalicelib.segments.history import Histories
        from chalicelib.segments.service import Segments

        histories = Histories(self.orders, self.tracking, self.database, self.each_request)
        return Segments(self.people, self.customers, histories, self.database)

    @cached_property
    def asking(self) -> Asking:
        """Conditions asked of everybody."""
        from chalicelib.lake.sizes import Sizes
        from chalicelib.segments.asking import Asking

        return Asking(self.segments, self.people, self.line_accounts, self.analyst, Sizes(self.files))

    @cached_property
    def cubes(self) -> Cubes:
        """What happened day by day."""
        from chalicelib.lake.cubes import Cubes

        return Cubes(self.files)

    @cached_property
    def duplicates(self) -> Duplicates:
        """Two records of one person."""
        from chalicelib.duplicates.service import Duplicates

        return Duplicates(
            self.people,
            self.customers,
            self.friends,
            self.line_accounts,
            self.orders,
            self.tags,
            self.erasures,
            self.asking,
            self.analyst,
            self.database,
            self.clock,
        )

    @cached_property
    def scores(self) -> Scores:
        """Everybody by recency and frequency."""
        from chalicelib.segments.scores import Scores

        return Scores(self.segments, self.asking, self.analyst)

    @cached_property
    def marks(self) -> Marks:
        """How far the lake has come."""
        from chalicelib.lake.marks import Marks

        return Marks(self.database, self.files)

    @cached_property
    def candidates(self) -> Candidates:
        """The people of a send."""
        from chalicelib.segments.candidates import Candidates

        return Candidates(self.segments, self.asking, self.line_accounts, self.analyst, self.marks, self.files)

    @cached_property
    def live_segments(self) -> LiveSegments:
        """Who comes into segments and leaves them."""
        from chalicelib.segments.live import LiveSegments

        return LiveSegments(self.segments, self.candidates, self.line_accounts, self.people, self.database, self.clock)

    @cached_property
    def ledger(self) -> Ledger:
        """Claims, batches and calls."""
        from chalicelib.delivery.ledger import Ledger

        return Ledger(self.database)

    @cached_property
    def hook_caller(self) -> HookCaller:
        """Webhooks out; a receiver on this machine will do where LINE is a simulator on this machine."""
        from chalicelib.adapters.hooks import HookApi

        return HookApi(allow_loopback=self.settings.line_api_url.startswith("http://"))

    @cached_property
    def hooks(self) -> Hooks:
        """Webhooks out."""
        from chalicelib.delivery.hooks import Hooks

        return Hooks(self.database, self.secrets, self.hook_caller, self.clock)

    @cached_property
    def caps(self) -> Caps:
        """How many messages a person gets."""
        from chalicelib.delivery.caps import Caps

        return Caps(self.database)

    @cached_property
    def delivery(self) -> Delivery:
        """The one way out."""
        from chalicelib.delivery.compose import Composer
        from chalicelib.delivery.permits import Permits
        from chalicelib.delivery.senders import Senders
        from chalicelib.delivery.service import Delivery

        senders = Senders(
            self.ledger,
            self.line_accounts,
            self.line,
            self.email,
            self.sms,
            self.files,
            self.hooks,
            self.clock,
            leave=Permits().take,
            each=self.each,
        )
        composer = Composer(self.messages, self.tracking, self.settings)
        return Delivery(self.ledger, self.segments, composer, senders, self.caps, self.clock)

    @cached_property
    def notices(self) -> Notices:
        """What the staff is told."""
        from chalicelib.delivery.notices import Notices

        return Notices(self.database, self.ledger, self.delivery, self.segments, self.clock)

    @cached_property
    def answers(self) -> Answers:
        """Short answers."""
        from chalicelib.delivery.answers import Answers

        return Answers(self.ledger, self.line, self.line_accounts, self.identity_links, self.friends, self.clock)

    @cached_property
    def archives(self) -> Archives:
        """Everything in one file."""
        from chalicelib.archive.service import Archives

        return Archives(self.database, self.files, self.schedules, self.clock)

    @cached_property
    def sources(self) -> Sources:
        """Systems that report."""
        from chalicelib.sources.service import Sources

        return Sources(self.customers, self.orders, self.erasures.refuse, self.database, self.secrets, self.clock)

    @cached_property
    def campaigns(self) -> Campaigns:
        """Campaigns."""
        from chalicelib.campaigns.service import Campaigns

        return Campaigns(
            self.delivery,
            self.segments,
            self.asking,
            self.candidates,
            self.messages,
            self.line_accounts,
            self.database,
            self.schedules,
            self.clock,
        )

    @cached_property
    def records(self) -> CountedRecords:
        """Enrollments and cohorts."""
        from chalicelib.scenarios.counted import CountedRecords

        return CountedRecords(self.database, self.counts, self.clock)

    @cached_property
    def counts(self) -> Counts:
        """How many went through scenarios."""
        from chalicelib.scenarios.counts import Counts

        return Counts(self.database)

    @cached_property
    def cohorts(self) -> Cohorts:
        """Joining cohorts."""
        from chalicelib.scenarios.cohorts import Cohorts

        return Cohorts(self.records, self.machines)

    @cached_property
    def published(self) -> Published:
        """What is published now."""
        from chalicelib.scenarios.published import Published

        return Published(self.records)

    @cached_property
    def actions(self) -> Actions:
        """What scenarios do besides sending."""
        from chalicelib.scenarios.actions import Actions

        return Actions(self.tags, self.customers, self.notices)

    @cached_property
    def engine(self) -> Engine:
        """Cohorts on their way."""
        from chalicelib.scenarios.engine import Engine
        from chalicelib.scenarios.nodes import Nodes

        nodes = Nodes(self.records, self.delivery, self.segments, self.actions, self.line_accounts)
        return Engine(self.records, self.cohorts, nodes, self.clock, self.counts)

    @cached_property
    def scenarios(self) -> Scenarios:
        """Scenarios as they are drawn."""
        from chalicelib.scenarios.service import Scenarios

        # A room is made only when a drawing names something of it: most calls never ask.
        def look_up(kind: Kind, name: str) -> object:
            match kind:
                case "account":
                    return self.line_accounts.get(name)
                case "tag":
                    return self.tags.get(name)
                case "link":
                    return self.tracking.link(name)
                case "template":
                    return self.messages.get(name)
                case "segment":
                    return self.segments.saved(name).condition
                case "live_segment":
                    return name if self.live_segments.is_live(name) else None
                case "webhook":
                    return self.hooks.get(name)
                case "scenario":
                    return self.scenarios.get(name)
                case "action":
                    return name if name in self.actions.known else None

        return Scenarios(self.published, look_up, self.machines, self.schedules, self.clock)

    @cached_property
    def ready_mades(self) -> ReadyMades:
        """Scenarios that come with the product."""
        from chalicelib.scenarios.ready_made import ReadyMades

        return ReadyMades(self.scenarios, self.messages)

    @cached_property
    def rehearsals(self) -> Rehearsals:
        """What drawings would do."""
        from chalicelib.scenarios.rehearsals import Rehearsals

        return Rehearsals(
            self.scenarios,
            self.segments,
            self.messages,
            self.line_accounts,
            self.caps,
            self.reports,
            self.delivery,
            self.clock,
        )

    @cached_property
    def full_rehearsals(self) -> FullRehearsals:
        """What drawings would do with everybody."""
        from chalicelib.scenarios.full_rehearsals import FullRehearsals

        return FullRehearsals(self.rehearsals, self.segments, self.files, self.clock)

    @cached_property
    def entries(self) -> Entries:
        """Who comes into scenarios."""
        from chalicelib.scenarios.entries import Entries

        return Entries(
            self.engine,
            self.cohorts,
            self.records,
            self.published,
            self.segments,
            self.candidates,
            self.line_accounts,
            self.files,
            self.clock,
        )

    @cached_property
    def scenario_people(self) -> ScenarioPeople:
        """Who is in scenarios, and what facts mean for them."""
        from chalicelib.scenarios.hearing import Hearing
        from chalicelib.scenarios.people import ScenarioPeople

        hearing = Hearing(self.records, self.cohorts, self.clock)
        return ScenarioPeople(self.entries, hearing, self.records, self.segments, self.published)

    @cached_property
    def seeing(self) -> Seeing:
        """What can be seen of people in scenarios."""
        from chalicelib.scenarios.seeing import Seeing

        return Seeing(
            self.scenarios,
            self.scenario_people,
            self.records,
            self.ledger,
            self.segments,
            self.line_accounts,
            self.tracking,
            self.clock,
        )

    @cached_property
    def reports(self) -> Reports:
        """Scenarios as funnels."""
        from chalicelib.scenarios.reports import Reports

        return Reports(self.scenarios, self.records, self.counts)

    @cached_property
    def upkeep(self) -> Upkeep:
        """Pausing, calling off, moving; and the hourly look."""
        from chalicelib.scenarios.relocation import Relocations
        from chalicelib.scenarios.upkeep import Upkeep

        relocations = Relocations(self.records, self.cohorts, self.engine)
        return Upkeep(self.scenarios, self.cohorts, self.records, self.machines, self.engine, relocations, self.clock)


_clock: Clock = SystemClock()
_world: World | None = None


def use_clock(clock: Clock) -> None:
    """Let this process live by another clock (the local run's virtual one); before the first `world()`."""
    global _clock, _world
    _clock, _world = clock, None


def use_world(world: World | None) -> None:
    """Put a world in place (tests); None makes a new one on next use."""
    global _world
    _world = world


def world() -> World:
    """Return this process's world."""
    global _world
    if _world is None:
        _world = World(settings(), _clock)
    return _world
