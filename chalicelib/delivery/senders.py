"""Make one frozen call, by each channel's own idea of doing it once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.compose import REPLY_LIFE
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.letters import letter_csv, letter_pdf
from chalicelib.delivery.model import Batch, Call, MachineChannel
from chalicelib.kernel.errors import PermanentError, SendingStoppedError, TemporaryError
from chalicelib.kernel.ids import derived_uuid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import warning
from chalicelib.ports.email import Email, EmailSender
from chalicelib.ports.files import Files
from chalicelib.ports.line import Line, LineCredentials
from chalicelib.ports.sms import SmsSender

# No Lambda lives longer than 15 minutes, and SES tells of a send within minutes: after half an hour silence means that the
# e-mail did not leave (engines.md 1.6).
ORACLE_WAIT = timedelta(minutes=30)
# LINE forgets a retry key 24 hours after its first use; after that the same call would be a second message.
KEY_LIFE = timedelta(hours=23, minutes=30)
_REPLY, _PUSH = "reply", "push"
# A second reply must reach LINE well within its minute, or its refusal would tell nothing.
_REPLY_AGAIN_LIFE = REPLY_LIFE - timedelta(seconds=10)


class Senders:
    """The calls that leave the house."""

    def __init__(
        self, ledger: Ledger, accounts: LineAccounts, line: Line, email: EmailSender, sms: SmsSender, files: Files
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._line = line
        self._email = email
        self._sms = sms
        self._files = files

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
                credentials = self._accounts.credentials(str(batch.account))
                return self._line_call(credentials, batch.verb, call.body, call.key)
            case DeliveryChannel.EMAIL:
                return self._once(call, now, lambda: self._send_email(call), oracle=True)
            case DeliveryChannel.SMS:
                return self._once(call, now, lambda: self._send_sms(call), oracle=False)
            case DeliveryChannel.POSTAL:
                return self._print(call)
            case MachineChannel.WEBHOOK:
                return "failed: no such webhook"

    def _line_call(self, credentials: LineCredentials, verb: str, body: Mapping[str, Any], key: str) -> str:
        try:
            accepted = self._line.send(credentials, verb, dict(body), key)
        except SendingStoppedError:
            raise
        except PermanentError as error:
            to = body["to"]
            if verb != "multicast" or len(to) == 1 or "messages[" in error.reason:  # it is the message, not somebody in it
                warning("LINE refused a message", reason=error.reason)
                return f"failed {error.reason}"
            return self._bisect(credentials, body, key)
        return f"accepted {accepted.request_id}"

    def _bisect(self, credentials: LineCredentials, body: Mapping[str, Any], key: str) -> str:
        # One bad id fails the whole multicast and nobody gets it. Halves get keys derived from the whole's, so that a
        # retry walks the same tree with the same keys.
        to: Sequence[str] = body["to"]
        middle = len(to) // 2
        parts = ((to[:middle], derived_uuid(key, "L")), (to[middle:], derived_uuid(key, "R")))
        outcomes: list[str] = []
        for ids, part_key in parts:
            try:
                outcomes.append(self._line_call(credentials, "multicast", {**body, "to": list(ids)}, part_key))
            except (TemporaryError, SendingStoppedError) as error:
                # Whatever stopped us, a key below this one may be in use: the batch's first attempt must not be forgotten.
                if any(outcome.startswith("accepted") for outcome in outcomes):
                    raise TemporaryError(error.reason, maybe_done=True) from error
                raise
        good = [outcome for outcome in outcomes if outcome.startswith("accepted")]
        if len(good) == len(outcomes):
            return good[0]
        failed = next(outcome for outcome in outcomes if not outcome.startswith("accepted"))
        return f"accepted in part; {failed}" if good else failed

    def _reply(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        # A reply takes no retry key, but its token works once, for a minute, and is used for nothing else (line_events.reply
        # gives none for redelivered events). So while it is fresh, a second try either gets through or is refused because
        # the first one did. `_turn` keeps a push by one worker and a second reply by another from both happening.
        credentials = self._accounts.credentials(str(batch.account))
        is_fresh = now - datetime.fromisoformat(call.key) < _REPLY_AGAIN_LIFE
        if again:
            begun = self._ledger.begun_call(_turn(batch))
            if begun and begun[0] == _PUSH:
                return self._push_instead(credentials, batch, call, now, begun[1])
            if not is_fresh:
                tried_at = batch.attempted_at or now
                return "unknown reply" if now - tried_at >= ORACLE_WAIT else ""  # whoever tried may still be alive
            if self._take_turn(batch, _REPLY, now)[0] != _REPLY:
                return ""
        try:
            body = {"replyToken": call.body["replyToken"], "messages": call.body["messages"]}
            accepted = self._line.send(credentials, "reply", body)
        except SendingStoppedError:
            raise
        except PermanentError as error:
            if "Invalid reply token" not in error.reason or not call.body.get("to"):
                return f"failed {error.reason}"
            if again:
                return "accepted earlier"
            # Tried for the first time and too late: the message is still owed, unless somebody has replied meanwhile.
            word, begun_at = self._take_turn(batch, _PUSH, now)
            return self._push_instead(credentials, batch, call, now, begun_at) if word == _PUSH else ""
        return f"accepted {accepted.request_id}"

    def _take_turn(self, batch: Batch, word: str, now: datetime) -> tuple[str, datetime]:
        ours, state, begun_at = self._ledger.begin_call(_turn(batch), now, word)
        return (word, now) if ours else (state, begun_at)

    def _push_instead(self, credentials: LineCredentials, batch: Batch, call: Call, now: datetime, begun_at: datetime) -> str:
        if now - begun_at >= KEY_LIFE:
            return "unknown push"
        return self._line_call(credentials, "push", {"to": call.body["to"], "messages": call.body["messages"]}, _turn(batch))

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
        return self._email.send(email)

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
