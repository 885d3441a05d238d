"""Make one frozen call, by each channel's own idea of doing it once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count as attempts
from typing import Any, TypeVar

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.compose import REPLY_LIFE
from chalicelib.delivery.hooks import Hooks
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.letters import letter_csv, letter_pdf
from chalicelib.delivery.model import Batch, Call, MachineChannel
from chalicelib.delivery.quotas import Quotas
from chalicelib.delivery.results import accepted
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import PermanentError, SendingStoppedError, TemporaryError
from chalicelib.kernel.ids import derived_uuid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import count, warning
from chalicelib.ports.email import Email, EmailSender
from chalicelib.ports.files import Files
from chalicelib.ports.line import Line, Quota, SendAccepted
from chalicelib.ports.sms import SmsSender

# No Lambda lives longer than 15 minutes, and SES tells of a send within minutes: after half an hour silence means that the
# e-mail did not leave (engines.md 1.6).
ORACLE_WAIT = timedelta(minutes=30)
# LINE forgets a retry key 24 hours after its first use; after that the same call would be a second message.
KEY_LIFE = timedelta(hours=23, minutes=30)
_REPLY, _PUSH = "reply", "push"
# A second reply must reach LINE well within its minute, or its refusal would tell nothing.
_REPLY_AGAIN_LIFE = REPLY_LIFE - timedelta(seconds=10)
# Throttled calls wait a second, two, four, eight, give or take a half, and then leave it to the page's own retry.
_PATIENCE = 5
# Hundreds of calls one after the other, each of which waits a little, must end within a Lambda's time: then the page comes again.
_LONGEST_WAIT_SECONDS = 60.0
_REASON = 120  # of the words of a refusal, kept for each of up to 500 people

T = TypeVar("T")
# Waits until a call may be made: account, verb, how many are wanted (permits.Permits.take).
Leave = Callable[[str, str, int], None]


class HalfSentError(SendingStoppedError):
    """Sending was stopped after a part of a multicast had been taken: its keys are in use."""


def _at_once(account: str, verb: str, wanted: int) -> None:
    """Wait for nobody."""


class Senders:
    """The calls that leave the house. each: how the calls of a batch of pushes or webhooks are worked through."""

    def __init__(
        self,
        ledger: Ledger,
        accounts: LineAccounts,
        line: Line,
        email: EmailSender,
        sms: SmsSender,
        files: Files,
        hooks: Hooks,
        clock: Clock,
        *,
        leave: Leave = _at_once,
        each: Mapper = in_turn,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._line = line
        self._email = email
        self._sms = sms
        self._files = files
        self._hooks = hooks
        self._clock = clock
        self._leave = leave
        self._each = each
        self._sleep = sleep
        self._waited = 0.0
        self._quotas = Quotas(line, accounts)

    def quota(self, account: str) -> Quota:
        """Return what an account may still send this month, at most a minute old."""
        return self._quotas.of(account)

    def check_quota(self, account: str, messages: int) -> None:
        """Raise QuotaExceededError when the month does not carry so many more messages."""
        self._quotas.check(account, messages)

    def make_calls(
        self, batch: Batch, now: datetime, *, again: bool
    ) -> tuple[list[str], list[TemporaryError | SendingStoppedError]]:
        """Make the calls of a batch that have no result yet; return all results, and the errors that stopped some of them.

        After the first error no further call begins; those that are under way come to their end.
        """
        errors: list[TemporaryError | SendingStoppedError] = []
        self._waited = 0.0

        def make(index: int) -> str:
            if batch.results[index] or errors:
                return batch.results[index]
            if each is in_turn and self._waited > _LONGEST_WAIT_SECONDS:
                errors.append(TemporaryError("throttled for long", retry_after_seconds=1.0))
                return ""
            try:
                return self.call(batch, batch.calls[index], now, again=again)
            except (TemporaryError, SendingStoppedError) as error:
                errors.append(error)
                return ""

        each = self._each if batch.verb in ("push", "webhook") else in_turn
        return each(make, range(len(batch.calls))), errors

    def has_retry_keys(self, batch: Batch) -> bool:
        """Say whether the batch rests on LINE's retry keys, which expire."""
        return batch.verb in ("push", "multicast")

    def call(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        """Make a call and return what it came to: `accepted …`, `failed …`, `unknown …`, or "" when it is too early to tell.

        again: an earlier try may have got through. Raises TemporaryError and SendingStoppedError.
        """
        match batch.channel:
            case DeliveryChannel.LINE if batch.verb == "reply":
                return self._reply(batch, call, now, again=again)
            case DeliveryChannel.LINE:
                return self._line_call(batch, batch.verb, call.body, call.key)
            case DeliveryChannel.EMAIL:
                return self._once(call, now, lambda: self._send_email(call), oracle=True)
            case DeliveryChannel.SMS:
                return self._once(call, now, lambda: self._send_sms(call), oracle=False)
            case DeliveryChannel.POSTAL:
                return self._print(call)
            case MachineChannel.WEBHOOK:
                return self._hooks.call(call, batch.frozen_at, now)

    def _line_call(self, batch: Batch, verb: str, body: Mapping[str, Any], key: str) -> str:
        request_id, refused = self._sent(batch, verb, body, key, 0)
        return f"failed {next(iter(refused.values()))}" if request_id is None else accepted(request_id, refused)

    def _sent(self, batch: Batch, verb: str, body: Mapping[str, Any], key: str, place: int) -> tuple[str | None, Mapping[int, str]]:
        """Return LINE's id, None when nobody got it, and who was refused by his place in the frozen call."""
        try:
            return self._to_line(batch, verb, body, key).request_id, {}
        except SendingStoppedError:
            raise
        except PermanentError as error:
            to = body["to"] if verb == "multicast" else [body["to"]]
            if len(to) > 1 and "messages[" not in error.reason:  # somebody in it, not the message
                return self._bisect(batch, body, key, place)
            warning("LINE refused a message", reason=error.reason)
            return None, {place + offset: error.reason[:_REASON] for offset in range(len(to))}

    def _bisect(self, batch: Batch, body: Mapping[str, Any], key: str, place: int) -> tuple[str | None, Mapping[int, str]]:
        # One bad id fails the whole multicast and nobody gets it. Halves get keys derived from the whole's, so that a
        # retry walks the same tree with the same keys.
        to: Sequence[str] = body["to"]
        middle = len(to) // 2
        found: str | None = None
        refused: dict[int, str] = {}
        for ids, part, at in ((to[:middle], "L", place), (to[middle:], "R", place + middle)):
            try:
                request_id, bad = self._sent(batch, "multicast", {**body, "to": list(ids)}, derived_uuid(key, part), at)
            except (TemporaryError, SendingStoppedError) as error:
                # Whatever stopped us, a key below this one may be in use: the batch's first attempt must not be forgotten.
                if found is None:
                    raise
                if isinstance(error, SendingStoppedError):
                    raise HalfSentError(error.reason) from error
                raise TemporaryError(error.reason, retry_after_seconds=error.retry_after_seconds, maybe_done=True) from error
            found = request_id if found is None else found
            refused |= bad
        return found, refused

    def _to_line(self, batch: Batch, verb: str, body: Mapping[str, Any], key: str = "") -> SendAccepted:
        account = str(batch.account)
        wanted = len(batch.calls) if verb == batch.verb else 1

        def send() -> SendAccepted:
            return self._line.send(self._accounts.credentials(account), verb, dict(body), key)

        return self._politely("LineThrottled", send, lambda: self._leave(account, verb, wanted))

    def _politely(self, metric: str, call: Callable[[], T], ready: Callable[[], None] = lambda: None) -> T:
        """Make a call, again after a pause as long as the other side only asks for patience: then it has done nothing."""
        for attempt in attempts(1):
            ready()
            try:
                return call()
            except TemporaryError as error:
                if not error.retry_after_seconds or error.maybe_done:
                    raise
                count(metric)
                if attempt == _PATIENCE:
                    raise
                spread = random.uniform(0.5, 1.5)
                pause = error.retry_after_seconds * 2 ** (attempt - 1) * spread
                self._waited += pause
                self._sleep(pause)
        raise AssertionError("unreachable")

    def _reply(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        # A reply takes no retry key, but its token works once, for a minute, and is used for nothing else (line_events.reply
        # gives none for redelivered events). So while it is fresh, a second try either gets through or is refused because
        # the first one did. `_turn` keeps a push by one worker and a second reply by another from both happening.
        is_fresh = now - datetime.fromisoformat(call.key) < _REPLY_AGAIN_LIFE
        if again:
            begun = self._ledger.begun_call(_turn(batch))
            if begun and begun[0] == _PUSH:
                return self._push_instead(batch, call, now, begun[1])
            if not is_fresh:
                tried_at = batch.attempted_at or now
                return "unknown reply" if now - tried_at >= ORACLE_WAIT else ""  # whoever tried may still be alive
            if self._take_turn(batch, _REPLY, now)[0] != _REPLY:
                return ""
        try:
            body = {"replyToken": call.body["replyToken"], "messages": call.body["messages"]}
            taken = self._to_line(batch, "reply", body)
        except SendingStoppedError:
            raise
        except PermanentError as error:
            if "Invalid reply token" not in error.reason or not call.body.get("to"):
                return f"failed {error.reason}"
            if again:
                # Only while the token would still have been taken does its refusal say that the first try was.
                is_telling = self._clock.now() - datetime.fromisoformat(call.key) < REPLY_LIFE
                return "accepted earlier" if is_telling else "unknown reply"
            # Tried for the first time and too late: the message is still owed, unless somebody has replied meanwhile.
            word, begun_at = self._take_turn(batch, _PUSH, now)
            return self._push_instead(batch, call, now, begun_at) if word == _PUSH else ""
        return accepted(taken.request_id)

    def _take_turn(self, batch: Batch, word: str, now: datetime) -> tuple[str, datetime]:
        ours, state, begun_at = self._ledger.begin_call(_turn(batch), now, word)
        return (word, now) if ours else (state, begun_at)

    def _push_instead(self, batch: Batch, call: Call, now: datetime, begun_at: datetime) -> str:
        if now - begun_at >= KEY_LIFE:
            return "unknown push"
        return self._line_call(batch, "push", {"to": call.body["to"], "messages": call.body["messages"]}, _turn(batch))

    def _once(self, call: Call, now: datetime, send: Any, *, oracle: bool) -> str:
        ours, state, begun_at = self._ledger.begin_call(call.key, now)
        if not ours:
            if state.startswith("done "):
                return state.removeprefix("done ")
            if self._ledger.has_left(call.key):
                return self._ended(call, "accepted by the provider's word")
            if now - begun_at < ORACLE_WAIT:
                return ""  # whoever began it may still be alive
            if not oracle:
                return self._ended(call, "unknown: the provider cannot be asked")
            if not self._ledger.take_over_call(call.key, begun_at, now):
                return ""
        try:
            accepted = send()
        except TemporaryError as error:
            if error.maybe_done:
                warning("a call is unclear; the provider's own events will tell", reason=error.reason)
                return ""
            self._ledger.release_call(call.key)
            raise
        except SendingStoppedError:
            self._ledger.release_call(call.key)
            raise
        except PermanentError as error:
            return self._ended(call, f"failed {error.reason}")
        # Not within the try: a database that is too busy to keep this must not have the call taken back that was made.
        return self._ended(call, f"accepted {accepted}")

    def _ended(self, call: Call, result: str) -> str:
        self._ledger.end_call(call.key, result)
        return result

    def _send_email(self, call: Call) -> str:
        body = call.body
        tags = {"delivery": call.key}
        email = Email(body["to"], body["sender"], body["subject"], body["text"], body["html"], dict(body["headers"]), tags)
        return self._politely("EmailThrottled", lambda: self._email.send(email))

    def _send_sms(self, call: Call) -> str:
        return self._sms.send(call.body["to"], call.body["text"], call.key)

    def _print(self, call: Call) -> str:
        # The names follow from the batch: writing them again writes the same files.
        name = f"postal/{call.body['day']}/{call.key}"
        self._files.put(f"{name}.csv", letter_csv(call.body["letters"]), "text/csv; charset=Shift_JIS")
        self._files.put(f"{name}.pdf", letter_pdf(call.body["letters"]), "application/pdf")
        return f"accepted {name}"


def _turn(batch: Batch) -> str:
    return derived_uuid(batch.batch_id, str(batch.number), "push")
