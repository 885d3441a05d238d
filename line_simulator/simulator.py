"""The simulator as one object: start it, create channels and people, read what happened."""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from line_simulator import awaiting
from line_simulator.api.dispatch import Api
from line_simulator.api.limits import Limits
from line_simulator.api.memberships import Plan, set_plan
from line_simulator.control.door import Control
from line_simulator.exchange import Request, Response, SimulatorError
from line_simulator.faults.faults import Fault, Faults
from line_simulator.journal import Call, Journal
from line_simulator.objects.demographics import crowd_attributes
from line_simulator.pages.phone import Phone
from line_simulator.people.actors import Actors, Group
from line_simulator.people.console import Console
from line_simulator.people.group import GroupChat
from line_simulator.people.habits import Habits
from line_simulator.people.happenings import account_event
from line_simulator.people.partners import Partners
from line_simulator.people.people import People
from line_simulator.people.person import Person
from line_simulator.server import Server
from line_simulator.webhooks.webhooks import Delivery, Webhooks
from line_simulator.world import invariants
from line_simulator.world.audience_book import Audience, add_audience
from line_simulator.world.clock import Clock
from line_simulator.world.group_chats import GroupChats, all_posts
from line_simulator.world.module_book import Hearing
from line_simulator.world.settings import Settings
from line_simulator.world.snapshot import Snapshot
from line_simulator.world.state import Channel, JsonObject, PersonRecord, Received, Sending, State, World, unpack

Reaction = Callable[[Channel, Person, Received], None]
_ERRORS_KEPT = 100


