"""Turn decided members into frozen calls: which lane, which body, which key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import formataddr
from html import escape
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Batch, BatchState, Call, Job, MachineChannel
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import AccountKey, Cid, customer_id, derived_uuid
from chalicelib.kernel.windows import spoken
from chalicelib.messages.model import LINK_PREFIX, TRIGGER_PREFIX, Template, canonical, render
from chalicelib.messages.service import Messages
from chalicelib.segments.model import Person
from chalicelib.settings import Settings
from chalicelib.tracking.service import Tracking

MULTICAST = 500  # Multicast takes at most 500 ids (line-openapi messaging-api.yml, MulticastRequest.to)
_CALLS = 500  # calls in one batch, a page of them; the item must stay below DynamoDB's 400 KB: with 500 calls that all have
_BATCH_BYTES = 300_000  # failed, 35 KB for members and keys and 65 KB for LINE's reasons are needed besides the bodies
# Webhooks in one batch: those of a slow receiver must come to an end, and be kept, within a Lambda's time.
_HOOKS = 100
# A reply token is promised for one minute (docs: send reply message); a margin for our own way there.
REPLY_LIFE = timedelta(seconds=50)

Recipient = tuple[Cid, Person]


class Composer:
    """Makes batches."""

    def __init__(self, messages: Messages, tracking: Tracking, settings: Settings) -> None:
        self._messages = messages
        self._tracking = tracking
        self._settings = settings

    def compose(self, job: Job, number: int, recipients: Sequence[Recipient], now: datetime) -> Batch:
        """Return the next batch for the first of these recipients; the others come in later batches."""
        if isinstance(job.channel, MachineChannel):
            return self._webhook(job, number, recipients, now)
        template = self._messages.get(job.template_id)
        if job.channel is DeliveryChannel.LINE:
            return self._line(job, number, recipients, template, now)
        if job.channel is DeliveryChannel.POSTAL:
            return self._postal(job, number, recipients, template, now)
        make = self._email if job.channel is DeliveryChannel.EMAIL else self._sms
        bodies = _that_fit((cid, make(job, template, cid, person, now)) for cid, person in recipients[:_CALLS])
        calls = [Call((cid,), body, derived_uuid(job.batch_id, str(number), str(cid))) for cid, body in bodies]
        return _batch(job, number, job.channel.value, None, calls, now)

    def left_out(self, job: Job, number: int, members: Sequence[Cid], now: datetime) -> Batch:
        """Return the batch that says of claimed members that they get nothing after all."""
        batch = _batch(job, number, "none", None, [Call(tuple(members), {}, "")], now)
        return replace(batch, results=(f"failed: {job.skip or 'refused or gone'} after the claim",), state=BatchState.SENT)

    def _line(self, job: Job, number: int, recipients: Sequence[Recipient], template: Template, now: datetime) -> Batch:
        account = _account(recipients[0][1], job.account)
        same = [(cid, person) for cid, person in recipients if _account(person, job.account) == account]
        if job.reply and len(recipients) == 1 and job.reply.account in (None, account) and now - job.reply.issued_at < REPLY_LIFE:
            cid, person = recipients[0]
            # `to` is for the push that takes over when LINE finds the token invalid; senders.py leaves it out of a reply.
            body = {
                "replyToken": job.reply.token,
                "messages": self._messages_for(job, template, cid, person, now),
                "to": _user_id(person, account),
            }
            return _batch(job, number, "reply", account, [Call((cid,), body, job.reply.issued_at.isoformat())], now)
        if not template.is_personal and len(same) > 1:
            people = same[:MULTICAST]
            body = {
                "to": [_user_id(person, account) for _, person in people],
                "messages": template.content["messages"],
            }
            call = Call(tuple(cid for cid, _ in people), body, derived_uuid(job.batch_id, str(number), "multicast"))
            return _batch(job, number, "multicast", account, [call], now)
        bodies = _that_fit(
            (cid, {"to": _user_id(person, account), "messages": self._messages_for(job, template, cid, person, now)})
            for cid, person in same[:_CALLS]
        )
        calls = [Call((cid,), body, derived_uuid(job.batch_id, str(number), str(cid))) for cid, body in bodies]
        return _batch(job, number, "push", account, calls, now)

    def _messages_for(self, job: Job, template: Template, cid: Cid, person: Person, now: datetime) -> Any:
        return render(template.content["messages"], self.values(job, template, cid, person, now))

    def values(self, job: Job, template: Template, cid: Cid, person: Person, now: datetime) -> Mapping[str, str]:
        """Return what the placeholders of a template stand for, for one person."""
        profile = person.customer.profile
        friend = person.friend(job.account)
        display_name = friend.display_name if friend else ""
        values = {
            "name": profile.name or display_name,
            "name_kana": profile.name_kana,
            "display_name": display_name or profile.name,
            "member_no": profile.member_no,
            "prefecture": profile.prefecture,
            "city": profile.city,
            "company": self._settings.company_name,
        }
        values |= {f"attribute.{name}": str(value) for name, value in profile.attributes.items()}
        values |= {f"{TRIGGER_PREFIX}{name}": spoken(text) for name, text in person.brought.items()}
        for link_id in template.links:
            is_paid_by_length = job.channel is DeliveryChannel.SMS
            make = self._tracking.short_click_url if is_paid_by_length else self._tracking.click_url
            values[LINK_PREFIX + link_id] = make(link_id, cid, job.source, now)
        if any(name == "opt_out_url" for name, _ in template.placeholders()):
            values["opt_out_url"] = self._tracking.opt_out_url(cid, job.source, now)
        return values

    def _email(self, job: Job, template: Template, cid: Cid, person: Person, now: datetime) -> Mapping[str, Any]:
        values = self.values(job, template, cid, person, now)
        opt_out = self._tracking.opt_out_url(cid, job.source, now)
        footer = _footer(self._settings, opt_out)
        text = render(template.content["text"], values)
        safe = {name: escape(value) for name, value in values.items()}
        html = template.content.get("html")
        body = render(html, safe) if html else f"<p>{escape(text)}</p>".replace("\n", "<br>\n")
        pixel = f'<img src="{escape(self._tracking.open_url(cid, job.source, now))}" width="1" height="1" alt="">'
        foot = (
            escape(footer)
            .replace("\n", "<br>\n")
            .replace(escape(opt_out), f'<a href="{escape(opt_out)}">配信停止 / Unsubscribe</a>')
        )
        return {
            "to": person.customer.profile.email,
            "sender": formataddr((self._settings.company_name, self._settings.mail_from), "utf-8"),
            "subject": render(template.content["subject"], values),
            "text": f"{text}\n\n{footer}",
            "html": f'<!doctype html><html lang="ja"><body>{body}<hr><p style="font-size:small">{foot}</p>{pixel}</body></html>',
            "headers": {
                # RFC 8058: a POST to this address, without cookies, is the whole opt-out.
                "List-Unsubscribe": f"<{opt_out}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            },
        }

    def _sms(self, job: Job, template: Template, cid: Cid, person: Person, now: datetime) -> Mapping[str, Any]:
        text = render(template.content["text"], self.values(job, template, cid, person, now))
        return {"to": person.customer.profile.phone, "text": text}

    def _webhook(self, job: Job, number: int, recipients: Sequence[Recipient], now: datetime) -> Batch:
        calls = []
        for cid, person in recipients[:_HOOKS]:
            key = derived_uuid(job.batch_id, str(number), str(cid))
            payload = {
                "id": key,
                "customer_id": customer_id(person.cid),
                "member_no": person.customer.profile.member_no,
                "source": job.source,
                "due": to_text(job.due),
                "data": dict(job.data),
            }
            calls.append(Call((cid,), {"hook": job.template_id, "payload": payload}, key))
        return _batch(job, number, "webhook", None, calls, now)

    def _postal(self, job: Job, number: int, recipients: Sequence[Recipient], template: Template, now: datetime) -> Batch:
        letters = _that_fit((cid, self._letter(job, number, template, cid, person, now)) for cid, person in recipients[:MULTICAST])
        key = derived_uuid(job.batch_id, str(number), "postal")
        body = {"letters": [letter for _, letter in letters], "day": f"{now:%Y-%m-%d}"}
        return _batch(job, number, "postal", None, [Call(tuple(cid for cid, _ in letters), body, key)], now)

    def _letter(self, job: Job, number: int, template: Template, cid: Cid, person: Person, now: datetime) -> Mapping[str, Any]:
        values = self.values(job, template, cid, person, now)
        profile = person.customer.profile
        link = template.content.get("link", "")
        return {
            "reference": derived_uuid(job.batch_id, str(number), str(cid)),
            "postal_code": profile.postal_code,
            "prefecture": profile.prefecture,
            "city": profile.city,
            "address": profile.address,
            "building": profile.building,
            "name": profile.name,
            "heading": render(template.content["heading"], values),
            "body": render(template.content["body"], values),
            "url": self._tracking.short_click_url(link, cid, job.source, now) if link else "",
        }


def without(call: Call, gone: AbstractSet[Cid]) -> Call:
    """Return a multicast to those who are left."""
    left = [(cid, user_id) for cid, user_id in zip(call.members, call.body["to"], strict=True) if cid not in gone]
    return Call(tuple(cid for cid, _ in left), {**call.body, "to": [user_id for _, user_id in left]}, call.key)


def _that_fit(bodies: Iterable[tuple[Cid, Mapping[str, Any]]]) -> list[tuple[Cid, Mapping[str, Any]]]:
    """Return as many bodies as one item may hold, at least one."""
    taken: list[tuple[Cid, Mapping[str, Any]]] = []
    size = 0
    for cid, body in bodies:
        size += len(canonical(body).encode())
        if taken and size > _BATCH_BYTES:
            break
        taken.append((cid, body))
    return taken


def _account(person: Person, account: AccountKey | None) -> AccountKey | None:
    friend = person.friend(account)
    return friend.account if friend else account


def _user_id(person: Person, account: AccountKey | None) -> str:
    friend = person.friend(account)
    if friend is None:
        raise LookupError("a person without this friendship was decided to be sent to")
    return friend.line_user_id


def _batch(job: Job, number: int, verb: str, account: AccountKey | None, calls: Sequence[Call], now: datetime) -> Batch:
    return Batch(
        batch_id=job.batch_id,
        number=number,
        channel=job.channel,
        verb=verb,
        account=account,
        calls=tuple(calls),
        results=("",) * len(calls),
        state=BatchState.FROZEN,
        frozen_at=now,
    )


def _footer(settings: Settings, opt_out: str) -> str:
    # 特定電子メール法: sender, the right to refuse and where, postal address and contact in every advertising mail.
    lines = [settings.company_name, settings.company_address, settings.company_contact]
    return "\n".join([*(line for line in lines if line), f"配信停止はこちら / Unsubscribe: {opt_out}"])
