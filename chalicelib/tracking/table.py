"""Links in the config table (`LNK` / id), and the sites with our script (`SITE` / `#`).

What people did stands in the timeline (`C#cid` / `EV#…`), their habits in the core table (`A`).

What other systems report stands in the timeline table too, by the id they gave it: `OCC#fact` / `#`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.facts import Fact, Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.windows import JST
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.settings import settings
from chalicelib.storage import ConfigItem, CoreItem, is_lost, saved
from chalicelib.tracking.model import ACTIVITY_SK, HOURS, TrackedLink

_LONGEST_KEY = 300  # of ours; DynamoDB takes 1,024 bytes
_WHOLE = re.compile(r"[^\ud800-\udfff]+")  # half a letter cannot be sent


class LinkItem(ConfigItem):
    """One tracked link."""

    name = UnicodeAttribute()
    url = UnicodeAttribute()
    created_at = UnicodeAttribute()
    identifies = BooleanAttribute(null=True)


class ActivityItem(CoreItem):
    """When a person last did something himself, and `h00` to `h23`: how often by the JST hour."""

    last_at = UnicodeAttribute()


def create(link: TrackedLink) -> bool:
    """Write a new link; return False when the id is taken."""
    item = LinkItem("LNK", link.link_id, name=link.name, url=link.url, created_at=to_text(link.created_at))
    item.identifies = link.identifies or None
    return saved(item, LinkItem.pk.does_not_exist())


def _model(item: LinkItem) -> TrackedLink:
    return TrackedLink(item.sk, item.name, item.url, from_text(item.created_at), bool(item.identifies))


def get(link_id: str) -> TrackedLink | None:
    """Return a link."""
    try:
        return _model(LinkItem.get("LNK", link_id))
    except LinkItem.DoesNotExist:
        return None


def everyone() -> list[TrackedLink]:
    """Return all links by id."""
    return [_model(item) for item in LinkItem.query("LNK")]


def put_origins(database: Database, origins: Sequence[str]) -> None:
    """Keep the origins of the company's sites, in place of those before."""
    database.put_many(settings().config_table, [{"pk": "SITE", "sk": "#", "origins": list(origins)}])


def origins(database: Database) -> list[str]:
    """Return the origins of the company's sites."""
    item = database.get_many(settings().config_table, [("SITE", "#")]).get(("SITE", "#"))
    return list(item["origins"]) if item else []


def put_short(database: Database, code: str, token: str, expires: datetime) -> None:
    """Keep the token that a short code stands for; the same every time."""
    item = {"pk": f"SHT#{code}", "sk": "#", "token": token, "ttl": int(expires.timestamp())}
    database.put_many(settings().timeline_table, [item])


def short(database: Database, code: str) -> str | None:
    """Return the token that a short code stands for."""
    key = (f"SHT#{code}", "#")
    found = database.get_many(settings().timeline_table, [key]).get(key)
    return found["token"] if found else None


def note(database: Database, fact: Fact, kind: str, details: dict[str, Any]) -> None:
    """Write a fact into the person's timeline; the same every time it is told."""
    item = {"pk": person_key(fact.cid), "sk": f"EV#{to_text(fact.at)}#{fact.fact_id}", "kind": kind, "at": to_text(fact.at)}
    database.put_many(settings().timeline_table, [{**item, **details}])


def note_all(database: Database, facts: Iterable[Occurred]) -> None:
    """Write many facts into their people's timelines, as `note` does."""
    items = [
        {
            "pk": person_key(fact.cid),
            "sk": f"EV#{to_text(fact.at)}#{fact.fact_id}",
            "kind": fact.event,
            "at": to_text(fact.at),
            "name": fact.name,
            "data": dict(fact.data),
        }
        for fact in facts
    ]
    database.put_many(settings().timeline_table, items)


def timeline(database: Database, cid: Cid, since: datetime) -> list[Item]:
    """Return what a person did at this instant and later, oldest first."""
    return database.query(settings().timeline_table, person_key(cid), prefix="EV#", after=f"EV#{to_text(since)}")


def page(database: Database, cid: Cid, after: str, limit: int) -> list[Item]:
    """Return so much of what a person did under a number, oldest first, after a sort key."""
    return database.query(settings().timeline_table, person_key(cid), prefix="EV#", after=after, limit=limit)


def is_place(sk: str) -> bool:
    """Say whether a text can be the sort key of an entry of a timeline; DynamoDB takes no other to go on from."""
    return sk.startswith("EV#") and len(sk) <= _LONGEST_KEY and _WHOLE.fullmatch(sk) is not None


def keep_occurrences(database: Database, facts: Sequence[Occurred], expires: datetime) -> None:
    """Write what happened unless it is there; of two with one id the first stands."""
    items = [
        {
            "pk": f"OCC#{fact.fact_id}",
            "sk": "#",
            "cid": int(fact.cid),
            "at": to_text(fact.at),
            "event": fact.event,
            "name": fact.name,
            "data": dict(fact.data),
            "ttl": int(expires.timestamp()),
        }
        for fact in facts
    ]
    database.execute([Statement.insert(settings().timeline_table, item) for item in items])


def occurrences(database: Database, fact_ids: Iterable[str]) -> dict[str, Occurred]:
    """Return what is kept by these ids."""
    keys = {(f"OCC#{fact_id}", "#"): fact_id for fact_id in fact_ids}
    found = database.get_many(settings().timeline_table, keys)
    return {
        keys[key]: Occurred(
            fact_id=keys[key],
            cid=Cid(item["cid"]),
            at=from_text(item["at"]),
            event=item["event"],
            name=item["name"],
            data=item["data"],
        )
        for key, item in found.items()
    }


def forget_occurrences(database: Database, fact_ids: Iterable[str]) -> None:
    """Delete what is kept by these ids."""
    text = f'DELETE FROM "{settings().timeline_table}" WHERE pk=? AND sk=?'
    database.execute([Statement(text, (f"OCC#{fact_id}", "#")) for fact_id in fact_ids])


def acted(cid: Cid, at: datetime) -> None:
    """Note an act of a person: the last one only grows, and told again it counts no second time.

    An older act that is told again counts twice in its hour: a habit does not mind, and remembering each act would cost a
    write more.
    """
    item, text = ActivityItem(person_key(cid), ACTIVITY_SK), to_text(at)
    hour = NumberAttribute(attr_name=HOURS[at.astimezone(JST).hour])
    last: Any = ActivityItem.last_at
    if not _updated(item, [last.set(text), hour.add(1)], last.does_not_exist() | (last < text)):
        _updated(item, [hour.add(1)], last != text)


def _updated(item: ActivityItem, actions: list[Action], condition: Condition) -> bool:
    try:
        item.update(actions=actions, condition=condition)
    except UpdateError as error:
        if is_lost(error):
            return False
        raise
    return True