class LineSimulator(Console, Partners):
    """A LINE platform on 127.0.0.1. Use as a context manager, or call start() and stop().

    port 0 takes a free one. seed makes ids repeatable. clock_file shares the virtual time with other processes.
    data is a folder that keeps people, channels and chats between runs. settings: see Settings.
    rate_limits False switches the rate limits off, for measuring.
    """

    def __init__(
        self,
        port: int = 0,
        seed: int | None = None,
        clock_file: str | Path | None = None,
        data: str | Path | None = None,
        *,
        accept_sim_clock: bool = True,
        rate_limits: bool = True,
        settings: Settings | None = None,
    ) -> None:
        self._seed = seed
        self._port = port
        settings = replace(settings or Settings(), accept_sim_clock=accept_sim_clock)
        self.clock = Clock(Path(clock_file) if clock_file else None)
        self.world = World(self.clock, seed, settings)
        self.faults = Faults(seed)
        self.limits = Limits()
        self.limits.unlimited = not rate_limits
        if settings.rich_menu_progress_limit == "2000s":
            del self.limits.rates["getRichMenuBatchProgress"]
        self.journal = Journal(settings.journal_size)
        self.webhook_queue = Webhooks(self.world, self.faults)
        self.people = People(self.world)
        self.group_chats = GroupChats(self.world)
        self.actors = Actors(self)
        self.api = Api(self.world, self.webhook_queue, self.faults, self.limits, self.journal)
        self._control = Control(self)
        self._phone = Phone(self.world)
        self._snapshot = Snapshot(self.world, Path(data), self.webhook_queue) if data else None
        self._server: Server | None = None
        self._process = os.getpid()
        self._is_stopped = False
        self._reactions: list[Reaction] = []
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._reacting = 0
        self._reacted = threading.Condition()
        self._reaction_errors: list[BaseException] = []
        self._persons: dict[str, Person] = {}
        self._threads: list[threading.Thread] = []
        self.world.emit = Hearing(self.world, self.webhook_queue.emit).emit
        self.world.delivered = self._on_delivered

    # -- life

    def start(self) -> Self:
        """Load what was kept and begin to listen. Raises RuntimeError when it was started before.

        Raises OSError for a port that is taken, ValueError or SimulatorError for data that cannot be used.
        """
        if self._server is not None or self._is_stopped:
            raise RuntimeError("A simulator starts once; make another LineSimulator to begin again.")
        server = Server(self._port, self.handle)
        try:
            waiting = self._snapshot.load() if self._snapshot is not None else []
        except BaseException:
            server.server_close()
            raise
        self._server = server
        self.api.resume()
        self.actors.resume()
        self.world.origin = self.url
        self._begin("linesim-http", lambda: server.serve_forever(0.05))
        self._begin("linesim-reactions", self._react)
        self._begin("linesim-due", self.world.due.serve)
        self.webhook_queue.resume(waiting)
        if self._snapshot is not None:
            self._snapshot.start()
        return self

    def stop(self) -> None:
        """Stop listening, end the threads, and keep the state if a data folder was given. A second time does nothing."""
        if self._is_stopped or os.getpid() != self._process:
            # A forked process has neither our threads nor our data; it would wait for ever, or overwrite.
            return
        self._is_stopped = True
        self.webhook_queue.stop()
        self.world.due.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.close_connections()
            self._server.server_close()
        self._tasks.put(None)
        if self._snapshot is not None:
            self._snapshot.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def url(self) -> str:
        """The origin that stands for api.line.me, api-data.line.me and access.line.me."""
        if self._server is None:
            raise RuntimeError("The simulator has not been started.")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return self._server.busy if self._server else 0

    # -- requests

    def handle(self, request: Request) -> Response:
        """Answer one request; the whole simulator without a socket."""
        self.world.due.run()
        if request.method != "GET" or not request.path.startswith("/_"):
            self.world.asked += 1
        if request.path.startswith("/_sim/"):
            return self._control.handle(request)
        if request.path == "/_phone" or request.path.startswith("/_phone/"):
            return self._phone.handle(request)
        if request.path == "/" and "text/html" in request.headers.get("accept", ""):
            # A browser that was given the origin alone; LINE has nothing there.
            return Response(302, b"", headers={"Location": "/_phone"})
        return self.api.handle(request)

    # -- world

    def channel(
        self,
        name: str,
        webhook_url: str | None = None,
        provider: str | None = None,
        channel_id: str | None = None,
        secret: str | None = None,
        **attributes: Any,
    ) -> Channel:
        """Return the channel of this id or name, created if need be, with the given attributes set.

        attributes: redelivery, webhook_active, verified, monthly_limit (a number, or "none"), chat_mode, picture_url,
        bot_user_id, basic_id, access_token, options (see partner_book.OPTIONS). `webhook_url` of the result may be set later.
        """
        return self.people.add_channel(
            name, webhook_url=webhook_url, provider=provider, channel_id=channel_id, secret=secret, **attributes
        )

    def person(self, name: str, **attributes: Any) -> Person:
        """Return the person of this name, created if need be, with the given attributes set.

        attributes: language, picture_url, status_message, consent, user_ids {provider: user id}; phone (+818000001234),
        phone_consent (on, off, unset) and phone_verified, for LINE notification messages; what LINE believes of them:
        gender (male, female), age, area (jp_13, tokyo or 東京), app (ios, android, pc), ifa (advertising id).
        """
        return self.handle_of(self.people.add_person(name, **attributes))

    def handle_of(self, record: PersonRecord) -> Person:
        """Return the handle of a person, always the same one, so that cookies stay."""
        with self.world.lock:
            found = self._persons.get(record.id)
            if found is None:
                found = self._persons[record.id] = Person(record, self.world, self.people)
            return found

    def crowd(self, count: int, channel: Channel | None = None, prefix: str = "友だち") -> list[str]:
        """Create many people at once, without webhooks; with a channel they are its friends.

        LINE's estimate of their gender, age and region follows the population of Japan; of one in eight it knows nothing.

        Returns their user ids for that channel, or their person ids. Raises SimulatorError for a count below one.
        """
        if count < 1:
            raise SimulatorError("A crowd has one person or more.")
        with self.world.lock:
            start = self.world.state.person_count + 1
            records = [self.people.add_person(f"{prefix}{number:06d}") for number in range(start, start + count)]
            luck = random.Random(None if self._seed is None else f"{self._seed}/{start}")
            for record, known in zip(records, crowd_attributes(count, luck), strict=True):
                record.gender, record.age, record.area, record.app = known
            if channel is None:
                return [record.id for record in records]
            for record in records:
                self.people.follow(record, channel, webhook=False)
            return [self.world.user_id(record, channel.provider) for record in records]

    def act(
        self,
        habits: Habits,
        channel: Channel,
        people: Iterable[Person | str] | None = None,
        *,
        crowd: int = 0,
        arrive_seconds: float | None = None,
        seed: object = None,
    ) -> Group:
        """Let people live by habits from now on: these people, or a new crowd, or (by default) everybody.

        A crowd are friends at once and without webhooks, or with arrive_seconds one after the other with them.
        What they do falls due as the clock moves; see live(). The result's `total` says what they did so far.
        """
        seed = self._seed if seed is None else seed
        return self.actors.enlist(habits, channel, people, crowd=crowd, arrive_seconds=arrive_seconds, seed=seed)

    def live(self, seconds: float, timeout: float = 60.0) -> None:
        """Move the clock by `seconds`, pausing at everything that falls due until all webhooks are answered.

        So an account can answer within the minute of a reply token. Raises as drain() does; `timeout` is for each pause.
        """
        end = self.clock.time() + seconds
        while (moment := self.world.due.next()) is not None and moment <= end:
            self.clock.set(max(moment, self.clock.time()))
            self.drain(timeout)
        self.clock.set(max(end, self.clock.time()))
        self.drain(timeout)

    def audience(self, channel: Channel, name: str, user_ids: list[str], **attributes: Any) -> Audience:
        """Make an audience that does not come from the Messaging API, by default a chat tag of LINE Official Account Manager.

        attributes: kind and route as AudienceGroupType and AudienceGroupCreateRoute of manage-audience.yml; shared True for one
        that another account shares through Business Manager.
        """
        with self.world.lock:
            return add_audience(self.world, channel, name, user_ids, **attributes)

    def membership(self, channel: Channel, title: str, **attributes: Any) -> Plan:
        """Return the account's membership plan of this title, created if need be, with the given attributes set.

        attributes: description, benefits, price, currency, member_limit, in_app_purchase, published.
        """
        with self.world.lock:
            return set_plan(self.world, channel, title, **attributes)

    def send_events(self, channel: Channel, events: list[JsonObject]) -> Delivery:
        """Deliver one webhook body with exactly these events, signed."""
        return self.webhook_queue.send(channel, events)

    def group(self, name: str, members: Iterable[Person] = (), channel: Channel | None = None, **attributes: Any) -> GroupChat:
        """Return the group chat of this name, created if need be, with these members and this account in it.

        attributes: picture_url; is_room True for a room, the older kind without a name of its own.
        """
        record = self.group_chats.add(name, [one.record for one in members], **attributes)
        if channel is not None:
            self.group_chats.invite(record, channel)
        return GroupChat(record, self.group_chats)

    def room(self, name: str, members: Iterable[Person] = (), channel: Channel | None = None) -> GroupChat:
        """Return the room that tests call by this name, created if need be; see group()."""
        return self.group(name, members, channel, is_room=True)

    def account_event(self, channel: Channel, kind: str, person: Person | None = None, **details: Any) -> None:
        """Tell an account what no person did: botSuspended, module, delivery, …; see happenings.ACCOUNT_EVENTS."""
        account_event(self.world, channel, kind, person.record if person else None, **details)

    def limit(self, operation: str, calls: int, seconds: float = 1) -> None:
        """Set the rate limit of one operation: at most `calls` in `seconds`. Raises SimulatorError for what is no limit."""
        self.limits.set(operation, calls, seconds)

    def await_event(self, kind: str, timeout: float = 10.0, channel: Channel | str | None = None, after: int = 0) -> Delivery:
        """Return the first webhook (later than number `after`) with an event of this type that was answered 2xx.

        channel: its id or name. Raises TimeoutError after `timeout` real seconds.
        """
        return awaiting.event(self.webhook_queue, kind, timeout, self._channel_id(channel), after)

    def await_call(
        self, operation: str, timeout: float = 10.0, channel: Channel | str | None = None, after: int = 0
    ) -> tuple[int, Call]:
        """Return number and content of the first call (later than number `after`) of this operationId; else as await_event."""
        return awaiting.call(self.journal, operation, timeout, self._channel_id(channel), after)

    def _channel_id(self, channel: Channel | str | None) -> str | None:
        return self.world.channel(channel).id if isinstance(channel, str) else channel.id if channel else None

    def fault(self, kind: str, **conditions: Any) -> Fault:
        """Add a fault; see faults.FAULTS for kinds and faults.Fault for conditions."""
        return self.faults.add(kind, **conditions)

    # -- what happened

    @property
    def requests(self) -> list[Call]:
        """The calls received, oldest first."""
        return self.journal.calls()

    @property
    def webhooks(self) -> list[Delivery]:
        """The webhooks sent, oldest first."""
        return self.webhook_queue.log()

    @property
    def messages(self) -> list[Received]:
        """Every message in every chat, in the order of acceptance."""
        return self.latest_messages()

    def latest_messages(self, most: int | None = None, channel: Channel | None = None) -> list[Received]:
        """Return the newest messages in all chats (with one account, if given), at most so many, in the order of acceptance."""
        found: list[tuple[int, str, Sending]] = []
        with self.world.lock:
            for one in [channel] if channel else self.world.state.channels.values():
                for user_id, chat in one.chats.items():
                    found += [(sending.sequence, user_id, sending) for sending in chat.inbox or ()]
                found += [(sending.sequence, user_id, sending) for user_id, sending in all_posts(self.world, one)]
        found.sort(key=lambda one: one[:2])
        # Each send call is at least one message.
        found = found if most is None else found[-most:]
        read = {sequence: sending.messages() for sequence, sending in {one[0]: one[2] for one in found}.items()}
        messages = [one for sequence, user_id, sending in found for one in unpack(sending, user_id, read[sequence])]
        return messages if most is None else messages[-most:]

    def invariants(self, *, unique_content: bool = False) -> invariants.Verdict:
        """Check what must always hold; see invariants.check."""
        return invariants.check(self.world, unique_content=unique_content)

    def on_delivery(self, reaction: Reaction) -> None:
        """Call `reaction(channel, person, message)` for each message delivered from now on, on a thread of its own."""
        self._reactions.append(reaction)

    def drain(self, timeout: float = 10.0) -> None:
        """Do what is due by now, and wait until all webhooks are delivered and all reactions ran.

        Raises TimeoutError after `timeout` real seconds, or the first error of a reaction.
        """
        deadline = time.monotonic() + timeout
        self.world.due.run()
        while True:
            left = deadline - time.monotonic()
            with self._reacted:
                if left <= 0 or not self._reacted.wait_for(lambda: self._reacting == 0, left):
                    raise TimeoutError("Reactions did not end in time.")
            if not self.webhook_queue.wait(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"{self.webhook_queue.pending} webhooks are still on their way.")
            if self._reacting == 0:
                break
        for errors in (self._reaction_errors, self.world.due.errors):
            if errors:
                raise errors.pop(0)

    def reset(self) -> None:
        """Forget everything: people, channels, chats, journal, faults. The clock stays."""
        with self.world.lock:
            self.world.state = State()
            self.world.due.clear()
            self._persons.clear()
            self.faults.remove()
            self.limits.clear()
            self.journal.clear()
            self.webhook_queue.clear()

    def status(self) -> Mapping[str, float | None]:
        """Return how much is still under way, and the virtual instant (epoch seconds) at which something happens by itself."""
        return {
            "pending_webhooks": self.webhook_queue.pending,
            "in_flight_requests": self.in_flight,
            "pending_reactions": self._reacting,
            "next_due": self.world.due.next(),
        }

    # -- reactions

    def _on_delivered(self, channel: Channel, user_ids: list[str], sending: Sending) -> None:
        self.actors.received(channel, user_ids, sending)
        if self._reactions:
            self.aside(partial(self._tell, channel, user_ids, sending))

    def aside(self, task: Callable[[], None]) -> None:
        """Do something soon on the reactions' thread, without the world's lock; nothing after stop()."""
        if self._is_stopped:
            return
        with self._reacted:
            self._reacting += 1
        self._tasks.put(task)

    def _react(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException as error:  # noqa: BLE001 - a door: kept and raised again by drain(); pytest.fail is no Exception
                if len(self._reaction_errors) < _ERRORS_KEPT:
                    self._reaction_errors.append(error)
            finally:
                with self._reacted:
                    self._reacting -= 1
                    self._reacted.notify_all()

    def _tell(self, channel: Channel, user_ids: list[str], sending: Sending) -> None:
        messages = sending.messages()
        for user_id in user_ids:
            owner = self.world.state.owners.get(user_id)
            if owner is None:
                continue
            person = self.handle_of(owner[1])
            for message in unpack(sending, user_id, messages):
                for reaction in list(self._reactions):
                    reaction(channel, person, message)
